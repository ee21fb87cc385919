"""A run folder says what each start was and how it ended."""

import errno
import json
import logging
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import jax
import pytest

from veerjax.config import Config
from veerjax.errors import InputError
from veerjax.training import record
from veerjax.training.record import FILE, Record, git_commit
from veerjax.version import __version__

CONFIG = replace(Config(name="tiny"), seed=7)


def starts(workdir: Path) -> list[dict]:
    return json.loads((workdir / FILE).read_text())["starts"]


def test_each_start_is_added_with_all_that_it_depends_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_deterministic_ops=true --xla_other=1")
    monkeypatch.setattr("sys.argv", ["veerjax", "train", "--workdir", "a b"])
    Record(tmp_path, CONFIG, start=0, init_from="release", devices=2).end("done")
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    [first] = starts(tmp_path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", first["time"])
    assert first["versions"]["jax"] == jax.__version__
    assert first["versions"]["veerjax"] == __version__
    told = {name: first[name] for name in ("step", "command", "init_from", "seed", "dtype", "devices", "processes")}
    assert told == {
        "step": 0,
        "command": "veerjax train --workdir 'a b'",
        "init_from": "release",
        "seed": 7,
        "dtype": "float32",
        "devices": 2,
        "processes": 1,
    }
    assert first["deterministic_flags"] == ["--xla_gpu_deterministic_ops=true"]
    assert first["ended"] == "done"


def test_a_start_that_was_killed_has_no_end_and_the_next_is_added_behind_it(tmp_path: Path) -> None:
    Record(tmp_path, CONFIG, start=0)
    second = Record(tmp_path, CONFIG, start=40)
    assert [(start["step"], start["ended"]) for start in starts(tmp_path)] == [(0, None), (40, None)]
    second.end("stopped on SIGTERM at step 60")
    assert [start["ended"] for start in starts(tmp_path)] == [None, "stopped on SIGTERM at step 60"]


def test_a_record_that_cannot_be_read_is_laid_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FILE).write_text("{")
    with caplog.at_level(logging.WARNING):
        Record(tmp_path, CONFIG, start=0)
    assert "run.json could not be read; it is now" in caplog.text
    assert (tmp_path / f"{FILE}.unreadable").read_text() == "{"
    assert len(starts(tmp_path)) == 1


def test_a_full_disk_is_refused_at_the_start_and_said_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    kept = Record(tmp_path, CONFIG, start=0)
    monkeypatch.setattr(record, "write_whole", full)
    kept.end("done")
    assert "run.json cannot be written (No space left on device)" in caplog.text
    with pytest.raises(InputError, match=r"run\.json cannot be written \(No space left on device\); make room"):
        Record(tmp_path, CONFIG, start=0)
    assert [start["ended"] for start in starts(tmp_path)] == [None]


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_the_commit_of_a_checkout_and_whether_it_was_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit(tmp_path) is None
    git(tmp_path, "init")
    package = tmp_path / "package"
    package.mkdir()
    (package / "file").write_text("1")
    assert git_commit(package) is None  # the checkout is another's, such as one that a virtual environment lies in
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD").strip()
    assert git_commit(package) == commit
    (package / "file").write_text("2")
    assert git_commit(package) == f"{commit}+changes"
    monkeypatch.setenv("PATH", "")
    assert git_commit(package) is None
