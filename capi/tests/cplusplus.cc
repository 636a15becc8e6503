// A C++ program on the standard names: its objects close what they opened, and a
// set is a source of every other interface.
#include <poll.h>
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/select.h>
#include <sys/time.h>

#include <cstddef>
#include <utility>
#include <vector>

#include "check.h"

namespace {

class Descriptor {
public:
	explicit Descriptor(int fd) : fd_(fd) { CHECK(fd >= 0); }
	Descriptor(Descriptor &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
	Descriptor(const Descriptor &) = delete;
	Descriptor &operator=(const Descriptor &) = delete;
	~Descriptor()
	{
		if (fd_ >= 0)
			CHECK(close(fd_) == 0);
	}
	int get() const { return fd_; }

private:
	int fd_;
};

class Loop {
public:
	void add(const Descriptor &source, uint32_t events) { add(source.get(), events); }
	void add(int fd, uint32_t events)
	{
		epoll_event event{};

		event.events = events;
		event.data.fd = fd;
		CHECK(epoll_ctl(set_.get(), EPOLL_CTL_ADD, fd, &event) == 0);
	}
	std::vector<epoll_event> wait(int timeout)
	{
		std::vector<epoll_event> events(16);
		int found = epoll_wait(set_.get(), events.data(), static_cast<int>(events.size()), timeout);

		CHECK(found >= 0);
		events.resize(found < 0 ? 0 : static_cast<std::size_t>(found));
		return events;
	}
	const Descriptor &set() const { return set_; }

private:
	Descriptor set_{ epoll_create1(EPOLL_CLOEXEC) };
};

// Names of its own, which a macro would have changed.
struct Poller {
	int poll(int timeout) { return timeout; }
	int select = 1;
	int kevent = 2;
};

void test_names()
{
	Poller poller;

	CHECK(poller.poll(3) == 3);
	CHECK(poller.select + poller.kevent == 3);
}

void test_sets_in_sets()
{
	Loop loop;
	Descriptor queue{ kqueue() };
	struct kevent change, event;
	const timespec zero{};

	EV_SET(&change, 7, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, &loop);
	CHECK(kevent(queue.get(), &change, 1, nullptr, 0, nullptr) == 0);
	loop.add(queue, EPOLLIN);
	CHECK(loop.wait(0).empty());
	EV_SET(&change, 7, EVFILT_USER, 0, NOTE_TRIGGER | NOTE_FFOR | 3, 0, &loop);
	CHECK(kevent(queue.get(), &change, 1, nullptr, 0, nullptr) == 0);

	auto events = loop.wait(1000);
	CHECK(events.size() == 1 && events[0].events == EPOLLIN && events[0].data.fd == queue.get());
	pollfd entry{ loop.set().get(), POLLIN, 0 };
	CHECK(poll(&entry, 1, 1000) == 1 && entry.revents == POLLIN);
	fd_set set;
	timeval second{ 1, 0 };
	FD_ZERO(&set);
	FD_SET(loop.set().get(), &set);
	CHECK(select(loop.set().get() + 1, &set, nullptr, nullptr, &second) == 1);
	CHECK(FD_ISSET(loop.set().get(), &set));

	CHECK(kevent(queue.get(), nullptr, 0, &event, 1, &zero) == 1);
	CHECK(event.ident == 7 && event.fflags == 3 && event.udata == &loop);
	CHECK(loop.wait(0).empty());
}

void test_timer()
{
	Descriptor queue{ kqueue() };
	struct kevent change, event;

	EV_SET(&change, 1, EVFILT_TIMER, EV_ADD, NOTE_MSECONDS, 20, nullptr);
	for (int at = 0; at < 3; at++) {
		CHECK(kevent(queue.get(), &change, at == 0, &event, 1, nullptr) == 1);
		CHECK(event.filter == EVFILT_TIMER && event.data >= 1);
	}
}

// What one object has closed is not another's.
void test_closed_once()
{
	int number;
	{
		Descriptor first{ kqueue() };
		Descriptor second{ std::move(first) };

		number = second.get();
	}
	FAILS(EBADF, kevent(number, nullptr, 0, nullptr, 0, nullptr));
	FAILS(EBADF, close(number));
}

} // namespace

int main()
{
	test_names();
	test_sets_in_sets();
	test_timer();
	test_closed_once();
	return finish();
}
