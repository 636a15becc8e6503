/* Every errno of kevent(2), and how it is told: as the answer, or as an entry. */
#include <limits.h>
#include <sys/event.h>
#include "check.h"

#ifndef __wasi__
#include <signal.h>
#include <sys/time.h>

static void ignore(int signal)
{
	(void)signal;
}
#endif

static const struct timespec zero = { 0, 0 };
static int kq;

/* One change, with no room to tell an error in. */
static int apply(uintptr_t ident, int filter, int flags, unsigned fflags, long long data)
{
	struct kevent one;

	EV_SET(&one, ident, filter, flags, fflags, data, NULL);
	return kevent(kq, &one, 1, NULL, 0, NULL);
}

/* A change that is refused: by the answer, and by an entry where there is room. */
#define REFUSED(code, ident_, filter_, flags_, fflags_, data_)                       \
	do {                                                                         \
		struct kevent one, entries[2];                                       \
		FAILS(code, apply(ident_, filter_, flags_, fflags_, data_));         \
		EV_SET(&one, ident_, filter_, flags_, fflags_, data_, &kq);          \
		GIVES(1, kevent(kq, &one, 1, entries, 2, NULL));                     \
		CHECK(entries[0].flags & EV_ERROR);                                  \
		CHECK(entries[0].data == (code));                                    \
		CHECK(entries[0].ident == (uintptr_t)(ident_));                      \
		CHECK(entries[0].filter == (filter_));                               \
		CHECK(entries[0].udata == &kq);                                      \
	} while (0)

static void test_refused_changes(int file)
{
	REFUSED(EBADF, NOT_OPEN, EVFILT_READ, EV_ADD, 0, 0);
	REFUSED(EBADF, NOT_OPEN, EVFILT_WRITE, EV_ADD, 0, 0);
	REFUSED(EBADF, (uintptr_t)-1, EVFILT_READ, EV_ADD, 0, 0);
	REFUSED(EBADF, INT_MAX, EVFILT_READ, EV_ADD, 0, 0);
	REFUSED(EINVAL, 1, EVFILT_USER - 100, EV_ADD, 0, 0);
	REFUSED(EINVAL, 1, 0x7000, EV_ADD, 0, 0);
	REFUSED(EINVAL, 1, 1, EV_ADD, 0, 0);
	REFUSED(ENOENT, 0, EVFILT_READ, EV_DELETE, 0, 0);
	REFUSED(ENOENT, 0, EVFILT_READ, EV_ENABLE, 0, 0);
	REFUSED(ENOENT, 0, EVFILT_READ, EV_DISABLE, 0, 0);
	REFUSED(ENOENT, 5, EVFILT_TIMER, EV_DELETE, 0, 0);
	REFUSED(ENOENT, 5, EVFILT_USER, 0, NOTE_TRIGGER, 0);
	REFUSED(EINVAL, 5, EVFILT_TIMER, EV_ADD, 0, -1);
	REFUSED(EINVAL, 5, EVFILT_TIMER, EV_ADD, NOTE_SECONDS | NOTE_NSECONDS, 1);
	/* A kqueue in itself. */
	REFUSED(EINVAL, kq, EVFILT_READ, EV_ADD, 0, 0);
	REFUSED(EINVAL, file, EVFILT_WRITE, EV_ADD, 0, 0);
#ifdef __linux__
	REFUSED(EINVAL, 1000, EVFILT_SIGNAL, EV_ADD, 0, 0);
	REFUSED(EINVAL, 0, EVFILT_SIGNAL, EV_ADD, 0, 0);
	REFUSED(ESRCH, INT_MAX - 1, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0);
	REFUSED(EBADF, NOT_OPEN, EVFILT_VNODE, EV_ADD, NOTE_WRITE, 0);
#endif
}

static void test_arguments(int file)
{
	struct kevent one, entries[4];
	struct timespec wrong[] = { { -1, 0 }, { 0, -1 }, { 0, 1000000000 } };

	EV_SET(&one, 1, EVFILT_USER, EV_ADD, 0, 0, NULL);
	FAILS(EBADF, kevent(NOT_OPEN, &one, 1, entries, 1, &zero));
	FAILS(EBADF, kevent(-1, &one, 1, entries, 1, &zero));
	FAILS(EBADF, kevent(INT_MIN, NULL, 0, NULL, 0, NULL));
	/* Not a kqueue. */
	FAILS(EBADF, kevent(file, &one, 1, entries, 1, &zero));
	FAILS(EBADF, kevent(0, &one, 1, entries, 1, &zero));

	FAILS(EINVAL, kevent(kq, &one, -1, entries, 1, &zero));
	FAILS(EINVAL, kevent(kq, &one, 1, entries, -1, &zero));
	FAILS(EINVAL, kevent(kq, &one, INT_MIN, entries, 1, &zero));
	FAILS(EFAULT, kevent(kq, NULL, 1, entries, 1, &zero));
	FAILS(EFAULT, kevent(kq, &one, 1, NULL, 1, &zero));
	FAILS(EFAULT, kevent(kq, NULL, INT_MAX, NULL, 0, &zero));
	/* A count that runs out of memory. */
	FAILS(EFAULT, kevent(kq, &one, INT_MAX, NULL, 0, &zero));
	/* None of these had a change applied. */
	FAILS(ENOENT, apply(1, EVFILT_USER, EV_DELETE, 0, 0));

	/* A time that is none, when there may be a wait; the changes are applied. */
	for (int at = 0; at < 3; at++) {
		FAILS(EINVAL, kevent(kq, &one, 1, entries, 1, &wrong[at]));
		GIVES(0, apply(1, EVFILT_USER, EV_DELETE, 0, 0));
		GIVES(0, kevent(kq, NULL, 0, NULL, 0, &wrong[at]));
	}

	GIVES(0, kevent(kq, NULL, 0, NULL, 0, NULL));
	GIVES(0, kevent(kq, &one, 0, entries, 4, &zero));
	GIVES(0, kevent(kq, &one, 1, entries, 4, &zero));
	GIVES(0, apply(1, EVFILT_USER, EV_DELETE, 0, 0));
}

/* Changes are made in order. An error without room ends them; with room it does not. */
static void test_order(void)
{
	struct kevent changes[4], entries[4];

	EV_SET(&changes[0], 1, EVFILT_USER, EV_ADD, 0, 0, NULL);
	EV_SET(&changes[1], 2, EVFILT_USER, EV_DELETE, 0, 0, NULL);
	EV_SET(&changes[2], 3, EVFILT_USER, EV_ADD | EV_RECEIPT, 0, 0, NULL);
	EV_SET(&changes[3], 4, EVFILT_USER, EV_ADD, 0, 0, NULL);
	FAILS(ENOENT, kevent(kq, changes, 4, NULL, 0, NULL));
	GIVES(0, apply(1, EVFILT_USER, EV_DELETE, 0, 0));
	FAILS(ENOENT, apply(3, EVFILT_USER, EV_DELETE, 0, 0));

	/* Room for all: an entry for the error, one for the receipt, and no wait though
	 * something is ready. */
	GIVES(0, apply(9, EVFILT_USER, EV_ADD, 0, 0));
	GIVES(0, apply(9, EVFILT_USER, 0, NOTE_TRIGGER, 0));
	GIVES(2, kevent(kq, changes, 4, entries, 4, NULL));
	CHECK(entries[0].ident == 2 && entries[0].flags & EV_ERROR && entries[0].data == ENOENT);
	CHECK(entries[1].ident == 3 && entries[1].flags & EV_ERROR && entries[1].data == 0);
	GIVES(1, kevent(kq, NULL, 0, entries, 4, NULL));
	CHECK(entries[0].ident == 9 && !(entries[0].flags & EV_ERROR));

	/* Room for one: the second one ends it. */
	EV_SET(&changes[0], 20, EVFILT_USER, EV_DELETE, 0, 0, NULL);
	EV_SET(&changes[1], 21, EVFILT_USER, EV_DELETE, 0, 0, NULL);
	EV_SET(&changes[2], 22, EVFILT_USER, EV_ADD, 0, 0, NULL);
	FAILS(ENOENT, kevent(kq, changes, 3, entries, 1, NULL));
	FAILS(ENOENT, apply(22, EVFILT_USER, EV_DELETE, 0, 0));

	/* A change with filter 0 is passed over. */
	EV_SET(&changes[0], 1, 0, EV_ADD, 0, 0, NULL);
	GIVES(0, kevent(kq, changes, 1, NULL, 0, NULL));

	for (int ident = 1; ident <= 9; ident++)
		apply(ident, EVFILT_USER, EV_DELETE, 0, 0);
}

int main(void)
{
	int file = open("file-for-kqueue", O_RDWR | O_CREAT | O_TRUNC, 0600);

	kq = kqueue();
	CHECK(kq >= 0);
	CHECK(sizeof(struct kevent) == 64);
	test_refused_changes(file);
	test_arguments(file);
	test_order();
#ifndef __wasi__
	{
		struct sigaction action;
		struct itimerval soon = { { 0, 20000 }, { 0, 20000 } }, off = { { 0, 0 }, { 0, 0 } };
		struct kevent one, entry;
		struct timespec ten = { 10, 0 };

		memset(&action, 0, sizeof action);
		action.sa_handler = ignore;
		sigaction(SIGALRM, &action, NULL);
		setitimer(ITIMER_REAL, &soon, NULL);
		/* A signal ends a wait, and the changes were made. */
		EV_SET(&one, 40, EVFILT_USER, EV_ADD, 0, 0, NULL);
		FAILS(EINTR, kevent(kq, &one, 1, &entry, 1, NULL));
		GIVES(0, apply(40, EVFILT_USER, EV_DELETE, 0, 0));
		FAILS(EINTR, kevent(kq, &one, 1, &entry, 1, &ten));
		GIVES(0, apply(40, EVFILT_USER, EV_DELETE, 0, 0));
		setitimer(ITIMER_REAL, &off, NULL);
	}
#endif
	GIVES(0, close(kq));
	FAILS(EBADF, kevent(kq, NULL, 0, NULL, 0, NULL));
	FAILS(EBADF, close(kq));
	return finish();
}
