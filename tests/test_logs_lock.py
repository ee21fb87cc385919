"""One process at a time: who holds a folder is named, and what the dead left behind is free."""

import errno
import fcntl
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from veerjax.errors import InputError
from veerjax.logs import lock
from veerjax.logs.lock import held

HOLD = """
import errno, fcntl, sys
from pathlib import Path
from veerjax.logs.lock import held

def none(*_):
    raise OSError(errno.ENOTSUP, "not supported")

if sys.argv[2] == "without":
    fcntl.flock = none
with held(Path(sys.argv[1]), use="it is in use", instead="give another"):
    print("held", flush=True)
    sys.stdin.read()
"""
NAMED = {"use": "the work directory 'runs/a' is in use", "instead": "give another --workdir"}


@pytest.fixture(params=["with", "without"])
def flock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether the file system has locks."""
    if request.param == "without":
        without_flock(monkeypatch)
    return request.param


def without_flock(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", none)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "here" / "a.lock"


@pytest.fixture
def owner(path: Path, flock: str) -> Iterator[subprocess.Popen]:
    """A live process that holds the lock."""
    command = [sys.executable, "-c", HOLD, str(path), flock]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def test_a_lock_that_another_process_holds_is_not_had_and_names_its_owner(path: Path, owner: subprocess.Popen) -> None:
    sentence = (
        rf"the work directory 'runs/a' is in use by process {owner.pid} on host {socket.gethostname()} since "
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC; wait until it is done, or give another --workdir\.$"
    )
    with pytest.raises(InputError, match=sentence), held(path, **NAMED):
        pass
    assert path.exists()


def test_the_lock_of_a_killed_process_is_free(path: Path, owner: subprocess.Popen) -> None:
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait(60)
    assert path.exists()
    with held(path, **NAMED):
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert not list(path.parent.iterdir())


def test_a_process_that_died_but_was_not_waited_for_holds_nothing(path: Path, owner: subprocess.Popen) -> None:
    os.kill(owner.pid, signal.SIGKILL)
    os.waitid(os.P_PID, owner.pid, os.WEXITED | os.WNOWAIT)
    with held(path, **NAMED):
        assert json.loads(path.read_text())["pid"] == os.getpid()


@pytest.mark.usefixtures("flock")
def test_a_lock_is_given_back_after_an_error(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), held(path, **NAMED):
        raise ZeroDivisionError
    with held(path, **NAMED), pytest.raises(InputError, match="is in use by process"), held(path, **NAMED):
        pass
    assert not path.exists()


@pytest.fixture
def left(path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Leaves a lock file of this very process behind, but for what is changed, where there are no locks."""
    without_flock(monkeypatch)

    def leave(**changed: object) -> None:
        path.unlink(missing_ok=True)
        with held(path, **NAMED):
            text = path.read_text()
        path.write_text(json.dumps({**json.loads(text), **changed}))

    return leave


def test_without_locks_a_number_that_was_given_to_another_process_is_stale_and_it_is_said(
    path: Path, left: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    left()
    with pytest.raises(InputError, match="is in use by process"), held(path, **NAMED):
        pass
    left(started="1")
    with caplog.at_level(logging.WARNING), held(path, **NAMED):
        pass
    assert f"was left behind by process {os.getpid()} on host" in caplog.text
    assert not list(path.parent.iterdir())


def test_without_locks_another_hosts_file_is_not_judged_but_named(path: Path, left: Callable[..., None]) -> None:
    left(host="elsewhere", pid=1)
    sentence = r"by process 1 on host elsewhere since .*; if host elsewhere is gone, remove '.*a\.lock'\.$"
    with pytest.raises(InputError, match=sentence), held(path, **NAMED):
        pass
    path.write_text("")
    sentence = r"by another process; .*; if that process is gone, remove '.*a\.lock'\.$"
    with pytest.raises(InputError, match=sentence), held(path, **NAMED):
        pass
    assert path.exists()


def test_of_many_that_find_a_stale_lock_one_at_a_time_has_it(path: Path, left: Callable[..., None]) -> None:
    left(started="1")
    inside, most, had = [], [], []

    def try_it() -> None:
        for _ in range(20):
            try:
                with held(path, **NAMED):
                    inside.append(1)
                    most.append(len(inside))
                    had.append(1)
                    inside.pop()
            except InputError:
                pass

    threads = [threading.Thread(target=try_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert had
    assert max(most) == 1


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    sentence = r"file cannot be written to \(File exists\); give another --workdir"
    with pytest.raises(InputError, match=sentence), held(tmp_path / "file" / "a.lock", **NAMED):
        pass

    def full(*_: object) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(lock.json, "dumps", full)
    sentence = r"cannot be written to \(No space left on device\)"
    with pytest.raises(InputError, match=sentence), held(tmp_path / "a.lock", **NAMED):
        pass
    assert not (tmp_path / "a.lock").exists()
