/* Several threads on one set: changes take effect at once, and nothing is lost. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/socket.h>
#include "check.h"

#define THREADS 4
#define ROUNDS 150

static int epoll, kq;
static atomic_int waiting, found;

static void *wait_for_one(void *use_kqueue)
{
	struct epoll_event event;
	struct kevent kevent_;

	waiting = 1;
	if (use_kqueue)
		found = kevent(kq, NULL, 0, &kevent_, 1, NULL);
	else
		found = epoll_wait(epoll, &event, 1, -1);
	return NULL;
}

/* What one thread adds while another one waits ends the wait. */
static void test_added_meanwhile(int use_kqueue)
{
	pthread_t thread;
	int ends[2];
	struct epoll_event in;
	struct kevent change;

	CHECK(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
	waiting = 0;
	found = 0;
	CHECK(pthread_create(&thread, NULL, wait_for_one, use_kqueue ? &kq : NULL) == 0);
	while (!waiting)
		;
	usleep(20000);
	if (use_kqueue) {
		EV_SET(&change, ends[0], EVFILT_READ, EV_ADD, 0, 0, NULL);
		GIVES(0, kevent(kq, &change, 1, NULL, 0, NULL));
	} else {
		memset(&in, 0, sizeof in);
		in.events = EPOLLIN;
		GIVES(0, epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &in));
	}
	pthread_join(thread, NULL);
	CHECK(found == 1);
	if (use_kqueue) {
		EV_SET(&change, ends[0], EVFILT_READ, EV_DELETE, 0, 0, NULL);
		GIVES(0, kevent(kq, &change, 1, NULL, 0, NULL));
	} else {
		GIVES(0, epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], NULL));
	}
	GIVES(0, close(ends[0]));
	GIVES(0, close(ends[1]));
}

static atomic_int written, taken;

/* Each adds a pipe of its own, writes to it, and takes whatever anybody's has. */
static void *trade(void *unused)
{
	(void)unused;
	for (int round = 0; round < ROUNDS; round++) {
		struct epoll_event event;
		struct kevent change, got[2];
		int ends[2], own_epoll;
		char byte;

		CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
		memset(&event, 0, sizeof event);
		event.events = EPOLLIN | EPOLLONESHOT;
		event.data.fd = ends[0];
		GIVES(0, epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event));
		EV_SET(&change, ends[0], EVFILT_READ, EV_ADD | EV_DISPATCH, 0, 0, NULL);
		GIVES(0, kevent(kq, &change, 1, NULL, 0, NULL));
		CHECK(write(ends[1], "x", 1) == 1);
		written++;
		CHECK(epoll_wait(epoll, &event, 1, 0) >= 0);
		CHECK(kevent(kq, NULL, 0, got, 2, &(struct timespec){ 0, 0 }) >= 0);

		/* Sets come and go beside. */
		own_epoll = epoll_create1(0);
		event.events = EPOLLIN;
		GIVES(0, epoll_ctl(own_epoll, EPOLL_CTL_ADD, ends[0], &event));
		GIVES(1, epoll_wait(own_epoll, &event, 1, -1));
		GIVES(0, close(own_epoll));

		if (read(ends[0], &byte, 1) == 1)
			taken++;
		GIVES(0, epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], NULL));
		EV_SET(&change, ends[0], EVFILT_READ, EV_DELETE, 0, 0, NULL);
		GIVES(0, kevent(kq, &change, 1, NULL, 0, NULL));
		GIVES(0, close(ends[0]));
		GIVES(0, close(ends[1]));
	}
	return NULL;
}

/* A set that is closed while another thread waits on it: the wait ends as if nothing
 * had happened, and the number is free. */
static void *wait_a_while(void *number)
{
	struct epoll_event event;

	waiting = 1;
	found = epoll_wait(*(int *)number, &event, 1, 300);
	return NULL;
}

static void test_closed_meanwhile(void)
{
	pthread_t thread;
	int own = epoll_create1(0), number = own;

	waiting = 0;
	CHECK(pthread_create(&thread, NULL, wait_a_while, &number) == 0);
	while (!waiting)
		;
	usleep(20000);
	GIVES(0, close(own));
	pthread_join(thread, NULL);
	CHECK(found == 0 || found == -1);
}

int main(void)
{
	pthread_t threads[THREADS];

	epoll = epoll_create1(0);
	kq = kqueue();
	test_added_meanwhile(0);
	test_added_meanwhile(1);
	for (int at = 0; at < THREADS; at++)
		CHECK(pthread_create(&threads[at], NULL, trade, NULL) == 0);
	for (int at = 0; at < THREADS; at++)
		pthread_join(threads[at], NULL);
	CHECK(written == THREADS * ROUNDS && taken == written);
	test_closed_meanwhile();
	GIVES(0, close(epoll));
	GIVES(0, close(kq));
	return finish();
}
