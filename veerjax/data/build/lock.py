"""One builder of a folder at a time."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from veerjax.errors import InputError


@contextmanager
def builder_lock(path: Path) -> Iterator[None]:
    """Holds a file that no other process holds at the same time, and removes it in the end.

    The system gives the lock back when its owner dies, however it dies: what a killed builder left is free at once.
    The file names its owner for the one who has to wait.

    Raises:
        InputError: another process is building here, or the folder cannot be made or written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = locked(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path.parent} cannot be written to ({reason}); give another data folder.") from error
    with opened as file:
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def locked(path: Path) -> IO[str]:
    """The file at `path`, open and locked.

    Raises:
        InputError: another process has locked it.
    """
    while True:
        # Opened without emptying it: until the lock is had, it belongs to another.
        file = path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            owner = file.read() or "another process"
            file.close()
            raise InputError(
                f"{path.parent} is being built by {owner}; wait until it is done, or give another data folder."
            ) from error
        # Its owner may have removed it between the opening and the lock; then it is no longer the one others see.
        if is_at(path, file):
            file.truncate(0)
            return file
        file.close()


def is_at(path: Path, file: IO[str]) -> bool:
    """Whether the open file is what lies at `path`."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
