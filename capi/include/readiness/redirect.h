/* How the headers in compat/ give a function of this library a standard name. */
#ifndef READINESS_REDIRECT_H
#define READINESS_REDIRECT_H

#define READINESS_STRING_(text) #text
#define READINESS_STRING(text) READINESS_STRING_(text)
/* The name for the linker: a macro would also rename members and structures. */
#define READINESS_CALLS(symbol) \
	__asm__(READINESS_STRING(__USER_LABEL_PREFIX__) symbol)

/* C++ wants the same exceptions of both declarations. */
#if defined(__cplusplus) && defined(__GLIBC__) && defined(__THROW)
#define READINESS_THROW __THROW
#else
#define READINESS_THROW
#endif

#ifdef __cplusplus
#define READINESS_BEGIN extern "C" {
#define READINESS_END }
#else
#define READINESS_BEGIN
#define READINESS_END
#endif

#endif
