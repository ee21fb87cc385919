"""From masks to polylines: true strokes give back the curves that drew them."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import find_peaks

from veerjax.polyline import spans
from veerjax.synthesis import strokes
from veerjax.synthesis.curves import random_pair
from veerjax.synthesis.draw import drawing_scale
from veerjax.tracing.refine import SNAP_PX, half_strokes_px, ink_edges
from veerjax.tracing.trace import Trace, TraceConfig, pair_edges, trace
from veerjax.types import Prediction

SIZE, COUNT = 128, 8


def prediction(masks: np.ndarray) -> Prediction:
    """What a net that is sure of these masks says."""
    likely = jax.nn.log_softmax(jnp.log(jnp.asarray(masks) + 1e-7), axis=-1)
    return Prediction(masks=jnp.asarray(masks), row_log_prob=likely, presence=jnp.asarray(masks).max(-1))


@dataclass(frozen=True)
class Truth:
    strokes: np.ndarray
    centreline: np.ndarray
    presence: np.ndarray


@pytest.fixture(scope="module")
def truth() -> Truth:
    """Random curves and their strokes, of many widths, without the paper."""
    rows, inner = SIZE + 2 * strokes.REACH_PX, slice(strokes.REACH_PX, strokes.REACH_PX + SIZE)

    def one(key):
        curve_key, pen_key = jax.random.split(key)
        scale = drawing_scale(pen_key)
        x, drawn = random_pair(curve_key, rows=rows, width=SIZE, scale=scale)
        pens = strokes.random_pens(pen_key, scale=scale)
        _, masks = jax.vmap(lambda x, d, pen: strokes.ink_and_mask(x, d, pen, width=SIZE))(x, drawn, pens)
        return masks, x[:, inner], (drawn & (x >= 0) & (x < SIZE))[:, inner]

    drawn = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), COUNT))
    return Truth(*(np.asarray(part) for part in drawn))


@pytest.fixture(scope="module")
def traced(truth) -> Trace:
    return jax.tree.map(np.asarray, trace(prediction(truth.strokes.astype(np.float32))))


def blank(count: int = COUNT) -> np.ndarray:
    return np.zeros((count, 2, SIZE, SIZE), np.float32)


def trace_of(masks: np.ndarray) -> Trace:
    """Padded to one batch size, so that all tests share one compilation."""
    whole = blank()
    whole[: len(masks)] = masks
    return jax.tree.map(lambda leaf: np.asarray(leaf)[: len(masks)], trace(prediction(whole)))


def straight(x: float, half_px: float) -> np.ndarray:
    columns = np.broadcast_to(np.arange(SIZE) + 0.5, (SIZE, SIZE))
    return (np.abs(columns - x) <= half_px).astype(np.float32)


def test_true_strokes_give_back_their_centrelines(truth, traced):
    both = truth.presence & traced.presence
    assert both.sum() >= 0.99 * truth.presence.sum()
    error = np.abs(traced.x - truth.centreline)[both]
    assert np.median(error) <= 0.3
    assert error.mean() <= 1.0


def test_peaks_keep_their_height(truth, traced):
    errors = []
    for curve in np.ndindex(COUNT, 2):
        for side in (1, -1):
            x = np.where(truth.presence[curve], side * truth.centreline[curve], -1e3)
            for tip in find_peaks(x, prominence=SIZE / 10)[0]:
                rows = slice(max(tip - 1, 0), tip + 2)
                if (truth.presence[curve] & traced.presence[curve])[rows].all():
                    errors.append(abs((side * traced.x[curve][rows]).max() - x[tip]))
    assert len(errors) >= 10
    assert np.median(errors) <= 1.0


def test_the_span_is_that_of_the_polyline(traced):
    lo, hi = jax.vmap(jax.vmap(spans))(jnp.asarray(traced.x), jnp.asarray(traced.presence))
    np.testing.assert_allclose(traced.lo, lo, atol=1e-3)
    np.testing.assert_allclose(traced.hi, hi, atol=1e-3)


def test_blank_masks_give_no_curve_and_finite_numbers():
    found = trace_of(blank(1))
    assert not found.presence.any()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))
    assert (found.confidence == 0).all()


def test_shifting_the_masks_shifts_the_curve():
    masks = np.stack([np.stack([straight(40, 2), straight(90, 3)]), np.stack([straight(47, 2), straight(97, 3)])])
    here, there = trace_of(masks).x
    np.testing.assert_allclose(there, here + 7, atol=1e-3)
    np.testing.assert_allclose(here, np.array([[40.0], [90.0]]) * np.ones((1, SIZE)), atol=0.02)


def test_a_curve_hidden_at_a_crossing_keeps_its_value_and_is_flagged():
    """Exclusive labels: curve 1 takes the pixels of a broad stroke that curve 2 passes under."""
    rows = np.arange(SIZE)
    second = np.stack([straight(20 + 0.7 * r, 2)[0] for r in rows])
    first = straight(64, 7)
    found = trace_of(np.stack([first, second * (1 - first)])[None])
    x = (20 + 0.7 * rows)[found.presence[0, 1]]
    assert found.presence[0, 1].all()
    np.testing.assert_allclose(found.x[0, 1], x, atol=1.0)
    assert found.occluded[0, 1][[62, 63, 64]].all()
    assert not found.occluded[0, 0].any()
    assert found.confidence[0, 1, 63] < found.confidence[0, 1, 10]


def test_a_gap_stays_empty():
    masks = blank(1)
    masks[0, 0] = straight(50, 2)
    masks[0, 0, 40:80] = 0
    found = trace_of(masks)
    assert not found.presence[0, 0, 40:80].any()
    assert found.presence[0, 0, 82:].all()
    assert not found.presence[0, 1].any()


def test_a_grid_line_taken_for_ink_draws_no_kick():
    masks = blank(1)
    masks[0, 0] = straight(50, 4)
    masks[0, 0, 60:62, 30:90] = 1
    np.testing.assert_allclose(trace_of(masks).x[0, 0], 50, atol=0.2)


def test_fainter_ink_is_less_confident():
    sure = blank(1)
    sure[0, 0] = straight(50, 2)
    assert (trace_of(0.6 * sure).confidence[0, 0] < trace_of(sure).confidence[0, 0]).all()


def test_the_stroke_width_is_measured_across_the_curve():
    rows = np.arange(SIZE)
    masks = np.stack([straight(50, 3), np.stack([straight(30 + 0.5 * r, 4 * np.hypot(1, 0.5))[0] for r in rows])])
    path = jnp.stack([jnp.full(SIZE, 50), (30 + 0.5 * jnp.arange(SIZE)).astype(int)])
    read = jax.vmap(lambda mask, path: ink_edges(mask, jnp.zeros_like(mask), path, least_ink=0.2, hop_px=8)[0])
    measure = jax.jit(lambda masks, path: half_strokes_px(read(masks, path), most_px=6.0))
    np.testing.assert_allclose(measure(jnp.asarray(masks), path), [3, 4], atol=0.25)


def test_edges_lie_between_pixels_where_the_mask_crosses_one_half():
    mask = jnp.asarray([[0.0, 0.25, 1.0, 1.0, 0.5, 0.0, 0.0, 0.0]])
    read = jax.jit(lambda mask, path: ink_edges(mask, jnp.zeros_like(mask), path, least_ink=0.2, hop_px=0))
    edges, strength = read(mask, jnp.asarray([2]))
    assert strength == pytest.approx([1.0])
    assert edges.left == pytest.approx([2.5 - 2 / 3], abs=1e-5)
    assert edges.right == pytest.approx([4.5], abs=1e-5)
    assert SNAP_PX >= 1


@pytest.mark.slow  # compiles a second time
def test_settings_are_hashable_and_change_the_answer():
    masks = blank(1)
    masks[0, 0] = straight(50, 2)
    masks[0, 0, 40:46] = 0
    config = TraceConfig(bridge_px=2)
    whole = blank()
    whole[:1] = masks
    assert trace_of(masks).presence[0, 0].all()
    assert not np.asarray(trace(prediction(whole), config=config).presence)[0, 0, 40:46].any()


def test_the_edges_of_ink_are_the_same_by_blocks_of_rows(monkeypatch):
    random = np.random.default_rng(3)
    masks = jnp.asarray(random.random((2, 96, 40), np.float32))
    path = jnp.asarray(random.integers(-1, 40, (2, 96)), jnp.int32)
    found = []
    for rows in (96, 32):
        monkeypatch.setattr("veerjax.tracing.trace.LEAST_BUCKET_PX", rows)
        found.append(jax.jit(lambda masks, path: pair_edges(masks, path, config=TraceConfig()))(masks, path))
    jax.tree.map(np.testing.assert_array_equal, *found)
