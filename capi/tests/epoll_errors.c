/* Every errno of epoll_ctl(2), epoll_wait(2) and epoll_create(2), and which of two
 * mistakes is told first. */
#define _GNU_SOURCE
#include <limits.h>
#include <sys/epoll.h>
#include "check.h"

#define BAD_OPERATION 77
#define EXCLUSIVE_WITH_WHAT_IT_CANNOT (EPOLLEXCLUSIVE | EPOLLONESHOT)

static struct epoll_event want(uint32_t events)
{
	struct epoll_event event;

	memset(&event, 0, sizeof event);
	event.events = events;
	return event;
}

int main(void)
{
	struct epoll_event in = want(EPOLLIN), exclusive = want(EXCLUSIVE_WITH_WHAT_IT_CANNOT);
	/* Not on the stack, above which there may be no room for INT_MAX bytes. */
	static struct epoll_event events[4];
	int epoll, other, file, directory, source = 0;

	FAILS(EINVAL, epoll_create(0));
	FAILS(EINVAL, epoll_create(-1));
	FAILS(EINVAL, epoll_create1(1));
	FAILS(EINVAL, epoll_create1(-1));
	epoll = epoll_create(1);
	other = epoll_create1(EPOLL_CLOEXEC);
	CHECK(epoll >= 0);
	CHECK(other >= 0 && other != epoll);

	file = open("file-for-epoll", O_RDWR | O_CREAT | O_TRUNC, 0600);
	directory = open(".", O_RDONLY | O_DIRECTORY);
	CHECK(file >= 0);
	CHECK(directory >= 0);

	/* Which of two is told: the one further up. */
	/* EFAULT is before everything. */
	FAILS(EFAULT, epoll_ctl(NOT_OPEN, EPOLL_CTL_ADD, NOT_OPEN, NULL));
	FAILS(EFAULT, epoll_ctl(epoll, EPOLL_CTL_ADD, file, NULL));
	FAILS(EFAULT, epoll_ctl(epoll, EPOLL_CTL_MOD, source, NULL));
	FAILS(EFAULT, epoll_ctl(epoll, BAD_OPERATION, source, NULL));
	FAILS(EFAULT, epoll_ctl(-1, BAD_OPERATION, -1, NULL));
	/* Then EBADF, of the epoll and of the descriptor. */
	FAILS(EBADF, epoll_ctl(NOT_OPEN, EPOLL_CTL_ADD, source, &in));
	FAILS(EBADF, epoll_ctl(NOT_OPEN, EPOLL_CTL_ADD, file, &in));
	FAILS(EBADF, epoll_ctl(-1, EPOLL_CTL_ADD, source, &in));
	FAILS(EBADF, epoll_ctl(epoll, EPOLL_CTL_ADD, NOT_OPEN, &in));
	FAILS(EBADF, epoll_ctl(epoll, EPOLL_CTL_ADD, -1, &in));
	FAILS(EBADF, epoll_ctl(epoll, EPOLL_CTL_DEL, NOT_OPEN, NULL));
	FAILS(EBADF, epoll_ctl(epoll, EPOLL_CTL_MOD, NOT_OPEN, &in));
	FAILS(EBADF, epoll_ctl(epoll, BAD_OPERATION, NOT_OPEN, &in));
	FAILS(EBADF, epoll_ctl(file, EPOLL_CTL_ADD, NOT_OPEN, &in));
	FAILS(EBADF, epoll_ctl(NOT_OPEN, EPOLL_CTL_DEL, file, NULL));
	FAILS(EBADF, epoll_ctl(INT_MAX, EPOLL_CTL_ADD, source, &in));
	FAILS(EBADF, epoll_ctl(epoll, EPOLL_CTL_ADD, INT_MAX, &in));
	FAILS(EBADF, epoll_ctl(epoll, EPOLL_CTL_ADD, INT_MIN, &in));
	/* Then EPERM, whatever the operation, and whatever the epoll is. */
	FAILS(EPERM, epoll_ctl(epoll, EPOLL_CTL_ADD, file, &in));
	FAILS(EPERM, epoll_ctl(epoll, EPOLL_CTL_MOD, file, &in));
	FAILS(EPERM, epoll_ctl(epoll, EPOLL_CTL_DEL, file, NULL));
	FAILS(EPERM, epoll_ctl(epoll, BAD_OPERATION, file, &in));
	FAILS(EPERM, epoll_ctl(epoll, EPOLL_CTL_ADD, directory, &in));
	FAILS(EPERM, epoll_ctl(epoll, EPOLL_CTL_ADD, file, &exclusive));
	FAILS(EPERM, epoll_ctl(source, EPOLL_CTL_ADD, file, &in));
	/* Then EINVAL: not an epoll, or itself. */
	FAILS(EINVAL, epoll_ctl(epoll, EPOLL_CTL_ADD, epoll, &in));
	FAILS(EINVAL, epoll_ctl(epoll, EPOLL_CTL_MOD, epoll, &in));
	FAILS(EINVAL, epoll_ctl(epoll, EPOLL_CTL_DEL, epoll, NULL));
	FAILS(EINVAL, epoll_ctl(source, EPOLL_CTL_ADD, source, &in));
	FAILS(EINVAL, epoll_ctl(source, EPOLL_CTL_ADD, epoll, &in));
	FAILS(EINVAL, epoll_ctl(source, EPOLL_CTL_DEL, epoll, NULL));
	FAILS(EINVAL, epoll_ctl(file, EPOLL_CTL_ADD, source, &in));
	FAILS(EINVAL, epoll_ctl(file, BAD_OPERATION, source, &in));
	/* Then EINVAL: a wrong use of EXCLUSIVE. */
	FAILS(EINVAL, epoll_ctl(epoll, EPOLL_CTL_ADD, source, &exclusive));
	FAILS(EINVAL, epoll_ctl(epoll, EPOLL_CTL_MOD, source, &exclusive));
	exclusive = want(EPOLLIN | EPOLLEXCLUSIVE | EPOLLRDHUP);
	FAILS(EINVAL, epoll_ctl(epoll, EPOLL_CTL_ADD, source, &exclusive));
	exclusive = want(EPOLLIN | EPOLLEXCLUSIVE);
	FAILS(EINVAL, epoll_ctl(epoll, EPOLL_CTL_MOD, source, &exclusive));
	FAILS(EINVAL, epoll_ctl(epoll, EPOLL_CTL_ADD, other, &exclusive));
	/* Then ELOOP, ENOENT, EEXIST. */
	FAILS(ENOENT, epoll_ctl(epoll, EPOLL_CTL_MOD, source, &in));
	FAILS(ENOENT, epoll_ctl(epoll, EPOLL_CTL_DEL, source, NULL));
	FAILS(ENOENT, epoll_ctl(epoll, EPOLL_CTL_DEL, source, &in));
	GIVES(0, epoll_ctl(epoll, EPOLL_CTL_ADD, source, &in));
	FAILS(EEXIST, epoll_ctl(epoll, EPOLL_CTL_ADD, source, &in));
	FAILS(EINVAL, epoll_ctl(epoll, EPOLL_CTL_ADD, source, &(struct epoll_event){
		.events = EXCLUSIVE_WITH_WHAT_IT_CANNOT }));
	/* Last, an operation that there is not. */
	FAILS(EINVAL, epoll_ctl(epoll, BAD_OPERATION, source, &in));
	FAILS(EINVAL, epoll_ctl(epoll, INT_MIN, source, &in));
	FAILS(EINVAL, epoll_ctl(epoll, BAD_OPERATION, other, &in));
	GIVES(0, epoll_ctl(epoll, EPOLL_CTL_DEL, source, NULL));
	FAILS(ENOENT, epoll_ctl(epoll, EPOLL_CTL_DEL, source, NULL));

	/* One added exclusively cannot be modified. */
	GIVES(0, epoll_ctl(epoll, EPOLL_CTL_ADD, source, &exclusive));
	FAILS(EINVAL, epoll_ctl(epoll, EPOLL_CTL_MOD, source, &in));
	GIVES(0, epoll_ctl(epoll, EPOLL_CTL_DEL, source, &in));

	/* Loops, and more than five in a row. */
	GIVES(0, epoll_ctl(epoll, EPOLL_CTL_ADD, other, &in));
	FAILS(ELOOP, epoll_ctl(other, EPOLL_CTL_ADD, epoll, &in));
	FAILS(EEXIST, epoll_ctl(epoll, EPOLL_CTL_ADD, other, &in));
	GIVES(0, epoll_ctl(epoll, EPOLL_CTL_DEL, other, NULL));
	{
		int chain[6];

		for (int at = 0; at < 6; at++)
			CHECK((chain[at] = epoll_create1(0)) >= 0);
		for (int at = 0; at < 4; at++)
			GIVES(0, epoll_ctl(chain[at], EPOLL_CTL_ADD, chain[at + 1], &in));
		FAILS(ELOOP, epoll_ctl(chain[4], EPOLL_CTL_ADD, chain[5], &in));
		FAILS(ELOOP, epoll_ctl(chain[5], EPOLL_CTL_ADD, chain[0], &in));
		FAILS(ELOOP, epoll_ctl(chain[4], EPOLL_CTL_ADD, chain[0], &in));
		for (int at = 0; at < 6; at++)
			GIVES(0, close(chain[at]));
	}

	/* epoll_wait. */
	FAILS(EBADF, epoll_wait(NOT_OPEN, events, 4, 0));
	FAILS(EBADF, epoll_wait(-1, events, 4, 0));
	FAILS(EBADF, epoll_wait(INT_MIN, events, 4, 0));
	FAILS(EINVAL, epoll_wait(source, events, 4, 0));
	FAILS(EINVAL, epoll_wait(file, events, 4, 0));
	FAILS(EINVAL, epoll_wait(epoll, events, 0, 0));
	FAILS(EINVAL, epoll_wait(epoll, events, -1, 0));
	FAILS(EINVAL, epoll_wait(epoll, events, INT_MIN, 0));
	FAILS(EINVAL, epoll_wait(epoll, events, INT_MAX, 0));
	FAILS(EINVAL, epoll_wait(epoll, events, INT_MAX / (int)sizeof *events + 1, 0));
	GIVES(0, epoll_wait(epoll, events, INT_MAX / (int)sizeof *events, 0));
	FAILS(EINVAL, epoll_wait(epoll, NULL, 0, 0));
	FAILS(EINVAL, epoll_pwait(epoll, events, 0, 0, NULL));
	FAILS(EBADF, epoll_pwait(NOT_OPEN, events, 1, 0, NULL));
	GIVES(0, epoll_pwait(epoll, events, 1, 0, NULL));
	{
		struct timespec zero = { 0, 0 }, wrong[] = {
			{ -1, 0 }, { 0, -1 }, { 0, 1000000000 } };

		GIVES(0, epoll_pwait2(epoll, events, 4, &zero, NULL));
		FAILS(EINVAL, epoll_pwait2(epoll, events, 0, &zero, NULL));
		FAILS(EBADF, epoll_pwait2(NOT_OPEN, events, 4, &zero, NULL));
		for (int at = 0; at < 3; at++) {
			FAILS(EINVAL, epoll_pwait2(epoll, events, 4, &wrong[at], NULL));
			FAILS(EINVAL, epoll_pwait2(NOT_OPEN, events, 4, &wrong[at], NULL));
		}
	}
#ifdef LIBREADINESS
	/* The kernel says so only when it has something to write. */
	FAILS(EFAULT, epoll_wait(epoll, NULL, 4, 0));
	FAILS(EFAULT, epoll_pwait(epoll, NULL, 4, 0, NULL));
	FAILS(EBADF, epoll_wait(NOT_OPEN, NULL, 4, 0));
	FAILS(EFAULT, epoll_wait(source, NULL, 4, 0));
#endif

	GIVES(0, close(other));
	FAILS(EBADF, epoll_wait(other, events, 4, 0));
	FAILS(EBADF, epoll_ctl(other, EPOLL_CTL_ADD, source, &in));
	FAILS(EBADF, epoll_ctl(epoll, EPOLL_CTL_ADD, other, &in));
	FAILS(EBADF, close(other));
	GIVES(0, close(epoll));
	return finish();
}
