"""Every host looks the same above the backend: each thing that a host gets wrong, alone."""

import pytest
from host import (
    CHARACTER, CLOCK, DIRECTORY, HOSTS, INVAL, IO, MS, NEVER, NOSYS, NOTCAPABLE, NOTSUP, PERM, PIPE,
    READ, REGULAR, BADF, Descriptor, Host, Misuse,
)  # fmt: skip

READY = 0.0


def idle(**more):
    return Descriptor(**more)


def readable(at=READY, **more):
    return Descriptor(read=at, **more)


def writable(at=READY, **more):
    return Descriptor(write=at, **more)


@pytest.fixture
def run(embedding):
    """Runs commands on a host with these descriptors, standard output among them."""

    def run(quirks, fds, *commands):
        stdio = {1: Descriptor(CHARACTER, write=READY, reads=False)}
        host = Host(**quirks, fds={**stdio, **fds})
        result = embedding.run(host, *commands)
        for asked in host.calls:
            assert asked, "a call with no subscriptions"
        return result

    return run


def hosts(*quirks):
    """A test for each."""
    return pytest.mark.parametrize("quirks", quirks, ids=lambda quirks: " ".join(f"{k}={v}" for k, v in quirks.items()) or "truthful")


# ---- descriptors that are not open, or that the host does not wait for


@hosts({}, dict(bad="call"))
@pytest.mark.parametrize("timeout", ["0", "0.5", "100", "none"])
def test_a_bad_descriptor_is_invalid_and_the_good_ones_report(run, quirks, timeout):
    fds = {5: readable(), 6: idle(), 8: writable()}
    result = run(quirks, fds, "reg:5-8:IN+OUT", f"poll:{timeout}", f"poll:{timeout}")
    assert result.all("poll") == ["5=IN 7=NVAL 8=OUT"] * 2


@hosts({}, dict(bad="call"))
def test_a_bad_descriptor_is_an_error_of_select(run, quirks):
    fds = {5: readable(), 6: idle()}
    result = run(quirks, fds, "select:5-7:::none", "select:5:6,7::0", "select:5::7:none", "select:5:::0")
    *bad, good = result.all("select")
    assert all("descriptor 7" in error and f" {BADF} " in error for error in bad) and len(bad) == 3
    assert good == "5 /  / "


def test_an_event_s_bad_descriptor_among_idle_ones_does_not_end_a_wait_twice(run):
    result = run({}, {5: idle()}, "reg:5,7:IN", "poll:none", "unreg:7", "poll:20")
    assert result.all("poll") == ["7=NVAL", ""]


@hosts(dict(bad="clock"))
@pytest.mark.parametrize("timeout", ["0", "0.5", "100", "none"])
def test_a_bad_descriptor_that_the_host_hides_is_invalid(run, quirks, timeout):
    wait = f"poll:{timeout}"
    result = run(quirks, {7: readable()}, "reg:7:IN", wait, "close:7", wait, wait)
    assert result.all("poll") == ["7=IN", "7=NVAL", "7=NVAL"]
    result = run(quirks, {7: idle()}, "reg:7:IN", "poll:0", "close:7", wait, wait)
    assert result.all("poll") == ["", "7=NVAL", "7=NVAL"]


@hosts(dict(bad="clock"), dict(bad="clock", waits="all", grain=MS))
@pytest.mark.parametrize("timeout", ["0", "100", "none"])
def test_a_bad_descriptor_is_never_given_to_a_host_that_dies_of_it(run, quirks, timeout):
    fds = {5: readable(), 6: readable(), 8: readable()}
    wait = f"poll:{timeout}"
    result = run(quirks, fds, "reg:4-8:IN", wait, "close:5", wait, "unreg:4,5,7", wait)
    assert result.all("poll") == [
        "4=NVAL 5=IN 6=IN 7=NVAL 8=IN",
        "4=NVAL 5=NVAL 6=IN 7=NVAL 8=IN",
        "6=IN 8=IN",
    ]


@hosts({}, dict(bad="call"))
@pytest.mark.parametrize("timeout", ["0", "0.5", "100", "none"])
def test_a_descriptor_closed_while_registered_is_invalid(run, quirks, timeout):
    fds = {5: readable(), 6: readable(), 7: idle()}
    wait = f"poll:{timeout}"
    result = run(quirks, fds, "reg:5-7:IN", wait, "close:5", wait, wait)
    assert result.all("poll") == ["5=IN 6=IN", "5=NVAL 6=IN", "5=NVAL 6=IN"]


@hosts({}, dict(bad="call"), dict(bad="clock"))
def test_a_closed_descriptor_is_invalid_although_nothing_is_wanted(run, quirks):
    fds = {5: readable(), 6: readable()}
    result = run(quirks, fds, "reg:5-6:", "reg:7:PRI", "poll:5", "close:5", "poll:5", "poll:none")
    assert result.all("poll") == ["7=NVAL", "5=NVAL 7=NVAL", "5=NVAL 7=NVAL"]


FILES = [{}, dict(file="late"), dict(file=f"event {NOTSUP}"), dict(file=f"call {PERM}")]
FOLDERS = [dict(directory=f"call {error}") for error in (BADF, INVAL, NOTCAPABLE)]


@hosts(*FILES, *FOLDERS)
@pytest.mark.parametrize("timeout", ["0", "0.5", "100", "none"])
def test_files_are_always_ready(run, quirks, timeout):
    fds = {5: idle(type=REGULAR), 6: idle(type=DIRECTORY), 7: idle(), 8: readable(), 9: idle(type=REGULAR)}
    wait = f"poll:{timeout}"
    result = run(quirks, fds, "reg:5,7:IN+OUT", "reg:6,8,9:IN", wait, wait, "mod:9:OUT", wait)
    assert result.all("poll") == [
        "5=IN+OUT 6=IN 8=IN 9=IN",
        "5=IN+OUT 6=IN 8=IN 9=IN",
        "5=IN+OUT 6=IN 8=IN 9=OUT",
    ]
    result = run(quirks, fds, f"select:5,6,7,8:5,7,9:5:{timeout}")
    assert result.one("select") == "5 6 8 / 5 9 / "


@hosts(*FILES)
def test_a_file_that_was_closed_is_invalid(run, quirks):
    fds = {5: idle(type=REGULAR), 6: idle(type=REGULAR)}
    result = run(quirks, fds, "reg:5-6:IN", "poll:none", "close:5", "poll:none", "poll:0")
    assert result.all("poll") == ["5=IN 6=IN", "5=NVAL 6=IN", "5=NVAL 6=IN"]


@hosts({}, dict(wrong_direction="call"), dict(wrong_direction="event"))
@pytest.mark.parametrize("timeout", ["0", "0.5", "100"])
def test_a_direction_that_a_stream_lacks_is_never_ready_and_no_error(run, quirks, timeout):
    fds = {5: readable(writes=False), 6: writable(reads=False), 8: idle()}
    wait = f"poll:{timeout}"
    commands = ["reg:5:OUT", "reg:6,8:IN", wait, wait, "mod:5,6:IN+OUT", wait, wait]
    result = run(quirks, fds, *commands)
    assert result.all("poll") == ["", "", "5=IN 6=OUT", "5=IN 6=OUT"]
    result = run(quirks, fds, f"select:5,6:5,6::{timeout}", f"select:6:5::{timeout}")
    assert result.all("select") == ["5 / 6 / ", " /  / "]


@hosts({}, dict(wrong_direction="call"), dict(wrong_direction="event"))
def test_a_wait_for_a_missing_direction_alone_is_an_error(run, quirks):
    result = run(quirks, {6: writable(reads=False)}, "reg:6:IN", "poll:10")
    assert result.all("poll") == [""]
    if quirks:
        result = run(quirks, {6: writable(reads=False)}, "reg:6:IN", "poll:none")
        assert "InvalidInput" in result.one("poll")


@hosts({}, dict(grain=MS))
@pytest.mark.parametrize("error", [PERM, NOTSUP, INVAL, NOTCAPABLE])
@pytest.mark.parametrize("timeout", ["0", "100", "none"])
def test_what_the_host_cannot_wait_for_is_always_ready(run, quirks, error, timeout):
    fds = {5: readable(type=CHARACTER, pollable=error), 6: idle(), 8: readable()}
    wait = f"poll:{timeout}"
    result = run(quirks, fds, "reg:5:IN+OUT", "reg:6,8:IN", wait, wait, wait)
    assert result.all("poll") == ["5=IN+OUT 8=IN"] * 3


@hosts({}, dict(bad="call"), dict(bad="clock"))
def test_an_error_in_an_event_ends_the_wait_and_nothing_else(run, quirks):
    fds = {5: readable(error=IO), 6: readable(error=PIPE), 8: writable(error=PIPE), 9: readable()}
    result = run(quirks, fds, "reg:5,6,9:IN", "reg:8:OUT", "poll:none", "poll:0")
    assert result.all("poll") == ["5=ERR 6=HUP 9=IN 8=ERR+HUP"] * 2
    result = run(quirks, fds, "select:5,6:8::none")
    assert result.one("select") == "5 6 / 8 / "


def test_a_hang_up_is_told(run):
    fds = {5: readable(hangup=True), 6: writable(hangup=True), 0: writable(hangup=True)}
    result = run({}, fds, "reg:5:IN", "reg:6:OUT", "reg:0:OUT", "poll:none")
    assert result.one("poll") == "5=IN+HUP 6=OUT+HUP 0=HUP"


@hosts({}, dict(nbytes=False), dict(twice=False))
def test_a_kqueue_tells_how_much_the_host_says_that_there_is(run, quirks):
    fds = {5: readable(data=40), 6: readable(data=1), 7: writable(data=40), 8: idle()}
    result = run(quirks, fds, "kreg:5,6,8:IN", "kreg:7:OUT", "kwait:0", "read:5", "kwait:0")
    counted = 40 if quirks.get("nbytes", True) else 1
    assert result.all("kwait") == [f"5=IN {counted} 6=IN 1 7=OUT 1", "6=IN 1 7=OUT 1"]


@hosts({}, dict(nbytes=False))
def test_a_mark_is_for_what_the_host_counts_and_else_for_whatever_there_is(run, quirks):
    fds = {5: readable(data=40), 6: readable(data=9), 7: readable(data=1)}
    result = run(quirks, fds, "kreg:5-7:IN:10", "kwait:0")
    said = "5=IN 40 7=IN 1" if not quirks else "5=IN 1 6=IN 1 7=IN 1"
    assert result.one("kwait") == said


# ---- how long a wait is


WAITS = [
    {}, dict(waits="all"), dict(waits="all", grain=MS), dict(waits="clock"), dict(waits="first"),
    dict(waits="all", grain=MS, clock_name="0"),
]  # fmt: skip


@hosts(*WAITS)
@pytest.mark.parametrize("timeout", ["0", "300", "none"])
def test_one_that_is_ready_ends_a_wait_for_several(run, quirks, timeout):
    fds = {4: idle(), 5: readable(), 6: idle()}
    result = run(quirks, fds, "reg:4-6:IN", f"poll:{timeout}", f"poll:{timeout}")
    assert result.all("poll") == ["5=IN", "5=IN"]
    assert max(result.took("poll")) < 50


@hosts(*WAITS)
def test_one_that_becomes_ready_ends_a_wait_for_several(run, quirks):
    fds = {4: idle(), 5: readable(at=100 * MS), 6: idle()}
    result = run(quirks, fds, "reg:4-6:IN", "poll:none")
    assert result.one("poll") == "5=IN"
    assert 99 < result.took("poll")[0] < 400
    # Once it was seen, it is not late any more.
    fds = {4: idle(), 5: readable(), 6: readable(at=3000 * MS), 7: idle()}
    result = run(quirks, fds, "reg:4-5:IN", "poll:none", "unreg:5", "reg:6-7:IN", "poll:none")
    assert result.all("poll") == ["5=IN", "6=IN"]
    assert 2900 < sum(result.took("poll")) < 3050


@hosts(dict(waits="clock"))
def test_one_source_alone_ends_a_wait(run, quirks):
    result = run(quirks, {5: readable()}, "reg:5:IN", "poll:3000", "poll:3000")
    assert result.all("poll") == ["5=IN", "5=IN"]
    assert sum(result.took("poll")) < 50


def test_what_is_told_ready_is_ready(run):
    fds = {4: idle(), 5: readable(), 6: writable(), 7: idle()}
    commands = ["reg:4-7:IN+OUT", "poll:none", "poll:0", "poll:100", "select:4-7:4-7::none"]
    result = run(dict(tells="all"), fds, *commands)
    assert result.all("poll") == ["5=IN 6=OUT"] * 3
    assert result.one("select") == "5 / 6 / "


@hosts({}, dict(both=False))
@pytest.mark.parametrize("timeout", ["0", "100", "none"])
def test_both_directions_of_a_descriptor_report(run, quirks, timeout):
    wait = f"poll:{timeout}"
    result = run(quirks, {5: writable()}, "reg:5:IN+OUT", wait, wait)
    assert result.all("poll") == ["5=OUT", "5=OUT"]
    result = run(quirks, {5: readable()}, "reg:5:IN+OUT", wait, wait)
    assert result.all("poll") == ["5=IN", "5=IN"]
    fds = {5: Descriptor(read=READY, write=READY), 6: Descriptor(read=READY, write=READY)}
    result = run(quirks, fds, "reg:5-6:IN+OUT", wait, wait, f"select:5,6:6,5::{timeout}")
    assert result.all("poll") == ["5=IN+OUT 6=IN+OUT"] * 2
    assert result.one("select") == "5 6 / 6 5 / "


@hosts({}, dict(both=False))
@pytest.mark.parametrize("timeout", ["0", "100", "none"])
def test_both_filters_of_a_descriptor_report(run, quirks, timeout):
    fds = {5: Descriptor(read=READY, write=READY), 6: writable()}
    result = run(quirks, fds, "kreg:5,6:IN+OUT", f"kwait:{timeout}", f"kwait:{timeout}")
    assert [sorted(line.split(" 1")) for line in result.all("kwait")] == [["", " 5=OUT", " 6=OUT", "5=IN"]] * 2


@hosts({}, dict(both=False))
def test_a_second_direction_that_becomes_ready_ends_a_wait(run, quirks):
    fds = {5: Descriptor(write=700 * MS), 6: idle(), 8: readable()}
    result = run(quirks, fds, "reg:5-6:IN+OUT", "reg:8:IN", "poll:none", "unreg:8", "poll:none")
    assert result.all("poll") == ["8=IN", "5=OUT"]
    assert 690 < sum(result.took("poll")) < 730


@hosts({}, dict(twice=False))
@pytest.mark.parametrize("timeout", ["0", "100", "none"])
def test_a_descriptor_several_times_reports_each_time(run, quirks, timeout):
    fds = {5: Descriptor(read=READY, write=READY), 6: idle()}
    result = run(quirks, fds, f"select:5,6,5:5,5::{timeout}", f"select:5,5,5:::{timeout}")
    assert result.all("select") == ["5 5 / 5 5 / ", "5 5 5 /  / "]
    assert asks_once(result.host)


def asks_once(host):
    """Whether no call asked twice for a direction of a descriptor."""
    calls = [[(sub.fd, sub.tag) for sub in asked if sub.tag != CLOCK] for asked in host.calls]
    return all(len(asked) == len(set(asked)) for asked in calls)


SETS = 2**31 + 1  # the number of the first one


@hosts({}, dict(twice=False), dict(both=False), dict(twice=False, nbytes=False))
@pytest.mark.parametrize("timeout", ["100", "none"])
def test_a_descriptor_in_several_sets_is_told_of_each(run, quirks, timeout):
    fds = {5: readable(at=50 * MS), 6: idle(), 7: readable(at=50 * MS)}
    commands = ["nest:5:IN", "reg:6,7:IN", "nest:5,6:IN+OUT", "nest:6:IN", f"poll:{timeout}", "poll:0"]
    result = run(quirks, fds, *commands)
    assert result.all("poll") == [f"{SETS}=IN 7=IN {SETS + 1}=IN"] * 2
    assert 49 < result.took("poll")[0] < 80
    assert asks_once(result.host)


# ---- time


ZEROS = [{}, dict(grain=MS), dict(grain=MS, stalls=3), dict(zero="forever"), dict(waits="clock", clocks="all")]


@hosts(*ZEROS)
@pytest.mark.parametrize("timeout", ["0", "0.0001", "0.4"])
def test_a_zero_timeout_tells_what_is_ready(run, quirks, timeout):
    fds = {4: idle(), 5: readable(at=200 * MS), 6: writable(at=200 * MS)}
    wait = f"poll:{timeout}"
    commands = ["reg:4-6:IN+OUT", wait, wait, wait, "select::::300", *[wait] * 6]
    result = run(quirks, fds, *commands)
    assert result.all("poll") == [""] * 3 + ["5=IN 6=OUT"] * 6
    commands = ["reg:4-5:IN", "reg:6:OUT", wait, wait, wait, "select::::300", *[wait] * 6]
    result = run(quirks, fds, *commands)
    assert result.all("poll") == [""] * 3 + ["5=IN 6=OUT"] * 6
    result = run(quirks, fds, *["sreg:4-6:IN+OUT", "swait:0", "select::::300", "swait:0"])
    assert result.all("swait") == ["", "5=r 6=w"]


@hosts(*(dict(bad="call", wrong_direction=wrong, zero=zero) for wrong in ["never", "call"] for zero in ["polls", "forever"]))
def test_a_time_of_zero_is_sent_where_it_was_seen_to_be_none(run, quirks):
    result = run(quirks, {4: idle(), 5: readable()}, "reg:4-5:IN", *["poll:0"] * 4)
    assert result.all("poll") == ["5=IN"] * 4
    times = [sub.timeout for sub in result.host.calls[-1] if sub.tag == CLOCK]
    refuses, polls = quirks["wrong_direction"] == "call", quirks["zero"] == "polls"
    assert times == [0 if refuses and polls else 1]
    tried = [asked for asked in result.host.calls if all(sub.tag == CLOCK for sub in asked)]
    assert len(tried) == refuses


@pytest.mark.parametrize("timeout", ["0", "0.4"])
def test_a_second_direction_is_told_although_the_process_stood_still(run, timeout):
    fds = {4: idle(), 5: readable(), 6: writable()}
    result = run(dict(grain=MS, stalls=3, waits="all", both=False), fds, "reg:4-6:IN+OUT", *[f"poll:{timeout}"] * 6)
    assert result.all("poll") == ["5=IN 6=OUT"] * 6


@pytest.mark.parametrize("stalls", [2, 3])
def test_each_of_those_that_are_tried_alone_is_told_although_the_process_stood_still(run, stalls):
    quirks = dict(grain=MS, stalls=stalls, waits="all", nbytes=False)
    result = run(quirks, {4: writable(), 5: writable(), 6: writable()}, "select::4-6::none", "select::4-6::0")
    assert result.all("select") == [" / 4 5 6 / "] * 2


def test_steady_zero_timeouts_with_nothing_ready_cost_a_call_each(run):
    result = run({}, {4: idle(), 5: idle()}, "reg:4-5:IN", "loop:100:0")
    assert len(result.host.calls) < 100 + 8
    result = run({}, {4: idle(), 5: idle(), 6: idle()}, "selects:100:4,5:6::0")
    assert len(result.host.calls) < 100 + 8


@pytest.mark.parametrize("timeout", ["0", "0.3", "100"])
def test_standard_input_that_must_be_asked_first_is_ready(run, timeout):
    wait = f"poll:{timeout}"
    stdin = readable(type=CHARACTER, lag=50_000, data=10)
    result = run({}, {0: stdin}, "reg:0:IN", wait, "read:0", wait)
    assert result.all("poll") == ["0=IN", ""]


def test_standard_input_that_must_be_asked_first_is_ready_again(run):
    # It was idle for long enough, was then ready, and has more when that was read.
    stdin = readable(at=100 * MS, type=CHARACTER, lag=50_000, data=10, more=10)
    wait = ["poll:0", "read:0"]
    result = run({}, {0: stdin}, "reg:0:IN", "poll:0", "select::::200", *wait, *wait, "poll:0")
    assert result.all("poll") == ["", "0=IN", "0=IN", ""]


def test_a_host_that_does_not_know_standard_input_yet_shows_that_others_end_a_wait(run):
    # It knows by the next call.
    stdin = readable(type=CHARACTER, lag=500, data=10)
    result = run({}, {0: stdin, 5: writable()}, "reg:0:IN", "reg:5:OUT", *["poll:none"] * 3)
    assert result.all("poll") == ["0=IN 5=OUT"] * 3
    assert [sub.tag for sub in result.host.calls[-1] if sub.tag == CLOCK] == []


@pytest.mark.parametrize("timeout", ["0", "100", "none"])
def test_standard_input_that_must_be_asked_first_is_ready_beside_another(run, timeout):
    stdin = readable(type=CHARACTER, lag=50_000, data=10)
    wait = f"poll:{timeout}"
    result = run({}, {0: stdin, 5: readable()}, "reg:0,5:IN", wait, wait, "read:0", wait, wait)
    assert result.all("poll") == ["0=IN 5=IN"] * 2 + ["5=IN"] * 2
    stdin = readable(type=CHARACTER, lag=50_000, data=10)
    result = run({}, {0: stdin, 5: idle(type=REGULAR)}, f"select:0,5:::{timeout}")
    assert result.one("select") == "0 5 /  / "


CLOCKS = [{}, dict(clocks="early"), dict(clocks="all"), dict(grain=MS), dict(clock_name="0")]


@hosts(*CLOCKS, dict(waits="clock", clocks="all"))
@pytest.mark.parametrize("timeout", [0.0001, 0.3, 0.999, 1, 2.5, 40.7])
def test_a_wait_is_never_early(run, quirks, timeout):
    fds = {4: idle(), 5: idle()}
    commands = [f"poll:{timeout}", "reg:4:IN", f"poll:{timeout}", "reg:5:IN+OUT", f"poll:{timeout}"]
    result = run(quirks, fds, *commands, f"select:4,5:4::{timeout}")
    assert result.all("poll") == ["", "", ""]
    for took in result.took("poll") + result.took("select"):
        assert timeout <= took < timeout + 20


@hosts(dict(clocks="early"))
def test_what_becomes_ready_after_the_clock_s_event_is_told(run, quirks):
    fds = {4: idle(), 5: readable(at=40 * MS)}
    result = run(quirks, fds, "reg:4-5:IN", "poll:60", "unreg:4", "poll:0.5")
    assert result.all("poll") == ["5=IN", "5=IN"]
    assert 30 <= result.took("poll")[0] < 60


@hosts(*CLOCKS)
def test_the_clock_does_not_end_a_wait_for_ever(run, quirks):
    fds = {4: idle(), 5: readable(at=500 * MS)}
    result = run(quirks, fds, "reg:4-5:IN", "poll:none", "poll:900000000000")
    assert result.all("poll") == ["5=IN", "5=IN"]


@hosts(*({**quirks} for quirks in HOSTS.values()))
def test_no_host_is_asked_for_what_some_get_wrong(run, quirks):
    fds = {4: idle(), 5: readable(at=9 * MS), 6: idle(type=REGULAR)}
    commands = ["reg:4-5:IN+OUT", "poll:0", "poll:4", "poll:none", "select::::2", "select:4,6:4,4::0"]
    result = run(quirks, fds, *commands, "poll:none")
    assert not result.error
    for asked in result.host.calls:
        for sub in asked:
            if sub.tag == CLOCK:
                assert sub.clock == 1 and sub.flags == 0
                assert sub.timeout > 0 or quirks == HOSTS["wasmtime"]
            assert sub.userdata != 0


@hosts(*HOSTS.values())
def test_no_sources_and_a_timeout_is_a_sleep(run, quirks):
    result = run(quirks, {}, "poll:30", "select::::0.2", "select::::0", "swait:7", "poll:0")
    assert [*result.all("poll"), *result.all("swait")] == ["", "", ""]
    assert 30 <= result.took("poll")[0] < 32 and 0.2 <= result.took("select")[0] < 2
    assert 7 <= result.took("swait")[0] < 9


@hosts(*HOSTS.values())
def test_no_sources_and_no_timeout_is_an_error(run, quirks):
    commands = ["poll:none", "select::::none", "swait:none", "reg:5:", "poll:none"]
    result = run(quirks, {5: readable()}, *commands)
    answers = result.all("poll") + result.all("select") + result.all("swait")
    assert len(answers) == 4 and all("InvalidInput" in answer for answer in answers)


# ---- whole hosts


@hosts(*HOSTS.values())
@pytest.mark.parametrize("timeout", ["0", "200", "none"])
def test_every_host_tells_the_same(run, quirks, timeout):
    fds = {
        0: readable(type=CHARACTER, lag=50_000, data=3),
        4: idle(type=DIRECTORY),
        5: idle(type=REGULAR),
        6: readable(data=100),
        7: writable(),
        8: idle(),
        9: Descriptor(read=READY, write=READY, data=1),
    }
    wait = f"poll:{timeout}"
    commands = ["reg:0,4,6:IN", "reg:7:OUT", "reg:5,8-10:IN+OUT", wait, "unreg:5,10", "read:0", "read:6"]
    commands += [wait, "unreg:4", "mod:7:IN", "mod:9:OUT", wait, "mod:9:", "reg:6:OUT"]
    result = run(quirks, fds, *commands, "poll:20", f"select:7-9,9:9,8,7:6:{timeout}")
    assert result.all("poll") == [
        "0=IN 4=IN 6=IN 7=OUT 5=IN+OUT 9=IN+OUT 10=NVAL",
        "4=IN 7=OUT 9=IN+OUT",
        "9=OUT",
        "",
    ]
    assert result.one("select") == "9 9 / 9 7 / "


def test_a_host_without_poll_oneoff_is_an_error(run):
    result = run(dict(refuses=NOSYS), {5: readable()}, "reg:5:IN", "poll:0", "poll:none", "select::::5")
    for answer in result.all("poll") + result.all("select"):
        assert f"Unsupported {NOSYS} " in answer


def test_an_interrupted_wait_goes_on(run):
    result = run(dict(interrupts=3), {5: readable(at=50 * MS)}, "reg:5:IN", "poll:none", "poll:0")
    assert result.all("poll") == ["5=IN", "5=IN"]


# ---- what it costs


def cost(run, count, command, *, ready=1, times=40):
    """Host calls and instructions a wait."""
    fds = {10 + at: readable() if at < ready else idle() for at in range(count)}
    setup = [f"reg:10-{9 + count}:IN", f"sreg:10-{9 + count}:IN"]
    result = run({}, fds, *setup, command)
    told = result.one(command.split(":")[0])
    assert told.startswith(f"{ready * times} allocations 0 ")
    fuel = result.host.fuel[-times // 2 :]
    between = [before - after for before, after in zip(fuel, fuel[1:])]
    return len(result.host.calls) / times, sum(between) / len(between)


@pytest.mark.parametrize("command", ["loop:40:none", "loop:40:0", "loop:40:100", "sloop:40:none"])
def test_a_wait_costs_what_is_ready_and_one_host_call(run, command):
    few_calls, few = cost(run, 64, command)
    many_calls, many = cost(run, 2000, command)
    assert many < few * 1.1
    # The first wait asks what kind of host it is.
    assert few_calls <= 1 + 3 / 40 and many_calls <= 1 + 3 / 40


@pytest.mark.parametrize("command", ["loop:40:none", "loop:40:0", "sloop:40:none"])
def test_ten_times_as_much_that_is_ready_costs_at_most_ten_times(run, command):
    few_calls, few = cost(run, 200, command, ready=200)
    many_calls, many = cost(run, 2000, command, ready=2000)
    assert many <= few * 10
    assert few_calls <= 1 + 3 / 40 and many_calls <= 1 + 3 / 40


@pytest.mark.parametrize("ready", [1, 2000])
def test_select_of_the_same_list_asks_the_host_once_a_wait(run, ready):
    def select(count):
        fds = {10 + at: readable() if at < ready else idle() for at in range(count)}
        result = run({}, fds, f"selects:40:10-{9 + count}:::none")
        assert result.one("selects").startswith(f"{min(ready, count) * 40} allocations 0 ")
        fuel = result.host.fuel[-20:]
        between = [before - after for before, after in zip(fuel, fuel[1:])]
        # What the descriptors are is asked when they come, and not at each wait.
        assert result.host.other["fd_fdstat_get"] <= count + 8
        return len(result.host.calls) / 40, sum(between) / len(between)

    few_calls, few = select(200)
    many_calls, many = select(2000)
    assert many <= few * 10
    assert few_calls <= 1 + 3 / 40 and many_calls <= 1 + 3 / 40


def test_two_thousand_subscriptions(run):
    fds = {at: Descriptor(read=READY, write=NEVER if at % 2 else READY) for at in range(10, 2010)}
    result = run({}, fds, "reg:10-2009:IN+OUT", "poll:none", "select:10-2009:10-2009:10-2009:0")
    told = result.one("poll").split()
    assert len(told) == 2000 and told[:2] == ["10=IN+OUT", "11=IN"]
    read, write, except_ = result.one("select").split("/")
    assert [len(read.split()), len(write.split()), len(except_.split())] == [2000, 1000, 0]


def test_three_thousand_entries_of_one_descriptor(run):
    many = ",".join(["5"] * 3000)
    result = run({}, {5: readable()}, f"select:{many}:::none")
    assert len(result.one("select").split()) == 3000 + 2


@hosts(*HOSTS.values())
def test_a_thousand_waits_do_not_grow_the_memory(run, quirks):
    fds = {5: Descriptor(read=READY, write=READY), 6: idle(), 7: idle(type=REGULAR), 8: readable()}
    commands = ["reg:5-9:IN+OUT", "loop:3:0", "loop:1000:0", "loop:1000:none", "selects:1000:5,6,8:5:7:10"]
    result = run(quirks, fds, *commands)
    told = result.all("loop") + result.all("selects")
    assert all(" allocations 0 " in line for line in told[1:])
    assert len({line.split()[-1] for line in told}) == 1


@hosts(
    dict(waits="all"), dict(waits="all", both=False), dict(waits="all", both=False, grain=MS, nbytes=False),
    dict(waits="all", clocks="early"), dict(waits="first"),
)  # fmt: skip
@pytest.mark.parametrize(
    "before",
    [
        ["reg:5:IN+OUT", "reg:6:IN", "poll:100", "unreg:5,6"],  # all but a direction that the host hides
        ["reg:7,8:IN", "poll:100", "unreg:7,8"],  # an error
        ["reg:6,7:IN", "poll:100", "unreg:6,7"],  # the first one
        ["reg:7,9:IN", "poll:100", "unreg:7,9"],  # a clock that is early
    ],
)
def test_what_ends_a_wait_otherwise_is_not_taken_for_one_that_is_ready(run, quirks, before):
    both, later = Descriptor(read=READY, write=READY), readable(at=5 * MS)
    fds = {5: both, 6: readable(), 7: idle(), 8: writable(reads=False), 9: later}
    result = run(dict(quirks, wrong_direction="event"), fds, *before, "reg:7,6:IN", "poll:none")
    assert result.all("poll")[1:] == ["6=IN"]


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_changes_keeps_the_array_right(run, seed):
    import random

    random = random.Random(seed)
    quirks = dict(random.choice([{}, *HOSTS.values()]))
    fds = {}
    for fd in range(10, 30):
        fds[fd] = random.choice(
            [idle(), readable(), writable(), idle(type=REGULAR), Descriptor(read=READY, write=READY)]
        )
    model, commands, expected = {}, [], []
    for _ in range(120):
        fd = random.randrange(10, 33)
        wants = random.choice(["IN", "OUT", "IN+OUT", ""])
        if random.random() < 0.25:
            if fd in model:
                del model[fd]
                commands.append(f"unreg:{fd}")
        else:
            model[fd] = wants
            commands.append(f"reg:{fd}:{wants}")
        if random.random() < 0.3:
            commands.append("poll:0")
            expected.append(" ".join(filter(None, (told(fds, *item) for item in model.items()))))
    result = run(quirks, fds, *commands)
    assert result.all("poll") == expected


def told(fds, fd, wants):
    if fd not in fds:
        return f"{fd}=NVAL"
    fd_ = fds[fd]
    file = fd_.type == REGULAR
    ready = [name for name, at in (("IN", fd_.read), ("OUT", fd_.write)) if name in wants and (file or at == READY)]
    return f"{fd}={'+'.join(ready)}" if ready else ""
