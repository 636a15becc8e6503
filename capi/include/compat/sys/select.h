/* <sys/select.h> whose functions are libreadiness's. */
#ifndef READINESS_COMPAT_SYS_SELECT_H
#define READINESS_COMPAT_SYS_SELECT_H
#pragma GCC system_header

#include_next <sys/select.h>

#include "../../readiness/redirect.h"

READINESS_BEGIN
extern int select(int nfds, fd_set *__restrict readfds,
		  fd_set *__restrict writefds, fd_set *__restrict exceptfds,
		  struct timeval *__restrict timeout)
	READINESS_CALLS("readiness_select");
#if !defined(__GLIBC__) || defined(__USE_XOPEN2K)
extern int pselect(int nfds, fd_set *__restrict readfds,
		   fd_set *__restrict writefds, fd_set *__restrict exceptfds,
		   const struct timespec *__restrict timeout,
		   const sigset_t *__restrict sigmask)
	READINESS_CALLS("readiness_pselect");
#endif
READINESS_END

#endif
