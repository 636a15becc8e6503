/*
 * The constants of <poll.h>: the platform's. wasi-libc lacks some of them, which
 * are never reported there but for POLLRDHUP of a socket.
 */
#ifndef READINESS_POLL_H
#define READINESS_POLL_H

#include <poll.h>

#if defined(__wasi__)
#ifndef POLLRDBAND
#define POLLRDBAND 0x080
#endif
#ifndef POLLWRBAND
#define POLLWRBAND 0x100
#endif
#ifndef POLLPRI
#define POLLPRI 0x200
#endif
#ifndef POLLMSG
#define POLLMSG 0x400
#endif
#ifndef POLLRDHUP
#define POLLRDHUP 0x800
#endif
#endif

#endif
