"""The settings: one is frozen, each is what its name says, and samples are addressed by their name alone."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.data.rendered import rendered_examples
from veerjax.errors import InputError
from veerjax.synthesis.draw import SETTINGS, draw, draw_batch, draw_curves, sample_key
from veerjax.types import Batch

GOLDEN = Path(__file__).with_name("golden") / "standard.npz"
HEIGHT, WIDTH = 96, 112
ARTEFACTS_SHOWN = 24  # samples of a setting that a test looks at


@functools.cache
def samples(setting: str, channels: int = 1, count: int = ARTEFACTS_SHOWN) -> Batch:
    indices = jnp.arange(count)
    return rendered_examples(setting, split="train", indices=indices, height=128, width=128, channels=channels)


@pytest.mark.parametrize(("split", "seed", "first", "count"), [("test", 0, 0, 6), ("train", 3, 40, 2)])
def test_standard_is_frozen(split: str, seed: int, first: int, count: int) -> None:
    """The samples that every score since the first issue was measured on, stored then."""
    there = np.load(GOLDEN)
    indices = jnp.arange(first, first + count)
    now = rendered_examples("standard", split=split, indices=indices, height=HEIGHT, width=WIDTH, seed=seed)
    np.testing.assert_array_equal(np.packbits(np.asarray(now.strokes)), there[f"{split}_strokes"])
    np.testing.assert_array_equal(np.packbits(np.asarray(now.presence)), there[f"{split}_presence"])
    np.testing.assert_allclose(now.centreline, there[f"{split}_centreline"], atol=1e-3)
    image = np.rint(np.asarray(now.image[..., 0]) * 255)
    off = np.abs(image - there[f"{split}_image"])
    assert off.max() <= 1
    assert (off > 0).mean() <= 1e-4


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_draws_any_size_in_any_number_of_channels(setting: str) -> None:
    for height, width, channels in ((33, 47, 1), (128, 256, 3), (2600, 224, 1)):
        shape = jax.eval_shape(
            functools.partial(draw, height=height, width=width, setting=setting, channels=channels), jax.random.key(1)
        )
        assert shape.image.shape == (height, width, channels)
        assert shape.strokes.shape == (2, height, width)
        assert shape.centreline.shape == shape.presence.shape == (2, height)


def test_other_channels_and_settings_are_refused() -> None:
    with pytest.raises(InputError, match="2 channels were asked for; write 1 for grey or 3 for RGB"):
        draw(jax.random.key(0), height=32, width=32, channels=2)
    with pytest.raises(InputError, match=r"the setting is 'bitonl'.*did you mean 'bitonal'"):
        draw_curves(jax.random.key(0), jnp.zeros((2, 64)), jnp.ones((2, 64), bool), width=32, setting="bitonl")
    with pytest.raises(InputError, match="the setting blobs draws no curves that it is given; write another"):
        draw_curves(jax.random.key(0), jnp.zeros((2, 64)), jnp.ones((2, 64), bool), width=32, setting="blobs")
    with pytest.raises(InputError, match="the setting four_curves adds curves of its own to those that it is given"):
        draw_curves(jax.random.key(0), jnp.zeros((2, 64)), jnp.ones((2, 64), bool), width=32, setting="four_curves")


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting", ["standard", "hard", "colour", "four_curves", "blobs", "meeting"]
)  # the others draw by their ways
def test_a_sample_is_the_same_alone_and_inside_any_batch(setting: str) -> None:
    one = functools.partial(draw_batch, height=HEIGHT, width=WIDTH, setting=setting)
    drawn = jax.jit(one, static_argnums=1)
    batch, alone = drawn(5, "train", jnp.arange(8)), drawn(5, "train", jnp.array([6]))
    other = drawn(5, "train", jnp.array([90, 6, 3, 17, 1, 2, 400, 8]))
    for found, place in ((alone, 0), (other, 1)):
        np.testing.assert_array_equal(found.strokes[place], batch.strokes[6])
        np.testing.assert_array_equal(found.label[place], batch.label[6])
        np.testing.assert_allclose(found.centreline[place], batch.centreline[6], atol=1e-3)
        off = np.abs(np.asarray(found.image[place] - batch.image[6])) * 255
        assert (off > 0.5).mean() <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_tells_a_consistent_truth(setting: str) -> None:
    batch = samples(setting)
    image, masks, label = (np.asarray(a) for a in (batch.image, batch.strokes, batch.label))
    assert np.isfinite(image).all()
    assert image.min() >= 0
    assert image.max() <= 1
    np.testing.assert_array_equal(label == 1, masks[:, 0])
    np.testing.assert_array_equal(label == 2, masks[:, 1] & ~masks[:, 0])
    b, k, r = np.nonzero(np.asarray(batch.presence))
    column = np.floor(np.asarray(batch.centreline)[b, k, r]).astype(int)
    assert (column >= 0).all()
    assert (column < 128).all()
    near = [masks[b, k, r, np.clip(column + d, 0, 127)] for d in (-1, 0, 1)]
    assert np.mean(np.any(near, axis=0)) > 0.985


@pytest.mark.slow
def test_settings_are_what_their_names_say() -> None:
    assert all(len(np.unique(one)) <= 2 for one in np.asarray(samples("bitonal").image))
    one_pixel = samples("one_pixel")
    steep = np.abs(np.diff(np.asarray(one_pixel.centreline), axis=-1))
    upright = (steep[..., 1:] < 0.5) & (steep[..., :-1] < 0.5) & np.asarray(one_pixel.presence)[..., 1:-1]
    widths = np.asarray(one_pixel.strokes).sum(axis=-1)[..., 1:-1][upright]
    assert np.median(widths) == 1
    assert widths.mean() == pytest.approx(1, abs=0.05)
    assert (np.asarray(samples("identical_ink").coding) == 0).all()
    assert (np.asarray(samples("clean").coding)[:, 1] > 0).all()
    rgb = np.asarray(samples("colour", 3).image)
    assert (np.ptp(rgb, axis=-1).max(axis=(1, 2)) > 0.1).all()
    grey = np.asarray(samples("colour").image)[..., 0]
    np.testing.assert_allclose(grey, rgb @ np.array([0.299, 0.587, 0.114]), atol=0.003)
    repeated = np.asarray(samples("standard", 3).image)
    np.testing.assert_array_equal(repeated[..., 0], repeated[..., 2])


@pytest.mark.slow
def test_of_four_curves_two_are_of_each_class_all_are_ink_and_rows_are_the_first_ones() -> None:
    batch, pair = samples("four_curves"), samples("well_like")
    for name in ("centreline", "presence", "coding"):
        np.testing.assert_array_equal(getattr(batch, name), getattr(pair, name))
    masks = np.pad(np.asarray(batch.strokes), [(0, 0), (0, 0), (0, 0), (1, 0)])
    strokes_of_rows = (masks[..., 1:] & ~masks[..., :-1]).sum(axis=-1)
    assert (strokes_of_rows >= 2).mean(axis=(0, 2)).min() > 0.5
    image, masks = np.asarray(batch.image)[..., 0], np.asarray(batch.strokes)
    away = np.abs(np.arange(128) - np.asarray(batch.centreline)[..., None]) > 16  # of the first two: what else there is
    paper = np.median(image, axis=(1, 2))[:, None, None]
    for curve, darker in enumerate((0.2, 0.15)):  # a broken stroke is blank between its dashes
        second = masks[:, curve] & away.all(axis=1)
        assert second.any(axis=(1, 2)).mean() > 0.5
        assert np.where(second, paper - image, 0).sum() / second.sum() > darker, f"of class {curve + 1}"


@pytest.mark.slow
def test_of_identical_curves_the_left_one_at_the_top_is_the_first() -> None:
    batch = samples("identical_ink", count=256)
    both = np.asarray(batch.presence).all(axis=1)
    assert both.any(axis=1).sum() >= 200
    for x, there in zip(np.asarray(batch.centreline)[both.any(axis=1)], both[both.any(axis=1)], strict=True):
        first = np.argmax(there)
        assert x[0, first] <= x[1, first]
    second_alone = np.asarray(batch.presence).any(axis=2)
    assert not (second_alone[:, 1] & ~second_alone[:, 0]).any()


def test_train_and_test_never_share_a_curve_whatever_the_setting() -> None:
    """Keys decide curves, and splits share none: also not with other seeds."""
    keys = {
        (split, seed): {tuple(np.asarray(jax.random.key_data(sample_key(seed, split, i))).tolist()) for i in range(200)}
        for split in ("train", "validation", "test")
        for seed in (0, 1, 20260000)
    }
    assert not keys["train", 20260000] & keys["test", 0]
    assert not keys["train", 0] & keys["validation", 0]
    assert not keys["test", 0] & keys["validation", 0]
    assert keys["test", 0] == keys["test", 1]
