/* Calls at odd moments: in a signal handler, and when a thread or the program ends. */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/time.h>
#include "check.h"

static int epoll, kq, ends[2];

/* Each of the waits, with something to tell. */
static void wait_by_each(void)
{
	struct epoll_event event;
	struct kevent kevent_;
	struct pollfd entry = { .fd = ends[0], .events = POLLIN };
	struct timespec now = { 0, 0 };

	GIVES(1, epoll_wait(epoll, &event, 1, 0));
	GIVES(1, kevent(kq, NULL, 0, &kevent_, 1, &now));
	GIVES(1, poll(&entry, 1, 0));
}

static void at_end_of_thread(void *unused)
{
	(void)unused;
	wait_by_each();
}

static pthread_key_t key;

static void *wait_at_the_end(void *waits_before)
{
	CHECK(pthread_setspecific(key, &key) == 0);
	if (waits_before)
		wait_by_each();
	return NULL;
}

/* When what a thread has of its own is gone. */
static void test_end_of_thread(void)
{
	pthread_t thread;

	CHECK(pthread_key_create(&key, at_end_of_thread) == 0);
	CHECK(pthread_create(&thread, NULL, wait_at_the_end, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(pthread_create(&thread, NULL, wait_at_the_end, &key) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
}

static volatile sig_atomic_t handled;

static void close_one(int signal)
{
	int before = errno;

	(void)signal;
	close(dup(0));
	handled++;
	errno = before;
}

/* It may interrupt the allocator. */
static void test_close_in_a_signal_handler(void)
{
	struct sigaction action = { .sa_handler = close_one };
	struct itimerval often = { { 0, 100 }, { 0, 100 } }, never = { { 0, 0 }, { 0, 0 } };
	char *kept[256] = { NULL };
	uint64_t end = milliseconds_now() + 1500;

	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	for (unsigned round = 0; milliseconds_now() < end; round++) {
		for (unsigned at = 0; at < 256; at++) {
			free(kept[at]);
			kept[at] = malloc(2000 + (round * 256 + at) % 70000);
		}
	}
	CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
	CHECK(handled > 100);
	for (unsigned at = 0; at < 256; at++)
		free(kept[at]);
}

static void at_exit(void)
{
	checks_failed = 0;
	wait_by_each();
	GIVES(0, close(epoll));
	GIVES(0, close(kq));
	if (checks_failed)
		_exit(1);
}

int main(void)
{
	struct epoll_event in = { .events = EPOLLIN };
	struct kevent change;

	epoll = epoll_create1(EPOLL_CLOEXEC);
	kq = kqueue();
	CHECK(epoll >= 0 && kq >= 0);
	CHECK(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
	GIVES(0, epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &in));
	EV_SET(&change, ends[0], EVFILT_READ, EV_ADD, 0, 0, NULL);
	GIVES(0, kevent(kq, &change, 1, NULL, 0, NULL));
	CHECK(atexit(at_exit) == 0);
	wait_by_each();
	test_end_of_thread();
	test_close_in_a_signal_handler();
	return finish();
}
