"""A signal asks a training to save and stop, and makes sure that it stops in time."""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, NoReturn

GRACE_S = 25.0  # from the signal to the end; who sends SIGTERM sends SIGKILL after 30 s
STOPPED, KILLED = 75, 130  # exit codes
END = b"\0"  # is no signal
AGAIN = "The last saved step stands, and the same command goes on from there."


class StopRequest:
    """Turns SIGTERM and SIGINT into `requested`, which the loop asks for between steps.

    A main thread that is inside of C++, such as in a compilation, cannot ask: a thread of its own reads what the
    system's handler writes into a pipe, waits for `grace_s` seconds, and ends the process with exit code 75. So does
    a second SIGINT at once, with 130. A signal that is ignored stays ignored. Outside of the main thread, where Python
    takes no signals, it does nothing.
    """

    def __init__(self, *, grace_s: float = GRACE_S, again: str = AGAIN) -> None:
        """Listens from `with` on.

        Args:
            grace_s: seconds that a step may take to end
            again: what the user can do, where a process ends within a step
        """
        self.requested: str | None = None  # the signal's name
        self.meanwhile: str | None = None  # what is done where nobody asks: a signal then ends the process at once
        self._again = again
        self.farewell: Callable[[int, str], None] | None = None  # what is done with the exit code and sentence, first
        self._grace_s = grace_s
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            self._begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._handlers:
            self._end()

    def _begin(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            if signal.getsignal(number) is not signal.SIG_IGN:
                # The thread does the work: this one need only be there for Python to write into the pipe.
                self._handlers[number] = signal.signal(number, lambda *_: None)
        self._thread = threading.Thread(target=self._watch, name="veerjax-signals", daemon=True)
        self._thread.start()

    def _end(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.write(self._writer, END)
        self._thread.join()
        os.close(self._writer)
        os.close(self._reader)

    def _watch(self) -> None:
        """Reads the pipe until the end, or until the time is up."""
        deadline, interrupts = None, 0
        while True:
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            if not select.select([self._reader], [], [], left)[0]:
                self._stop(f"{self.requested} came, and no step ended within {self._grace_s:g} s", STOPPED)
            numbers = os.read(self._reader, 512)
            if END in numbers:
                return
            interrupts += numbers.count(signal.SIGINT)
            if interrupts > 1:
                self._stop("interrupted twice", KILLED)
            caught = [number for number in numbers if number in self._handlers]
            if caught and self.requested is None:
                self.requested = signal.Signals(caught[0]).name
                if self.meanwhile is not None:
                    self._stop(f"{self.requested} came while {self.meanwhile}", STOPPED)
                deadline = time.monotonic() + self._grace_s

    def _stop(self, reason: str, code: int) -> NoReturn:
        """Ends the process without waiting for any thread; a save under way is lost, those before it are not."""
        sentence = f"{reason}; stopped. {self._again}"
        print(f"\nveerjax: {sentence}", file=sys.stderr, flush=True)
        try:
            if self.farewell is not None:
                self.farewell(code, sentence)
        finally:
            os._exit(code)
