/*
 * <signal.h>, the platform's. wasi-libc has signals within the program alone, and
 * its header is an error until they are asked for: a program that calls signal or
 * raise is linked with -lwasi-emulated-signal.
 */
#ifndef READINESS_COMPAT_SIGNAL_H
#define READINESS_COMPAT_SIGNAL_H
#pragma GCC system_header

#if defined(__wasi__) && !defined(_WASI_EMULATED_SIGNAL)
#define _WASI_EMULATED_SIGNAL
#endif
#include_next <signal.h>

#endif
