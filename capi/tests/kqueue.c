/* What kqueue(2) promises of the filters that every target has: READ, WRITE, TIMER, USER. */
#define _GNU_SOURCE
#include <sys/event.h>
#include "check.h"

#ifndef __wasi__
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#endif

static const struct timespec zero = { 0, 0 }, second = { 1, 0 };
static int kq;

static struct kevent event(uintptr_t ident, int filter, int flags, unsigned fflags, long long data)
{
	struct kevent one;

	EV_SET(&one, ident, filter, flags, fflags, data, (void *)(ident + 100));
	return one;
}

static int apply(uintptr_t ident, int filter, int flags, unsigned fflags, long long data)
{
	struct kevent one = event(ident, filter, flags, fflags, data);

	return kevent(kq, &one, 1, NULL, 0, NULL);
}

/* The only event there is. */
static struct kevent take(int line)
{
	struct kevent got[4];
	int count = kevent(kq, NULL, 0, got, 4, &second);

	if (count != 1) {
		checks_failed++;
		printf("line %d: %d events, not one\n", line, count);
		memset(got, 0, sizeof got);
	}
	return got[0];
}

#define TAKE() take(__LINE__)

static int nothing(void)
{
	struct kevent got[4];

	return kevent(kq, NULL, 0, got, 4, &zero) == 0;
}

static void test_user(void)
{
	struct kevent got;

	GIVES(0, apply(1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_FFCOPY | 0x3, 0));
	CHECK(nothing());
	GIVES(0, apply(1, EVFILT_USER, 0, NOTE_TRIGGER | NOTE_FFOR | 0x8, 0));
	got = TAKE();
	CHECK(got.ident == 1 && got.filter == EVFILT_USER && got.fflags == 0xb);
	CHECK(got.udata == (void *)101);
	CHECK(nothing());
	/* Disabled it accumulates. */
	GIVES(0, apply(1, EVFILT_USER, EV_DISABLE, NOTE_FFNOP, 0));
	GIVES(0, apply(1, EVFILT_USER, 0, NOTE_TRIGGER, 0));
	CHECK(nothing());
	GIVES(0, apply(1, EVFILT_USER, EV_ENABLE, NOTE_FFNOP, 0));
	CHECK(TAKE().ident == 1);
	GIVES(0, apply(1, EVFILT_USER, EV_DELETE, 0, 0));
	FAILS(ENOENT, apply(1, EVFILT_USER, 0, NOTE_TRIGGER, 0));

	/* Once, and level. */
	GIVES(0, apply(2, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0));
	GIVES(0, apply(2, EVFILT_USER, 0, NOTE_TRIGGER, 0));
	CHECK(TAKE().ident == 2);
	FAILS(ENOENT, apply(2, EVFILT_USER, 0, NOTE_TRIGGER, 0));
	GIVES(0, apply(3, EVFILT_USER, EV_ADD, 0, 0));
	GIVES(0, apply(3, EVFILT_USER, 0, NOTE_TRIGGER, 0));
	CHECK(TAKE().ident == 3);
	CHECK(TAKE().ident == 3);
	GIVES(0, apply(3, EVFILT_USER, EV_DELETE, 0, 0));
	/* EV_DISPATCH disables it. */
	GIVES(0, apply(4, EVFILT_USER, EV_ADD | EV_DISPATCH, 0, 0));
	GIVES(0, apply(4, EVFILT_USER, 0, NOTE_TRIGGER, 0));
	CHECK(TAKE().ident == 4);
	CHECK(nothing());
	GIVES(0, apply(4, EVFILT_USER, EV_ENABLE, 0, 0));
	CHECK(TAKE().ident == 4);
	GIVES(0, apply(4, EVFILT_USER, EV_DELETE, 0, 0));
}

static void test_timer(void)
{
	struct kevent got;
	uint64_t before = milliseconds_now();

	GIVES(0, apply(1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 30));
	got = TAKE();
	CHECK(milliseconds_now() - before >= 29);
	CHECK(got.ident == 1 && got.filter == EVFILT_TIMER && got.data == 1);
	FAILS(ENOENT, apply(1, EVFILT_TIMER, EV_DELETE, 0, 0));

	/* Periodic; what expired while nobody looked is counted. */
	GIVES(0, apply(2, EVFILT_TIMER, EV_ADD, NOTE_USECONDS, 5000));
	CHECK(TAKE().data >= 1);
	CHECK(TAKE().data >= 1);
	before = milliseconds_now();
	while (milliseconds_now() - before < 30)
		;
	CHECK(TAKE().data >= 5);
	GIVES(0, apply(2, EVFILT_TIMER, EV_DELETE, 0, 0));
	CHECK(nothing());
	/* Seconds, and one in the past. */
	GIVES(0, apply(3, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_SECONDS, 1000));
	CHECK(nothing());
	GIVES(0, apply(3, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_NSECONDS, 1));
	CHECK(TAKE().ident == 3);
	GIVES(0, apply(4, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_SECONDS | NOTE_ABSTIME, 1));
	CHECK(TAKE().ident == 4);
}

/* Standard output can be written, on every target; a file can be read to its end. */
static void test_read_write(int file)
{
	struct kevent got;

	/* Whatever else is registered already. */
	GIVES(0, apply(50, EVFILT_USER, EV_ADD, 0, 0));
	GIVES(0, apply(51, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 1000));
	GIVES(0, apply(1, EVFILT_WRITE, EV_ADD, 0, 0));
	got = TAKE();
	CHECK(got.ident == 1 && got.filter == EVFILT_WRITE && got.udata == (void *)101);
	got = TAKE();
	CHECK(got.ident == 1);
	/* modify replaces udata. */
	got = event(1, EVFILT_WRITE, EV_ADD, 0, 0);
	got.udata = &kq;
	GIVES(0, kevent(kq, &got, 1, NULL, 0, NULL));
	CHECK(TAKE().udata == &kq);
	GIVES(0, apply(1, EVFILT_WRITE, EV_DISABLE, 0, 0));
	CHECK(nothing());
	GIVES(0, apply(1, EVFILT_WRITE, EV_ENABLE, 0, 0));
	CHECK(TAKE().ident == 1);
	GIVES(0, apply(1, EVFILT_WRITE, EV_DELETE, 0, 0));
	CHECK(nothing());

	CHECK(write(file, "twelve bytes", 12) == 12);
	CHECK(lseek(file, 4, SEEK_SET) == 4);
	GIVES(0, apply((uintptr_t)file, EVFILT_READ, EV_ADD, 0, 0));
	got = TAKE();
	CHECK(got.ident == (uintptr_t)file && got.data == 8);
	GIVES(0, apply((uintptr_t)file, EVFILT_READ, EV_DELETE, 0, 0));
	GIVES(0, apply(50, EVFILT_USER, EV_DELETE, 0, 0));
	GIVES(0, apply(51, EVFILT_TIMER, EV_DELETE, 0, 0));
	CHECK(nothing());
}

#ifndef __wasi__
static void test_sockets(void)
{
	struct kevent got;
	int ends[2];
	char bytes[10];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	GIVES(0, apply(60, EVFILT_USER, EV_ADD, 0, 0));
	GIVES(0, apply((uintptr_t)ends[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0));
	CHECK(nothing());
	CHECK(write(ends[1], "abcde", 5) == 5);
	got = TAKE();
	CHECK(got.ident == (uintptr_t)ends[0] && got.data == 5 && got.flags & EV_CLEAR);
	CHECK(write(ends[1], "fg", 2) == 2);
	got = TAKE();
	CHECK(got.data == 7);
	CHECK(read(ends[0], bytes, 10) == 7);

	/* Level, with a low-water mark. */
	GIVES(0, apply((uintptr_t)ends[0], EVFILT_READ, EV_DELETE, 0, 0));
	GIVES(0, apply((uintptr_t)ends[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 3));
	CHECK(write(ends[1], "ab", 2) == 2);
	CHECK(nothing());
	CHECK(write(ends[1], "c", 1) == 1);
	CHECK(TAKE().data == 3);
	CHECK(TAKE().data == 3);
	CHECK(read(ends[0], bytes, 10) == 3);
	CHECK(nothing());

	/* The end. */
	CHECK(write(ends[1], "z", 1) == 1);
	CHECK(shutdown(ends[1], SHUT_WR) == 0);
	got = TAKE();
	CHECK(got.flags & EV_EOF && got.data == 1);
	GIVES(0, apply((uintptr_t)ends[0], EVFILT_READ, EV_DELETE, 0, 0));
	GIVES(0, apply(60, EVFILT_USER, EV_DELETE, 0, 0));
	CHECK(nothing());
	close(ends[0]);
	close(ends[1]);
}
#endif

/* A kqueue in a kqueue. */
static void test_nested(void)
{
	int inner = kqueue(), outer = kq;
	struct kevent got;

	GIVES(0, apply((uintptr_t)inner, EVFILT_READ, EV_ADD, 0, 0));
	CHECK(nothing());
	kq = inner;
	GIVES(0, apply(1, EVFILT_USER, EV_ADD, 0, 0));
	GIVES(0, apply(1, EVFILT_USER, 0, NOTE_TRIGGER, 0));
	kq = outer;
	got = TAKE();
	CHECK(got.ident == (uintptr_t)inner && got.filter == EVFILT_READ && got.data >= 1);
	GIVES(0, close(inner));
	CHECK(nothing());
}

int main(void)
{
	int file = open("file-for-kqueue", O_RDWR | O_CREAT | O_TRUNC, 0600);

	kq = kqueue();
	CHECK(kq >= 0 && file >= 0);
	test_user();
	test_timer();
	test_read_write(file);
#ifndef __wasi__
	test_sockets();
#endif
	test_nested();
	GIVES(0, close(kq));
	return finish();
}
