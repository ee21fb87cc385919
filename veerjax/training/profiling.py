"""JAX's profiler around some steps of a training."""

from types import TracebackType
from typing import Any

import jax
from etils import epath

FOLDER = "profile"  # in the work directory; TensorBoard and Perfetto read it


class Profile:
    """Runs the profiler from after step `first` up to step `last`, or not at all."""

    def __init__(self, workdir: epath.Path, *, steps: tuple[int, int] | None) -> None:
        self._folder, self._steps = str(workdir / FOLDER), steps
        self._runs = False

    def __enter__(self) -> "Profile":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._end()

    def before(self, step: int) -> None:
        """Starts it before the first of its steps."""
        if self._steps is not None and not self._runs and self._steps[0] < step <= self._steps[1]:
            with jax.transfer_guard("allow"):
                jax.profiler.start_trace(self._folder)
            self._runs = True

    def after(self, step: int, state: Any) -> None:
        """Ends it after the last one, when the device is done with it."""
        if self._runs and self._steps is not None and step >= self._steps[1]:
            jax.block_until_ready(state)
            self._end()

    def _end(self) -> None:
        if self._runs:
            jax.profiler.stop_trace()
            self._runs = False
