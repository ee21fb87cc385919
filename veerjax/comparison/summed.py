"""Sums of logs on the host: joined, chosen from, and turned into figures with their intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from veerjax.metrics.bootstrap import draw_weights, drawn_figures, interval, pooled_sums
from veerjax.metrics.scores import Part, figures_of

Sums = Mapping[str, Any]  # nested, of arrays whose first axis is the log


def joined(parts: Sequence[Sums]) -> dict[str, Any]:
    """The sums of all logs, those of each part one after another."""
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *map(dict, parts))


def first(sums: Sums, count: int) -> dict[str, Any]:
    """The sums of the first logs, where a batch is filled up."""
    return jax.tree.map(lambda leaf: leaf[:count], dict(sums))


def chosen(sums: Sums, which: np.ndarray) -> dict[str, Any]:
    """The sums of some logs."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[which], dict(sums))


def with_intervals(sums: Sums, parts: Mapping[str, Part]) -> dict[str, Any]:
    """The pooled figures of logs, and the 95 % interval of each over these logs."""

    def figures(values: Mapping[str, Any]) -> dict[str, Any]:
        return figures_of(values, parts=parts)

    count = len(jax.tree.leaves(sums)[0])
    drawn = drawn_figures(sums, figures, draw_weights(count))
    return figures(pooled_sums(sums)) | {"interval95": {key: interval(values) for key, values in drawn.items()}}
