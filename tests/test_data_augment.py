"""Augmentation: nothing at strength 0, the truth follows exactly, the stored example stays as it was."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from veerjax.data import augment
from veerjax.data.augment import Augmentation, augmented
from veerjax.data.example import Example
from veerjax.errors import InputError
from veerjax.labels import label_of

HEIGHT, WIDTH, STROKE = 80, 64, 5
NAMES = [field.name for field in dataclasses.fields(Augmentation)]
NONE = Augmentation(**dict.fromkeys(NAMES, 0.0))
WITH_U: dict[str, Callable[..., Example]] = {
    "mirror": augment.mirrored,
    "shift": augment.shifted,
    "crop": augment.cropped,
    "contrast": augment.contrasted,
    "brightness": augment.brightened,
    "gamma": augment.bent,
    "blur": augment.blurred,
    "threshold": augment.thresholded,
}


def log(*, channels: int | None = None) -> Example:
    """Two gentle curves that never cross, drawn in numpy; the second leaves the track at the bottom."""
    rows = np.arange(HEIGHT)
    x = np.stack([18 + 8 * np.sin(rows / 9), 42 + 6 * np.cos(rows / 14) + 0.5 * np.maximum(rows - 30, 0)])
    strokes = np.abs(np.arange(WIDTH) + 0.5 - x[:, :, None]) <= STROKE / 2
    paper = np.random.default_rng(0).integers(200, 240, (HEIGHT, WIDTH))
    image = np.where(strokes.any(axis=0), 30, paper).astype(np.uint8)
    return Example(
        key="a",
        image=image if channels is None else np.repeat(image[..., None], channels, axis=2),
        strokes=strokes,
        label=(strokes[0] + 2 * (strokes[1] & ~strokes[0])).astype(np.uint8),
        centreline=x,
        presence=(x >= 0) & (x < WIDTH),
        metadata={},
    )


def same(one: Example, other: Example) -> bool:
    return all(np.array_equal(value, getattr(other, name)) for name, value in vars(one).items() if name != "metadata")


def retraced(label: np.ndarray) -> np.ndarray:
    """The middle of each class's ink in each row [px], NaN where there is none."""
    ink = np.stack([label == 1, label == 2])
    with np.errstate(invalid="ignore"):
        return (ink * (np.arange(label.shape[1]) + 0.5)).sum(axis=2) / ink.sum(axis=2)


@pytest.mark.parametrize("name", WITH_U)
def test_strength_zero_is_exactly_the_identity(name: str) -> None:
    for u in (0.0, 0.3, 0.999):
        assert same(WITH_U[name](log(), u, strength=0.0), log())


def test_no_noise_and_no_change_at_all_are_the_identity_too() -> None:
    rng = np.random.default_rng(0)
    assert same(augment.noisy(log(), 0.9, rng, strength=0.0), log())
    assert same(augmented(log(), rng, NONE), log())


@pytest.mark.parametrize("name", NAMES)
def test_full_strength_changes_the_image(name: str) -> None:
    found = augmented(log(), np.random.default_rng(1), dataclasses.replace(NONE, **{name: 1.0}))
    assert not np.array_equal(found.image, log().image)


@pytest.mark.parametrize("seed", range(20))
def test_the_truth_follows(seed: int) -> None:
    before = log()
    found = augmented(before, np.random.default_rng(seed), Augmentation(shift=1, crop=1))
    whole = found.presence & (found.strokes.sum(axis=2) >= STROKE)  # not cut by an edge
    assert whole.sum() > HEIGHT
    error = np.abs(retraced(found.label) - found.centreline)[whole]
    assert np.median(error) < 0.3
    assert error.max() <= 0.5
    np.testing.assert_array_equal(found.label, found.strokes[0] + 2 * (found.strokes[1] & ~found.strokes[0]))
    assert {name: (np.shape(v), np.asarray(v).dtype) for name, v in vars(found).items()} == {
        name: (np.shape(v), np.asarray(v).dtype) for name, v in vars(before).items()
    }


@pytest.mark.parametrize(("move", "axis"), [(augment.shifted, 1), (augment.cropped, 0)])
@pytest.mark.parametrize("u", [0.0, 1.0])
def test_what_comes_in_is_paper_without_ink_and_without_truth(
    move: Callable[..., Example], axis: int, u: float
) -> None:
    found = move(log(), u, strength=1.0)
    by = [HEIGHT // 8, WIDTH // 16][axis]
    band = slice(0, by) if u == 1 else slice(-by, None)
    assert np.moveaxis(found.image, axis, 0)[band].min() >= 200
    assert not np.moveaxis(found.label, axis, 0)[band].any()
    assert not np.moveaxis(found.strokes, axis + 1, 0)[band].any()
    if axis == 0:
        assert not found.presence[:, band].any()
    inside = slice(by, None) if u == 1 else slice(0, -by)
    origin = slice(0, -by) if u == 1 else slice(by, None)
    np.testing.assert_array_equal(np.moveaxis(found.image, axis, 0)[inside], np.moveaxis(log().image, axis, 0)[origin])


def test_a_curve_that_leaves_the_image_is_absent_and_one_off_it_stays_absent() -> None:
    for u, by in ((1.0, WIDTH // 16), (0.0, -WIDTH // 16)):
        found = augment.shifted(log(), u, strength=1.0)
        x = log().centreline + by
        np.testing.assert_array_equal(found.centreline, x)
        np.testing.assert_array_equal(found.presence, log().presence & (x < WIDTH))
    assert found.presence.sum() == log().presence.sum() < 2 * HEIGHT


def in_one_ink() -> Example:
    """Two curves of one coding that cross some rows down."""
    rows = np.arange(HEIGHT)
    x = np.stack([24 + 12 * np.sin(rows / 12), 32 + 6 * np.cos(rows / 9)])
    strokes = np.abs(np.arange(WIDTH) + 0.5 - x[:, :, None]) <= STROKE / 2
    metadata = {"coding": ["solid", "solid"], "curves": [{"mnemonic": "A", "curve_class": 1}, {"mnemonic": "B"}]}
    label = label_of(strokes)
    return dataclasses.replace(log(), strokes=strokes, label=label, centreline=x, metadata=metadata)


@pytest.mark.parametrize(
    "change",
    [
        lambda example: augment.mirrored(example, 0.0, strength=1.0),
        lambda example: augment.cropped(augment.cropped(example, 0.0, strength=1.0), 0.0, strength=1.0),
        lambda example: augment.shifted(example, 0.9, strength=1.0),
        lambda example: augmented(example, np.random.default_rng(4), Augmentation(mirror=1)),
    ],
)
def test_in_identical_ink_the_left_curve_stays_the_first(change: Callable[[Example], Example]) -> None:
    found = change(in_one_ink())
    top = int(np.argmax(found.presence.all(axis=0)))
    assert found.presence[:, top].all()
    assert found.centreline[0, top] < found.centreline[1, top]
    np.testing.assert_array_equal(found.label, label_of(found.strokes))
    for curve in range(2):
        rows = np.flatnonzero(found.presence[curve])
        columns = np.floor(found.centreline[curve, rows]).astype(int)
        assert found.strokes[curve, rows, columns].all()


def test_curves_that_change_places_take_their_scales_along_and_others_keep_theirs() -> None:
    found = augment.mirrored(in_one_ink(), 0.0, strength=1.0)
    assert found.metadata["curves"] == [{"mnemonic": "B", "curve_class": 1}, {"mnemonic": "A", "curve_class": 2}]
    for coding in (["solid", "dash 2/2"], ["", ""]):
        other = dataclasses.replace(in_one_ink(), metadata={"coding": coding})
        kept = augment.mirrored(other, 0.0, strength=1.0)
        np.testing.assert_array_equal(kept.strokes, other.strokes[..., ::-1])
        assert kept.metadata == other.metadata


def test_without_a_row_of_both_the_curve_that_begins_higher_is_the_first() -> None:
    there = np.zeros((2, HEIGHT), bool)
    there[0, 40:60], there[1, 10:30] = True, True
    found = augment.mirrored(dataclasses.replace(in_one_ink(), presence=there), 0.0, strength=1.0)
    assert np.argmax(found.presence, axis=1).tolist() == [10, 40]


def test_mirroring_twice_gives_the_example_back_and_keeps_its_edge_on_the_track() -> None:
    once = augment.mirrored(log(), 0.2, strength=0.5)
    np.testing.assert_array_equal(once.image, log().image[:, ::-1])
    twice = augment.mirrored(once, 0.2, strength=0.5)
    np.testing.assert_allclose(twice.centreline, log().centreline, atol=1e-12)
    assert same(dataclasses.replace(twice, centreline=log().centreline), log())
    edge = dataclasses.replace(log(), centreline=np.zeros((2, HEIGHT)), presence=np.ones((2, HEIGHT), bool))
    assert (augment.mirrored(edge, 0.2, strength=0.5).centreline.astype(np.float32) < WIDTH).all()
    assert same(augment.mirrored(log(), 0.7, strength=0.5), log())


@pytest.mark.parametrize("change", [augment.contrasted, augment.brightened, augment.bent])
@pytest.mark.parametrize("u", [0.0, 0.2, 0.9])
def test_tones_keep_their_order_and_the_truth(change: Callable[..., Example], u: float) -> None:
    found = change(log(), u, strength=1.0)
    pairs = sorted(zip(log().image.ravel().tolist(), found.image.ravel().tolist(), strict=True))
    assert (np.diff([after for _, after in pairs]) >= 0).all()
    assert same(dataclasses.replace(found, image=log().image), log())


def test_noise_has_the_spread_that_its_strength_says() -> None:
    grey = dataclasses.replace(log(), image=np.full((HEIGHT, WIDTH), 128, np.uint8))
    noise = augment.noisy(grey, 0.8, np.random.default_rng(0), strength=0.5).image.astype(float)
    assert noise.std() == pytest.approx(15 * 0.4, rel=0.05)
    assert noise.mean() == pytest.approx(128, abs=0.5)


def test_one_bit_scans_keep_the_ink_black_and_the_paper_white() -> None:
    found = augment.thresholded(log(), 0.1, strength=1.0)
    np.testing.assert_array_equal(found.image == 0, log().strokes.any(axis=0))
    assert set(np.unique(found.image)) == {0, 255}
    blank = dataclasses.replace(log(), strokes=np.zeros_like(log().strokes))
    assert set(np.unique(augment.thresholded(blank, 0.1, strength=1.0).image)) == {0, 255}


@pytest.mark.parametrize("name", WITH_U)
def test_a_colour_image_changes_as_its_grey_one(name: str) -> None:
    grey, colour = (WITH_U[name](log(channels=channels), 0.1, strength=1.0) for channels in (None, 3))
    np.testing.assert_array_equal(colour.image, np.repeat(grey.image[..., None], 3, axis=2))
    assert same(dataclasses.replace(colour, image=grey.image), grey)


def test_the_stored_example_is_left_as_it_was() -> None:
    example = log()
    for array in (example.image, example.strokes, example.label, example.centreline, example.presence):
        array.setflags(write=False)  # as arrays read from bytes are
    augmented(example, np.random.default_rng(3), Augmentation(**dict.fromkeys(NAMES, 1.0)))
    assert same(example, log())


def test_a_strength_beyond_its_range_is_refused() -> None:
    with pytest.raises(InputError, match=r"augmentation.blur is 1.5; write a number from 0 to 1"):
        Augmentation(blur=1.5)
