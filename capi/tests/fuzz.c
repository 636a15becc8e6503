/*
 * fuzz SECONDS [SEED]: calls the whole of libreadiness with wild arguments. Pointers
 * are NULL or good; counts, numbers, flags and times are anything. What may come of
 * it: an answer, or -1 and an errno that the manual has. What may not: a crash, a
 * hang, another errno, a write outside of the arrays.
 *
 * The calls follow from the seed; what they find ready, from the clock too. A failure
 * prints the seed and the number of the call.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/select.h>
#include <readiness.h>
#include "check.h"

#ifdef __linux__
#include <dirent.h>
#endif
#ifndef __wasi__
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#define HAS_SIGNALS 1
#else
#define HAS_SIGNALS 0
#endif

static uint64_t state, seed, calls;
static const char *now_calling = "nothing";

static uint64_t any(void)
{
	/* splitmix64 */
	uint64_t z = (state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static unsigned below(unsigned limit)
{
	return (unsigned)(any() % limit);
}

static int one_in(unsigned n)
{
	return below(n) == 0;
}

static int wild(void)
{
	static const int edges[] = { 0, 1, -1, 2, INT_MAX, INT_MIN, INT_MAX - 1, 1023, 1024, 1025,
				     65535, 65536, 0x3fffffff, 0x40000000, 0x40000001, -2 };

	switch (below(4)) {
	case 0: return edges[below(sizeof edges / sizeof *edges)];
	case 1: return (int)any();
	case 2: return (int)(any() >> (33 + below(30)));
	default: return (int)below(8);
	}
}

/* Descriptors: ours, which are open or were, and numbers that never are. Only what is
 * ours is closed: the library has descriptors, too. */
static int pool[64], is_open[64];

static int number(void)
{
	return one_in(12) ? wild() : pool[below(64)];
}

static void give_up(const char *why, long answer, int code)
{
	printf("fuzz: seed %llu, call %llu, %s: %s (answer %ld, errno %d)\n",
	       (unsigned long long)seed, (unsigned long long)calls, now_calling, why, answer, code);
	fflush(stdout);
	abort();
}

/* Memory whose end is the end of what is mapped. */
#define ROOM (1 << 20)
static unsigned char *arena;
static size_t arena_size;

static void *good_or_null(size_t least)
{
	if (one_in(10))
		return NULL;
#ifdef __wasi__
	/* Behind it is other memory of ours, and nothing that would tell. */
	(void)least;
	return arena;
#endif
	if (one_in(2))
		return arena;
	/* Just enough room for one, or a few of them, and nothing behind. */
	return arena + arena_size - least * (1 + below(16));
}

static const struct timespec *a_time(void)
{
	static struct timespec time;

	switch (below(HAS_SIGNALS ? 6 : 4)) {
	case 0: time = (struct timespec){ 0, (long)below(1000000) }; return &time;
	case 1: time = (struct timespec){ -1 - (time_t)below(9), wild() }; return &time;
	case 2: time = (struct timespec){ 0, 1000000000 + (long)below(9) }; return &time;
	case 3: time = (struct timespec){ 0, 0 }; return &time;
	case 4: time = (struct timespec){ wild(), wild() }; return &time;
	default: return NULL;
	}
}

static int a_timeout(void)
{
	/* With signals even a wait for ever ends. */
	return HAS_SIGNALS && one_in(3) ? wild() : (int)below(2);
}

static int is_one_of(int code, const int *codes)
{
	for (; *codes; codes++)
		if (*codes == code)
			return 1;
	return 0;
}

/* An answer from -1 to `most`, and of the errnos that this call may have. */
static void judge(long answer, long most, const int *codes)
{
	int code = errno;

	if (answer == -1 && !is_one_of(code, codes))
		give_up("an errno that it cannot have", answer, code);
	if (answer < -1 || (answer > most && answer > 0))
		give_up("an answer that it cannot have", answer, code);
}

static void remember(int fd)
{
	unsigned at = below(64);

	if (is_open[at] && readiness_close(pool[at]) != 0)
		give_up("close of our own", -1, errno);
	pool[at] = fd;
	is_open[at] = fd > 2;
}

static void new_descriptor(void)
{
#ifdef __wasi__
	remember(one_in(2) ? open("fuzz-file", O_RDWR | O_CREAT, 0600) : (int)below(3));
#else
	int ends[2];

	switch (below(5)) {
	case 0:
		if (pipe2(ends, O_NONBLOCK) == 0)
			remember(ends[0]), remember(ends[1]);
		break;
	case 1:
		if (socketpair(AF_UNIX, (one_in(2) ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK, 0, ends) == 0)
			remember(ends[0]), remember(ends[1]);
		break;
	case 2: remember(eventfd(below(3), EFD_NONBLOCK)); break;
	case 3: remember(open("fuzz-file", O_RDWR | O_CREAT, 0600)); break;
	default: remember(dup(pool[below(64)])); break;
	}
#endif
}

static void io(void)
{
	char bytes[100];
	int at = (int)below(64), fd = pool[at];

#ifdef __wasi__
	/* Reading could wait for ever. */
	(void)bytes;
	readiness_rearm(fd);
#else
	if (!is_open[at])
		return;
	if (one_in(2)) {
		if (read(fd, bytes, sizeof bytes) == -1 && errno == EAGAIN)
			readiness_rearm(fd);
	} else {
		memset(bytes, 'x', sizeof bytes);
		if (write(fd, bytes, 1 + below(100)) == -1 && errno == EAGAIN)
			readiness_rearm(fd);
	}
	if (one_in(10))
		shutdown(fd, (int)below(3));
#endif
}

static void call_epoll(void)
{
	struct epoll_event *event = good_or_null(sizeof *event);
	int most = one_in(2) ? (int)(1 + below(64)) : wild();
	int fits = most > 0 && (size_t)most * sizeof *event <= arena_size;

	switch (below(6)) {
	case 0:
		now_calling = "epoll_create";
		judge(most = readiness_epoll_create(wild()), INT_MAX, (int[]){ EINVAL, EMFILE, ENFILE, ENOMEM, 0 });
		if (most >= 0)
			remember(most);
		break;
	case 1:
		now_calling = "epoll_create1";
		judge(most = readiness_epoll_create1(one_in(2) ? (one_in(2) ? EPOLL_CLOEXEC : 0) : wild()), INT_MAX,
		      (int[]){ EINVAL, EMFILE, ENFILE, ENOMEM, 0 });
		if (most >= 0)
			remember(most);
		break;
	case 2:
	case 3:
		now_calling = "epoll_ctl";
		if (event) {
			struct epoll_event wanted;

			memset(&wanted, 0, sizeof wanted);
			wanted.events = one_in(2) ? (uint32_t)any() : 1u << below(32) | (uint32_t)below(32);
			wanted.data.u64 = any();
			memcpy((void *)event, &wanted, sizeof wanted);
		}
		judge(readiness_epoll_ctl(number(), one_in(8) ? wild() : (int)(1 + below(3)), number(), event), 0,
		      (int[]){ EFAULT, EBADF, EPERM, EINVAL, ELOOP, EEXIST, ENOENT, ENOSPC, ENOMEM, 0 });
		break;
	default:
		now_calling = "epoll_wait";
		event = fits ? (struct epoll_event *)arena : event;
		if (one_in(3))
			judge(readiness_epoll_pwait2(number(), event, most, a_time(), NULL), most,
			      (int[]){ EFAULT, EBADF, EINVAL, EINTR, ENOMEM, 0 });
		else if (one_in(2))
			judge(readiness_epoll_pwait(number(), event, most, a_timeout(), NULL), most,
			      (int[]){ EFAULT, EBADF, EINVAL, EINTR, ENOMEM, 0 });
		else
			judge(readiness_epoll_wait(number(), event, most, a_timeout()), most,
			      (int[]){ EFAULT, EBADF, EINVAL, EINTR, ENOMEM, 0 });
	}
}

#ifndef WITHOUT_KQUEUE
static void call_kqueue(void)
{
	struct kevent *changes = good_or_null(sizeof *changes), *events = good_or_null(sizeof *events);
	int changes_len = one_in(3) ? wild() : (int)below(8), events_len = one_in(3) ? wild() : (int)below(8);

	if (one_in(8)) {
		now_calling = "kqueue";
		changes_len = readiness_kqueue();
		judge(changes_len, INT_MAX, (int[]){ EMFILE, ENFILE, ENOMEM, 0 });
		if (changes_len >= 0)
			remember(changes_len);
		return;
	}
	for (int at = 0; changes && at < changes_len && at < 16; at++) {
		struct kevent *change = (struct kevent *)arena + at;

		changes = (struct kevent *)arena;
		/* Not EVFILT_SIGNAL: it would take the alarm's handler away. */
		EV_SET(change, one_in(2) ? (uint64_t)number() : any(), one_in(6) ? wild() : -(int)(1 + below(13)),
		       one_in(2) ? any() : 1u << below(16) | below(4), one_in(2) ? any() : 1u << below(32), wild(), change);
		if (change->filter == EVFILT_SIGNAL)
			change->filter = EVFILT_USER;
		/* A timer of a nanosecond is never done expiring. */
		if (change->filter == EVFILT_TIMER && change->data >= 0)
			change->data += 1000;
	}
	now_calling = "kevent";
	if (events_len > 0 && (size_t)events_len * sizeof *events <= arena_size / 2 && events)
		events = (struct kevent *)(arena + arena_size / 2);
#ifdef __wasi__
	/* There is nothing behind it that would tell: it has to be as long as is said. */
	else if (events_len > 0)
		events = NULL;
#endif
	judge(readiness_kevent(number(), changes, changes_len, events, events_len, a_time()),
	      events_len > 0 ? events_len : 0,
	      (int[]){ EFAULT, EBADF, EINVAL, EINTR, ENOENT, ENOMEM, ESRCH, EACCES, EPERM, ENOTSUP,
		       EOPNOTSUPP, ENODEV, ENOSPC, ELOOP, ENOTDIR, 0 });
}
#endif

#ifdef __wasi__
#define MOST_POLLED 65536
#else
#define MOST_POLLED 1024
#endif

static void call_poll(void)
{
	struct pollfd *fds = good_or_null(sizeof *fds);
	nfds_t len = one_in(3) ? (nfds_t)any() : one_in(2) ? (nfds_t)wild() : (nfds_t)below(16);
	const int codes[] = { EFAULT, EINVAL, EINTR, ENOMEM, 0 };

	/* Room for as many as poll takes. */
	if (fds && len <= MOST_POLLED)
		fds = (struct pollfd *)arena;
	for (nfds_t at = 0; fds && at < len && at < 16; at++)
		if ((unsigned char *)(fds + at + 1) <= arena + arena_size)
			fds[at] = (struct pollfd){ number(), (short)any(), (short)any() };
#ifdef __wasi__
	/* Not open, and so at once. */
	if (len == 0)
		len = 1, fds = (struct pollfd *)arena, fds[0].fd = NOT_OPEN;
#endif
	now_calling = "poll";
	if (one_in(2))
		judge(readiness_poll(fds, len, a_timeout()), MOST_POLLED, codes);
	else
		judge(readiness_ppoll(fds, len, a_time(), NULL), MOST_POLLED, codes);
}

static void call_select(void)
{
	static fd_set sets[3];
	fd_set *given[3];
	struct timeval time = { one_in(4) ? wild() : 0, one_in(4) ? wild() : (int)below(1000) };
	const int codes[] = { EBADF, EINVAL, EINTR, ENOMEM, 0 };
	int nfds = one_in(3) ? wild() : (int)below(1025);

	if (!HAS_SIGNALS && time.tv_sec > 0)
		time.tv_sec = 0;
	for (int at = 0; at < 3; at++) {
		given[at] = one_in(3) ? NULL : &sets[at];
		FD_ZERO(&sets[at]);
		for (int count = (int)below(6); count > 0; count--) {
			int fd = number();

			if (fd >= 0 && fd < FD_SETSIZE)
				FD_SET(fd, &sets[at]);
		}
#ifdef __wasi__
		if (one_in(20))
			sets[at].__nfds = (size_t)any();
#endif
	}
	now_calling = "select";
	if (one_in(2))
		judge(readiness_select(nfds, given[0], given[1], given[2], &time), 3 * 1024, codes);
	else
		judge(readiness_pselect(nfds, given[0], given[1], given[2], a_time(), NULL), 3 * 1024, codes);
}

#ifdef __linux__
/* How many descriptors there are, the library's too. */
static int count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	while (folder && readdir(folder))
		count++;
	if (folder)
		closedir(folder);
	return count;
}
#else
static int count_descriptors(void)
{
	return 0;
}
#endif

#if HAS_SIGNALS
static void ignore(int signal)
{
	(void)signal;
}

static void crashed(int signal)
{
	give_up("a signal that it must not have", signal, errno);
}
#endif

int main(int argc, char **argv)
{
	uint64_t until = milliseconds_now() + 1000 * (argc > 1 ? strtoull(argv[1], NULL, 10) : 5);

	int before;

	seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	state = seed;
#if HAS_SIGNALS
	struct sigaction action;
	struct itimerval often = { { 0, 2000 }, { 0, 2000 } };
	struct rlimit limit, most;

	memset(&action, 0, sizeof action);
	action.sa_handler = ignore;
	sigaction(SIGALRM, &action, NULL);
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, NULL);
	action.sa_handler = crashed;
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	getrlimit(RLIMIT_NOFILE, &most);
	limit = most;
	limit.rlim_cur = 1024;
	setrlimit(RLIMIT_NOFILE, &limit);
	/* Behind it is memory that must not be touched. */
	arena_size = ROOM;
	arena = mmap(NULL, ROOM + 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (arena == MAP_FAILED || mprotect(arena, ROOM, PROT_READ | PROT_WRITE) != 0)
		return 2;
#else
	arena_size = ROOM;
	arena = malloc(ROOM);
#endif
	for (int at = 0; at < 64; at++)
		pool[at] = -1;
	before = count_descriptors();
	while (milliseconds_now() < until) {
		for (int burst = 0; burst < 200; burst++, calls++) {
			errno = 0;
			switch (below(16)) {
			case 0: new_descriptor(); break;
			case 1: io(); break;
			case 2:
				now_calling = "close";
				if (one_in(4)) {
					int at = (int)below(64);

					if (is_open[at])
						judge(readiness_close(pool[at]), 0, (int[]){ 0 });
					is_open[at] = 0;
				} else {
					judge(readiness_close(-1 - (int)below(9)), 0, (int[]){ EBADF, 0 });
				}
				break;
			case 3:
				now_calling = "rearm";
				judge(readiness_rearm(number()), 0, (int[]){ EBADF, 0 });
				break;
			case 4: case 5: call_poll(); break;
			case 6: case 7: call_select(); break;
			case 8: case 9: case 10: case 11: call_epoll(); break;
			default:
#ifndef WITHOUT_KQUEUE
				call_kqueue();
#else
				call_epoll();
#endif
			}
		}
	}
#if HAS_SIGNALS
	/* The sanitizer has things to open at the end. */
	setrlimit(RLIMIT_NOFILE, &most);
	for (int at = 0; at < 64; at++)
		if (is_open[at])
			readiness_close(pool[at]);
#endif
	now_calling = "close";
	if (count_descriptors() != before)
		give_up("descriptors are left", count_descriptors() - before, 0);
	printf("all well: %llu calls\n", (unsigned long long)calls);
	return 0;
}
