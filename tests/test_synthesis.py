"""The renderer's laws."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.errors import InputError
from veerjax.synthesis import curves, paper, strokes
from veerjax.synthesis import grid as grids
from veerjax.synthesis.draw import MARGIN_PX, draw, draw_batch, draw_curves, sample_key
from veerjax.types import Batch

drawer = jax.jit(
    lambda keys: jax.vmap(functools.partial(draw, height=96, width=64))(keys)  # one compilation for every split
)
inked = jax.jit(strokes.ink_and_mask, static_argnames="width")
REACH = strokes.REACH_PX


def drawn(seed: int, split: str, indices: jax.Array) -> Batch:
    """`draw_batch`, padded to 64 samples so that one compilation serves."""
    keys = jax.vmap(lambda index: sample_key(seed, split, index))(jnp.resize(indices, 64))
    return jax.tree.map(lambda leaf: leaf[: len(indices)], drawer(keys))


@pytest.fixture(scope="module")
def batch() -> Batch:
    return drawn(0, "train", jnp.arange(64))


def test_a_sample_is_the_same_alone_and_in_any_batch(batch: Batch) -> None:
    alone = jax.jit(functools.partial(draw_batch, height=96, width=64), static_argnums=1)(0, "train", jnp.array([7]))
    np.testing.assert_array_equal(alone.label[0], batch.label[7])
    np.testing.assert_array_equal(alone.strokes[0], batch.strokes[7])
    np.testing.assert_allclose(alone.centreline[0], batch.centreline[7], atol=1e-3)
    assert np.mean(np.abs(alone.image[0] - batch.image[7]) > 1e-6) < 1e-3


@pytest.mark.parametrize(("height", "width"), [(33, 47), (128, 256), (2600, 224)])
def test_any_size_is_drawn(height: int, width: int) -> None:
    one = jax.eval_shape(functools.partial(draw, height=height, width=width), jax.random.key(1))
    assert one.image.shape == (height, width, 1)
    assert one.strokes.shape == (2, height, width)
    assert one.centreline.shape == one.presence.shape == (2, height)


def test_splits_and_seeds_never_share_a_sample() -> None:
    keys = {
        tuple(np.asarray(jax.random.key_data(sample_key(seed, split, index))).tolist())
        for seed in (0, 1, 20260000)
        for split in ("train", "validation", "test")
        for index in range(50)
    }
    # Validation and test are fixed, whatever the seed of the training.
    assert len(keys) == 3 * 50 + 2 * 50


def test_splits_never_share_a_curve() -> None:
    batches = [drawn(0, split, jnp.arange(64)) for split in ("train", "test", "validation")]
    lines = np.concatenate([np.asarray(batch.centreline[:, 0]) for batch in batches])  # curve 2 may follow curve 1
    assert len(np.unique(lines.round(3), axis=0)) == len(lines) == 3 * 64


def test_label_is_curve_1_over_curve_2_of_the_overlapping_strokes(batch: Batch) -> None:
    strokes_, label = np.asarray(batch.strokes), np.asarray(batch.label)
    np.testing.assert_array_equal(label == 1, strokes_[:, 0])
    np.testing.assert_array_equal(label == 2, strokes_[:, 1] & ~strokes_[:, 0])
    assert (strokes_[:, 0] & strokes_[:, 1]).any()


def test_image_is_grey_in_256_levels_and_some_scans_are_bitonal(batch: Batch) -> None:
    image = np.asarray(batch.image)
    assert image.min() >= 0
    assert image.max() <= 1
    np.testing.assert_allclose(image * 255, np.round(image * 255), atol=1e-3)
    bitonal = [len(np.unique(one)) == 2 for one in image]
    assert 0.1 < np.mean(bitonal) < 0.55


def test_centreline_lies_inside_its_stroke_wherever_the_curve_is_present(batch: Batch) -> None:
    b, k, r = np.nonzero(np.asarray(batch.presence))
    column = np.floor(np.asarray(batch.centreline)[b, k, r]).astype(int)
    # A 1-px stroke marks pixels whose centre is within .5 px, so a neighbour counts.
    near = [np.asarray(batch.strokes)[b, k, r, np.clip(column + d, 0, 63)] for d in (-1, 0, 1)]
    assert np.mean(np.any(near, axis=0)) > 0.995


def test_solid_ink_is_its_mask_and_broken_ink_has_gaps_that_the_mask_bridges() -> None:
    x, down = jnp.full(100 + 2 * REACH, 30.2), jnp.ones(100 + 2 * REACH, bool)
    base = {"stroke": jnp.array(4.0), "phase": jnp.array(0.0), "coding": jnp.array(0)}
    solid = strokes.Pen(on=jnp.array(strokes.SOLID_PX), off=jnp.array(0.0), **base)
    dashed = strokes.Pen(on=jnp.array(8.0), off=jnp.array(8.0), **base)
    solid_ink, solid_mask = inked(x, down, solid, width=64)
    dashed_ink, dashed_mask = inked(x, down, dashed, width=64)
    np.testing.assert_array_equal(solid_mask, dashed_mask)
    assert (np.asarray(solid_ink)[np.asarray(solid_mask)] >= 0.5).all()
    assert 0.45 < float(dashed_ink.sum() / solid_ink.sum()) < 0.6


def test_a_stroke_has_its_width_across_every_slope() -> None:
    rows = 60 + 2 * REACH
    for slope in (0.0, 1.0, 5.0):
        x = 300 + slope * (jnp.arange(rows) - rows / 2)
        pen = strokes.Pen(
            stroke=jnp.array(6.0),
            on=jnp.array(strokes.SOLID_PX),
            off=jnp.array(0.0),
            phase=jnp.array(0.0),
            coding=jnp.array(0),
        )
        _, mask = inked(x, jnp.ones(rows, bool), pen, width=600)
        per_row = np.asarray(mask)[20:40].sum(axis=1).mean()
        assert per_row == pytest.approx(6 * np.hypot(1, slope), rel=0.1)


def test_a_kick_across_half_the_track_in_two_rows_is_drawn_to_its_tip() -> None:
    rows = 41 + 2 * MARGIN_PX
    x = jnp.full(rows, 20.0).at[rows // 2].set(150.0)
    one = jax.jit(functools.partial(draw_curves, width=200))(
        jax.random.key(0), jnp.stack([x, x]), jnp.ones((2, rows), bool)
    )
    assert np.asarray(one.strokes)[0, 20, 20:150].all()
    assert float(one.centreline[0, 20]) == 150.0


def test_curves_kick_as_fast_as_measured_logs() -> None:
    scale = jnp.asarray(1.0)
    sample = jax.vmap(lambda key: curves.random_pair(key, rows=256, width=250, scale=scale)[0])
    x = np.asarray(jax.jit(sample)(jax.random.split(jax.random.key(3), 200)))
    slope = np.abs(np.diff(x, axis=-1))
    assert 0.1 < np.median(slope) < 2
    assert np.quantile(slope, 0.99) > 7.5
    assert (slope.max(axis=-1) > 60).mean() > 0.05
    fast = np.abs(x[..., 2:] - x[..., :-2]).max(axis=-1)
    assert (fast > 125).any(), "no kick crosses half the track inside two rows"


def test_stroke_widths_cover_1_to_12_px_and_the_second_pen_is_broken() -> None:
    pens = jax.vmap(lambda key: strokes.random_pens(key, scale=jnp.asarray(2.0)))(
        jax.random.split(jax.random.key(0), 500)
    )
    assert np.asarray(pens.stroke).min() < 2.2
    assert np.asarray(pens.stroke).max() == strokes.MAX_STROKE_PX
    assert (np.asarray(pens.on)[:, 0] >= strokes.SOLID_PX).all()
    assert (np.asarray(pens.on)[:, 1] < 150).all()


def test_blur_keeps_the_mean_and_nothing_happens_at_zero() -> None:
    image = jax.random.uniform(jax.random.key(0), (40, 40))
    np.testing.assert_allclose(paper.blurred(image, jnp.asarray(0.0)), image, atol=1e-6)
    assert float(paper.blurred(image, jnp.asarray(1.0)).std()) < float(image.std()) / 2


def test_depth_lines_stand_at_their_pitch() -> None:
    grid = dataclasses.replace(grids.random_grid(jax.random.key(0)), across=jnp.full(4, 0.4))
    strength = np.asarray(grids.depth_lines(grid, rows=jnp.arange(512) + 0.5, scale=jnp.asarray(1.0)))
    dark = strength > 0.1
    starts = np.flatnonzero(dark[1:] & ~dark[:-1])
    assert np.median(np.diff(starts)) == 10  # 10 px at 100 dpi for 2 ft


def test_unknown_setting_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        InputError, match=r"the setting is 'standrad'; write one of standard, .*did you mean 'standard'"
    ):
        draw(jax.random.key(0), height=32, width=32, setting="standrad")
