/* struct epoll_event and the constants of epoll: Linux's, on every platform. */
#ifndef READINESS_EPOLL_H
#define READINESS_EPOLL_H

#if defined(__linux__)
#include <sys/epoll.h>

#else
#include <stdint.h>

#define EPOLLIN 0x001u
#define EPOLLPRI 0x002u
#define EPOLLOUT 0x004u
#define EPOLLERR 0x008u
#define EPOLLHUP 0x010u
#define EPOLLRDNORM 0x040u
#define EPOLLRDBAND 0x080u
#define EPOLLWRNORM 0x100u
#define EPOLLWRBAND 0x200u
#define EPOLLMSG 0x400u
#define EPOLLRDHUP 0x2000u
#define EPOLLEXCLUSIVE (1u << 28)
#define EPOLLWAKEUP (1u << 29)
#define EPOLLONESHOT (1u << 30)
#define EPOLLET (1u << 31)

#define EPOLL_CLOEXEC 02000000

#define EPOLL_CTL_ADD 1
#define EPOLL_CTL_DEL 2
#define EPOLL_CTL_MOD 3

typedef union epoll_data {
	void *ptr;
	int fd;
	uint32_t u32;
	uint64_t u64;
} epoll_data_t;

/* Packed on x86-64 alone, as Linux has it. */
struct epoll_event {
	uint32_t events;
	epoll_data_t data;
}
#if defined(__x86_64__)
__attribute__((__packed__))
#endif
;
#endif

#endif
