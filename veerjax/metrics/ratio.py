"""Sums and quotients of counts, on the host."""

import numpy as np
from jaxtyping import Array, Float, Int, Num, Shaped

HostOrDevice = np.ndarray | Array


def pooled(counts: Shaped[HostOrDevice, "examples ..."]) -> Int[np.ndarray, "..."]:
    """The sum of counts over their first axis, in int64.

    Args:
        counts: one entry for each example, along the first axis

    Returns:
        The counts of all examples together.
    """
    return np.asarray(counts).sum(axis=0, dtype=np.int64)


def quotient(part: Num[np.ndarray, "*shape"], whole: Num[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """`part / whole`, and NaN where the whole is 0: nothing was there to judge.

    Args:
        part: the share counted
        whole: all that could be counted, at least 0

    Returns:
        The share, in float64.
    """
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def mean_of_known(values: Float[np.ndarray, "examples ..."]) -> Float[np.ndarray, "..."]:
    """The mean over the first axis of the entries that are not NaN; NaN where there are none."""
    known = ~np.isnan(values)
    return quotient(np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0))
