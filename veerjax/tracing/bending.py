"""How sharply curves bend: the likelihood of one as a smoothing spline, and which of two alike is the rougher one.

Reference:
    Wahba 1978, Improper priors, spline smoothing and the problem of guarding against model errors in regression.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float

NOISE_PX = 0.2  # of the middle of a stretch of ink, less what it says of the curve
BENDING = np.logspace(-5, 1, 7)  # [px^2/row^3] how fast the variance of the slope may grow, alike likely beforehand
WINDOW_ROWS, LEAST_ROWS = 24, 8  # of the stretches that tell how rough a curve is
PRIOR_WINDOWS = 2.0  # that count for all of `BENDING` alike
WEIGHT = 0.5  # of a window's likelihood: those of one curve are no independent witnesses
KEPT_SPLINES = 256  # the same few patterns of rows come again and again
UNSURE, MOST = 2.0, 4.0  # [nats] what the windows of a segment must say before it counts, and the most that counts


def bent_likelihood(
    rows: Float[np.ndarray, " rows"], x: Float[np.ndarray, "curves rows"]
) -> Float[np.ndarray, " curves"]:
    """The log-likelihood of each curve as a smoothing spline, less what is the same for all curves of these rows.

    The mean over all of `BENDING` is taken, so that a log of kicks is judged as one, and a smooth one as another.
    """
    return np.logaddexp.reduce(bending_likelihoods(rows, x), axis=0) - np.log(len(BENDING))


def bending_likelihoods(
    rows: Float[np.ndarray, " rows"], x: Float[np.ndarray, "curves rows"]
) -> Float[np.ndarray, "bendings curves"]:
    """The log-likelihood of each curve for each of `BENDING`."""
    free, scale = spline(tuple(rows - rows[0]))
    misfit = np.einsum("cr,brs,cs->bc", x, free, x)
    return -(misfit + scale[:, None]) / 2


@lru_cache(maxsize=KEPT_SPLINES)
def spline(rows: tuple[float, ...]) -> tuple[Float[np.ndarray, "bendings rows rows"], Float[np.ndarray, " bendings"]]:
    """The quadratic form and the logarithm of the determinant of a spline seen in some rows, for each of `BENDING`.

    A straight line of any place and slope, whose slope wanders as far as the bending lets it, seen with noise.
    """
    at = np.array(rows)
    early, late = np.minimum(at[:, None], at), np.maximum(at[:, None], at)
    wander = early**2 * (3 * late - early) / 6
    line = np.stack([np.ones_like(at), at], axis=1)
    spread = BENDING[:, None, None] * wander + NOISE_PX**2 * np.eye(len(at))
    unit = np.linalg.inv(spread)
    of_line = line.T @ unit @ line
    free = unit - unit @ line @ np.linalg.solve(of_line, line.T @ unit)
    return free, np.linalg.slogdet(spread)[1] + np.linalg.slogdet(of_line)[1]


def window_likelihoods(
    x: Float[np.ndarray, " height"], there: Bool[np.ndarray, " height"], bounds: Sequence[int]
) -> list[Float[np.ndarray, "bendings windows"]]:
    """For each segment between two bounds the likelihoods of a curve's windows in it.

    Args:
        x: of the curve [px]
        there: rows in which it is seen, and by itself
        bounds: rows between segments, the strip's ends too
    """
    segment = np.searchsorted(bounds[1:-1], np.arange(len(there)), side="right")
    broken = np.append(True, ~there[:-1] | ~there[1:] | (np.diff(segment) > 0))
    since = np.arange(len(there)) - np.maximum.accumulate(np.where(broken, np.arange(len(there)), 0))
    window = np.cumsum(broken | (since % WINDOW_ROWS == 0))
    starts, sizes = np.unique(window[there], return_index=True, return_counts=True)[1:]
    starts = np.flatnonzero(there)[starts]
    found = np.full((len(BENDING), len(starts)), np.nan)
    for size in np.unique(sizes[sizes >= LEAST_ROWS]):
        alike = sizes == size
        places = x[starts[alike][:, None] + np.arange(size)]
        found[:, alike] = bending_likelihoods(np.arange(size, dtype=float), places)
    known = sizes >= LEAST_ROWS
    return [found[:, known & (segment[starts] == index)] for index in range(len(bounds) - 1)]


def roughness_costs(
    windows: Sequence[Sequence[Float[np.ndarray, "bendings windows"]]], states: Sequence[int], *, learnt: Sequence[int]
) -> Float[np.ndarray, "segments 2"]:
    """What each segment's windows say against its names as traced, and against the names exchanged [nats].

    Each curve bends as it does in some segments together, by the names given.

    Args:
        windows: of both curves as traced, of each segment
        states: 1 for each segment in which the names are exchanged
        learnt: the segments that tell how each curve bends
    """
    shares = []
    for name in (0, 1):
        mine = np.concatenate([np.empty((len(BENDING), 0)), *(windows[name ^ states[k]][k] for k in learnt)], axis=1)
        likely = np.exp(mine - np.max(mine, axis=0, keepdims=True, initial=-np.inf))
        share = (likely / likely.sum(axis=0)).sum(axis=1) + PRIOR_WINDOWS / len(BENDING)
        shares.append(np.log(share / share.sum()))
    costs = np.zeros((len(states), 2))
    for index in range(len(states)):
        for curve in (0, 1):
            own, other = (np.logaddexp.reduce(windows[curve][index] + shares[k][:, None]) for k in (curve, 1 - curve))
            costs[index, 1] += WEIGHT * (own - other).sum()
    return np.sign(costs) * np.clip(np.abs(costs) - UNSURE, 0, MOST)
