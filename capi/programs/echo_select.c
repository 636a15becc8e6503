/* An echo server on select(2). */
#include <sys/select.h>
#include "echo.h"

int main(void)
{
	struct connection *all[MOST];
	int wants[MOST], count = 0, listener = listen_somewhere();

	for (;;) {
		fd_set reads, writes;
		int highest = listener;

		FD_ZERO(&reads);
		FD_ZERO(&writes);
		if (count < MOST)
			FD_SET(listener, &reads);
		for (int at = 0; at < count; at++) {
			FD_SET(all[at]->fd, wants[at] == WANTS_READ ? &reads : &writes);
			if (all[at]->fd > highest)
				highest = all[at]->fd;
		}
		if (select(highest + 1, &reads, &writes, NULL, NULL) == -1) {
			if (errno == EINTR)
				continue;
			die("select");
		}
		for (int at = count - 1; at >= 0; at--) {
			if (!FD_ISSET(all[at]->fd, &reads) && !FD_ISSET(all[at]->fd, &writes))
				continue;
			wants[at] = go_on(all[at]);
			if (wants[at] == IS_DONE) {
				end(all[at]);
				count--;
				all[at] = all[count];
				wants[at] = wants[count];
			}
		}
		if (FD_ISSET(listener, &reads)) {
			struct connection *one;

			while (count < MOST && (one = accept_one(listener))) {
				all[count] = one;
				wants[count++] = WANTS_READ;
			}
		}
	}
}
