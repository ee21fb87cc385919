"""Pairs of curves for the comparison: the overlap that a formula says, names that ink tells, events that are there."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.metrics.average_precision import box_iou, boxes_of
from veerjax.metrics.crossings import crossing_counts
from veerjax.synthesis import pairs
from veerjax.synthesis.pairs import CROSSING, IDENTICAL, SHIFTED, STYLES, TOUCHING, Look
from veerjax.types import Batch

HEIGHT, WIDTH = 96, 80
SEPARATIONS = (1.0, 0.5, 0.33, 0.1, 0.0)


@jax.jit
def drawn(keys: jax.Array, looks: Look) -> Batch:
    return jax.vmap(functools.partial(pairs.draw_pair, height=HEIGHT, width=WIDTH))(keys, looks)


def looks(count: int, **chosen: object) -> Look:
    """Looks of which some values are chosen, each one value or one for each."""
    values = {
        "meeting": SHIFTED,
        "separation": 0.5,
        "angle": 60.0,
        "stroke_px": 3.0,
        "style": 0,
        "spiky": False,
        **chosen,
    }
    return Look(**{name: jnp.broadcast_to(jnp.asarray(value), (count,)) for name, value in values.items()})


def keys(count: int, *, same: bool = False) -> jax.Array:
    return jax.vmap(jax.random.key)(jnp.zeros(count, int) if same else jnp.arange(count))


@pytest.fixture(scope="module")
def shifted() -> Batch:
    """One curve at five separations."""
    return drawn(keys(5, same=True), looks(5, separation=jnp.array(SEPARATIONS), spiky=True))


def test_boxes_of_copies_overlap_as_the_formula_says(shifted: Batch) -> None:
    boxes = boxes_of(shifted.strokes)
    overlap = jax.vmap(lambda two: box_iou(two, two)[0, 1])(boxes)
    expected = [(1 - s) / (1 + s) for s in SEPARATIONS]
    np.testing.assert_allclose(overlap, expected, atol=0.04)  # boxes are whole pixels


def test_copies_are_shifted_and_otherwise_alike(shifted: Batch) -> None:
    x = np.asarray(shifted.centreline)
    left, right = x.min(axis=1), x.max(axis=1)
    apart = right - left
    np.testing.assert_allclose(apart, np.broadcast_to(apart[:, :1], apart.shape), atol=1e-3)
    np.testing.assert_allclose(apart[:, 0] / apart[0, 0], SEPARATIONS, atol=1e-3)
    # The left one stands still while the other comes.
    np.testing.assert_allclose(left, np.broadcast_to(left[:1], left.shape), atol=1e-3)
    assert x.min() >= 0
    assert x.max() < WIDTH


def test_a_sample_is_a_function_of_key_and_look_alone() -> None:
    one, other = (drawn(keys(5), looks(5, style=jnp.arange(5) % 3)) for _ in range(2))
    np.testing.assert_array_equal(one.image, other.image)
    assert not np.array_equal(one.image[0], one.image[3])


def test_names_are_what_the_ink_tells() -> None:
    batch = drawn(
        keys(40), looks(40, style=jnp.arange(40) % 3, meeting=jnp.where(jnp.arange(40) < 20, SHIFTED, CROSSING))
    )
    style, left = np.arange(40) % 3, np.asarray(batch.centreline[:, 0, 0] < batch.centreline[:, 1, 0])
    assert left[style == IDENTICAL].all()
    for told in (0, 1):
        assert 0 < left[style == told].mean() < 1
    assert (np.asarray(batch.coding)[style == 0, 1] > 0).all()
    assert (np.asarray(batch.coding)[style != 0] == 0).all()
    assert len(STYLES) == 3


def test_pairs_cross_once_or_touch_once() -> None:
    meeting = jnp.where(jnp.arange(12) < 6, CROSSING, TOUCHING)
    batch = drawn(keys(12), looks(12, meeting=meeting, style=jnp.arange(12) % 3, spiky=jnp.arange(12) % 2 == 0))
    there = jnp.ones((12, 2, HEIGHT), bool)
    count = jax.vmap(functools.partial(crossing_counts, stroke_px=3.0))
    events = np.asarray(count(batch.centreline, there, batch.centreline, there))
    np.testing.assert_array_equal(events, np.repeat([[1, 1, 0, 0], [0, 0, 1, 1]], 6, axis=0))


def test_strokes_are_as_wide_as_asked_for() -> None:
    batch = drawn(keys(3, same=True), looks(3, stroke_px=jnp.array([1.0, 3.0, 5.0])))
    steep = np.abs(np.diff(np.asarray(batch.centreline), axis=2, append=np.nan)) < 0.2
    widths = np.asarray(batch.strokes).sum(axis=3)
    for place, expected in enumerate((1, 3, 5)):
        assert abs(widths[place][steep[place]].mean() - expected) < 0.5


@pytest.mark.parametrize("setting", pairs.SETTINGS)
def test_training_draws_every_kind(setting: str) -> None:
    some = jax.vmap(lambda key: pairs.random_look(key, setting=setting))(keys(200))
    assert set(np.asarray(some.meeting).tolist()) == set(pairs.SETTINGS[setting])
    assert set(np.asarray(some.style).tolist()) == {0, 1, 2}
    assert 0.3 < np.asarray(some.spiky).mean() < 0.7
    assert (np.asarray(some.separation) < 0.33).mean() > 0.4
    assert (np.asarray(some.separation) > 0.5).any()
    assert np.asarray(some.stroke_px).min() >= 1
    assert np.asarray(some.stroke_px).max() <= 5
