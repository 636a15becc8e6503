/*
 * <sys/socket.h>. For WASI it declares what wasi-libc lacks and the archive
 * libreadiness_sockets has; elsewhere it is the platform's own.
 */
#ifndef READINESS_COMPAT_SYS_SOCKET_H
#define READINESS_COMPAT_SYS_SOCKET_H
#pragma GCC system_header

/* wasi-libc's header wants max_align_t, which C99's stddef.h does not have. */
#if defined(__wasi__) && defined(__has_include)
#if __has_include(<__stddef_max_align_t.h>)
#include <__stddef_max_align_t.h>
#endif
#endif
#include_next <sys/socket.h>

#if defined(__wasi__)
#include <stddef.h>
#include <sys/types.h>

/* Names that older releases of wasi-libc lack, with the numbers of newer ones. */
#ifndef SOMAXCONN
#define SOMAXCONN 128
#endif
#ifndef SO_REUSEADDR
#define SO_REUSEADDR 2
#endif
#ifndef SO_ERROR
#define SO_ERROR 4
#endif
#ifndef SO_KEEPALIVE
#define SO_KEEPALIVE 9
#endif
#ifndef SO_REUSEPORT
#define SO_REUSEPORT 15
#endif
#ifndef SO_ACCEPTCONN
#define SO_ACCEPTCONN 30
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0x4000
#endif
#ifndef PF_INET
#define PF_INET AF_INET
#endif
#ifndef PF_INET6
#define PF_INET6 AF_INET6
#endif

#ifdef __cplusplus
extern "C" {
#endif
int socket(int family, int type, int protocol);
int bind(int fd, const struct sockaddr *address, socklen_t size);
int listen(int fd, int backlog);
int connect(int fd, const struct sockaddr *address, socklen_t size);
int getsockname(int fd, struct sockaddr *__restrict address,
		socklen_t *__restrict size);
int getpeername(int fd, struct sockaddr *__restrict address,
		socklen_t *__restrict size);
int setsockopt(int fd, int level, int name, const void *value, socklen_t size);
ssize_t sendto(int fd, const void *from, size_t count, int flags,
	       const struct sockaddr *address, socklen_t size);
ssize_t recvfrom(int fd, void *__restrict to, size_t count, int flags,
		 struct sockaddr *__restrict address, socklen_t *__restrict size);
#ifdef __cplusplus
}
#endif
#endif

#endif
