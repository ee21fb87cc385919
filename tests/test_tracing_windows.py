"""A strip read by windows says what it would say if it were read at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.errors import InputError
from veerjax.tracing.windows import blend, predict_strip, window_starts, window_weights
from veerjax.types import Prediction


def pixelwise(images) -> Prediction:
    """A model that looks at one pixel, and for presence at one row."""
    images = jnp.asarray(images)
    masks = jnp.stack([1 - images, images * 0.5], axis=1)
    return Prediction(masks=masks, row_log_prob=jax.nn.log_softmax(4 * masks, axis=-1), presence=masks.max(-1))


def strip(height: int, width: int = 24) -> np.ndarray:
    return np.random.default_rng(0).random((height, width), dtype=np.float32)


@pytest.mark.parametrize("height", [1, 100, 128, 129, 200, 256, 1000])
def test_the_strip_equals_the_one_shot_result(height):
    image = strip(height)
    shapes = set()

    def predict(images):
        shapes.add(images.shape)
        return pixelwise(images)

    found = predict_strip(predict, image, window=128, overlap=48, batch=3)
    truth = pixelwise(image[None])
    for name in ("masks", "row_log_prob", "presence"):
        np.testing.assert_allclose(getattr(found, name), getattr(truth, name), atol=2e-5)
    assert shapes == {(3, 128, 24)}


@pytest.mark.parametrize("height", [1, 512, 513, 3000, 30001])
def test_windows_start_at_multiples_cover_the_strip_and_overlap(height):
    starts = window_starts(height, 512, 128)
    assert starts[0] == 0
    assert (starts % 32 == 0).all()
    assert starts[-1] + 512 >= height
    assert (np.diff(starts) > 0).all()
    assert (np.diff(starts) <= 512 - 128).all()


def test_a_blend_moves_steadily_from_one_window_to_the_next():
    starts = np.array([0, 64])
    parts = [[np.full((2, 96), level, np.float32)] for level in (0, 1)]
    (whole,) = blend(parts, starts, 160, window=96, overlap=32)
    np.testing.assert_allclose(whole[:, :64], 0, atol=1e-6)
    np.testing.assert_allclose(whole[:, 96:], 1, atol=1e-6)
    np.testing.assert_allclose(np.diff(whole[0, 64:96]), 1 / 32, atol=1e-5)


def test_the_strips_own_ends_count_fully():
    weights = window_weights(np.array([0, 64, 128]), 96, 32)
    assert (weights > 0).all()
    assert (weights[0, :48] == 1).all()
    assert (weights[-1, -48:] == 1).all()


def test_an_overlap_that_leaves_no_room_is_refused():
    with pytest.raises(InputError, match="windows of 128 px overlap by 128 px"):
        window_starts(1000, 128, 128)
