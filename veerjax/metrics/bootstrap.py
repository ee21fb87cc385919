"""How sure a figure is: the logs are drawn again with replacement, and the figure is taken of each draw.

All that is measured of a log is held as sums that add over logs, so that a draw's figures follow from one matrix
product and the functions that give the figures of the whole set. Two methods judged on the same logs are drawn
together: the difference is paired.

Reference:
    Efron and Tibshirani 1993, An introduction to the bootstrap, chapter 13: the percentile interval.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Num

DRAWS = 10_000
LEVEL = 0.95
FEWEST = 2  # units that an interval needs
CHUNK = 500  # draws at a time; more only take memory
Sums = Mapping[str, Any]  # nested, of arrays whose first axis is the log
Figures = Callable[[Sums], dict[str, Any]]


def flat(figures: Mapping[str, Any], *, leading: int = 0, prefix: str = "") -> dict[str, np.ndarray]:
    """Nested figures by dotted key, the axes beyond the `leading` ones spread by index: `tolerance_f1.2.0`."""
    found: dict[str, np.ndarray] = {}
    for name, value in figures.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            found |= flat(value, leading=leading, prefix=f"{key}.")
            continue
        array = np.asarray(value, np.float64)
        for index in np.ndindex(array.shape[leading:]):
            found[".".join([key, *map(str, index)])] = array[(..., *index)]
    return found


def pooled_sums(sums: Sums) -> dict[str, Any]:
    """The sums over all logs, counts in int64."""
    return _mapped(sums, lambda leaf: leaf.sum(axis=0, dtype=np.int64 if leaf.dtype.kind in "iub" else np.float64))


def by_unit(sums: Sums, units: Sequence[Any]) -> dict[str, Any]:
    """The sums of logs that belong together, such as windows of a well; the units in order of appearance."""
    first = {unit: index for index, unit in enumerate(dict.fromkeys(units))}
    number = np.array([first[unit] for unit in units])

    def added(leaf: np.ndarray) -> np.ndarray:
        total = np.zeros((len(first), *leaf.shape[1:]))
        np.add.at(total, number, leaf)
        return total

    return _mapped(sums, added)


def draw_weights(units: int, *, draws: int = DRAWS, seed: int = 0) -> Float[np.ndarray, "draws units"]:
    """How often each unit is drawn in each of the draws."""
    return np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=draws).astype(np.float64)


def drawn_figures(sums: Sums, figures: Figures, weights: Float[np.ndarray, "draws units"]) -> dict[str, np.ndarray]:
    """The figures of each draw, by dotted key; NaN where fewer than `FEWEST` units have the figure.

    Drawing a single unit again gives the same figure each time, which would look like certainty.

    Args:
        sums: one entry for each unit
        figures: from sums with any leading axes to nested figures with the same
        weights: of `draw_weights`
    """
    parts = [flat(figures(resampled), leading=1) for resampled in _resampled(sums, weights)]
    drawn = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    units = {key: np.isfinite(value).sum() for key, value in flat(figures(sums), leading=1).items()}
    return {key: values if units[key] >= FEWEST else np.full_like(values, np.nan) for key, values in drawn.items()}


def interval(values: Num[np.ndarray, " draws"]) -> tuple[float, float]:
    """The middle 95 % of the draws; NaN where the figure is not defined in half of them."""
    known = values[np.isfinite(values)]
    if 2 * len(known) < len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _resampled(sums: Sums, weights: Float[np.ndarray, "draws units"]) -> Iterator[dict[str, Any]]:
    for start in range(0, len(weights), CHUNK):
        some = weights[start : start + CHUNK]

        def weighted(leaf: np.ndarray, some: np.ndarray = some) -> np.ndarray:
            flat_leaf = np.asarray(leaf, np.float64).reshape(len(leaf), -1)
            return (some @ flat_leaf).reshape(len(some), *leaf.shape[1:])

        yield _mapped(sums, weighted)


def _mapped(sums: Sums, function: Callable[[np.ndarray], np.ndarray]) -> dict[str, Any]:
    return {
        name: _mapped(leaf, function) if isinstance(leaf, Mapping) else function(np.asarray(leaf))
        for name, leaf in sums.items()
    }
