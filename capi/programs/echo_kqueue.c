/* An echo server on kqueue(2). */
#include <sys/event.h>
#include "echo.h"

static void change(int kq, int fd, int filter, int flags, struct connection *one)
{
	struct kevent change;

	EV_SET(&change, fd, filter, flags, 0, 0, one);
	if (kevent(kq, &change, 1, NULL, 0, NULL) == -1)
		die("kevent");
}

int main(void)
{
	int listener = listen_somewhere(), kq = kqueue();
	struct kevent events[64];

	if (kq == -1)
		die("kqueue");
	change(kq, listener, EVFILT_READ, EV_ADD, NULL);
	for (;;) {
		int count = kevent(kq, NULL, 0, events, 64, NULL);

		if (count == -1 && errno != EINTR)
			die("kevent");
		for (int at = 0; at < count; at++) {
			struct connection *one = events[at].udata;
			int read = events[at].filter == EVFILT_READ, wants;

			if (!one) {
				while ((one = accept_one(listener)))
					change(kq, one->fd, EVFILT_READ, EV_ADD, one);
				continue;
			}
			/* One filter of a connection is enabled at a time: it has one event. */
			wants = go_on(one);
			if (wants == IS_DONE) {
				end(one);
			} else if (wants == WANTS_WRITE && read) {
				change(kq, one->fd, EVFILT_READ, EV_DISABLE, one);
				change(kq, one->fd, EVFILT_WRITE, EV_ADD, one);
			} else if (wants == WANTS_READ && !read) {
				change(kq, one->fd, EVFILT_WRITE, EV_DELETE, one);
				change(kq, one->fd, EVFILT_READ, EV_ENABLE, one);
			}
		}
	}
}
