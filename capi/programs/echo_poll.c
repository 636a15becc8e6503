/* An echo server on poll(2). */
#include <poll.h>
#include "echo.h"

int main(void)
{
	static struct pollfd fds[MOST + 1];
	static struct connection *all[MOST + 1];
	nfds_t count = 1;

	fds[0].fd = listen_somewhere();
	for (;;) {
		fds[0].events = count <= MOST ? POLLIN : 0;
		if (poll(fds, count, -1) == -1) {
			if (errno == EINTR)
				continue;
			die("poll");
		}
		for (nfds_t at = count - 1; at > 0; at--) {
			int wants;

			if (!fds[at].revents)
				continue;
			wants = go_on(all[at]);
			if (wants == IS_DONE) {
				end(all[at]);
				count--;
				all[at] = all[count];
				fds[at] = fds[count];
			} else {
				fds[at].events = wants == WANTS_READ ? POLLIN : POLLOUT;
			}
		}
		if (fds[0].revents) {
			struct connection *one;

			while (count <= MOST && (one = accept_one(fds[0].fd))) {
				all[count] = one;
				fds[count].fd = one->fd;
				fds[count].events = POLLIN;
				fds[count++].revents = 0;
			}
		}
	}
}
