"""The small parent of a process that works with others: it puts into words what the runtime cannot say in Python.

Where another process is gone, JAX's runtime aborts its own in C++, out of Python's reach. So the command runs itself
once more, as a child that does the work: what Python says there goes to the terminal as ever, what the runtime says
goes to a file, and the parent has the last word. Nothing heavy is imported here.
"""

import ctypes
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

PIPE, RUNTIME_LOG = "VEERJAX_CHILD_PIPE", "VEERJAX_CHILD_LOG"  # environment of a child: its line to the parent; a file
PARENT_DIED = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>
# Between two looks: a signal that comes just before a call that waits would otherwise be passed on after it.
LOOK_S = 0.1
LOST = 76  # a child's exit code where another process is gone; the parent turns it into 1
STATUS = re.compile(r"absl::Status: (.+)")
CHECK = (
    "see that all are started (under Slurm by srun), with the same --coordinator and --num-processes and each with its "
    "own --process-id where these are given, and that nothing keeps them apart."
)
CRASHES = (-signal.SIGABRT, -signal.SIGSEGV, LOST)  # of the runtime


def supervised(*, who: str, where: str, workdir: str | None, again: str, timeout_s: int) -> int:
    """Runs this program as a child, and returns its exit code; for one that has none to give, 1 or 2 with a sentence.

    Args:
        who: this process, in words
        where: where it looks for the others, in words
        workdir: where the runtime's own words are kept when they matter; a remote one has no place for them
        again: what the user can do where another process is gone
        timeout_s: for finding the others
    """
    with tempfile.TemporaryDirectory(prefix="veerjax-") as folder:
        log = Path(folder) / "runtime.log"
        with started(log) as (child, line):
            with passed_on(child):
                said = heard(line, until="joined", timeout_s=timeout_s)
                if said is None:
                    child.kill()  # the runtime would take twice the time, and then abort
                while child.poll() is None:
                    time.sleep(LOOK_S)
            if said is None:
                return ended(2, f"{who} did not find the others at {where} within {timeout_s} s; {CHECK}")
            said += heard(line, until=None, timeout_s=None) or ""
        if announced := re.search(r"ends (\d+)", said):
            return int(announced[1])  # whatever the runtime made of its end
        if child.returncode in CRASHES and "joined" not in said:
            status = STATUS.search(log.read_text(errors="replace"))
            return ended(2, f"{who} could not join the others at {where} ({status[1] if status else 'abort'}); {CHECK}")
        if child.returncode in CRASHES:
            return ended(1, f"another process is gone or out of reach, so {who} has ended{kept(log, workdir)}. {again}")
        if child.returncode < 0:
            name = signal.Signals(-child.returncode).name
            return ended(1, f"{who} was ended by {name}. {again}")
        return child.returncode


@contextmanager
def started(log: Path) -> "Iterator[tuple[subprocess.Popen[bytes], int]]":
    """The child, and the end of the pipe on which it says how far it is."""
    line, far_end = os.pipe()
    environment = {**os.environ, PIPE: str(far_end), RUNTIME_LOG: str(log)}
    command = [sys.executable, *sys.orig_argv[1:]]
    try:
        # In a group of its own: of a Ctrl-C in the terminal it gets the one that is passed on, and no other.
        child = subprocess.Popen(command, env=environment, pass_fds=(far_end,), process_group=0)
        os.close(far_end)
        yield child, line
    finally:
        os.close(line)


@contextmanager
def passed_on(child: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Gives the child the signals that this process gets; one that is ignored stays ignored."""

    def give(number: int, _: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            child.send_signal(number)

    numbers = [n for n in (signal.SIGTERM, signal.SIGINT) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, give) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def heard(line: int, *, until: str | None, timeout_s: float | None) -> str | None:
    """What the child says until it says a word, or ends; None if the time is up before."""
    said, deadline = "", None if timeout_s is None else time.monotonic() + timeout_s
    while until is None or until not in said:
        if not select.select([line], [], [], LOOK_S)[0]:
            if deadline is not None and time.monotonic() > deadline:
                return None
            continue
        piece = os.read(line, 512).decode()
        if not piece:
            break
        said += piece
    return said


def kept(log: Path, workdir: str | None) -> str:
    """Moves the runtime's words into the work directory, and says where they are; nothing where there are none."""
    if workdir is None or "://" in workdir:
        return ""
    folder = Path(workdir)
    if not folder.is_dir() or not log.exists():
        return ""
    place = folder / f"runtime-{os.uname().nodename}-{os.getpid()}.log"
    try:
        shutil.copyfile(log, place)
    except OSError:
        return ""
    return f" (what the runtime said is in {place})"


def ended(code: int, sentence: str) -> int:
    """Says the last word, and gives back the exit code."""
    print(f"\nveerjax: {sentence}", file=sys.stderr, flush=True)
    return code


def is_child() -> bool:
    """Whether this process is one that a parent has started."""
    return PIPE in os.environ


def begin() -> None:
    """In the child, first of all: ends with its parent, and keeps what C++ writes out of what Python writes."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PARENT_DIED, signal.SIGKILL)
    log = os.open(os.environ[RUNTIME_LOG], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in ("stdout", "stderr"):
        number = getattr(sys, stream).fileno()
        shown = os.fdopen(os.dup(number), "w", buffering=1, errors="backslashreplace")
        os.dup2(log, number)
        setattr(sys, stream, shown)
    os.close(log)


def say(word: str) -> None:
    """Tells the parent how far the child is: `joined`, or `ends CODE`."""
    with suppress(OSError):
        os.write(int(os.environ[PIPE]), f"{word}\n".encode())
