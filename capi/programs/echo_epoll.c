/* An echo server on epoll(7), edge-triggered. */
#include <sys/epoll.h>
#include "echo.h"

int main(void)
{
	int listener = listen_somewhere(), epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event, events[64];

	if (epoll == -1)
		die("epoll_create1");
	event.events = EPOLLIN;
	event.data.ptr = NULL;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) == -1)
		die("epoll_ctl");
	for (;;) {
		int count = epoll_wait(epoll, events, 64, -1);

		if (count == -1 && errno != EINTR)
			die("epoll_wait");
		for (int at = 0; at < count; at++) {
			struct connection *one = events[at].data.ptr;

			if (one) {
				if (go_on(one) == IS_DONE)
					end(one);
				continue;
			}
			while ((one = accept_one(listener))) {
				event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
				event.data.ptr = one;
				if (epoll_ctl(epoll, EPOLL_CTL_ADD, one->fd, &event) == -1)
					die("epoll_ctl");
			}
		}
	}
}
