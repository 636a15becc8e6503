"""The same promises in wasmtime and in Node, on the streams and files that they have."""

import os
import shutil
import subprocess
import time

import pytest
from conftest import ROOT
from host import BADF, Run

# As a core module of WASI 0.1, and as a component of WASI 0.2.
HOSTS = ["wasmtime", "node", "wasmtime 0.2", "jco"]

pytestmark = pytest.mark.timeout(300)  # the builds


@pytest.fixture(params=HOSTS)
def start(request, tmp_path):
    """Starts the program; its standard input is a pipe unless it is told otherwise."""
    if request.param in ("node", "jco") and not shutil.which("node"):
        pytest.skip("there is no command node")
    if request.param == "jco" and subprocess.run([ROOT / "scripts/run-jco", "--setup"]).returncode:
        pytest.skip("jco cannot be installed")
    built = "component" if request.param in ("wasmtime 0.2", "jco") else "program"
    program = request.getfixturevalue(built)

    def start(*commands, stdin=subprocess.PIPE):
        command = [*start.command, *commands]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=tmp_path, stdin=stdin, stdout=pipe, stderr=pipe, text=True
        )

    start.host = request.param
    start.command = [ROOT / f"scripts/run-{request.param.split()[0]}", program]
    return start


def ended(process, stdin=None):
    """What it printed; its standard input ends, unless it has ended."""
    output, errors = process.communicate(stdin, timeout=60)
    return Run(output, None, process.returncode and f"status {process.returncode}: {errors}")


@pytest.fixture
def run(start):
    def run(*commands, stdin=""):
        if isinstance(stdin, str):
            return ended(start(*commands), stdin)
        return ended(start(*commands, stdin=stdin))

    run.host = start.host
    return run


@pytest.fixture
def idle(start):
    """Runs with a standard input that stays open and empty."""

    def idle(*commands):
        read, write = os.pipe()
        try:
            return ended(start(*commands, stdin=read))
        finally:
            os.close(read)
            os.close(write)

    idle.host = start.host
    return idle


def without_hup(answer):
    """End of file is IN everywhere, and HUP beside it where the host says so."""
    return answer.replace("0=IN+HUP", "0=IN")


@pytest.mark.parametrize("timeout", ["0", "100", "none"])
def test_a_bad_descriptor_among_good_ones(idle, timeout):
    wait = f"poll:{timeout}"
    result = idle("reg:77:IN+OUT", "reg:0:IN", "reg:1:OUT", "reg:78:IN", wait, wait, f"select:0,78:1::{timeout}")
    assert result.all("poll") == ["77=NVAL 1=OUT 78=NVAL"] * 2
    assert "descriptor 78" in result.one("select") and f" {BADF} " in result.one("select")


def test_a_descriptor_that_was_closed(run, idle, tmp_path):
    (tmp_path / "file").write_text("")
    (fd,) = idle("open:file").all("open")
    result = idle("open:file", f"reg:{fd},0:IN", "reg:1:OUT", "poll:none", f"close:{fd}", "poll:none", "poll:0")
    assert result.all("poll") == [f"{fd}=IN 1=OUT", f"{fd}=NVAL 1=OUT", f"{fd}=NVAL 1=OUT"]
    # Node ends with a failed assertion of its own when 0 is closed. In jco standard input is one
    # resource, whoever asked for it: it ends the program that closes it and has a pollable of it.
    if run.host not in ("node", "jco"):
        result = run("reg:0:IN", "reg:1:OUT", "poll:none", "close:0", "poll:none", "poll:0", stdin="x")
        assert result.all("poll") == ["0=IN 1=OUT", "0=NVAL 1=OUT", "0=NVAL 1=OUT"]


@pytest.mark.parametrize("timeout", ["0", "0.2", "100", "none"])
def test_files_and_directories_are_always_ready(idle, tmp_path, timeout):
    (tmp_path / "file").write_text("")
    (fd,) = idle("open:file").all("open")
    wait = f"poll:{timeout}"
    result = idle("open:file", f"reg:{fd}:IN+OUT", "reg:0,3:IN", wait, "read:" + fd, wait, f"select:{fd},3,0:{fd}::{timeout}")
    assert result.all("poll") == [f"{fd}=IN+OUT 3=IN"] * 2
    assert result.one("read") == "0"
    assert result.one("select") == f"{fd} 3 / {fd} / "


@pytest.mark.parametrize("timeout", ["0", "0.2", "100", "none"])
@pytest.mark.parametrize("stdin", ["file", "empty", "/dev/null"])
def test_redirected_standard_input_is_ready(run, tmp_path, stdin, timeout):
    (tmp_path / "file").write_text("text")
    (tmp_path / "empty").write_text("")
    with open(tmp_path / stdin) as file:
        result = run("reg:0:IN", "reg:1:OUT", f"poll:{timeout}", "read:0", "read:0", f"poll:{timeout}", stdin=file)
    assert [without_hup(answer) for answer in result.all("poll")] == ["0=IN 1=OUT"] * 2
    assert result.all("read") == ["4" if stdin == "file" else "0", "0"]


@pytest.mark.parametrize("timeout", ["0", "100", "none"])
def test_a_closed_standard_input_is_ready(start, tmp_path, timeout):
    # The runners give the program an empty one then: what matters is that nothing hangs or fails.
    command = [*start.command, "reg:0:IN", f"poll:{timeout}", "read:0"]
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *command], cwd=tmp_path, stdout=subprocess.PIPE, text=True, timeout=60
    )
    result = Run(closed.stdout, None, closed.returncode)
    assert without_hup(result.one("poll")) == "0=IN"
    assert "error" in result.one("read") or result.one("read") == "0"


@pytest.mark.parametrize("timeout", ["0", "0.2", "100"])
def test_a_direction_that_a_stream_lacks(idle, timeout):
    wait = f"poll:{timeout}"
    result = idle("reg:0:OUT", "reg:1:IN", wait, wait, "mod:1:IN+OUT", wait, f"select:1,0:0,1::{timeout}")
    assert result.all("poll") == ["", "", "1=OUT"]
    assert result.one("select") == " / 1 / "


@pytest.mark.parametrize("timeout", ["0", "0.2", "100", "none"])
def test_a_timeout_tells_the_truth(start, timeout):
    wait = f"poll:{timeout}"
    process = start("reg:0:IN", "reg:1:OUT", wait, "read:0", wait, "unreg:1", "poll:none", "read:0", "poll:0")
    process.stdin.write("first")
    process.stdin.flush()
    while b"read" not in (line := process.stdout.readline().encode()):
        assert b"poll" in line
        assert b"0=IN 1=OUT" in line
    assert "1=OUT" in process.stdout.readline()
    process.stdin.write("second")
    process.stdin.flush()
    lines = [process.stdout.readline() for _ in range(3)]
    assert [line.split(": ")[1].strip() for line in lines] == ["0=IN", "6", ""]
    assert ended(process).error == 0


def test_an_idle_standard_input_does_not_keep_a_wait_from_ending(idle):
    result = idle("reg:0:IN", "reg:1:OUT", "poll:none", "poll:5000", "poll:0", "select:0:1::none")
    assert result.all("poll") == ["1=OUT"] * 3
    assert result.one("select") == " / 1 / "
    assert max(result.took("poll")) < 2000


def test_lines_that_arrive_end_waits(start):
    process = start("reg:0:IN", *["poll:none", "read:0"] * 3, "poll:none", "read:0")
    seen = []
    for text in ["a\n", "bb\n", "ccc\n", None]:
        time.sleep(0.05)
        if text is None:
            process.stdin.close()
        else:
            process.stdin.write(text)
            process.stdin.flush()
        seen += [process.stdout.readline().split(": ")[1].strip() for _ in range(2)]
    assert process.wait(60) == 0
    assert [without_hup(answer) for answer in seen[::2]] == ["0=IN"] * 4
    assert seen[1::2] == ["2", "3", "4", "0"]


def test_end_of_file_on_standard_input(run):
    result = run("reg:0:IN", "poll:none", "poll:0", "read:0", "poll:100", "select:0:::0", "swait:0", stdin="")
    assert [without_hup(answer) for answer in result.all("poll")] == ["0=IN"] * 3
    assert result.one("read") == "0" and result.one("select") == "0 /  / "


@pytest.mark.parametrize("timeout", [0.001, 0.1, 0.5, 0.999, 1, 3.3, 20])
def test_a_timeout_is_never_early(idle, timeout):
    times = 20
    wait = f"poll:{timeout}"
    commands = [wait] * times + ["reg:0:IN"] + [wait] * times + ["reg:2:IN"] + [wait] * times
    result = idle(*commands, *[f"select:0,2:0::{timeout}"] * times, f"swait:{timeout}")
    assert result.all("poll") == [""] * 3 * times
    for took in result.took("poll") + result.took("select") + result.took("swait"):
        assert took >= timeout


def test_no_sources(run):
    result = run("poll:30", "select::::0.3", "swait:5", "poll:none", "select::::none", "swait:none")
    slept, refused = result.all("poll")
    assert slept == "" and "InvalidInput" in refused
    slept, refused = result.all("select")
    assert slept == " /  / " and "InvalidInput" in refused
    slept, refused = result.all("swait")
    assert slept == "" and "InvalidInput" in refused
    for name, least in [("poll", 30), ("select", 0.3), ("swait", 5)]:
        assert result.took(name)[0] >= least


@pytest.mark.parametrize("timeout", ["0", "100", "none"])
def test_the_same_descriptor_for_reading_and_writing(run, idle, timeout):
    result = idle("reg:1:IN+OUT", f"poll:{timeout}", f"select:1:1::{timeout}", f"select:0,1,0:1,1::{timeout}")
    assert result.one("poll") == "1=OUT"
    assert result.all("select") == [" / 1 / ", " / 1 1 / "]
    result = run(f"select:0,0:1::{timeout}", "reg:0:IN+OUT", f"poll:{timeout}", stdin="x")
    assert result.one("select") == "0 0 / 1 / "
    assert without_hup(result.one("poll")) == "0=IN"


@pytest.mark.parametrize("timeout", ["0", "100", "none"])
def test_two_thousand_sources(run, timeout):
    many = "1000-2999"
    twice = ",".join(["0"] * 2000)
    commands = ["reg:0:IN", f"reg:{many}:IN+OUT", "reg:1:OUT", f"poll:{timeout}", f"select:{twice}:1::{timeout}"]
    result = run(*commands, stdin="x")
    told = without_hup(result.one("poll")).split()
    assert told[0] == "0=IN" and told[-1] == "1=OUT"
    assert told[1:-1] == [f"{fd}=NVAL" for fd in range(1000, 3000)]
    assert result.one("select") == f"{' '.join(['0'] * 2000)} / 1 / "


def test_a_thousand_waits_do_not_grow_the_memory(idle, tmp_path):
    (tmp_path / "file").write_text("")
    (fd,) = idle("open:file").all("open")
    result = idle(
        "open:file", f"reg:{fd},77:IN", "reg:0:IN", "reg:1:IN+OUT", "loop:3:0", "loop:1000:0", "loop:3:none",
        "loop:1000:none", f"selects:3:0,{fd}:1::10", f"selects:1000:0,{fd}:1::10", "sreg:0:IN", "sreg:1:OUT",
        "sloop:3:10", "sloop:1000:10",
    )  # fmt: skip
    told = result.all("loop") + result.all("selects") + result.all("sloop")
    assert [line for line in told if " allocations 0 " not in line] == []
    # What is registered takes room; waits take none.
    pages = [line.split()[-1] for line in told]
    assert len(pages) == 8 and pages[::2] == pages[1::2]
