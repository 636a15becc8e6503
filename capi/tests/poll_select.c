/* poll, ppoll, select and pselect: answers, errors, EINTR, many descriptors. */
#define _GNU_SOURCE
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include "check.h"

#ifndef __wasi__
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

static void ignore(int signal)
{
	(void)signal;
}

/* In a moment, and then again and again: one that comes too early is not the last. */
static void alarm_soon(void)
{
	struct sigaction action;
	struct itimerval soon = { { 0, 20000 }, { 0, 20000 } };

	memset(&action, 0, sizeof action);
	action.sa_handler = ignore;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
}

static void alarm_off(void)
{
	struct itimerval off = { { 0, 0 }, { 0, 0 } };

	setitimer(ITIMER_REAL, &off, NULL);
}
#endif

/* A file: always ready, everywhere. */
static int file;

static void test_poll(void)
{
	struct pollfd fds[4] = {
		{ file, POLLIN | POLLOUT, 0 },
		{ NOT_OPEN, POLLIN, 0 },
		{ -1, POLLIN, 0x77 },
		{ file, POLLIN, 0 },
	};
	struct timespec zero = { 0, 0 }, wrong = { 0, -1 };
	uint64_t before;

	GIVES(3, poll(fds, 4, 0));
	CHECK(fds[0].revents == (POLLIN | POLLOUT));
	CHECK(fds[1].revents == POLLNVAL);
	CHECK(fds[2].revents == 0);
	CHECK(fds[3].revents == POLLIN);
	GIVES(3, poll(fds, 4, -1));
	GIVES(3, ppoll(fds, 4, NULL, NULL));
	GIVES(3, ppoll(fds, 4, &zero, NULL));
	FAILS(EINVAL, ppoll(fds, 4, &wrong, NULL));

	/* Nothing to wait for but the time. */
	before = milliseconds_now();
	GIVES(0, poll(NULL, 0, 30));
	CHECK(milliseconds_now() - before >= 29);
	fds[0].fd = -1;
	GIVES(0, poll(fds, 1, 0));

	FAILS(EFAULT, poll(NULL, 1, 0));
	FAILS(EFAULT, ppoll(NULL, 3, &zero, NULL));
#ifdef __wasi__
	/* Nothing could ever end it. */
	FAILS(EINVAL, poll(NULL, 0, -1));
#else
#endif
	FAILS(EINVAL, poll(fds, ULONG_MAX, 0));
	FAILS(EINVAL, poll(fds, INT_MAX, 0));
}

static void test_select(void)
{
	fd_set read, write, except;
	struct timeval none = { 0, 0 }, wrong = { -1, 0 }, soon = { 0, 30000 };
	struct timespec zero = { 0, 0 }, never = { 0, 1000000000 };
	uint64_t before;

	FD_ZERO(&read);
	FD_ZERO(&write);
	FD_ZERO(&except);
	FD_SET(file, &read);
	FD_SET(file, &write);
	FD_SET(file, &except);
	GIVES(2, select(file + 1, &read, &write, &except, &none));
	CHECK(FD_ISSET(file, &read));
	CHECK(FD_ISSET(file, &write));
	CHECK(!FD_ISSET(file, &except));
	GIVES(2, select(file + 1, &read, &write, NULL, NULL));
#ifdef LIBREADINESS
	/* The time that is left has no place in a constant. (The kernel forgives it, the
	 * C library does not always.) */
	{
		static const struct timeval constant = { 0, 1000 };

		GIVES(0, select(0, NULL, NULL, NULL, (struct timeval *)&constant));
	}
#endif
	GIVES(1, pselect(file + 1, &read, NULL, NULL, &zero, NULL));
	/* Numbers from nfds on are not looked at. */
	GIVES(0, select(file, &read, NULL, NULL, &none));

	before = milliseconds_now();
	GIVES(0, select(0, NULL, NULL, NULL, &soon));
	CHECK(milliseconds_now() - before >= 29);

	FAILS(EINVAL, select(-1, NULL, NULL, NULL, &none));
	FAILS(EINVAL, select(INT_MIN, &read, NULL, NULL, &none));
	FAILS(EINVAL, select(0, NULL, NULL, NULL, &wrong));
	FAILS(EINVAL, pselect(0, NULL, NULL, NULL, &never, NULL));

	/* One that is not open: an error, and the sets are as they were. */
	FD_ZERO(&read);
	FD_SET(file, &read);
	FD_SET(NOT_OPEN, &read);
	FD_ZERO(&write);
	FD_SET(file, &write);
#ifdef LIBREADINESS
	/* Linux passes over what is beyond its table. */
	FAILS(EBADF, select(NOT_OPEN + 1, &read, &write, NULL, &none));
	CHECK(FD_ISSET(file, &read) && FD_ISSET(NOT_OPEN, &read) && FD_ISSET(file, &write));
#endif
	FD_CLR(NOT_OPEN, &read);
	GIVES(1, select(INT_MAX, &read, NULL, NULL, &none));
#ifdef __wasi__
	FAILS(EINVAL, select(0, NULL, NULL, NULL, NULL));
#endif
}

#ifndef __wasi__
static void test_linux(void)
{
	int ends[2], far;
	struct pollfd fds[2];
	fd_set reads, writes, excepts;
	struct timeval second = { 1, 0 }, ten = { 10, 0 };
	struct timespec long_time = { 10, 0 };
	sigset_t none;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	fds[0] = (struct pollfd){ ends[0], POLLIN | POLLOUT, 0 };
	GIVES(1, poll(fds, 1, -1));
	CHECK(fds[0].revents == POLLOUT);
	CHECK(write(ends[1], "x", 1) == 1);
	GIVES(1, poll(fds, 1, -1));
	CHECK(fds[0].revents == (POLLIN | POLLOUT));

	/* A high number; the time that is left is told. */
	far = dup2(ends[0], FD_SETSIZE - 1);
	CHECK(far == FD_SETSIZE - 1);
	FD_ZERO(&reads);
	FD_SET(far, &reads);
	FD_SET(ends[1], &reads);
	writes = excepts = reads;
	GIVES(3, select(far + 1, &reads, &writes, &excepts, &second));
	CHECK(FD_ISSET(far, &reads) && !FD_ISSET(ends[1], &reads));
	CHECK(FD_ISSET(far, &writes) && FD_ISSET(ends[1], &writes));
	CHECK(!FD_ISSET(far, &excepts) && !FD_ISSET(ends[1], &excepts));
	CHECK(second.tv_sec == 0 && second.tv_usec > 0);

	/* A set longer than FD_SETSIZE. */
	{
		struct rlimit limit;
		fd_set big[4];
		int number = 3 * FD_SETSIZE + 5;
		unsigned long *words = (unsigned long *)big;
		const int bits = 8 * (int)sizeof *words;

		getrlimit(RLIMIT_NOFILE, &limit);
		limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
		setrlimit(RLIMIT_NOFILE, &limit);
		if (limit.rlim_cur > (rlim_t)number) {
			CHECK(dup2(ends[0], number) == number);
			memset(big, 0, sizeof big);
			words[number / bits] |= 1ul << number % bits;
			GIVES(1, select(number + 1, big, NULL, NULL, &ten));
			CHECK(words[number / bits] == 1ul << number % bits);
			CHECK(close(number) == 0);
		}
	}

	/* A pipe's writing end whose reader is gone is readable and writable. */
	{
		int pipe_ends[2];

		CHECK(pipe(pipe_ends) == 0);
		close(pipe_ends[0]);
		FD_ZERO(&reads);
		FD_SET(pipe_ends[1], &reads);
		writes = reads;
		GIVES(2, select(pipe_ends[1] + 1, &reads, &writes, NULL, NULL));
		close(pipe_ends[1]);
	}

	/* A signal ends each. */
	close(far);
	CHECK(read(ends[0], (char[1]){ 0 }, 1) == 1);
	fds[0].events = POLLIN;
	sigemptyset(&none);
	alarm_soon();
	FAILS(EINTR, poll(fds, 1, 10000));
	FAILS(EINTR, poll(fds, 1, -1));
	FAILS(EINTR, ppoll(fds, 1, &long_time, &none));
	FAILS(EINTR, ppoll(fds, 1, NULL, NULL));
	FD_ZERO(&reads);
	FD_SET(ends[0], &reads);
	FAILS(EINTR, select(ends[0] + 1, &reads, NULL, NULL, &ten));
	CHECK(FD_ISSET(ends[0], &reads));
	FAILS(EINTR, select(ends[0] + 1, &reads, NULL, NULL, NULL));
	FAILS(EINTR, pselect(ends[0] + 1, &reads, NULL, NULL, &long_time, &none));
	FAILS(EINTR, pselect(0, NULL, NULL, NULL, NULL, &none));

	/* Not one that the mask holds back. */
	{
		sigset_t mask;
		struct timespec short_time = { 0, 100000000 };

		sigemptyset(&mask);
		sigaddset(&mask, SIGALRM);
		GIVES(0, ppoll(fds, 1, &short_time, &mask));
		FD_ZERO(&reads);
		GIVES(0, pselect(0, &reads, NULL, NULL, &short_time, &mask));
	}
	alarm_off();
	close(ends[0]);
	close(ends[1]);
}
#endif

/* An epoll among the descriptors, emulated or not. */
static void test_epoll_as_source(void)
{
	struct epoll_event event = { .events = 0 };
	int epoll = epoll_create1(0);
	struct pollfd fds[3] = { { epoll, POLLIN, 0 }, { file, POLLIN, 0 }, { epoll, POLLIN | POLLOUT, 0 } };
	fd_set read;
	struct timeval none = { 0, 0 };

	CHECK(epoll >= 0);
	GIVES(1, poll(fds, 3, 0));
	CHECK(fds[0].revents == 0 && fds[1].revents == POLLIN && fds[2].revents == 0);
	GIVES(0, poll(fds, 1, 20));

	/* Standard output can be written. */
	event.events = EPOLLOUT;
	GIVES(0, epoll_ctl(epoll, EPOLL_CTL_ADD, 1, &event));
	GIVES(3, poll(fds, 3, 1000));
	CHECK(fds[0].revents == POLLIN && fds[1].revents == POLLIN && fds[2].revents == POLLIN);
#ifdef __wasi__
	/* wasi-libc's sets are lists. */
	const int nfds = INT_MAX;
#else
	const int nfds = epoll + 1;
#endif
	FD_ZERO(&read);
	FD_SET(epoll, &read);
	GIVES(1, select(nfds, &read, NULL, NULL, &none));
	CHECK(FD_ISSET(epoll, &read));
	FD_ZERO(&read);
	FD_SET(epoll, &read);
	GIVES(0, select(nfds, NULL, &read, NULL, &none));
	CHECK(!FD_ISSET(epoll, &read));

	GIVES(0, close(epoll));
	GIVES(3, poll(fds, 3, 0));
	CHECK(fds[0].revents == POLLNVAL && fds[1].revents == POLLIN && fds[2].revents == POLLNVAL);
	FD_SET(epoll, &read);
	FAILS(EBADF, select(nfds, &read, NULL, NULL, &none));
}

int main(void)
{
	file = open("file-for-poll", O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(file >= 0);
	test_poll();
	test_select();
	test_epoll_as_source();
#ifndef __wasi__
	test_linux();
#endif
	return finish();
}
