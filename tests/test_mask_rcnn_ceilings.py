"""What boxes, anchors and mask grids cost thin curves, whatever is learned: the figures of the protocol."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import binary_dilation
from test_metrics_ceilings import curve, iou

from veerjax.config import RcnnConfig
from veerjax.metrics.average_precision import box_iou, boxes_of
from veerjax.models.mask_rcnn.anchors import anchors
from veerjax.models.mask_rcnn.boxes import clipped
from veerjax.models.mask_rcnn.ceilings import best_masks, taught_masks
from veerjax.models.mask_rcnn.suppression import suppressed

CURVE_BOX = (512, 60)  # [px] height and width of a curve that the protocol holds anchors against
LEVELS_PX = (32, 64, 128, 256, 512)  # sides of the anchors of torchvision's and Detectron2's pyramids
FITTING = (4.0, 8.0, 16.0)  # ratios


def strokes(kind: str, *, width: int) -> np.ndarray:
    lines = np.stack([curve(kind, seed=seed) for seed in range(3)])
    return np.stack([binary_dilation(line, np.ones((width, width))) for line in lines])


@pytest.mark.parametrize("kind", ["smooth", "spiky"])
def test_a_grid_of_28_in_a_perfect_box_draws_next_to_nothing_of_a_curve_of_3_px(kind: str) -> None:
    true = strokes(kind, width=3)
    boxes = boxes_of(jnp.asarray(true))
    found = {side: iou(np.asarray(taught_masks(true, boxes, size=(side, side))), true) for side in (28, 56, 112)}
    print(f"\n{kind}, as taught: " + ", ".join(f"{side} x {side} {value:.3f}" for side, value in found.items()))
    assert 0 <= found[28] <= 0.15  # the protocol's span
    assert found[28] < found[56] < found[112]


def test_a_tuned_threshold_wins_back_some_of_it_and_the_best_answers_more() -> None:
    true = strokes("smooth", width=3)[:1]
    boxes, size = boxes_of(jnp.asarray(true)), (112, 28)
    by_threshold = {
        t: iou(np.asarray(taught_masks(true, boxes, size=size, threshold=t)), true) for t in (0.5, 0.4, 0.3)
    }
    best = iou(np.asarray(best_masks(true, boxes, size=size)), true)
    print(f"\n112 x 28 at thresholds {by_threshold}, at best {best:.3f}")
    assert by_threshold[0.5] + 0.1 < max(by_threshold.values()) < best < 1


def test_square_anchors_miss_a_curve_and_tall_ones_hold_it() -> None:
    height, width = CURVE_BOX
    box = jnp.array([[0.0, 98, height, 98 + width]])

    def fit(ratios: tuple[float, ...], *, clip: bool = False) -> float:
        by_level = [
            anchors((512 // stride, 256 // stride), stride=stride, scales=[side], ratios=ratios)
            for stride, side in zip((4, 8, 16, 32, 64), LEVELS_PX, strict=True)
        ]
        found = jnp.concatenate(by_level)
        return float(box_iou(clipped(found, height, 256) if clip else found, box).max())

    assert fit(RcnnConfig().anchor_ratios) == pytest.approx(0.30, abs=0.02)
    assert fit(FITTING) < 0.6 < fit(FITTING, clip=True)


@pytest.mark.parametrize("shift", [1.0, 0.75, 0.5, 0.35, 0.32, 0.25, 0.1, 0.02, 0.0])
def test_boxes_set_apart_by_s_overlap_by_the_formula_and_one_is_dropped_below_a_third(shift: float) -> None:
    width = 60.0
    boxes = jnp.array([[0.0, 10, 512, 10 + width], [0, 10 + shift * width, 512, 10 + (1 + shift) * width]])
    assert float(box_iou(boxes[:1], boxes[1:])[0, 0]) == pytest.approx((1 - shift) / (1 + shift), abs=1e-5)
    kept = suppressed("nms", boxes, jnp.array([0.9, 0.8]), threshold=0.5, keep=2)
    assert int(kept.valid.sum()) == (2 if shift > 1 / 3 else 1)
