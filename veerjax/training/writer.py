"""What a person watches: a progress bar, and a log of one JSON object a line."""

import json
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from tqdm import tqdm

LOG_FILE = "log.jsonl"
SHOWN = 3  # figures beside the bar


class Writer:
    """Appends to `<workdir>/log.jsonl` and draws the bar on stderr."""

    def __init__(self, workdir: Path, *, start: int, steps: int, batch: int) -> None:
        self._file = (workdir / LOG_FILE).open("a", encoding="utf-8")
        interval = 0.5 if sys.stderr.isatty() else 30.0
        self._bar = tqdm(total=steps, initial=start, unit="step", mininterval=interval, desc="train", file=sys.stderr)
        self._batch = batch
        self._last = (time.monotonic(), start)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._bar.close()
        self._file.close()

    def advance(self) -> None:
        """One step more."""
        self._bar.update()

    def log(self, step: int, values: dict[str, Any]) -> None:
        """One line in the log, with the rate since the last one; the bar shows the values."""
        now = time.monotonic()
        seconds, done = now - self._last[0], step - self._last[1]
        rate = {"examples_per_s": round(done * self._batch / seconds, 2)} if done and seconds else {}
        self._last = (now, step)
        self._file.write(json.dumps({"step": step, **values, **rate}) + "\n")
        self._file.flush()
        shown = [(name, value) for name, value in values.items() if isinstance(value, float)][:SHOWN]
        self._bar.set_postfix({name: f"{value:.3f}" for name, value in shown})
