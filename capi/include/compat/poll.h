/* <poll.h> whose functions are libreadiness's. */
#ifndef READINESS_COMPAT_POLL_H
#define READINESS_COMPAT_POLL_H
#pragma GCC system_header

/* sigset_t and struct timespec; and with it the level that is changed next. */
#include <sys/select.h>

/* With _FORTIFY_SOURCE glibc's header defines poll, as a call of its own. */
#pragma push_macro("__USE_FORTIFY_LEVEL")
#undef __USE_FORTIFY_LEVEL
#define __USE_FORTIFY_LEVEL 0
#include_next <poll.h>
#pragma pop_macro("__USE_FORTIFY_LEVEL")
#define READINESS_COMPAT_POLL_INCLUDED

#include "../readiness/poll.h"
#include "../readiness/redirect.h"

/* In strict C99 glibc does not say what it is. */
struct timespec;

READINESS_BEGIN
extern int poll(struct pollfd *fds, nfds_t nfds, int timeout)
	READINESS_CALLS("readiness_poll");
#if !defined(__GLIBC__) || defined(__USE_GNU)
extern int ppoll(struct pollfd *fds, nfds_t nfds, const struct timespec *timeout,
		 const sigset_t *sigmask) READINESS_CALLS("readiness_ppoll");
#endif
READINESS_END

#endif
