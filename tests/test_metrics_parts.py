"""Parts that have no module of their own: the ink of overlapping strokes."""

import jax
import numpy as np
import oracles
import reference_masks
from mask_cases import KINDS, mask

from veerjax.metrics.parts import stroke_figures, stroke_sums
from veerjax.types import Batch, Prediction

COUNTS = ("both", "either", "shown", "shown_or_true")


def example(seed):
    """The truth of two strokes that may overlap, the label that shows one of them, and masks that were read."""
    noise = np.random.default_rng(seed)
    strokes, read = (np.stack([mask(kind, seed) for kind in noise.choice(KINDS, 2)]) for _ in range(2))
    label = np.where(strokes[0], 1, np.where(strokes[1], 2, 0)).astype(np.uint8)
    return strokes, label, read


def sums_of(strokes, label, read):
    """Of one log, as `measure` takes it."""
    nothing = np.zeros((2, label.shape[0]), np.float32)
    batch = Batch(
        image=np.zeros((*label.shape, 1), np.float32), strokes=strokes, label=label, centreline=nothing,
        presence=nothing > 0, valid=np.array(True),
    )  # fmt: skip
    masks = read.astype(np.float32)
    prediction = Prediction(masks=masks, row_log_prob=masks, presence=nothing)
    return stroke_sums(prediction, None, batch)


def test_stroke_iou_and_its_ceiling_are_those_of_the_loop_over_pixels():
    counts, shares, summed = ([], []), ([], []), jax.jit(sums_of)
    for seed in range(220):
        case = example(seed)
        sums, slow = jax.device_get(summed(*case)), reference_masks.stroke_counts(*case)
        figures = stroke_figures(sums)
        counts[0].append([sums[name] for name in COUNTS])
        counts[1].append([slow[name] for name in COUNTS])
        shares[0].append([figures["stroke_iou"], figures["stroke_iou_ceiling"]])
        shares[1].append([
            [part / whole if whole else np.nan for part, whole in zip(slow[a], slow[b], strict=True)]
            for a, b in (("both", "either"), ("shown", "shown_or_true"))
        ])  # fmt: skip
    oracles.agree("pixels of strokes", "own NumPy", *counts)
    oracles.agree("stroke IoU and ceiling", "own NumPy", *shares)


def test_what_the_curves_share_counts_for_both():
    strokes = np.zeros((2, 3, 4), bool)
    strokes[0, :, 1], strokes[1, 1] = True, True
    label = np.where(strokes[0], 1, np.where(strokes[1], 2, 0)).astype(np.uint8)
    figures = stroke_figures(jax.device_get(sums_of(strokes, label, strokes)))
    np.testing.assert_array_equal(figures["stroke_iou"], [1, 1])
    np.testing.assert_array_equal(figures["stroke_iou_ceiling"], [1, 0.75])
