/* What epoll_create and kqueue return in WASI: a number that no host gives out. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/event.h>
#include "check.h"

#define FIRST 0x40000000

int main(void)
{
	struct epoll_event event = { .events = EPOLLIN }, got;
	struct kevent change, kevent_got;
	struct timespec zero = { 0, 0 };
	int epoll = epoll_create1(0), kq = kqueue(), third = epoll_create1(EPOLL_CLOEXEC), file;

	CHECK(epoll == FIRST && kq == FIRST + 1 && third == FIRST + 2);
	file = open("file-for-numbers", O_RDWR | O_CREAT, 0600);
	CHECK(file > 2 && file < FIRST);

	/* What the host is asked about them, it does not know. */
	FAILS(EBADF, read(epoll, &event, 1));
	FAILS(EBADF, write(kq, &event, 1));
	FAILS(EBADF, lseek(epoll, 0, SEEK_SET));
	CHECK(fcntl(epoll, F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(epoll, F_SETFD, FD_CLOEXEC) == 0);

	/* One kind is not the other, nor is a number between. */
	EV_SET(&change, 1, EVFILT_USER, EV_ADD, 0, 0, NULL);
	FAILS(EBADF, kevent(epoll, &change, 1, NULL, 0, NULL));
	FAILS(EINVAL, epoll_wait(kq, &got, 1, 0));
	FAILS(EBADF, epoll_wait(FIRST + 3, &got, 1, 0));
	FAILS(EBADF, epoll_wait(FIRST - 1, &got, 1, 0));

	/* Closed, the lowest is given again, and answers as the new one. */
	GIVES(0, epoll_ctl(epoll, EPOLL_CTL_ADD, third, &event));
	GIVES(0, close(epoll));
	FAILS(EBADF, epoll_wait(epoll, &got, 1, 0));
	FAILS(EBADF, close(epoll));
	CHECK(kqueue() == FIRST);
	FAILS(EINVAL, epoll_ctl(FIRST, EPOLL_CTL_ADD, third, &event));
	GIVES(0, kevent(FIRST, NULL, 0, &kevent_got, 1, &zero));
	GIVES(0, close(FIRST));

	/* A set in the other kind, under its own number. */
	GIVES(0, epoll_ctl(third, EPOLL_CTL_ADD, kq, &event));
	GIVES(0, epoll_wait(third, &got, 1, 0));
	EV_SET(&change, 1, EVFILT_USER, EV_ADD, 0, 0, NULL);
	GIVES(0, kevent(kq, &change, 1, NULL, 0, NULL));
	EV_SET(&change, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL);
	GIVES(0, kevent(kq, &change, 1, NULL, 0, NULL));
	GIVES(1, epoll_wait(third, &got, 1, 1000));
	epoll = epoll_create1(0);
	EV_SET(&change, third, EVFILT_READ, EV_ADD, 0, 0, &epoll);
	GIVES(1, kevent(kq, &change, 1, &kevent_got, 1, &zero) - 0);
	CHECK(kevent_got.filter == EVFILT_USER || kevent_got.ident == (uintptr_t)third);
	GIVES(0, close(third));
	GIVES(0, close(kq));
	GIVES(0, close(epoll));

	/* Many come and go. */
	for (int at = 0; at < 1000; at++) {
		epoll = epoll_create1(0);
		CHECK(epoll == FIRST);
		GIVES(0, close(epoll));
	}
	return finish();
}
