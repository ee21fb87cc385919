"""Blobs: compact objects wholly on the image, whose masks are what an ellipse's formula says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.data.rendered import rendered_examples
from veerjax.metrics.average_precision import boxes_of
from veerjax.synthesis.blobs import LEAST_PX, MOST, random_blobs, signed_distance

HEIGHT, WIDTH = 64, 96


def test_the_distance_is_0_on_the_ellipse_and_grows_by_a_px_a_px_across_it() -> None:
    centre = jnp.array([HEIGHT / 2, WIDTH / 2])
    found = np.asarray(signed_distance(jnp.array([11.0, 5.0]), jnp.zeros(()), centre, (HEIGHT, WIDTH)))
    y, x = np.arange(HEIGHT)[:, None] + 0.5 - HEIGHT / 2, np.arange(WIDTH)[None] + 0.5 - WIDTH / 2
    inside = (x / 11) ** 2 + (y / 5) ** 2 <= 1
    np.testing.assert_array_equal(found <= 0, inside)
    np.testing.assert_allclose(np.diff(found, axis=1)[HEIGHT // 2, 58:61], 1, atol=0.1)
    np.testing.assert_allclose(np.diff(found, axis=0)[36:39, WIDTH // 2], 1, atol=0.1)


def test_objects_are_whole_compact_sometimes_absent_and_sometimes_overlap() -> None:
    draw = jax.jit(jax.vmap(lambda key: random_blobs(key, height=HEIGHT, width=WIDTH, scale=jnp.asarray(1.0))))
    ink, masks, line = (np.asarray(part) for part in draw(jax.random.split(jax.random.key(0), 400)))
    there = masks.sum((2, 3)) > 0
    assert (np.abs(there.mean(0) - 0.85) < 0.06).all()
    assert 0.1 < (masks.sum(1) == 2).any((1, 2)).mean() < 0.5
    box = np.asarray(boxes_of(jnp.asarray(masks)))[there]
    assert box.min() >= 0
    assert (box[:, 2:] <= [HEIGHT, WIDTH]).all()
    sides, area = box[:, 2:] - box[:, :2], masks.sum((2, 3))[there]
    assert (area / sides.prod(1) > 0.4).all()  # an ellipse fills its box by pi/4, a turned one less
    assert ((sides >= 2 * LEAST_PX - 2) & (sides <= 2 * MOST * HEIGHT + 2)).all()
    shares = (ink * masks).sum((2, 3)) / np.maximum(masks.sum((2, 3)), 1)
    assert np.min(shares[:, 0], where=there[:, 0], initial=1) > 0.85
    assert np.min(shares[:, 1], where=there[:, 1], initial=1) > 0.2
    assert np.max(shares[:, 1]) < 0.85
    assert ink.min() >= 0
    assert ink.max() <= 1
    assert ink[~there].max() == 0
    assert (line >= 1).all()


@pytest.mark.slow
def test_an_image_shows_its_objects_and_says_that_they_are_no_coding() -> None:
    batch = rendered_examples("blobs", split="train", indices=jnp.arange(64), height=HEIGHT, width=WIDTH)
    image, strokes = np.asarray(batch.image[..., 0]), np.asarray(batch.strokes)
    paler = [
        one[~ink.any(0)].mean() - one[ink[0]].mean() for one, ink in zip(image, strokes, strict=True) if ink[0].any()
    ]
    assert np.mean(np.array(paler) > 0.1) > 0.9
    assert (np.asarray(batch.coding) == -1).all()
    np.testing.assert_array_equal(batch.presence, strokes.any(3))
