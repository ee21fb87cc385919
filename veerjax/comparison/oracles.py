"""What needs no training: answers of those who know the truth, and of those who know nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from veerjax.comparison.arms import ARMS, ORACLES
from veerjax.comparison.design import Log, design, log_set, meeting, shifted_at
from veerjax.comparison.presets import Preset, config_of
from veerjax.comparison.reading import NATIVE, kept, native_trace
from veerjax.comparison.summed import chosen, first, joined, with_intervals
from veerjax.data.logset import LogSet
from veerjax.jobs.evaluate import plain
from veerjax.jobs.methods import BASELINES, Answer, Clock, installed_baselines
from veerjax.labels import label_of
from veerjax.metrics.average_precision import box_iou, boxes_of
from veerjax.metrics.bootstrap import pooled_sums
from veerjax.metrics.ceilings import best_strokes
from veerjax.metrics.parts import STROKES, TOLERANCE
from veerjax.metrics.scores import figures_of, measure
from veerjax.models.mask_rcnn import Detector
from veerjax.models.mask_rcnn.ceilings import best_masks, taught_masks
from veerjax.training.sharding import data_mesh
from veerjax.types import Batch, Prediction

READ_AT_ONCE = 16  # logs
STRIDES = (2, 4, 8, 16, 32)  # [px]
GRIDS = ((28, 28), (56, 56), (112, 28), (112, 112))  # [cells]
OF_INK = {"strokes": STROKES, "tolerance": TOLERANCE}
scored_wholly = jax.jit(partial(measure, parts=NATIVE))
scored_ink = jax.jit(partial(measure, parts=OF_INK))
Strokes = Bool[Array, "batch 2 height width"]


def sure_of(strokes: Strokes) -> Prediction:
    """What a network would say that is sure of these strokes; curve 1 lies above curve 2, as in every label."""
    masks = strokes.astype(jnp.float32)
    label = label_of(jnp.moveaxis(strokes, 1, 0)).astype(jnp.int32)
    evidence = jax.nn.log_softmax(jnp.log(masks + 1e-7), axis=-1)
    return Prediction(masks=masks, row_log_prob=evidence, presence=masks.max(axis=-1), label=label)


def run_oracles(preset: Preset) -> dict[str, Any]:
    """The baselines on every log, and the ceilings of grids, strides, anchors and labels on those a width apart."""
    logs = design(preset)
    mesh = data_mesh(jax.local_devices()[:1])
    test = log_set(logs, preset)
    baselines = {}
    for name in installed_baselines():
        method = BASELINES[name](mesh, Clock())
        sums = sums_of(test, lambda batch, names, method=method: method(batch, names))
        found = with_intervals(chosen(sums, meeting(logs)), NATIVE)
        baselines[name] = {"meeting": found, "logs": kept(sums)}
    return plain(
        {
            "schema": 1,
            "arm": ORACLES,
            "seed": 0,
            "about": "oracles and baselines",
            "baselines": baselines,
            "ceilings": ceilings(logs, preset),
            "anchors": {arm: anchor_fit(arm, logs, preset) for arm in ("A1", "A3")},
            "overlap": overlap_error(logs, preset),
            "label": figures_of(pooled_sums(meeting_truth(logs, preset)), parts=OF_INK)["stroke_iou_ceiling"],
        }
    )


def sums_of(logs: LogSet, answer: Callable[[Batch, Sequence[str]], Answer], *, whole: bool = True) -> dict[str, Any]:
    """Of every log what is measured of an answer: all, or what ceilings need."""
    scored, parts = scored_wholly if whole else scored_ink, []
    for portion in logs.portions(READ_AT_ONCE):
        sums = jax.device_get(scored(*answer(portion.batch, portion.names), portion.batch))
        parts.append(first(sums, len(portion.positions)))
    return joined(parts)


def some_of(logs: Sequence[Log], which: np.ndarray, preset: Preset) -> LogSet:
    return log_set([log for log, there in zip(logs, which, strict=True) if there], preset)


def from_strokes(change: Callable[[Strokes], Strokes]) -> Callable[[Batch, Sequence[str]], Answer]:
    """An answer that is sure of the true strokes after a change."""
    return lambda batch, names: sure_answer(change(batch.strokes))


@jax.jit
def sure_answer(strokes: Strokes) -> Answer:
    said = replace(sure_of(strokes), label=None)
    return said, native_trace(said, joint=False)


def ceilings(logs: Sequence[Log], preset: Preset) -> dict[str, Any]:
    """By stroke width, what the best scores of an output stride and the true masks in a grid of true boxes reach.

    Of curves a whole width apart; strokes may overlap, so that no pixel is lost to the other curve.
    """
    ways: dict[str, Callable[[Strokes], Strokes]] = {
        f"stride {stride}": partial(best_strokes, stride=stride) for stride in STRIDES
    }
    for rows, columns in GRIDS:
        ways[f"grid {rows} x {columns}, taught"] = partial(in_boxes, taught_masks, size=(rows, columns))
        ways[f"grid {rows} x {columns}, best"] = partial(in_boxes, best_masks, size=(rows, columns))
    found: dict[str, Any] = {}
    for name, change in ways.items():
        found[name] = {}
        for stroke_px in preset.strokes_px:
            thick = np.array([log.stroke_px == stroke_px for log in logs])
            apart = some_of(logs, thick & shifted_at(logs, 1.0), preset)
            figures = figures_of(pooled_sums(sums_of(apart, from_strokes(change), whole=False)), parts=OF_INK)
            found[name][f"{stroke_px:g}"] = {
                "stroke_iou": figures["stroke_iou"],
                "tolerance_f1_2px": figures["tolerance_f1_2px"],
            }
    return found


def in_boxes(masks: Callable[..., Array], strokes: Strokes, *, size: tuple[int, int]) -> Strokes:
    """True masks through the grid of their own boxes."""
    flat = strokes.reshape(-1, *strokes.shape[2:])
    return masks(flat, boxes_of(flat), size=size).reshape(strokes.shape)


def anchor_fit(arm: str, logs: Sequence[Log], preset: Preset) -> Mapping[str, float]:
    """The IoU of every true box with its best anchor: the mean, and the share of boxes that an anchor answers for."""
    config = config_of(arm, ARMS[arm], preset, seed=0)
    anchors = jnp.concatenate(Detector(config.model, masks=True).anchors((preset.height, preset.width)))
    best = jax.jit(lambda strokes: jnp.max(box_iou(boxes_of(strokes).reshape(-1, 4), anchors), axis=1))
    sets = some_of(logs, shifted_at(logs), preset).portions(READ_AT_ONCE)
    found = np.concatenate(
        [np.asarray(best(item.batch.strokes)).reshape(-1, 2)[: len(item.positions)].ravel() for item in sets]
    )
    return {"mean_iou": float(found.mean()), "share_above_0.7": float((found >= 0.7).mean())}


def overlap_error(logs: Sequence[Log], preset: Preset) -> Mapping[str, Any]:
    """By separation s/w, the overlap of the true boxes in pixels beside (w - s) / (w + s)."""
    overlap = jax.jit(lambda strokes: jax.vmap(lambda boxes: box_iou(boxes, boxes)[0, 1])(boxes_of(strokes)))
    found = {}
    for separation in preset.separations:
        sets = some_of(logs, shifted_at(logs, separation), preset).portions(READ_AT_ONCE)
        measured = [np.asarray(overlap(item.batch.strokes))[: len(item.positions)] for item in sets]
        found[f"{separation:g}"] = {
            "measured": float(np.concatenate(measured).mean()),
            "formula": formula(separation),
        }
    return found


def formula(separation: float) -> float:
    """The IoU of two boxes of extent w shifted by s: (w - s) / (w + s), by s / w.

    Example:
        >>> round(formula(1 / 3), 12)
        0.5
    """
    return (1 - separation) / (1 + separation)


def meeting_truth(logs: Sequence[Log], preset: Preset) -> dict[str, Any]:
    """What the truth says of itself where curves meet: there a pixel has two owners, and one class in a label."""
    return sums_of(some_of(logs, meeting(logs), preset), from_strokes(lambda strokes: strokes), whole=False)
