"""A reader that finds what a test has planted, so that nothing is compiled: scans, calibrations and their curves."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from veerjax.jobs.reader import ClassicalReader
from veerjax.tracing.joint import Crossing, TracedCurves, WantedCurve

SIZE = (300, 256)  # of a section [px], at the working width, so that nothing is rescaled
ROWS = np.arange(SIZE[0])
Plant = Callable[[Sequence[WantedCurve]], TracedCurves]


def traced(
    *x: Any, wrap: Any = 0, presence: Any = True, crossings: Sequence[Crossing] = (), **rows: Any
) -> TracedCurves:
    """Curves at the given x, with spans from row to row.

    Args:
        x: of each curve [px]
        wrap: of each curve, or of all
        presence: likewise
        crossings: of the curves
        rows: other row-wise parts
    """
    at = np.stack([np.broadcast_to(np.asarray(part, float), SIZE[:1]) for part in x])
    parts = {
        "lo": at - 0.5,
        "hi": at + 0.5,
        "occluded": np.zeros(at.shape, bool),
        "confidence": np.full(at.shape, 0.9),
    } | rows
    whole = {name: np.array(np.broadcast_to(part, at.shape)) for name, part in parts.items()}
    return TracedCurves(
        x=at,
        wrap=np.array(np.broadcast_to(wrap, at.shape), np.int32),
        presence=np.array(np.broadcast_to(presence, at.shape), bool),
        crossings=tuple(crossings),
        **whole,
    )


class PlantedReader(ClassicalReader):
    """Finds, track by track, what it was given; remembers what it was asked for."""

    calibrated = True

    def __init__(self, *plants: TracedCurves) -> None:
        object.__setattr__(self, "plants", list(plants))
        object.__setattr__(self, "asked", [])

    def trace_declared(self, working: Any, wanted: Any, *, left_px: float, right_px: float) -> TracedCurves:
        place = len(self.asked)
        self.asked.append((working.shape, tuple(wanted), left_px, right_px))
        return self.plants[place % len(self.plants)]

    plants: list[TracedCurves]
    asked: list[Any]
