"""Which logs to look at: those read worst, a median one and the best, each with its truth beside what was read."""

from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Float, UInt8

from veerjax.jobs.evaluate import PRIMARY, Evaluation
from veerjax.jobs.methods import Clock, learned, true_trace
from veerjax.labels import NUM_CURVES
from veerjax.report.overlay import Curves, overlay
from veerjax.report.page import Overlay
from veerjax.tracing.trace import Trace
from veerjax.training.sharding import data_mesh, over_examples
from veerjax.types import with_channels

WORST, GUTTER_PX = 12, 8


def gallery(evaluation: Evaluation, method: str | None = None) -> list[Overlay]:
    """The worst logs by the mean over curves of F1 within 2 px, then a median one and the best one.

    Args:
        evaluation: of the weights
        method: which weights; the first by default
    """
    name = method or next(iter(evaluation.weights))
    score = log_scores(evaluation, name)
    order = np.argsort(score, kind="stable")
    order = order[: np.isfinite(score).sum()]  # argsort puts NaN last
    if not len(order):
        return []
    chosen: list[tuple[Literal["worst", "median", "best"], int]] = [
        *[("worst", int(index)) for index in order[:WORST]],
        ("median", int(order[len(order) // 2])),
        ("best", int(order[-1])),
    ]
    mesh = data_mesh(jax.local_devices()[:1])
    answer = learned(evaluation.weights[name], mesh, Clock())
    found = []
    for kind, index in chosen:
        portion = evaluation.logs.portion(np.array([index]), batch=1)
        batch = jax.device_put(portion.batch, over_examples(mesh))
        _, read = answer(batch, portion.names)
        grey = np.asarray(with_channels(batch.image, 1))[0, ..., 0]
        picture = side_by_side(grey, one(true_trace(batch, present=True)), one(read))
        text = caption(evaluation, name, index)
        found.append(Overlay(kind=kind, name=evaluation.names[index], caption=text, picture=picture))
    return found


def log_scores(evaluation: Evaluation, method: str) -> Float[np.ndarray, " logs"]:
    """F1 within 2 px of each log, the mean over the curves it has; NaN where it has none."""
    return evaluation.figures(evaluation.sums[method])[PRIMARY]


def caption(evaluation: Evaluation, method: str, index: int) -> str:
    """The figures of one log."""
    figures = evaluation.figures(jax.tree.map(lambda leaf: leaf[index], dict(evaluation.sums[method])))
    f1, covered = figures["tolerance_f1"]["2"], figures["coverage"]
    parts = [f"curve {k + 1}: F1 {f1[k]:.2f}, coverage {covered[k]:.2f}" for k in range(NUM_CURVES)]
    return "; ".join(parts).replace("nan", "-")


def one(found: Trace) -> Any:
    """The first of a batch, on the host, as `overlay` reads it."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[0], found)


def side_by_side(
    grey: Float[np.ndarray, "height width"], truth: Curves, read: Curves
) -> UInt8[np.ndarray, "height w 3"]:
    """The truth, a white gutter, and what was read, each drawn over the pale scan."""
    gutter = np.full((grey.shape[0], GUTTER_PX, 3), 255, np.uint8)
    return np.concatenate([overlay(grey, truth), gutter, overlay(grey, read)], axis=1)
