/* <sys/epoll.h> whose functions are libreadiness's. */
#ifndef READINESS_COMPAT_SYS_EPOLL_H
#define READINESS_COMPAT_SYS_EPOLL_H
/* #include_next is no ISO C, which -pedantic says of the user's headers alone. */
#pragma GCC system_header

#if defined(__linux__)
#include_next <sys/epoll.h>
#else
#include "../../readiness/epoll.h"
#endif
/* sigset_t and struct timespec. */
#include <sys/select.h>

#include "../../readiness/redirect.h"

/* In strict C99 glibc does not say what it is. */
struct timespec;

READINESS_BEGIN
extern int epoll_create(int size) READINESS_THROW
	READINESS_CALLS("readiness_epoll_create");
extern int epoll_create1(int flags) READINESS_THROW
	READINESS_CALLS("readiness_epoll_create1");
extern int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
	READINESS_THROW READINESS_CALLS("readiness_epoll_ctl");
extern int epoll_wait(int epfd, struct epoll_event *events, int maxevents,
		      int timeout) READINESS_CALLS("readiness_epoll_wait");
extern int epoll_pwait(int epfd, struct epoll_event *events, int maxevents,
		       int timeout, const sigset_t *sigmask)
	READINESS_CALLS("readiness_epoll_pwait");
extern int epoll_pwait2(int epfd, struct epoll_event *events, int maxevents,
			const struct timespec *timeout, const sigset_t *sigmask)
	READINESS_CALLS("readiness_epoll_pwait2");
READINESS_END

#endif
