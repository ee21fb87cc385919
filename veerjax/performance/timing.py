"""Times of a step that is run again and again, each taken after its result is there."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds of each timed step; the median is what to quote, the 10th and 90th percentile say how noisy it is."""

    seconds: tuple[float, ...]

    @property
    def median_s(self) -> float:
        return float(np.median(self.seconds))

    @property
    def p10_s(self) -> float:
        return float(np.percentile(self.seconds, 10))

    @property
    def p90_s(self) -> float:
        return float(np.percentile(self.seconds, 90))


def timed(step: Callable[[], Any], *, warmup: int, steps: int, calls: int = 1) -> Timing:
    """Times a step after a warm-up, each sample until all arrays that it returns are computed.

    Args:
        step: what is timed
        warmup: samples that are run first and not timed
        steps: samples
        calls: of the step a sample, which is their mean; for what delivers in bursts
    """
    seconds = []
    for _ in range(warmup + steps):
        start = time.perf_counter()
        for _ in range(calls - 1):
            step()
        jax.block_until_ready(step())
        seconds.append((time.perf_counter() - start) / calls)
    seconds = seconds[warmup:]
    return Timing(seconds=tuple(seconds))
