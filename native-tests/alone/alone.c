/* Preloaded into a test program by scripts/test-alone, one test a process: what readiness asks whether
   its thread is alone says so until the test makes a thread. The thread that the test runs in is made
   before that; the other one only waits for it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

/* glibc clears it when it makes its first thread. */
char __libc_single_threaded = 1;

static struct { void *(*run)(void *); void *with; } first;

static void *run_alone(void *with) {
    (void)with;
    __libc_single_threaded = 1;
    return first.run(first.with);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *with) {
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    *(void **)&create = dlsym(RTLD_NEXT, "pthread_create");
    if (!first.run) {
        first.run = run;
        first.with = with;
        return create(thread, attributes, run_alone, NULL);
    }
    __libc_single_threaded = 0;
    return create(thread, attributes, run, with);
}

/* Not into what the test starts. */
__attribute__((constructor)) static void begin(void) { unsetenv("LD_PRELOAD"); }
