"""`run.json` in a work directory: what each start of a training was, and how it ended."""

import json
import logging
import os
import platform
import shlex
import socket
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
from etils import epath

from veerjax.config import Config
from veerjax.errors import InputError
from veerjax.models.blocks import compute_dtype
from veerjax.training.whole import write_whole
from veerjax.version import __version__

_log = logging.getLogger(__name__)
FILE = "run.json"
LIBRARIES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint")
GIT_S = 10  # at most, for an answer


class Record:
    """Adds a start to `<workdir>/run.json`, and in the end how it ended; what was killed has ended as null."""

    def __init__(
        self,
        workdir: str | Path | epath.Path,
        config: Config,
        *,
        start: int,
        init_from: str | None = None,
        devices: int | None = None,
    ) -> None:
        """Writes the start.

        Args:
            workdir: of the training, there already
            config: of the run
            start: step that it goes on from
            init_from: weights that it began with
            devices: that it uses; all by default

        Raises:
            InputError: it cannot be written.
        """
        self._path = epath.Path(workdir) / FILE
        self._starts = [*starts_in(self._path), start_of(config, step=start, init_from=init_from, devices=devices)]
        try:
            self._write()
        except OSError as error:
            raise InputError(
                f"{self._path} cannot be written ({error.strerror or error}); make room or give another --workdir."
            ) from error

    def end(self, text: str) -> None:
        """Says how this start ended, such as `done`, where that can still be written."""
        self._starts[-1]["ended"] = text
        self._starts[-1]["ended_at"] = now()
        try:
            self._write()
        except OSError as error:
            _log.warning("%s cannot be written (%s).", self._path, error.strerror or error)

    def _write(self) -> None:
        write_whole(self._path, (json.dumps({"schema": 1, "starts": self._starts}, indent=2) + "\n").encode())


def starts_in(path: epath.Path) -> list[dict[str, Any]]:
    """The starts that a record tells of; one that cannot be read is laid aside."""
    if not path.exists():
        return []
    try:
        return list(json.loads(path.read_text())["starts"])
    except (ValueError, KeyError, TypeError):
        aside = path.with_name(f"{FILE}.unreadable")
        path.replace(aside)
        _log.warning("%s could not be read; it is now %s.", path, aside)
        return []


def start_of(config: Config, *, step: int, init_from: str | None, devices: int | None) -> dict[str, Any]:
    """All that a start depends on besides the config, which lies beside it."""
    flags = os.environ.get("XLA_FLAGS", "")
    return {
        "time": now(),
        "step": step,
        "command": shlex.join(sys.argv),
        "init_from": init_from,
        "seed": config.seed,
        "dtype": compute_dtype(config.model.dtype).name,
        "versions": versions(),
        "git": git_commit(Path(__file__).parent),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count() if devices is None else devices,
        "processes": jax.process_count(),
        "xla_flags": flags,
        "deterministic_flags": [flag for flag in flags.split() if "determinis" in flag],
        "ended": None,
    }


def versions() -> dict[str, str | None]:
    """Of Python, veerjax and the libraries that compute; null where one is missing."""
    found: dict[str, str | None] = {"python": platform.python_version(), "veerjax": __version__}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def git_commit(folder: Path) -> str | None:
    """The commit of the checkout that tracks a folder, with `+changes` where files differ from it; None without one."""
    # A checkout around an installed package, such as that of a virtual environment in it, does not track the package.
    if not _git(folder, "ls-files", "--", "."):
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    return commit and commit + ("+changes" if _git(folder, "status", "--porcelain") else "")


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def now() -> str:
    """The time in UTC, in ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
