"""Drawing a polyline's edges, and finding the polyline again from them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.polyline import distance_field
from veerjax.tracing.envelope import Edges, eroded, fit_polyline, right_envelope

REACH = 7
draw_right = jax.jit(partial(right_envelope, reach=REACH))
erode = jax.jit(partial(eroded, reach=REACH))
fit = jax.jit(partial(fit_polyline, reach=REACH, iterations=30))
field = jax.jit(partial(distance_field, width=200, reach=REACH))


def kicked(height: int = 60) -> np.ndarray:
    x = 80 + 5 * np.sin(np.arange(height) / 6)
    x[30] += 60
    x[44:47] -= [20, 50, 20]
    return x.astype(np.float32)


def drawn_edges(x: np.ndarray, half_px: float) -> tuple[np.ndarray, np.ndarray]:
    """First and last edge of the stroke's pixels, by distance of every pixel to the polyline."""
    padded = jnp.pad(jnp.asarray(x), REACH, mode="edge")
    distance, _ = field(padded, jnp.ones(len(padded), bool))
    mask = np.asarray(distance) <= half_px
    return mask.argmax(1), 200.0 - mask[:, ::-1].argmax(1)


def exact_edges(x: np.ndarray, half_px: float) -> Edges:
    there = jnp.ones(len(x), bool)
    right = draw_right(jnp.asarray(x), there, jnp.asarray(half_px)).edge
    left = -draw_right(-jnp.asarray(x), there, jnp.asarray(half_px)).edge
    return Edges(left=left, right=right, least=left, most=right, inked=there)


@pytest.mark.parametrize("half_px", [0.5, 1.3, 3.0, 6.0])
def test_the_envelope_is_the_edge_of_the_rendered_stroke(half_px):
    x = kicked()
    left, right = drawn_edges(x, half_px)
    edges = exact_edges(x, half_px)
    inner = slice(REACH, -REACH)
    np.testing.assert_allclose(edges.right[inner], right[inner], atol=0.51)
    np.testing.assert_allclose(edges.left[inner], left[inner], atol=0.51)


@pytest.mark.parametrize("half_px", [0.5, 1.3, 3.0, 6.0])
def test_the_polyline_lies_between_the_eroded_edges_and_touches_them_at_tips(half_px):
    x = kicked()
    low, high = erode(exact_edges(x, half_px), jnp.asarray(half_px))
    assert (np.asarray(low) <= x + 1e-3).all()
    assert (np.asarray(high) >= x - 1e-3).all()
    assert high[30] == pytest.approx(x[30], abs=1e-3)
    assert low[45] == pytest.approx(x[45], abs=1e-3)


@pytest.mark.parametrize("half_px", [0.5, 1.3, 3.0])
def test_the_fit_finds_the_polyline_again_tips_included(half_px):
    x, half = kicked(), jnp.asarray(half_px)
    edges = exact_edges(x, half_px)
    start = sum(erode(edges, half)) / 2
    found = fit(start, edges.inked, edges, half_px=half)
    error = np.abs(np.asarray(found) - x)
    assert np.median(error) < 0.05
    assert error.mean() < 0.5
    assert error[[30, 45]].max() < 1.5  # of kicks of 60 and 50 px


def test_ink_that_ends_at_the_other_curve_may_go_on_beneath_it():
    """The right half of a straight stroke is hidden in some rows; the polyline stays where it was."""
    x = np.full(60, 50.0, np.float32)
    whole = exact_edges(x, 4.0)
    hidden = jnp.asarray((np.arange(60) >= 20) & (np.arange(60) < 40))
    edges = Edges(
        left=whole.left,
        right=jnp.where(hidden, 48.0, whole.right),
        least=whole.least,
        most=jnp.where(hidden, 60.0, whole.most),
        inked=whole.inked,
    )
    start = jnp.full(60, 50.0)
    found = fit(start, edges.inked, edges, half_px=jnp.asarray(4.0))
    np.testing.assert_allclose(found, x, atol=0.05)
