/*
 * readiness: select, poll, epoll and kqueue on every target.
 *
 * Each readiness_NAME has the signature, the answers and the errno contract of
 * the system call NAME: -1 and errno where it fails, EINTR when a signal comes.
 * Structures and constants are the platform's; where it has none, struct
 * epoll_event is Linux's and struct kevent is FreeBSD's.
 *
 * The headers in compat/ give the calls their own names.
 */
#ifndef READINESS_H
#define READINESS_H

#include <stdint.h>
#include <sys/select.h>
#include <sys/types.h>
#include <time.h>

#include "readiness/epoll.h"
#include "readiness/kevent.h"
#include "readiness/poll.h"

/* In strict C99 glibc does not say what it is. */
struct timespec;

#ifdef __cplusplus
extern "C" {
#endif

int readiness_select(int nfds, fd_set *readfds, fd_set *writefds,
		     fd_set *exceptfds, struct timeval *timeout);
int readiness_pselect(int nfds, fd_set *readfds, fd_set *writefds,
		      fd_set *exceptfds, const struct timespec *timeout,
		      const sigset_t *sigmask);

int readiness_poll(struct pollfd *fds, nfds_t nfds, int timeout);
int readiness_ppoll(struct pollfd *fds, nfds_t nfds,
		    const struct timespec *timeout, const sigset_t *sigmask);

int readiness_epoll_create(int size);
int readiness_epoll_create1(int flags);
int readiness_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int readiness_epoll_wait(int epfd, struct epoll_event *events, int maxevents,
			 int timeout);
int readiness_epoll_pwait(int epfd, struct epoll_event *events, int maxevents,
			  int timeout, const sigset_t *sigmask);
int readiness_epoll_pwait2(int epfd, struct epoll_event *events, int maxevents,
			   const struct timespec *timeout,
			   const sigset_t *sigmask);

int readiness_kqueue(void);
#if defined(__NetBSD__)
/* NetBSD 10 has a longer struct kevent than the one before, which the library calls. */
static inline int readiness_kevent(int kq, const struct kevent *changelist,
				   int nchanges, struct kevent *eventlist,
				   int nevents, const struct timespec *timeout)
{
	return kevent(kq, changelist, (size_t)nchanges, eventlist,
		      (size_t)nevents, timeout);
}
#else
int readiness_kevent(int kq, const struct kevent *changelist, int nchanges,
		     struct kevent *eventlist, int nevents,
		     const struct timespec *timeout);
#endif

/*
 * close(2), of what epoll_create and kqueue returned and of any descriptor.
 * Emulated sets hear of it and end the descriptor's registrations. The link
 * option -Wl,--wrap=close makes every close of a program this one.
 */
int readiness_close(int fd);

/*
 * The program got EAGAIN from this descriptor. Where edges are emulated (WASI,
 * BACKEND=poll) the next one is then told at once; without it up to 256 ms late.
 * The link options of readiness-compat.pc make read, write and the others say so
 * by themselves. Does nothing where edges are the kernel's.
 */
int readiness_rearm(int fd);

#ifdef __cplusplus
}
#endif

#endif
