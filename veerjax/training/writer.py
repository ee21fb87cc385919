"""What a person watches: a progress bar, a log of one JSON object a line, and TensorBoard."""

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from types import TracebackType

import numpy as np
from etils import epath
from jaxtyping import Float, UInt8
from tqdm import tqdm

from veerjax.errors import InputError
from veerjax.training.appended import Lines
from veerjax.training.events import Events

LOG_FILE = "log.jsonl"
SHOWN = 3  # figures beside the bar
PICTURES = 100  # of a name over a whole run, at most
COLOURS = ((205, 20, 20), (20, 60, 215))  # curve 1, curve 2, as in all reports
PALE, TINT = 0.55, 0.85  # of the scan's contrast that is left, and of its colour that a sure pixel loses


class Writer:
    """Adds to `<workdir>/log.jsonl` and `<workdir>/tensorboard`, and draws the bar on stderr.

    A run that goes on adds the line `{"step": STEP, "resumed": true}` and keeps what is there, even of later steps:
    of a figure that stands twice for a step, the last one counts.
    """

    def __init__(self, workdir: str | PathLike[str], *, start: int, steps: int, batch: int) -> None:
        """Opens all.

        Args:
            workdir: local or remote
            start: step that the run goes on from
            steps: at its end
            batch: examples a step

        Raises:
            InputError: they cannot be written.
        """
        self._workdir, self._batch = epath.Path(workdir), batch
        self._last = (time.monotonic(), start)
        self._steps, self._pictured = steps, dict[str, int]()
        with self._written():
            self._lines = Lines(self._workdir / LOG_FILE)
            if not self._lines.is_new:
                self._lines.add(json.dumps({"step": start, "resumed": True}))
            self._events = Events(self._workdir, start=start)
        interval = 0.5 if sys.stderr.isatty() else 30.0
        self._bar = tqdm(total=steps, initial=start, unit="step", mininterval=interval, desc="train", file=sys.stderr)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._bar.close()
        try:
            with self._written():
                try:
                    self._lines.flush()
                finally:
                    self._events.close()
        except InputError:
            if error is None:
                raise

    def advance(self, *, stage: str | None = None) -> None:
        """One step more.

        Args:
            stage: of the curriculum, shown before the bar
        """
        if stage is not None and self._bar.desc != f"train {stage}: ":
            self._bar.set_description(f"train {stage}", refresh=False)
        self._bar.update()

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """One line in the log, with the rate since the last one; the bar shows the first values.

        Raises:
            InputError: it cannot be written, such as on a full disk.
        """
        now = time.monotonic()
        seconds, done = now - self._last[0], step - self._last[1]
        rate = {"examples_per_s": round(done * self._batch / seconds, 2)} if done > 0 and seconds > 0 else {}
        self._last = (now, step)
        known = {name: value if math.isfinite(value) else None for name, value in {**values, **rate}.items()}
        with self._written():
            self._lines.add(json.dumps({"step": step, **known}))
            self._events.scalars(step, {name: value for name, value in known.items() if value is not None})
        self._bar.set_postfix({name: f"{value:.3f}" for name, value in list(values.items())[:SHOWN]})

    def picture(self, step: int, name: str, image: UInt8[np.ndarray, "height width 3"]) -> None:
        """A picture for TensorBoard; one that comes soon after the last of its name is left out.

        Raises:
            InputError: it cannot be written, such as on a full disk.
        """
        last = self._pictured.get(name)
        if last is None or step == self._steps or step - last >= self._steps / PICTURES:
            self._pictured[name] = step
            with self._written():
                self._events.picture(step, name, image)

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(
                f"the log in {self._workdir} cannot be written ({error.strerror or error}); the last saved step "
                "stands: make room, and the same command goes on from there."
            ) from error


class NoWriter:
    """A process's writer where another process writes."""

    def advance(self, *, stage: str | None = None) -> None: ...

    def log(self, step: int, values: Mapping[str, float]) -> None: ...

    def picture(self, step: int, name: str, image: UInt8[np.ndarray, "height width 3"]) -> None: ...


def overlays(
    image: Float[np.ndarray, "batch height width channels"], masks: Float[np.ndarray, "batch 2 height width"]
) -> UInt8[np.ndarray, "height row 3"]:
    """The images in a row, pale, with what is seen of curve 1 in red and of curve 2 in blue.

    Args:
        image: 0 black to 1 white, grey or red, green and blue
        masks: probability that the pixel is ink of that curve
    """
    batch, height, width, _ = image.shape
    picture = 1 - PALE * (1 - np.broadcast_to(np.clip(np.asarray(image, np.float32), 0, 1), (batch, height, width, 3)))
    share = TINT * np.clip(np.nan_to_num(np.asarray(masks, np.float32)), 0, 1)
    # What is left of the scan, and the colours by their shares: a pixel of both is violet.
    scale = np.maximum(share.sum(axis=1, keepdims=True) / TINT, 1)
    share = share / scale
    tint = np.einsum("bkhw,kc->bhwc", share, np.asarray(COLOURS, np.float32) / 255)
    tinted = picture * (1 - share.sum(axis=1))[..., None] + tint
    rows = np.moveaxis(tinted, 0, 1).reshape(height, batch * width, 3)
    return np.round(rows * 255).astype(np.uint8)
