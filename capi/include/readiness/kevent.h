/*
 * struct kevent and the constants of kqueue: the platform's, and FreeBSD's where
 * it has none.
 */
#ifndef READINESS_KEVENT_H
#define READINESS_KEVENT_H

#if defined(__FreeBSD__) || defined(__APPLE__) || defined(__NetBSD__) || \
	defined(__OpenBSD__) || defined(__DragonFly__)
#include <sys/types.h>
#include <sys/event.h>

#else
#include <stdint.h>
#include <sys/types.h>

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)
#define EVFILT_AIO (-3)
#define EVFILT_VNODE (-4)
#define EVFILT_PROC (-5)
#define EVFILT_SIGNAL (-6)
#define EVFILT_TIMER (-7)
#define EVFILT_PROCDESC (-8)
#define EVFILT_FS (-9)
#define EVFILT_LIO (-10)
#define EVFILT_USER (-11)
#define EVFILT_SENDFILE (-12)
#define EVFILT_EMPTY (-13)
#define EVFILT_SYSCOUNT 13

/* Actions. */
#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_ENABLE 0x0004
#define EV_DISABLE 0x0008
#define EV_FORCEONESHOT 0x0100
#define EV_KEEPUDATA 0x0200

/* Flags. */
#define EV_ONESHOT 0x0010
#define EV_CLEAR 0x0020
#define EV_RECEIPT 0x0040
#define EV_DISPATCH 0x0080
#define EV_SYSFLAGS 0xF000
#define EV_DROP 0x1000
#define EV_FLAG1 0x2000
#define EV_FLAG2 0x4000

/* Answers. */
#define EV_EOF 0x8000
#define EV_ERROR 0x4000

/* EVFILT_USER: what becomes of the lower 24 bits of fflags, and the trigger. */
#define NOTE_FFNOP 0x00000000u
#define NOTE_FFAND 0x40000000u
#define NOTE_FFOR 0x80000000u
#define NOTE_FFCOPY 0xc0000000u
#define NOTE_FFCTRLMASK 0xc0000000u
#define NOTE_FFLAGSMASK 0x00ffffffu
#define NOTE_TRIGGER 0x01000000u

/* EVFILT_READ and EVFILT_WRITE. */
#define NOTE_LOWAT 0x00000001
#define NOTE_FILE_POLL 0x00000002

/* EVFILT_VNODE. */
#define NOTE_DELETE 0x0001
#define NOTE_WRITE 0x0002
#define NOTE_EXTEND 0x0004
#define NOTE_ATTRIB 0x0008
#define NOTE_LINK 0x0010
#define NOTE_RENAME 0x0020
#define NOTE_REVOKE 0x0040
#define NOTE_OPEN 0x0080
#define NOTE_CLOSE 0x0100
#define NOTE_CLOSE_WRITE 0x0200
#define NOTE_READ 0x0400

/* EVFILT_PROC. */
#define NOTE_EXIT 0x80000000u
#define NOTE_FORK 0x40000000u
#define NOTE_EXEC 0x20000000u
#define NOTE_PCTRLMASK 0xf0000000u
#define NOTE_PDATAMASK 0x000fffffu
#define NOTE_TRACK 0x00000001
#define NOTE_TRACKERR 0x00000002
#define NOTE_CHILD 0x00000004

/* EVFILT_TIMER. */
#define NOTE_SECONDS 0x00000001
#define NOTE_MSECONDS 0x00000002
#define NOTE_USECONDS 0x00000004
#define NOTE_NSECONDS 0x00000008
#define NOTE_ABSTIME 0x00000010
/* Its name on macOS and in libkqueue. */
#define NOTE_ABSOLUTE NOTE_ABSTIME

/* EVFILT_NETDEV: -8 until FreeBSD 10, and refused here. */
#define EVFILT_NETDEV (-8)
#define NOTE_LINKUP 0x0001
#define NOTE_LINKDOWN 0x0002
#define NOTE_LINKINV 0x0004

/* FreeBSD's: 64 bytes. */
struct kevent {
	uintptr_t ident;
	short filter;
	unsigned short flags;
	unsigned int fflags;
	int64_t data;
	void *udata;
#if UINTPTR_MAX < UINT64_MAX
	uint32_t readiness_pad;
#endif
	uint64_t ext[4];
};

#define EV_SET(kevp, a, b, c, d, e, f)                       \
	do {                                                 \
		struct kevent *readiness_kevp_ = (kevp);     \
		readiness_kevp_->ident = (uintptr_t)(a);     \
		readiness_kevp_->filter = (short)(b);        \
		readiness_kevp_->flags = (unsigned short)(c); \
		readiness_kevp_->fflags = (unsigned int)(d); \
		readiness_kevp_->data = (int64_t)(e);        \
		readiness_kevp_->udata = (void *)(f);        \
		readiness_kevp_->ext[0] = 0;                 \
		readiness_kevp_->ext[1] = 0;                 \
		readiness_kevp_->ext[2] = 0;                 \
		readiness_kevp_->ext[3] = 0;                 \
	} while (0)
#endif

#endif
