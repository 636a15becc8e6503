/* Sockets: the kernel's, and those that the second archive brings to WebAssembly. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include "check.h"

#ifndef __wasi__
#include <signal.h>
#endif

static struct sockaddr_in loopback(int port)
{
	struct sockaddr_in address;

	memset(&address, 0, sizeof address);
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(0x7f000001);
	address.sin_port = htons((unsigned short)port);
	return address;
}

static int port_of(int fd)
{
	struct sockaddr_in address;
	socklen_t size = sizeof address;

	CHECK(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
	CHECK(size == sizeof address && address.sin_family == AF_INET);
	return ntohs(address.sin_port);
}

static int error_of(int fd)
{
	int error = -1;
	socklen_t size = sizeof error;

	CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && size == sizeof error);
	return error;
}

static int wait_for(int fd, short events)
{
	struct pollfd one = { fd, events, 0 };

	CHECK(poll(&one, 1, 20000) == 1);
	return one.revents;
}

static int listener_at(int *port)
{
	struct sockaddr_in address = loopback(0);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(fd >= 0);
	CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
	CHECK(listen(fd, 10) == 0);
	*port = port_of(fd);
	CHECK(*port > 0);
	return fd;
}

static void test_errors(void)
{
	struct sockaddr_in address = loopback(0);
	int fd, file = open("file-for-sockets", O_RDWR | O_CREAT, 0600), value = 1;
	socklen_t size = sizeof value;

	FAILS(EAFNOSUPPORT, socket(77, SOCK_STREAM, 0));
	FAILS(EPROTONOSUPPORT, socket(AF_INET, SOCK_STREAM, 17));
	FAILS(ENOTSOCK, bind(file, (struct sockaddr *)&address, sizeof address));
	FAILS(ENOTSOCK, listen(file, 1));
	FAILS(ENOTSOCK, getsockopt(file, SOL_SOCKET, SO_ERROR, &value, &size));
	FAILS(ENOTSOCK, recv(file, &value, 1, 0));
	FAILS(ENOTSOCK, send(file, &value, 1, 0));
	FAILS(ENOTSOCK, accept(file, NULL, NULL));
	FAILS(EBADF, recv(NOT_OPEN, &value, 1, 0));
	FAILS(EBADF, send(-1, &value, 1, 0));
	FAILS(EBADF, accept(NOT_OPEN, NULL, NULL));
	FAILS(EBADF, listen(NOT_OPEN, 1));
	FAILS(EBADF, bind(-1, (struct sockaddr *)&address, sizeof address));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	FAILS(EINVAL, accept(fd, NULL, NULL));
	FAILS(EINVAL, bind(fd, (struct sockaddr *)&address, 3));
	FAILS(EFAULT, bind(fd, NULL, sizeof address));
	FAILS(ENOTCONN, shutdown(fd, SHUT_WR));
	FAILS(ENOPROTOOPT, getsockopt(fd, SOL_SOCKET, 12345, &value, &size));
	FAILS(EFAULT, getsockopt(fd, SOL_SOCKET, SO_ERROR, NULL, &size));
	GIVES(0, setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, sizeof value));
	GIVES(0, setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof value));
	CHECK(error_of(fd) == 0);
	GIVES(0, close(fd));
	FAILS(EBADF, listen(fd, 1));
	FAILS(EBADF, close(fd));
	close(file);
}

static void test_stream(void)
{
	struct sockaddr_in address, peer;
	socklen_t size = sizeof peer;
	char bytes[100];
	int port, listener = listener_at(&port), client, server, revents, type;

	CHECK(fcntl(listener, F_SETFL, fcntl(listener, F_GETFL, 0) | O_NONBLOCK) == 0);
	CHECK(fcntl(listener, F_GETFL, 0) & O_NONBLOCK);
	FAILS(EAGAIN, accept(listener, NULL, NULL));

	address = loopback(port);
	client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK(client >= 0 && fcntl(client, F_GETFL, 0) & O_NONBLOCK);
	FAILS(EINPROGRESS, connect(client, (struct sockaddr *)&address, sizeof address));
	CHECK(wait_for(listener, POLLIN) == POLLIN);
	server = accept(listener, (struct sockaddr *)&peer, &size);
	CHECK(server >= 0 && size == sizeof peer);
	CHECK(!(fcntl(server, F_GETFL, 0) & O_NONBLOCK));
	CHECK(wait_for(client, POLLOUT) == POLLOUT);
	CHECK(error_of(client) == 0);
	GIVES(0, connect(client, (struct sockaddr *)&address, sizeof address));
	FAILS(EISCONN, connect(client, (struct sockaddr *)&address, sizeof address));
	CHECK(ntohs(peer.sin_port) == port_of(client));
	CHECK(getpeername(client, (struct sockaddr *)&peer, &size) == 0 && ntohs(peer.sin_port) == port);
	size = sizeof type;
	CHECK(getsockopt(client, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM);

	/* Each way to read and to write. */
	FAILS(EAGAIN, recv(client, bytes, 100, 0));
	FAILS(EAGAIN, read(client, bytes, 100));
	GIVES(5, send(client, "hello", 5, MSG_NOSIGNAL));
	CHECK(wait_for(server, POLLIN) == POLLIN);
	GIVES(5, recv(server, bytes, 100, MSG_PEEK));
	GIVES(2, read(server, bytes, 2));
	GIVES(3, recv(server, bytes + 2, 100, 0));
	CHECK(memcmp(bytes, "hello", 5) == 0);
	GIVES(6, write(server, "answer", 6));
	CHECK(wait_for(client, POLLIN) == POLLIN);
	GIVES(6, recvfrom(client, bytes, 100, 0, NULL, NULL));

	/* Half of it is shut, then the other. */
	GIVES(0, shutdown(client, SHUT_WR));
	CHECK(wait_for(server, POLLIN) & POLLIN);
	GIVES(0, read(server, bytes, 100));
	GIVES(3, write(server, "end", 3));
	CHECK(wait_for(client, POLLIN) & POLLIN);
	GIVES(3, read(client, bytes, 100));
	GIVES(0, close(server));
	revents = wait_for(client, POLLIN | POLLOUT);
	CHECK(revents & POLLIN && revents & POLLHUP);
	GIVES(0, read(client, bytes, 100));
	GIVES(0, close(client));
	GIVES(0, close(listener));

	/* Nobody listens there any more. */
	client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (connect(client, (struct sockaddr *)&address, sizeof address) == -1 && errno == EINPROGRESS) {
		revents = wait_for(client, POLLOUT);
		CHECK(revents & POLLERR && revents & POLLHUP);
		CHECK(error_of(client) == ECONNREFUSED);
		CHECK(error_of(client) == 0);
	}
	GIVES(0, close(client));
	client = socket(AF_INET, SOCK_STREAM, 0);
	FAILS(ECONNREFUSED, connect(client, (struct sockaddr *)&address, sizeof address));
	GIVES(0, close(client));
}

/* A writer is held back, and goes on when the reader reads. */
static void test_backpressure(void)
{
	static char bytes[65536];
	struct sockaddr_in address;
	int port, listener = listener_at(&port), client = socket(AF_INET, SOCK_STREAM, 0), server;
	long sent = 0, received = 0;

	address = loopback(port);
	GIVES(0, connect(client, (struct sockaddr *)&address, sizeof address));
	server = accept(listener, NULL, NULL);
	CHECK(server >= 0);
	CHECK(fcntl(client, F_SETFL, O_NONBLOCK) == 0);
	for (;;) {
		ssize_t count = write(client, bytes, sizeof bytes);

		if (count == -1) {
			CHECK(errno == EAGAIN);
			break;
		}
		sent += count;
	}
	CHECK(sent > 0);
	while (received < sent) {
		ssize_t count = read(server, bytes, sizeof bytes);

		CHECK(count > 0);
		if (count <= 0)
			break;
		received += count;
	}
	CHECK(wait_for(client, POLLOUT) == POLLOUT);
	CHECK(write(client, bytes, 10) == 10);
	close(client);
	close(server);
	close(listener);
}

static void test_datagrams(void)
{
	struct sockaddr_in address = loopback(0), from;
	socklen_t size = sizeof from;
	char bytes[100];
	int one = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), other = socket(AF_INET, SOCK_DGRAM, 0);

	CHECK(one >= 0 && other >= 0);
	GIVES(0, bind(one, (struct sockaddr *)&address, sizeof address));
	FAILS(EAGAIN, recv(one, bytes, 100, 0));
	FAILS(EOPNOTSUPP, listen(one, 1));
	address = loopback(port_of(one));
	GIVES(4, sendto(other, "ping", 4, 0, (struct sockaddr *)&address, sizeof address));
	CHECK(wait_for(one, POLLIN) & POLLIN);
	GIVES(4, recvfrom(one, bytes, 100, 0, (struct sockaddr *)&from, &size));
	CHECK(size == sizeof from && ntohs(from.sin_port) == port_of(other));
	from.sin_addr.s_addr = htonl(0x7f000001);
	GIVES(0, connect(one, (struct sockaddr *)&from, sizeof from));
	GIVES(4, send(one, "pong", 4, 0));
	CHECK(wait_for(other, POLLIN) & POLLIN);
	GIVES(4, recv(other, bytes, 100, 0));
	CHECK(memcmp(bytes, "pong", 4) == 0);
	GIVES(0, close(one));
	GIVES(0, close(other));
}

int main(void)
{
#ifndef __wasi__
	signal(SIGPIPE, SIG_IGN);
#endif
	test_errors();
	test_stream();
	test_backpressure();
	test_datagrams();
	return finish();
}
