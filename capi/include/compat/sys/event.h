/* <sys/event.h> whose functions are libreadiness's. */
#ifndef READINESS_COMPAT_SYS_EVENT_H
#define READINESS_COMPAT_SYS_EVENT_H
#pragma GCC system_header

#if defined(__FreeBSD__) || defined(__APPLE__) || defined(__NetBSD__) || \
	defined(__OpenBSD__) || defined(__DragonFly__)
#include <sys/types.h>
#include_next <sys/event.h>
#else
#include "../../readiness/kevent.h"
#endif
/* struct timespec, as the BSDs' header has it too. */
#include <sys/select.h>
#include <time.h>

#include "../../readiness/redirect.h"

/* In strict C99 glibc does not say what it is. */
struct timespec;

READINESS_BEGIN
extern int kqueue(void) READINESS_CALLS("readiness_kqueue");
/* NetBSD counts in size_t. */
#if !defined(__NetBSD__)
extern int kevent(int kq, const struct kevent *changelist, int nchanges,
		  struct kevent *eventlist, int nevents,
		  const struct timespec *timeout)
	READINESS_CALLS("readiness_kevent");
#endif
READINESS_END

#endif
