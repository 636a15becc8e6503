/*
 * pubsub [TICK [IDLE]]: a publish and subscribe server for lines of text, on kqueue(2).
 *
 * It listens on a free port of the loopback and says which. A client sends lines:
 *
 *	sub TOPIC		receive what is published under TOPIC
 *	unsub TOPIC		and no more
 *	pub TOPIC TEXT		send TEXT to whoever subscribed to TOPIC: "TOPIC TEXT"
 *	topics			the topics that anybody subscribed to
 *	quit			"bye", and the end
 *
 * Each is answered with "ok", "ok N" (the number that a publication went to) or
 * "error WHY". Every TICK milliseconds (none if 0) whoever subscribed to "clock" gets
 * "clock N". A client that says nothing for IDLE milliseconds (for ever if 0) is told
 * "idle" and dropped. One that does not read is dropped when a MiB waits for it.
 *
 * The console is standard input: "stats" and "stop". Where there are signals, SIGUSR1
 * is "stats" and SIGTERM and SIGINT are "stop". Stopping sends "bye" to everybody.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <unistd.h>
#ifndef __wasi__
#include <signal.h>
#endif

#define LINE_MOST 1024
#define TOPIC_MOST 64
#define WAITING_MOST (1u << 20)
#define EVENTS 64

/* What udata is when it is no client. */
static char listener_mark, console_mark, work_mark;

struct subscription {
	char topic[TOPIC_MOST + 1];
	struct subscription *next;
};

struct client {
	int fd;
	uintptr_t id;
	/* A line that has not come to its end. */
	char line[LINE_MOST];
	size_t line_len;
	/* What waits to be written. */
	char *waiting;
	size_t waiting_len, waiting_room;
	int writing;
	/* To be closed when all is written. */
	int leaving;
	/* Closed; events that were on their way already may still name it. */
	int gone;
	struct subscription *subscriptions;
	struct client *next;
};

static int kq, listener = -1, stopping;
static long tick_ms = 1000, idle_ms;
static struct client *clients, *graveyard;
static unsigned long connected, published, delivered, dropped, ticks;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int change(uintptr_t ident, int filter, int flags, unsigned fflags, long data, void *udata)
{
	struct kevent one;

	EV_SET(&one, ident, filter, flags, fflags, data, udata);
	return kevent(kq, &one, 1, NULL, 0, NULL);
}

static void must_change(uintptr_t ident, int filter, int flags, unsigned fflags, long data, void *udata)
{
	if (change(ident, filter, flags, fflags, data, udata) == -1)
		die("kevent");
}

/* ---- clients ---- */

static void bury(struct client *client)
{
	if (client->gone)
		return;
	client->gone = 1;
	/* Its knotes end with its descriptor, and its timer with this. */
	close(client->fd);
	change(client->id, EVFILT_TIMER, EV_DELETE, 0, 0, NULL);
	for (struct client **at = &clients; *at; at = &(*at)->next) {
		if (*at == client) {
			*at = client->next;
			break;
		}
	}
	client->next = graveyard;
	graveyard = client;
}

/* When nothing can name them any more. */
static void empty_graveyard(void)
{
	while (graveyard) {
		struct client *client = graveyard;

		graveyard = client->next;
		while (client->subscriptions) {
			struct subscription *one = client->subscriptions;

			client->subscriptions = one->next;
			free(one);
		}
		free(client->waiting);
		free(client);
	}
}

static void set_writing(struct client *client, int writing)
{
	if (client->writing == writing)
		return;
	client->writing = writing;
	must_change((uintptr_t)client->fd, EVFILT_WRITE, writing ? EV_ADD : EV_DELETE, 0, 0, client);
}

static void flush_client(struct client *client)
{
	size_t sent = 0;

	while (!client->gone && sent < client->waiting_len) {
		ssize_t count = write(client->fd, client->waiting + sent, client->waiting_len - sent);

		if (count >= 0) {
			sent += (size_t)count;
		} else if (errno == EAGAIN) {
			break;
		} else if (errno != EINTR) {
			bury(client);
			return;
		}
	}
	if (client->gone)
		return;
	client->waiting_len -= sent;
	memmove(client->waiting, client->waiting + sent, client->waiting_len);
	if (client->waiting_len == 0 && client->leaving)
		bury(client);
	else
		set_writing(client, client->waiting_len > 0);
}

static void say(struct client *client, const char *format, ...)
{
	char line[LINE_MOST + TOPIC_MOST + 8];
	va_list arguments;
	int length;

	if (client->gone || client->leaving)
		return;
	va_start(arguments, format);
	length = vsnprintf(line, sizeof line - 1, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= sizeof line - 1)
		length = (int)sizeof line - 2;
	line[length++] = '\n';
	if (client->waiting_len + (size_t)length > client->waiting_room) {
		size_t room = 2 * client->waiting_room + 4096;
		char *more;

		if (client->waiting_len > WAITING_MOST) {
			dropped++;
			bury(client);
			return;
		}
		more = realloc(client->waiting, room);
		if (!more)
			die("realloc");
		client->waiting = more;
		client->waiting_room = room;
	}
	memcpy(client->waiting + client->waiting_len, line, (size_t)length);
	client->waiting_len += (size_t)length;
	/* What cannot be written now is written when it can. */
	if (client->waiting_len == (size_t)length)
		flush_client(client);
}

static void dismiss(struct client *client, const char *why)
{
	say(client, "%s", why);
	if (client->gone)
		return;
	client->leaving = 1;
	change((uintptr_t)client->fd, EVFILT_READ, EV_DISABLE, 0, 0, client);
	if (client->waiting_len == 0)
		bury(client);
}

static void accept_all(void)
{
	int fd;

	while ((fd = accept(listener, NULL, NULL)) != -1) {
		static uintptr_t ids;
		struct client *client = calloc(1, sizeof *client);
		int flags = fcntl(fd, F_GETFL, 0);

		if (!client)
			die("calloc");
		if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
			die("fcntl");
		client->fd = fd;
		/* 0 is the tick's. */
		client->id = ++ids;
		client->next = clients;
		clients = client;
		connected++;
		must_change((uintptr_t)fd, EVFILT_READ, EV_ADD, 0, 0, client);
		if (idle_ms)
			must_change(client->id, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, idle_ms, client);
	}
	if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		die("accept");
}

/* ---- topics ---- */

static struct subscription *subscribed(const struct client *client, const char *topic)
{
	for (struct subscription *one = client->subscriptions; one; one = one->next)
		if (strcmp(one->topic, topic) == 0)
			return one;
	return NULL;
}

static void subscribe(struct client *client, const char *topic)
{
	struct subscription *one;

	if (subscribed(client, topic)) {
		say(client, "ok");
		return;
	}
	one = calloc(1, sizeof *one);
	if (!one)
		die("calloc");
	strcpy(one->topic, topic);
	one->next = client->subscriptions;
	client->subscriptions = one;
	say(client, "ok");
}

static void unsubscribe(struct client *client, const char *topic)
{
	for (struct subscription **at = &client->subscriptions; *at; at = &(*at)->next) {
		struct subscription *one = *at;

		if (strcmp(one->topic, topic) == 0) {
			*at = one->next;
			free(one);
			say(client, "ok");
			return;
		}
	}
	say(client, "error not subscribed");
}

static unsigned publish(const char *topic, const char *text)
{
	unsigned count = 0;
	struct client *next;

	published++;
	for (struct client *client = clients; client; client = next) {
		/* One that is dropped for being slow leaves the list. */
		next = client->next;
		if (subscribed(client, topic)) {
			say(client, "%s %s", topic, text);
			count++;
		}
	}
	delivered += count;
	return count;
}

static void list_topics(struct client *asker)
{
	for (struct client *client = clients; client; client = client->next) {
		for (struct subscription *one = client->subscriptions; one; one = one->next) {
			int seen = 0;

			for (struct client *before = clients; before != client && !seen; before = before->next)
				seen = subscribed(before, one->topic) != NULL;
			if (!seen)
				say(asker, "topic %s", one->topic);
		}
	}
	say(asker, "ok");
}

/* ---- lines ---- */

/* Cuts the next word off. */
static char *word(char **rest)
{
	char *start = *rest + strspn(*rest, " ");

	*rest = start + strcspn(start, " ");
	if (**rest)
		*(*rest)++ = '\0';
	return start;
}

static void obey(struct client *client, char *line)
{
	char *command = word(&line), *topic;

	if (strcmp(command, "quit") == 0) {
		dismiss(client, "bye");
		return;
	}
	if (strcmp(command, "topics") == 0) {
		list_topics(client);
		return;
	}
	topic = word(&line);
	if (!*topic || strlen(topic) > TOPIC_MOST)
		say(client, "error what topic?");
	else if (strcmp(command, "sub") == 0)
		subscribe(client, topic);
	else if (strcmp(command, "unsub") == 0)
		unsubscribe(client, topic);
	else if (strcmp(command, "pub") == 0)
		say(client, "ok %u", publish(topic, line));
	else
		say(client, "error what?");
}

/* Takes lines out of a buffer; what is left of it stays. */
static size_t take_lines(char *buffer, size_t length, struct client *client, void (*each)(struct client *, char *))
{
	char *start = buffer, *end;

	while ((end = memchr(start, '\n', length - (size_t)(start - buffer)))) {
		*end = '\0';
		if (end > start && end[-1] == '\r')
			end[-1] = '\0';
		each(client, start);
		start = end + 1;
		if (client && (client->gone || client->leaving))
			return 0;
	}
	length -= (size_t)(start - buffer);
	memmove(buffer, start, length);
	return length;
}

static void read_client(struct client *client)
{
	for (;;) {
		ssize_t count = read(client->fd, client->line + client->line_len, LINE_MOST - client->line_len);

		if (count == 0) {
			/* What it asked for it still gets. */
			client->leaving = 1;
			change((uintptr_t)client->fd, EVFILT_READ, EV_DELETE, 0, 0, client);
			if (client->waiting_len == 0)
				bury(client);
			return;
		}
		if (count == -1) {
			if (errno == EINTR)
				continue;
			if (errno != EAGAIN)
				bury(client);
			return;
		}
		if (idle_ms)
			must_change(client->id, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, idle_ms, client);
		client->line_len = take_lines(client->line, client->line_len + (size_t)count, client, obey);
		if (client->gone || client->leaving)
			return;
		if (client->line_len == LINE_MOST) {
			dismiss(client, "error the line is too long");
			return;
		}
	}
}

/* ---- the server ---- */

static void print_stats(void)
{
	unsigned now = 0;

	for (struct client *client = clients; client; client = client->next)
		now++;
	printf("stats clients %u connected %lu published %lu delivered %lu dropped %lu\n", now, connected, published,
	       delivered, dropped);
	fflush(stdout);
}

static void stop(void)
{
	if (stopping)
		return;
	stopping = 1;
	printf("stopping\n");
	fflush(stdout);
	close(listener);
	for (struct client *client = clients, *next; client; client = next) {
		next = client->next;
		dismiss(client, "bye");
	}
}

/* The console asks; it is done when this round's events are through. */
static int asked_for_stats, asked_to_stop;

static void obey_console(struct client *nobody, char *line)
{
	(void)nobody;
	if (strcmp(line, "stats") == 0)
		asked_for_stats = 1;
	else if (strcmp(line, "stop") == 0)
		asked_to_stop = 1;
	else
		printf("error what?\n");
	fflush(stdout);
	must_change(1, EVFILT_USER, 0, NOTE_TRIGGER, 0, &work_mark);
}

static void do_what_was_asked(void)
{
	if (asked_for_stats)
		print_stats();
	asked_for_stats = 0;
	if (asked_to_stop)
		stop();
}

static void read_console(void)
{
	static char line[LINE_MOST];
	static size_t length;
	ssize_t count = read(0, line + length, sizeof line - length);

	if (count > 0) {
		length = take_lines(line, length + (size_t)count, NULL, obey_console);
		if (length == sizeof line)
			length = 0;
	} else if (count == 0 || (errno != EINTR && errno != EAGAIN)) {
		change(0, EVFILT_READ, EV_DELETE, 0, 0, NULL);
	}
}

static void tick(long count)
{
	char text[32];

	ticks += (unsigned long)count;
	snprintf(text, sizeof text, "%lu", ticks);
	publish("clock", text);
}

static void handle(const struct kevent *event)
{
	struct client *client = event->udata;

	switch (event->filter) {
	case EVFILT_TIMER:
		if (event->ident == 0)
			tick((long)event->data);
		else if (!client->gone)
			dismiss(client, "idle");
		return;
	case EVFILT_USER:
		do_what_was_asked();
		return;
#ifndef __wasi__
	case EVFILT_SIGNAL:
		if (event->ident == SIGUSR1)
			print_stats();
		else
			stop();
		return;
#endif
	default:
		break;
	}
	if (event->udata == &listener_mark) {
		if (!stopping)
			accept_all();
	} else if (event->udata == &console_mark) {
		read_console();
	} else if (!client->gone) {
		if (event->filter == EVFILT_WRITE)
			flush_client(client);
		else if (!client->leaving)
			read_client(client);
	}
}

static void open_listener(void)
{
	struct sockaddr_in address;
	socklen_t size = sizeof address;
	int on = 1;

	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (listener == -1)
		die("socket");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	memset(&address, 0, sizeof address);
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(0x7f000001);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) == -1)
		die("bind");
	if (listen(listener, SOMAXCONN) == -1)
		die("listen");
	if (fcntl(listener, F_SETFL, fcntl(listener, F_GETFL, 0) | O_NONBLOCK) == -1)
		die("fcntl");
	if (getsockname(listener, (struct sockaddr *)&address, &size) == -1)
		die("getsockname");
	printf("listening on %d\n", ntohs(address.sin_port));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct kevent events[EVENTS];

	if (argc > 1)
		tick_ms = strtol(argv[1], NULL, 10);
	if (argc > 2)
		idle_ms = strtol(argv[2], NULL, 10);
	kq = kqueue();
	if (kq == -1)
		die("kqueue");
	open_listener();
	must_change((uintptr_t)listener, EVFILT_READ, EV_ADD, 0, 0, &listener_mark);
	/* Nobody may be at the console. */
	change(0, EVFILT_READ, EV_ADD, 0, 0, &console_mark);
	must_change(1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, &work_mark);
	if (tick_ms)
		must_change(0, EVFILT_TIMER, EV_ADD, 0, tick_ms, NULL);
#ifndef __wasi__
	signal(SIGPIPE, SIG_IGN);
	for (int at = 0; at < 3; at++) {
		const int signals[] = { SIGUSR1, SIGTERM, SIGINT };

		/* The filter counts what is ignored, too. */
		signal(signals[at], SIG_IGN);
		must_change((uintptr_t)signals[at], EVFILT_SIGNAL, EV_ADD, 0, 0, NULL);
	}
#endif
	while (!stopping || clients) {
		int count = kevent(kq, NULL, 0, events, EVENTS, NULL);

		if (count == -1 && errno != EINTR)
			die("kevent");
		for (int at = 0; at < count; at++)
			handle(&events[at]);
		empty_graveyard();
	}
	print_stats();
	close(kq);
	return 0;
}
