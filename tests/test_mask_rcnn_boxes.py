"""The geometry of region proposals against loops in NumPy."""

import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_boxes as reference

from veerjax.metrics.average_precision import box_iou
from veerjax.models.mask_rcnn.anchors import anchors
from veerjax.models.mask_rcnn.boxes import areas, clipped, decode, encode
from veerjax.models.mask_rcnn.matching import BACKGROUND, IGNORED, match, sample
from veerjax.models.mask_rcnn.pasting import cropped, pasted
from veerjax.models.mask_rcnn.roi_align import levels, pyramid_align, roi_align
from veerjax.models.mask_rcnn.suppression import soft_nms, suppressed

SIZE = 24  # boxes of a random case, so that all compile once


def random_boxes(rng: np.random.Generator, count: int = SIZE, *, extent: float = 64) -> np.ndarray:
    corners = rng.uniform(-0.1 * extent, extent, (count, 2, 2))
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=-1).astype(np.float32)


def test_anchors_are_those_of_the_definition() -> None:
    ours = anchors((3, 5), stride=8, scales=(16, 32), ratios=(0.5, 1, 4))
    theirs = reference.anchors(3, 5, stride=8, scales=(16, 32), ratios=(0.5, 1, 4))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_overlaps_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    a, b = random_boxes(rng), random_boxes(rng, 7)
    theirs = [[reference.iou(i.astype(float), j.astype(float)) for j in b] for i in a]
    np.testing.assert_allclose(box_iou(jnp.asarray(a), jnp.asarray(b)), theirs, atol=1e-5)


@pytest.mark.parametrize("weights", [(1.0, 1.0), (10.0, 5.0)])
def test_the_code_is_that_of_the_definition_and_is_undone(weights: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    boxes, others = random_boxes(rng), random_boxes(rng)
    boxes[:, 2:], others[:, 2:] = boxes[:, 2:] + 1, others[:, 2:] + 1
    code = encode(jnp.asarray(boxes), jnp.asarray(others), weights=weights)
    pairs = list(zip(boxes.astype(float), others.astype(float), strict=True))
    np.testing.assert_allclose(code, [reference.encode(*pair, weights) for pair in pairs], atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(decode(code, jnp.asarray(others), weights=weights), boxes, atol=1e-3)


def test_decoding_bounds_how_a_box_grows() -> None:
    code = np.array([[0.1, -0.2, 9, 0.5], [3, 3, -20, 50]], np.float32)
    anchor = np.array([[0, 0, 8, 4], [2, 2, 3, 9]], np.float32)
    theirs = [reference.decode(c.astype(float), a.astype(float), (1.0, 1.0)) for c, a in zip(code, anchor, strict=True)]
    np.testing.assert_allclose(decode(jnp.asarray(code), jnp.asarray(anchor)), theirs, rtol=1e-5)


def test_boxes_are_cut_at_the_border_and_no_area_is_below_zero() -> None:
    boxes = clipped(jnp.array([[-3.0, 2, 9, 90], [50, 1, 60, 2]]), 32, 40)
    np.testing.assert_array_equal(boxes, [[0, 2, 9, 40], [32, 1, 32, 2]])
    np.testing.assert_array_equal(areas(boxes), [9 * 38, 0])


def test_a_box_without_area_has_a_finite_code() -> None:
    flat = jnp.array([[5.0, 5, 5, 9], [0, 0, 0, 0]])
    some = jnp.array([[4.0, 4, 8, 8], [0, 0, 4, 4]])
    assert bool(jnp.isfinite(encode(flat, some)).all())
    assert bool(jnp.isfinite(encode(some, flat)).all())


@pytest.mark.parametrize("low_quality", [False, True])
def test_matching_is_that_of_the_definition(low_quality: bool) -> None:
    rng = np.random.default_rng(0)
    ours = jax.jit(partial(match, low=0.3, high=0.7, low_quality=low_quality))
    for case in range(50):
        truths, boxes = random_boxes(rng, 3), random_boxes(rng)
        boxes[:6] = truths[rng.integers(0, 3, 6)] + rng.normal(0, 3, (6, 1))  # some that overlap well, some twice
        valid = np.array([True, case % 3 > 0, case % 2 > 0])
        ious = np.asarray(box_iou(jnp.asarray(truths), jnp.asarray(boxes)))
        theirs = reference.match(ious.tolist(), valid, low=0.3, high=0.7, low_quality=low_quality)
        np.testing.assert_array_equal(ours(ious, valid), theirs, err_msg=str(case))


def test_without_a_true_box_all_is_background() -> None:
    matched = match(jnp.zeros((2, 5)), jnp.zeros(2, bool), low=0.3, high=0.7, low_quality=True)
    np.testing.assert_array_equal(matched, [BACKGROUND] * 5)


def test_a_true_box_that_overlaps_nothing_is_answered_for_by_nothing() -> None:
    iou = jnp.array([[0.0, 0, 0], [0.5, 0.2, 0]])
    matched = match(iou, jnp.ones(2, bool), low=0.3, high=0.7, low_quality=True)
    np.testing.assert_array_equal(matched, [1, BACKGROUND, BACKGROUND])


@pytest.mark.parametrize(
    ("positives", "negatives", "drawn"), [(50, 50, (4, 12)), (2, 50, (2, 14)), (50, 3, (4, 3)), (0, 0, (0, 0))]
)
def test_as_many_are_drawn_as_there_are_or_as_are_wanted(
    positives: int, negatives: int, drawn: tuple[int, int]
) -> None:
    matched = jnp.array([1] * positives + [BACKGROUND] * negatives + [IGNORED] * 9)
    found = sample(jax.random.key(0), matched, size=16, positive_share=0.25)
    assert tuple(int(mask.sum()) for mask in found) == drawn
    assert not bool((found[0] & (matched < 0)).any() | (found[1] & (matched != BACKGROUND)).any())


def test_each_is_as_likely_drawn_as_another() -> None:
    matched, valid = jnp.array([0] * 8 + [BACKGROUND] * 8), jnp.arange(16) != 3
    draw = jax.vmap(partial(sample, size=8, positive_share=0.5), in_axes=(0, None))
    positive, negative = draw(jax.random.split(jax.random.key(0), 2000), jnp.where(valid, matched, IGNORED))
    np.testing.assert_allclose(positive[:, :8].mean(axis=0)[valid[:8]], 4 / 7, atol=0.05)
    np.testing.assert_allclose(negative[:, 8:].mean(axis=0), 1 / 2, atol=0.05)
    assert not bool(positive[:, 3].any())


def suppression_case(case: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random boxes, every other time made to tie, to nest, to chain, to have no area or not to be there."""
    rng = np.random.default_rng(case)
    boxes, scores = random_boxes(rng), rng.normal(0, 1, SIZE).astype(np.float32)
    category = rng.integers(0, 1 + case % 3, SIZE)
    if case % 2:
        boxes[1::4] = boxes[::4]  # the same box again
        scores[2::3] = scores[0]  # the same score again
        boxes[5] = boxes[5, [0, 1, 0, 1]]  # without area
        boxes[6:12] = (
            np.array([0, 0, 8, 16], np.float32) + np.array([[0, 4, 0, 4]], np.float32) * np.arange(6)[:, None]
        )  # each the next's
        boxes[12:16] = [[0, 0, 2 * k, 8] for k in (8, 4, 2, 1)]  # nested: of IoU just .5
        scores[20:] = -np.inf
    return boxes, scores, category


def test_suppression_keeps_the_same_boxes_as_the_loop_in_200_cases() -> None:
    ours = jax.jit(partial(suppressed, "nms", threshold=0.5, keep=SIZE))
    for case in range(200):
        boxes, scores, category = suppression_case(case)
        kept = ours(boxes, scores, category=category)
        theirs = reference.nms(boxes.astype(float), scores, threshold=0.5, category=category)
        np.testing.assert_array_equal(kept.index[kept.valid], theirs, err_msg=f"case {case}")
        np.testing.assert_array_equal(kept.score[kept.valid], scores[theirs])
        assert bool((jnp.diff(kept.valid.astype(int)) <= 0).all())


@pytest.mark.parametrize("kind", ["nms", "soft", "off"])
@pytest.mark.parametrize("keep", [3, SIZE + 9])
def test_it_keeps_no_more_than_was_asked_and_fills_up_what_is_missing(kind: str, keep: int) -> None:
    boxes, scores, _ = suppression_case(1)
    kept = jax.jit(partial(suppressed, kind, threshold=0.5, keep=keep))(boxes, np.where(scores > 0, scores, -np.inf))
    assert kept.index.shape == kept.score.shape == kept.valid.shape == (keep,)
    assert 0 < int(kept.valid.sum()) <= min(keep, int((scores > 0).sum()))
    assert bool((scores[kept.index[kept.valid]] > 0).all())


def test_where_there_is_no_box_none_is_kept() -> None:
    for kind in ("nms", "soft", "off"):
        kept = suppressed(kind, jnp.zeros((4, 4)), jnp.full(4, -jnp.inf), threshold=0.5, keep=2)
        assert not bool(kept.valid.any())


FORMS = {None: lambda overlap: np.exp(-(overlap**2) / 0.5), 0.3: lambda overlap: 1 - overlap * (overlap >= 0.3)}


@pytest.mark.parametrize("linear_from", FORMS)
def test_soft_suppression_lowers_scores_as_the_loop_does(linear_from: float | None) -> None:
    ours = jax.jit(partial(soft_nms, keep=10, linear_from=linear_from))
    for case in range(0, 20, 2):
        boxes, scores, _ = suppression_case(case)
        kept = ours(box_iou(jnp.asarray(boxes), jnp.asarray(boxes)), np.abs(scores))
        theirs = reference.soft_nms(boxes.astype(float), np.abs(scores).tolist(), keep=10, lowered=FORMS[linear_from])
        index, score = zip(*theirs, strict=True)
        np.testing.assert_array_equal(kept.index, index)
        np.testing.assert_allclose(kept.score, score, rtol=1e-4)


@pytest.mark.parametrize("linear_from", FORMS)
def test_soft_suppression_of_one_box_again_and_again_has_no_nan(linear_from: float | None) -> None:
    scores = jnp.array([0.9, 0.8, 0.7, -jnp.inf])
    kept = soft_nms(jnp.ones((4, 4)), scores, keep=4, linear_from=linear_from)
    np.testing.assert_array_equal(kept.index[:3], [0, 1, 2])
    np.testing.assert_array_equal(kept.valid, [True, True, True, False])
    assert float(kept.score[0]) == pytest.approx(0.9)


@pytest.mark.slow
def test_suppression_of_1000_boxes_takes_less_than_5_ms() -> None:
    rng = np.random.default_rng(0)
    boxes, scores = jnp.asarray(random_boxes(rng, 1000, extent=512)), jnp.asarray(rng.random(1000, np.float32))
    ours = jax.jit(partial(suppressed, "nms", threshold=0.7, keep=100))
    jax.block_until_ready(ours(boxes, scores))
    seconds = []
    for _ in range(50):
        start = time.perf_counter()
        jax.block_until_ready(ours(boxes, scores))
        seconds.append(time.perf_counter() - start)
    print(f"\nnms of 1,000 boxes: {1e3 * min(seconds):.2f} ms at best, {1e3 * float(np.median(seconds)):.2f} ms median")
    assert min(seconds) < 5e-3


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize(("size", "samples"), [((3, 5), 2), ((7, 2), 3)])
def test_features_are_cut_out_as_point_by_point(aligned: bool, size: tuple[int, int], samples: int) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (12, 9, 3)).astype(np.float32)
    boxes = np.concatenate(
        [random_boxes(rng, 8), np.array([[60, 60, 99, 99], [5, 5, 5, 5], [-9, -9, -5, 80]], np.float32)]
    )
    how = {"size": size, "scale": 1 / 6, "samples": samples, "aligned": aligned}
    with jax.default_matmul_precision("highest"):
        ours = roi_align(jnp.asarray(features), jnp.asarray(boxes), **how)
    theirs = [reference.roi_align(features.astype(float), box.astype(float), **how) for box in boxes]
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_box_is_read_from_the_level_of_its_size() -> None:
    sides = jnp.array([1.0, 111, 112, 223, 224, 448, 9000])
    boxes = jnp.stack([0 * sides, 0 * sides, sides, sides], axis=-1)
    np.testing.assert_array_equal(levels(boxes, strides=(4, 8, 16, 32)), [0, 0, 1, 1, 2, 3, 3])
    moved = levels(boxes, strides=(4, 8, 16, 32), canonical_level=5)
    np.testing.assert_array_equal(moved, [0, 1, 2, 2, 3, 3, 3])
    of_levels = [jnp.full((64 // k, 64 // k, 1), float(k)) for k in (1, 2, 4, 8)]
    found = pyramid_align(of_levels, boxes[:5] / 8, strides=(4, 8, 16, 32), size=(2, 2), canonical_px=28)
    np.testing.assert_allclose(found[:, 0, 0, 0], [1, 1, 2, 2, 4])


def test_masks_are_pasted_to_the_pixel() -> None:
    rng = np.random.default_rng(0)
    for size in ((28, 28), (7, 3)):
        masks, boxes = rng.random((12, *size)).astype(np.float32), random_boxes(rng, 12, extent=40)
        boxes[0, 2:], boxes[1] = boxes[0, :2], [30, 30, 70, 70]
        ours = np.asarray(pasted(jnp.asarray(masks), jnp.asarray(boxes), 41, 37))
        for mine, mask, box in zip(ours, masks, boxes, strict=True):
            theirs = reference.pasted(mask.astype(float), box.astype(float), 41, 37)
            np.testing.assert_allclose(mine, theirs, atol=1e-5)
            sure = np.abs(theirs - 0.5) > 1e-5
            np.testing.assert_array_equal((mine > 0.5)[sure], (theirs > 0.5)[sure])


def test_a_mask_is_cut_to_the_share_of_each_cell() -> None:
    rng = np.random.default_rng(0)
    mask = rng.random((20, 30)) > 0.5
    # Whole cells of a fifth of a px and more, so that small squares measure them exactly.
    boxes = np.array([[2, 3, 8, 11], [0, 0, 20, 30], [-4, 10, 4, 14], [1.5, 2.5, 5.5, 6.5]], np.float32)
    ours = cropped(jnp.broadcast_to(mask.astype(np.float32), (4, 20, 30)), jnp.asarray(boxes), size=(4, 2))
    theirs = [reference.cropped(mask, box.astype(float), (4, 2)) for box in boxes]
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_a_box_without_area_has_a_finite_crop() -> None:
    found = cropped(jnp.ones((1, 8, 8)), jnp.zeros((1, 4)), size=(2, 2))
    assert bool(jnp.isfinite(found).all())
