/*
 * What the test programs share. They use the standard names: each is built
 * against the kernel, against libreadiness and for WASI, and has to say the same.
 */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int checks_failed;

static inline void check_(int good, const char *what, const char *file, int line)
{
	if (!good) {
		checks_failed++;
		printf("%s:%d: not so: %s\n", file, line, what);
		fflush(stdout);
	}
}

#define CHECK(condition) check_(!!(condition), #condition, __FILE__, __LINE__)

/* A call that has to fail, with this errno. */
#define FAILS(code, call)                                                    \
	do {                                                                 \
		errno = 0;                                                   \
		long answer_ = (call);                                       \
		int errno_ = errno;                                          \
		if (answer_ != -1 || errno_ != (code)) {                     \
			checks_failed++;                                     \
			printf("%s:%d: %s: %ld, errno %d (%s), not %s\n",    \
			       __FILE__, __LINE__, #call, answer_, errno_,   \
			       strerror(errno_), #code);                     \
			fflush(stdout);                                      \
		}                                                            \
	} while (0)

/* A call that has to answer this, errno untouched. */
#define GIVES(value, call)                                                   \
	do {                                                                 \
		errno = 0;                                                   \
		long answer_ = (call);                                       \
		int errno_ = errno;                                          \
		if (answer_ != (long)(value) || errno_ != 0) {               \
			checks_failed++;                                     \
			printf("%s:%d: %s: %ld, errno %d (%s), not %ld\n",   \
			       __FILE__, __LINE__, #call, answer_, errno_,   \
			       strerror(errno_), (long)(value));             \
			fflush(stdout);                                      \
		}                                                            \
	} while (0)

static inline int finish(void)
{
	if (checks_failed)
		printf("%d checks failed\n", checks_failed);
	else
		printf("all well\n");
	return checks_failed != 0;
}

static inline uint64_t milliseconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A descriptor that is not open. */
#define NOT_OPEN 900

#endif
