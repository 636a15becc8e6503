/* <sys/poll.h>: an older name of <poll.h>, or what the platform's <poll.h> is made of. */
#pragma GCC system_header

#if !defined(READINESS_COMPAT_POLL_H)
/* Not by its path: what it includes next would be itself. */
#include <poll.h>
#elif !defined(READINESS_COMPAT_POLL_INCLUDED)
#include_next <sys/poll.h>
#endif
