"""The row-coordinate head: what it is asked of a box, and what it says of an image."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_cases import built
from test_mask_rcnn import tiny

from veerjax.config import RcnnConfig
from veerjax.errors import InputError
from veerjax.models.mask_rcnn.rows import rows_in_image, rows_loss
from veerjax.models.rowwise import prediction_of
from veerjax.types import Batch, blank

HEIGHT, WIDTH, CELLS, COLUMNS = 40, 64, 20, 16
BOXES = jnp.array([[[4.0, 8, 36, 56], [0, 0, 40, 64]]])
OWN = jnp.array([[0, 1]])


def slopes() -> Batch:
    """Two straight curves of 3 px; the first ends where its box does."""
    row = jnp.arange(HEIGHT) + 0.5
    x = jnp.stack([10 + row, 60 - row])[None]
    presence = jnp.ones((1, 2, HEIGHT), bool).at[0, 0].set((row > 4) & (row < 36))
    near = jnp.abs((jnp.arange(WIDTH) + 0.5)[None, None, None] - x[..., None]) < 1.5
    return replace(
        blank(jnp.zeros((1, HEIGHT, WIDTH, 1))), strokes=near & presence[..., None], centreline=x, presence=presence
    )


def true_maps(batch: Batch) -> jax.Array:
    """Maps that say where the curves are; a column of the grid is 3 px wide, and 4 px."""
    row = BOXES[..., :1] + (BOXES[..., 2:3] - BOXES[..., :1]) * ((jnp.arange(CELLS) + 0.5) / CELLS)[None, None]
    width = (BOXES[..., 3] - BOXES[..., 1]) / COLUMNS
    x = jnp.stack([jnp.interp(row[0, k], jnp.arange(HEIGHT) + 0.5, batch.centreline[0, k]) for k in range(2)])[None]
    place = (x - BOXES[..., 1:2]) / width[..., None]
    score = -0.5 * ((jnp.arange(COLUMNS) + 0.5)[None, None, None] - place[..., None]) ** 2
    flat = jnp.ones_like(score)
    reach = jnp.log(jnp.expm1(1.5 / width))[..., None, None] * flat  # behind softplus half the pen's width
    return jnp.stack([score, 5 * flat, reach, reach], axis=2)


def test_true_maps_are_read_as_the_curves_that_they_are_of() -> None:
    batch = slopes()
    rows = rows_in_image(true_maps(batch), BOXES, height=HEIGHT, width=WIDTH)
    there = np.asarray(batch.presence)
    np.testing.assert_array_equal(np.asarray(rows.presence) > 0, there)
    inner = np.asarray(there & (np.abs(np.arange(HEIGHT) - HEIGHT / 2) < 14)[None, None])
    assert np.abs(np.asarray(rows.x - batch.centreline))[inner].max() < 0.5
    assert np.abs(np.asarray(rows.left) - 1.5)[inner].max() < 1e-3
    masks = np.asarray(prediction_of(rows).masks > 0.5)[inner]
    strokes = np.asarray(batch.strokes)[inner]
    assert (masks & strokes).sum() / (masks | strokes).sum() > 0.8


def test_the_loss_is_least_at_the_truth_and_counts_the_boxes_that_it_is_told() -> None:
    batch, loss = slopes(), jax.jit(rows_loss)
    maps, counted = true_maps(batch), jnp.ones((1, 2), bool)
    least = float(loss(maps, batch, BOXES, OWN, counted))
    shifts = [jnp.roll(maps, 2, axis=-1), maps.at[:, :, 1].multiply(-1), maps.at[:, :, 2].add(2.0)]
    for worse in shifts:
        assert float(loss(worse, batch, BOXES, OWN, counted)) > least + 0.1
    spoilt = maps.at[0, 1].set(jnp.nan)
    assert np.isfinite(loss(spoilt, batch, BOXES, OWN, jnp.array([[True, False]])))
    assert float(loss(spoilt, batch, BOXES, OWN, jnp.zeros((1, 2), bool))) == 0


def test_what_was_not_found_is_in_no_row() -> None:
    maps = true_maps(slopes())
    rows = rows_in_image(maps, BOXES.at[0, 1].set(0.0), height=HEIGHT, width=WIDTH)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(rows))
    assert float(prediction_of(rows).presence[0, 1].max()) < 1e-6


def test_a_prediction_of_rows_has_the_boxes_of_its_curves() -> None:
    model, variables = built(tiny("rows"))
    found = jax.jit(model.predict)(variables, slopes())
    assert found.boxes is not None
    assert found.label is None
    assert found.masks.shape == (1, 2, HEIGHT, WIDTH)
    np.testing.assert_allclose(np.exp(np.asarray(found.row_log_prob)).sum(-1), 1, rtol=1e-4)
    row = np.arange(HEIGHT)[None, None] + 0.5
    box = np.asarray(found.boxes)
    outside = (row < box[..., :1]) | (row >= box[..., 2:3])
    assert np.max(found.presence, where=outside, initial=0.0) < 1e-6


def test_rows_have_no_true_masks() -> None:
    with pytest.raises(InputError, match=r"oracle is 'masks', and the head 'rows' has no masks .* write none or boxes"):
        RcnnConfig(head="rows", oracle="masks")
