"""The scores of chart mining for lines, names aside: how much of the true lines' values the predicted lines give.

A row of a line of values y scores 1 - min(1, |dy| / (|y| + eps)) against another line, and 0 where that one is absent;
eps is a hundredth of the true line's range. Recall is the mean over the true line's rows, precision the mean over the
predicted line's rows with its own |y|, and the score of the two lines is the harmonic mean. Lines are assigned so that
the sum of scores is greatest. Score 6a divides that sum by the number of true lines, 6b by the greater number of lines.

Reference:
    Davila et al. 2020 and 2022, ICPR competitions on harvesting raw tables from infographics (CHART-Infographics),
    task 6, continuous series, as in `compare_continuous` of the code in circulation; Luo, Li, Wang and Lin 2021,
    ChartOCR, score lines in the same way. There, points are interpolated and weigh by the interval halfway to both
    neighbours; here they are rows of one height, so that the first and the last weigh in full, and nothing is
    interpolated over rows where a line is absent.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from veerjax.metrics.ratio import quotient

SHARE_OF_RANGE = 0.01


def line_scores(v_true: Float[Array, "2 height"], v_pred: Float[Array, "2 height"]) -> Float[Array, "2 2"]:
    """The score of each predicted line for each true one, `[true, predicted]`; 0 where either is absent as a whole.

    Args:
        v_true: the true curves [fraction of the track], NaN in rows where they are absent
        v_pred: the predicted ones
    """
    known = jnp.isfinite(v_true)
    highest = jnp.max(jnp.where(known, v_true, -jnp.inf), axis=1)
    lowest = jnp.min(jnp.where(known, v_true, jnp.inf), axis=1)
    epsilon = SHARE_OF_RANGE * jnp.maximum(highest - lowest, 0.0)[:, None, None]
    true, predicted = v_true[:, None], v_pred[None]
    error = jnp.abs(predicted - true)
    recall, precision = (_mean_score(error, line, epsilon) for line in (true, predicted))
    return 2 * recall * precision / jnp.maximum(recall + precision, jnp.finfo(jnp.float32).tiny)


def _mean_score(
    error: Float[Array, "2 2 height"], line: Float[Array, "true predicted height"], epsilon: Float[Array, "2 1 1"]
) -> Float[Array, "2 2"]:
    """Over the rows of `line`; a row without an error is one where the other line is absent."""
    # A constant line at 0 has no scale: it is hit or missed.
    scale = jnp.maximum(jnp.abs(line) + epsilon, jnp.finfo(jnp.float32).tiny)
    score = jnp.where(jnp.isfinite(error), 1 - jnp.minimum(error / scale, 1.0), 0.0)
    rows = jnp.sum(jnp.isfinite(line), axis=-1, dtype=jnp.int32)
    return jnp.sum(score, axis=-1) / jnp.maximum(rows, 1).astype(score.dtype)


def chart_sums(v_true: Float[Array, "2 height"], v_pred: Float[Array, "2 height"]) -> dict[str, Num[Array, ""]]:
    """The two scores of a log as sums that add over logs.

    Args:
        v_true: the true curves [fraction of the track], NaN in rows where they are absent
        v_pred: the predicted ones

    Returns:
        `score_6a` and `score_6b` in float32, 0 where undefined, and in int32 `known_6a` and `known_6b`: whether there
        is a true line, and whether there is any.
    """
    scores = line_scores(v_true, v_pred)
    best = jnp.maximum(scores[0, 0] + scores[1, 1], scores[0, 1] + scores[1, 0])
    true, predicted = (jnp.sum(jnp.any(jnp.isfinite(v), axis=1), dtype=jnp.int32) for v in (v_true, v_pred))
    most = jnp.maximum(true, predicted)
    return {
        "score_6a": best / jnp.maximum(true, 1).astype(best.dtype),
        "score_6b": best / jnp.maximum(most, 1).astype(best.dtype),
        "known_6a": (true > 0).astype(jnp.int32),
        "known_6b": (most > 0).astype(jnp.int32),
    }


def chart_scores(sums: Mapping[str, np.ndarray]) -> dict[str, Float[np.ndarray, "*n"]]:
    """The mean scores `6a` and `6b` of the logs, from 0 to 1; NaN where none has a line.

    Args:
        sums: of `chart_sums`, with any leading axes
    """
    return {name: quotient(sums[f"score_{name}"], sums[f"known_{name}"]) for name in ("6a", "6b")}
