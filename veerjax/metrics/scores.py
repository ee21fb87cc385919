"""All that is measured of a log, as sums that add over logs, and the figures that follow from sums.

A part is two functions: `sums` of one example inside jit, and `figures` of sums with any leading axes on the host. So
pooled figures, figures of each log and figures of bootstrap draws come from the same code. The parts are in
`metrics.parts`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax

from veerjax.tracing.trace import Trace
from veerjax.types import Batch, Prediction

# Figures with one of these words are better when they are lower.
ERRORS = ("error", "swaps", "wrong", "surface_px", "distance_px", "mae", "rmse", "lag", "values.p95")
# Those with one of these say what there was, or which way it leans: neither more nor less of them is better.
UNGRADED = (".rows", ".logs", ".calibration.", "ceiling", "chance", "bias")


def graded(key: str) -> bool:
    """Whether more or less of a figure, by its dotted key, is better at all."""
    return not any(word in f".{key}." for word in UNGRADED)


def lower_is_better(key: str) -> bool:
    """Whether less of a figure, by its dotted key, is better."""
    return any(word in key for word in ERRORS)


@dataclass(frozen=True)
class Part:
    """Some metrics that are measured together."""

    sums: Callable[[Prediction, Trace, Batch], dict[str, Any]]  # of one example, without batch axis
    figures: Callable[[Mapping[str, Any]], dict[str, Any]]  # of sums with any leading axes


def measure(
    prediction: Prediction, found: Trace, batch: Batch, *, parts: Mapping[str, Part]
) -> dict[str, dict[str, Any]]:
    """The sums of each part, example by example.

    Args:
        prediction: what a method says of the pixels
        found: the polylines it reads
        batch: the truth
        parts: what to measure
    """

    def one(prediction: Prediction, found: Trace, batch: Batch) -> dict[str, dict[str, Any]]:
        return {name: part.sums(prediction, found, batch) for name, part in parts.items()}

    return jax.vmap(one)(prediction, found, batch)


def figures_of(sums: Mapping[str, Any], *, parts: Mapping[str, Part]) -> dict[str, Any]:
    """The figures of all parts, side by side.

    Args:
        sums: of `measure`, with any leading axes
        parts: those that were measured
    """
    figures: dict[str, Any] = {}
    for name, part in parts.items():
        figures |= part.figures(sums[name])
    return figures
