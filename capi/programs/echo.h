/*
 * The part of the echo servers that has nothing to do with waiting: a listener, and
 * connections that send back what they receive. A connection whose peer does not
 * read holds back what it has and reads no more until that is gone.
 */
#ifndef ECHO_H
#define ECHO_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#ifndef __wasi__
#include <signal.h>
#endif

#define MOST 1000

struct connection {
	int fd;
	int ended;
	size_t have, sent;
	char held[16384];
};

/* What to wait for. */
enum { WANTS_READ = 1, WANTS_WRITE = 2, IS_DONE = 0 };

static inline void die(const char *what)
{
	perror(what);
	exit(1);
}

static inline void set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL, 0);

	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
		die("fcntl");
}

/* Listens on a free port of the loopback, and says which one. */
static inline int listen_somewhere(void)
{
	struct sockaddr_in address;
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (fd == -1)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	memset(&address, 0, sizeof address);
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(0x7f000001);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) == -1)
		die("bind");
	if (listen(fd, SOMAXCONN) == -1)
		die("listen");
	set_nonblocking(fd);
	if (getsockname(fd, (struct sockaddr *)&address, &size) == -1)
		die("getsockname");
	printf("listening on %d\n", ntohs(address.sin_port));
	fflush(stdout);
#ifndef __wasi__
	signal(SIGPIPE, SIG_IGN);
#endif
	return fd;
}

/* A connection, or NULL if there is none now. */
static inline struct connection *accept_one(int listener)
{
	struct connection *new;
	int fd = accept(listener, NULL, NULL);

	if (fd == -1)
		return NULL;
	set_nonblocking(fd);
	new = calloc(1, sizeof *new);
	if (!new)
		die("calloc");
	new->fd = fd;
	return new;
}

/* Reads and writes what there is, until neither goes on; says what to wait for. */
static inline int go_on(struct connection *one)
{
	for (;;) {
		ssize_t count;

		if (one->sent < one->have) {
			count = write(one->fd, one->held + one->sent, one->have - one->sent);
			if (count > 0) {
				one->sent += (size_t)count;
				continue;
			}
			if (count == -1 && errno == EINTR)
				continue;
			if (count == -1 && errno == EAGAIN)
				return WANTS_WRITE;
			return IS_DONE;
		}
		if (one->ended)
			return IS_DONE;
		one->have = one->sent = 0;
		count = read(one->fd, one->held, sizeof one->held);
		if (count > 0) {
			one->have = (size_t)count;
		} else if (count == 0) {
			one->ended = 1;
		} else if (errno == EAGAIN) {
			return WANTS_READ;
		} else if (errno != EINTR) {
			return IS_DONE;
		}
	}
}

static inline void end(struct connection *one)
{
	close(one->fd);
	free(one);
}

#endif
