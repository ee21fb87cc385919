"""What ends one process of a training ends them all, with the same sentence and exit code."""

import json
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from veerjax.training import hosts

EVERY_S = 1.0  # that a process looks whether another has ended
OWN_S = 5.0  # that it is given to end by itself, as it does where all find the same
WORDS_S = 2.5  # that one about to be killed waits for the others to hear it


class Ending:
    """Listens for the end of others, and tells them of this one's.

    A process that cannot go on, such as the one whose disk is full, leaves the others waiting for it inside of C++. So
    a thread looks for what it has said last, says it too, and ends the process.
    """

    def __init__(self, announce: Callable[[int], None]) -> None:
        """Listens from `listen` on.

        Args:
            announce: told the exit code before this process leaves the others, which the runtime may abort
        """
        self._announce = announce
        self._mine = threading.Event()  # set when this process ends by itself
        self._thread = threading.Thread(target=self._listen, name="veerjax-ending", daemon=True)

    def listen(self) -> None:
        """Begins, once the others are found."""
        if not hosts.alone():
            self._thread.start()

    def close(self) -> None:
        """No longer listens: this process ends in order."""
        self._mine.set()
        if self._thread.is_alive():
            self._thread.join()

    def tell(self, code: int, sentence: str, *, wait_s: float = OWN_S) -> None:
        """Says to the others that this process ends, and why; where another was first, nothing.

        Args:
            code: exit code
            sentence: why
            wait_s: that the others are given to end by themselves
        """
        self._mine.set()
        if not hosts.alone():
            by = hosts.name_of(hosts.me(), socket.gethostname())
            said = {"by": by, "code": code, "sentence": sentence, "wait_s": wait_s}
            hosts.last_words(json.dumps(said))

    def tell_and_wait(self, code: int, sentence: str) -> None:
        """The same where this process is about to end without leaving in order: the first one serves the others."""
        self.tell(code, sentence, wait_s=0)
        if not hosts.alone():
            threading.Event().wait(WORDS_S)

    def _listen(self) -> None:
        while not self._mine.wait(EVERY_S):
            words = hosts.heard_last_words()
            if words is None:
                continue
            said = json.loads(words)
            if self._mine.wait(said["wait_s"]):
                return
            print(f"\nveerjax: {said['by']}: {said['sentence']}", file=sys.stderr, flush=True)
            self._announce(said["code"])
            with suppress(Exception):
                hosts.leave()
            os._exit(said["code"])
