"""One process at a time in a folder: a file that names its owner, held until the owner is done or dead."""

import errno
import fcntl
import json
import logging
import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from veerjax.errors import InputError

_log = logging.getLogger(__name__)
NO_LOCKS = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS}  # of file systems without flock


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A process that holds a lock."""

    pid: int
    host: str
    since: str  # when it took the lock
    started: str | None  # when the process began, in the system's own count; None where the system does not say

    def __str__(self) -> str:
        return f"process {self.pid} on host {self.host} since {self.since}"


@contextmanager
def held(path: Path, *, use: str, instead: str) -> Iterator[None]:
    """Holds a file that no other process holds at the same time, and removes it in the end.

    The system gives the lock back when its owner dies, however it dies: what a killed process left is free at once.
    On a file system without locks the process that the file names decides, and is looked for if it was on this host.

    Args:
        path: of the file, on a file system; its folder is made
        use: what the owner does, for the one who has to wait, such as `the work directory 'a' is in use`
        instead: what that one can do, such as `give another --workdir`

    Raises:
        InputError: another process holds it, or the folder cannot be made or written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = locked(path, use=use, instead=instead)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path.parent} cannot be written to ({reason}); {instead}.") from error
    with file:
        try:
            yield
        finally:
            if is_at(path, file):
                path.unlink(missing_ok=True)


def locked(path: Path, *, use: str, instead: str) -> IO[str]:
    """The file at `path`, open, this process's own, and saying so.

    Raises:
        InputError: another process holds it.
    """
    while True:
        try:
            file, made = opened(path)
        except FileNotFoundError:
            continue  # its owner removed it between the two ways of opening
        try:
            if is_mine(path, file, made=made, use=use, instead=instead):
                sign(path, file)
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def is_mine(path: Path, file: IO[str], *, made: bool, use: str, instead: str) -> bool:
    """Whether the open file is this process's own now; if not, another try may make it so.

    Raises:
        InputError: another process holds it.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = owner_in(file) or "another process"
        raise InputError(f"{use} by {owner}; wait until it is done, or {instead}.") from error
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        if not made:
            remove_if_stale(path, file, use=use, instead=instead)
        return made
    # Its owner may have removed it between the opening and the lock; then it is no longer the one others see.
    return is_at(path, file)


def opened(path: Path) -> tuple[IO[str], bool]:
    """The file, not emptied, since it may belong to another, and whether it was made by this call."""
    try:
        return path.open("x+"), True
    except FileExistsError:
        return path.open("r+"), False


def sign(path: Path, file: IO[str]) -> None:
    """Writes into the file that it is this process's."""
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    _, started = status_of(os.getpid())
    owner = Owner(pid=os.getpid(), host=socket.gethostname(), since=since, started=started)
    try:
        file.seek(0)
        file.truncate()
        file.write(json.dumps(asdict(owner)))
        file.flush()
    except OSError:
        path.unlink(missing_ok=True)
        raise


def owner_in(file: IO[str]) -> Owner | None:
    """Who a lock file names; None where it names nobody."""
    file.seek(0)
    try:
        return Owner(**json.load(file))
    except (ValueError, TypeError):
        return None


def remove_if_stale(path: Path, file: IO[str], *, use: str, instead: str) -> None:
    """Removes the lock file of a process that is dead, where only what the file says can tell.

    Raises:
        InputError: its owner lives, or may live on another host.
    """
    owner = owner_in(file)
    if owner is None or owner.host != socket.gethostname():
        whom, where = (owner, f"host {owner.host}") if owner else ("another process", "that process")
        hint = f"if {where} is gone, remove {str(path)!r}"
        raise InputError(f"{use} by {whom}; wait until it is done, or {instead}; {hint}.")
    if is_alive(owner):
        raise InputError(f"{use} by {owner}; wait until it is done, or {instead}.")
    # Moved away first: of several that find it at once only one can move it, and must see that it moved what it judged.
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}")
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return  # another did
    if is_at(aside, file):
        aside.unlink()
        _log.warning("%s was left behind by %s, which no longer runs; it is taken over.", path, owner)
    else:
        os.rename(aside, path)


def is_alive(owner: Owner) -> bool:
    """Whether a process of this host still runs, and is the one that was meant."""
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs, as another user
    state, started = status_of(owner.pid)
    return state != "Z" and (None in (started, owner.started) or started == owner.started)


def status_of(pid: int) -> tuple[str, str | None]:
    """A process's state letter, and when it began [clock ticks since the start of the system], as Linux tells."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "?", None
    return fields[0], fields[19]


def is_at(path: Path, file: IO[str]) -> bool:
    """Whether the open file is what lies at `path`."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
