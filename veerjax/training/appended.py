"""A text file that grows by lines, also where files cannot grow."""

import os
import time

from etils import epath

REWRITE_S = 30.0  # between two versions of a remote file


class Lines:
    """Adds lines to a file, behind what an earlier process has written.

    A remote object cannot be appended to, so it is kept in memory and written anew, at most every half minute and in
    the end. A line that a killed process has left unfinished is closed, so that the next one begins a line.
    """

    def __init__(self, path: epath.Path) -> None:
        self._path, self._is_remote = path, "://" in os.fspath(path)
        before = path.read_text() if path.exists() else ""
        self.is_new = not before
        self._written = before if self._is_remote else ""
        self._pending = "" if self.is_new or before.endswith("\n") else "\n"
        self._next = 0.0  # when a remote file is written again

    def add(self, line: str) -> None:
        """One line more.

        Raises:
            OSError: such as a full disk.
        """
        self._pending += f"{line}\n"
        if not self._is_remote or time.monotonic() >= self._next:
            self.flush()

    def flush(self) -> None:
        """Writes what is pending.

        Raises:
            OSError: such as a full disk.
        """
        if not self._pending.strip():
            return
        if self._is_remote:
            self._written += self._pending
            self._path.write_text(self._written)
            self._next = time.monotonic() + REWRITE_S
        else:
            with self._path.open("a") as file:
                file.write(self._pending)
        self._pending = ""
