/*
 * What epoll_create and kqueue return is a descriptor: close, dup, fcntl, fork and
 * reuse of its number do what they do for any other.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "check.h"

static const struct timespec zero = { 0, 0 };

static void test_epoll(void)
{
	struct epoll_event event, got;
	int ends[2], epoll, copy, first, pid, status;

	memset(&event, 0, sizeof event);
	CHECK(pipe(ends) == 0);
	CHECK(write(ends[1], "x", 1) == 1);

	/* Its number is taken: nothing else gets it. */
	epoll = epoll_create1(0);
	for (int at = 0; at < 50; at++) {
		int other = dup(ends[0]);

		CHECK(other != epoll);
		if (at % 10 == 0)
			close(other);
	}
	/* Flags. */
	GIVES(0, fcntl(epoll, F_GETFD));
	GIVES(0, fcntl(epoll, F_SETFD, FD_CLOEXEC));
	GIVES(FD_CLOEXEC, fcntl(epoll, F_GETFD));
	CHECK(fcntl(epoll, F_GETFL) >= 0);
	copy = epoll_create1(EPOLL_CLOEXEC);
	GIVES(FD_CLOEXEC, fcntl(copy, F_GETFD));
	GIVES(0, close(copy));

	/* A duplicate is the same set, and the first one's close does not end it. */
	event.events = EPOLLIN;
	event.data.u64 = 0x123456789abcdef0;
	copy = dup(epoll);
	GIVES(0, epoll_ctl(copy, EPOLL_CTL_ADD, ends[0], &event));
	FAILS(EEXIST, epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event));
	FAILS(EINVAL, epoll_ctl(copy, EPOLL_CTL_ADD, epoll, &event));
	GIVES(1, epoll_wait(epoll, &got, 1, 0));
	GIVES(1, epoll_wait(copy, &got, 1, 0));
	CHECK(got.events == EPOLLIN && got.data.u64 == 0x123456789abcdef0);
	GIVES(0, close(epoll));
	FAILS(EBADF, epoll_wait(epoll, &got, 1, 0));
	GIVES(1, epoll_wait(copy, &got, 1, 0));
	/* The number may come back, as something else. */
	first = dup2(ends[0], epoll);
	CHECK(first == epoll);
	FAILS(EINVAL, epoll_wait(epoll, &got, 1, 0));
	FAILS(EINVAL, epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event));
	GIVES(0, close(first));
	/* dup2 onto it closes it. */
	CHECK(dup2(ends[1], copy) == copy);
	FAILS(EINVAL, epoll_wait(copy, &got, 1, 0));
	GIVES(0, close(copy));

	/* A child has it too. */
	epoll = epoll_create1(0);
	GIVES(0, epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event));
	pid = fork();
	if (pid == 0) {
		checks_failed = 0;
		GIVES(1, epoll_wait(epoll, &got, 1, 0));
		GIVES(0, close(epoll));
		FAILS(EBADF, epoll_wait(epoll, &got, 1, 0));
		_exit(checks_failed);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	GIVES(1, epoll_wait(epoll, &got, 1, 0));

	GIVES(0, close(epoll));
	GIVES(0, close(ends[1]));
}

static void test_kqueue(void)
{
	struct kevent change, got;
	struct pollfd poll_fd;
	struct epoll_event event;
	int ends[2], kq, copy, epoll, pid, status;

	CHECK(pipe(ends) == 0);
	kq = kqueue();
	/* Not inherited, by exec neither. */
	GIVES(FD_CLOEXEC, fcntl(kq, F_GETFD));
	copy = dup(kq);
	EV_SET(&change, ends[0], EVFILT_READ, EV_ADD, 0, 0, &kq);
	GIVES(0, kevent(copy, &change, 1, NULL, 0, NULL));
	GIVES(0, kevent(kq, NULL, 0, &got, 1, &zero));
	CHECK(write(ends[1], "abc", 3) == 3);

	/* It is a source for poll and epoll. */
	poll_fd = (struct pollfd){ copy, POLLIN, 0 };
	GIVES(1, poll(&poll_fd, 1, 1000));
	CHECK(poll_fd.revents == POLLIN);
	epoll = epoll_create1(0);
	memset(&event, 0, sizeof event);
	event.events = EPOLLIN;
	GIVES(0, epoll_ctl(epoll, EPOLL_CTL_ADD, kq, &event));
	GIVES(1, epoll_wait(epoll, &event, 1, 1000));
	GIVES(0, close(epoll));

	GIVES(1, kevent(kq, NULL, 0, &got, 1, NULL));
	CHECK(got.ident == (uintptr_t)ends[0] && got.filter == EVFILT_READ);
	CHECK(got.data == 3 && got.udata == &kq);
	GIVES(0, close(kq));
	FAILS(EBADF, kevent(kq, NULL, 0, &got, 1, &zero));
	GIVES(1, kevent(copy, NULL, 0, &got, 1, NULL));

	/* The number as something else. */
	CHECK(dup2(ends[0], kq) == kq);
	FAILS(EBADF, kevent(kq, NULL, 0, &got, 1, &zero));
	GIVES(0, close(kq));

	/* A child has no kqueue, and does the parent's no harm. */
	pid = fork();
	if (pid == 0) {
		checks_failed = 0;
		FAILS(EBADF, kevent(copy, NULL, 0, &got, 1, &zero));
		CHECK(close(copy) == 0);
		_exit(checks_failed);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	GIVES(1, kevent(copy, NULL, 0, &got, 1, NULL));

	/* ext comes back. */
	EV_SET(&change, 7, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, NULL);
	change.ext[2] = 0x1122334455667788;
	change.ext[3] = 3;
	GIVES(0, kevent(copy, &change, 1, NULL, 0, NULL));
	EV_SET(&change, 7, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL);
	EV_SET(&got, ends[0], EVFILT_READ, EV_DELETE, 0, 0, NULL);
	GIVES(0, kevent(copy, &got, 1, NULL, 0, NULL));
	GIVES(1, kevent(copy, &change, 1, &got, 1, NULL));
	CHECK(got.filter == EVFILT_USER);

#ifdef LIBREADINESS_WRAPS_CLOSE
	/* Closing a descriptor ends its knotes, though a duplicate lives. */
	{
		int other = dup(ends[0]);

		EV_SET(&change, ends[0], EVFILT_READ, EV_ADD, 0, 0, NULL);
		GIVES(0, kevent(copy, &change, 1, NULL, 0, NULL));
		GIVES(1, kevent(copy, NULL, 0, &got, 1, NULL));
		GIVES(0, close(ends[0]));
		GIVES(0, kevent(copy, NULL, 0, &got, 1, &zero));
		ends[0] = other;
	}
#endif
	GIVES(0, close(copy));
	GIVES(0, close(ends[0]));
	GIVES(0, close(ends[1]));
}

/* A number that takes the set over before the library has seen it. */
static void test_moved(void)
{
	struct epoll_event event, got;
	struct kevent change, changed;
	int ends[2], epoll, kq, high;

	memset(&event, 0, sizeof event);
	event.events = EPOLLIN;
	CHECK(pipe(ends) == 0);
	CHECK(write(ends[1], "x", 1) == 1);
	EV_SET(&change, ends[0], EVFILT_READ, EV_ADD, 0, 0, NULL);

	epoll = epoll_create1(0);
	GIVES(0, epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event));
	high = fcntl(epoll, F_DUPFD_CLOEXEC, 100);
	CHECK(high >= 100);
	GIVES(0, close(epoll));
	GIVES(1, epoll_wait(high, &got, 1, 0));
	FAILS(EBADF, epoll_wait(epoll, &got, 1, 0));
	/* Another set, where it may be in the place of the first. */
	epoll = epoll_create1(0);
	GIVES(0, epoll_wait(epoll, &got, 1, 0));
	GIVES(1, epoll_wait(high, &got, 1, 0));
	GIVES(0, close(epoll));
	GIVES(0, close(high));
	FAILS(EBADF, epoll_wait(high, &got, 1, 0));

	kq = kqueue();
	GIVES(0, kevent(kq, &change, 1, NULL, 0, NULL));
	high = fcntl(kq, F_DUPFD_CLOEXEC, 100);
	CHECK(high >= 100);
	GIVES(0, close(kq));
	FAILS(EBADF, kevent(kq, NULL, 0, &changed, 1, &zero));
	GIVES(1, kevent(high, NULL, 0, &changed, 1, &zero));
	/* Closed and taken by something else, while nobody told the library. */
	kq = dup(high);
	CHECK(syscall(SYS_close, high) == 0);
	CHECK(dup2(ends[1], high) == high);
	FAILS(EBADF, kevent(high, NULL, 0, &changed, 1, &zero));
	GIVES(0, close(kqueue()));
	GIVES(0, close(high));
	GIVES(1, kevent(kq, NULL, 0, &changed, 1, &zero));
	GIVES(0, close(kq));
	FAILS(EBADF, kevent(kq, NULL, 0, &changed, 1, &zero));
	GIVES(0, close(ends[0]));
	GIVES(0, close(ends[1]));
}

/* A program that tries every number gets hold of no more than its own. */
static void test_every_number(void)
{
	struct kevent changed;
	struct epoll_event got;
	int before = dup(0), epoll, kq, answers = 0;

	close(before);
	epoll = epoll_create1(0);
	kq = kqueue();
	for (int number = 3; number < 100; number++) {
		answers += kevent(number, NULL, 0, &changed, 1, &zero) == 0;
		answers += epoll_wait(number, &got, 1, 0) == 0 && number == epoll;
	}
	CHECK(answers == 2);
	GIVES(0, close(epoll));
	GIVES(0, close(kq));
	epoll = dup(0);
	CHECK(epoll == before);
	close(epoll);
}

/* Many that come and go leave nothing behind. */
static void test_leaks(void)
{
	int before, after;

	/* What the library keeps, it keeps from the first on. */
	close(epoll_create1(0));
	close(kqueue());
	before = dup(0);

	close(before);
	for (int at = 0; at < 3000; at++) {
		int epoll = epoll_create1(0), kq = kqueue();

		CHECK(epoll >= 0 && kq >= 0);
		CHECK(close(epoll) == 0 && close(kq) == 0);
		if (checks_failed)
			break;
	}
	after = dup(0);
	CHECK(after == before);
	close(after);
}

int main(void)
{
	test_epoll();
	test_kqueue();
	test_moved();
	test_every_number();
	test_leaks();
	return finish();
}
