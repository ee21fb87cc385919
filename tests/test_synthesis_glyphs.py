"""Text from real glyphs: exact where nothing is scaled, and the same text however it is turned, moved or batched."""

import dataclasses
from importlib import resources

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.synthesis import glyphs
from veerjax.synthesis.glyphs import CAPITAL, CHARACTERS, FACES, LENGTH, LINE_DICE, PRINTED, TextItems

PAGE = {"height": 96, "width": 160}
SCALE = jnp.float32(1.5)


def line(word: str, *, face: str = "sans", size: float = 11.0, **fields: float | bool) -> TextItems:
    """One line of text."""
    plain = glyphs.plain_lines(
        jnp.asarray(glyphs.encoded([word])), face=jnp.array([FACES.index(face)]), size=jnp.array([size])
    )
    arrays = {name: jnp.array([value]) for name, value in fields.items()}
    return dataclasses.replace(plain, **arrays)


def drawn(items: TextItems, *, height: int = 96, width: int = 160) -> np.ndarray:
    return np.asarray(glyphs.lines_of_text(items, height=height, width=width))


def dice(*shape: int, seed: int = 0) -> jax.Array:
    return jax.random.uniform(jax.random.key(seed), shape)


def words(items: TextItems) -> list[str]:
    return ["".join(CHARACTERS[place] for place in row).rstrip() for row in np.asarray(items.glyphs)]


def middle(coverage: np.ndarray, axis: int) -> float:
    """The middle of the inked extent along one axis [px]."""
    inked = np.flatnonzero(coverage.max(axis=axis) > 0.2)
    return (inked[0] + inked[-1] + 1) / 2


def test_every_character_of_every_face_has_ink_but_the_blank() -> None:
    cells, advances = glyphs.atlas()
    assert cells.shape[:2] == advances.shape == (len(FACES), len(CHARACTERS))
    ink = cells.sum(axis=(2, 3))
    assert (ink[:, 1:] > 2).all()  # the thinnest full stop
    assert (ink[:, 0] == 0).all()
    assert (advances >= 3).all()
    assert len(resources.files("veerjax.synthesis").joinpath("glyphs.png").read_bytes()) <= 150_000


@pytest.mark.parametrize("face", FACES)
def test_at_the_size_of_the_atlas_a_character_is_its_cell(face: str) -> None:
    cells, _ = glyphs.atlas()
    found = drawn(line("R", face=face, size=CAPITAL, top=float(glyphs.ABOVE), left=5.0))
    cell = cells[FACES.index(face), CHARACTERS.index("R")]
    np.testing.assert_allclose(found[: glyphs.ROWS, 5 : 5 + glyphs.COLUMNS], cell, atol=1e-5)
    assert found.sum() == pytest.approx(cell.sum(), rel=1e-5)


def test_strength_zero_leaves_exactly_nothing_and_half_leaves_half() -> None:
    stamp = line("COPY", top=20.0, left=20.0, frame=2.0)
    assert not drawn(glyphs.faded(stamp, jnp.float32(0))).any()
    full, half = drawn(stamp), drawn(glyphs.faded(stamp, jnp.float32(0.5)))
    unclipped = full < 1  # where two letters touch they cover more than all
    np.testing.assert_allclose(half[unclipped], full[unclipped] / 2, atol=1e-6)


def test_text_moved_by_whole_pixels_is_the_same_text() -> None:
    here, there = line("TD 5230", top=20.3, left=15.7), line("TD 5230", top=29.3, left=21.7)
    np.testing.assert_allclose(np.roll(drawn(here), (9, 6), (0, 1)), drawn(there), atol=1e-4)


def test_text_that_reads_upwards_is_the_page_turned() -> None:
    level = drawn(line("NEUTRON", top=20.0, left=30.0, frame=1.5))
    length = float(glyphs.layout(jax.tree.map(lambda a: a[0], line("NEUTRON")))[2])
    turned = line("NEUTRON", top=160 - 30 - length, left=20.0, frame=1.5, upwards=True)
    np.testing.assert_allclose(drawn(turned, height=160, width=96), np.rot90(level), atol=1e-4)


@pytest.mark.parametrize("size", [6.0, 9.0, 14.0, 23.0])
def test_ink_grows_with_the_square_of_the_size(size: float) -> None:
    ink = drawn(line("RT", size=size, top=30.0, left=30.0)).sum()
    cells, _ = glyphs.atlas()
    expected = cells[0, [CHARACTERS.index(c) for c in "RT"]].sum() * (size / CAPITAL) ** 2
    assert ink == pytest.approx(expected, rel=0.03)


def test_a_box_surrounds_its_text_with_a_line_of_its_thickness() -> None:
    framed, bare = (drawn(line("VOID", size=12.0, top=40.0, left=50.0, frame=f)) for f in (2.0, 0.0))
    box = framed - bare
    length = float(glyphs.layout(jax.tree.map(lambda a: a[0], line("VOID", size=12.0)))[2])
    assert box.sum() == pytest.approx((length + 16) * 28 - (length + 12) * 24, rel=0.01)
    assert (box[46, 42:44] == 1).all()
    np.testing.assert_allclose(framed[36:54, 46 : int(54 + length)], bare[36:54, 46 : int(54 + length)], atol=1e-5)


def test_a_letter_can_stand_off_its_line_and_be_of_another_size() -> None:
    level = line("HH", size=16.0, top=40.0, left=20.0)
    lifted = dataclasses.replace(level, lift=level.lift.at[0, 1].set(0.25))
    difference = drawn(lifted) - drawn(level)
    second = int(20 + glyphs.atlas()[1][0, CHARACTERS.index("H")])
    assert np.abs(difference[:, : second - 1]).max() < 1e-5
    assert difference[36:39, second:].sum() > 3 < -difference[53:56, second:].sum()
    grown = dataclasses.replace(level, growth=level.growth.at[0, 0].set(1.25))
    rows = np.flatnonzero(drawn(grown)[:, 20:second].max(axis=1) > 0.5)
    assert (rows[0], rows[-1]) == (36, 55)


def test_whole_numbers_are_spelled() -> None:
    blank = jnp.zeros(5)
    found = glyphs.plain_lines(
        glyphs.numerals(jnp.array([0, 7, 100, 17950, 123456789])), face=blank.astype(int), size=blank
    )
    assert words(found) == ["0", "7", "100", "17950", "123456789"]


@pytest.mark.parametrize("seed", range(4))
def test_depth_numbers_count_on_and_stand_in_the_middle_of_their_rows(seed: int) -> None:
    rows = jnp.array([40.0, 140.0])
    items = glyphs.depth_numbers(dice(5, seed=seed), rows, column=jnp.float32(60), scale=jnp.float32(1))
    first, second = map(int, words(items))
    assert second - first in (50, 100)
    assert first % (second - first) == 0
    page = drawn(items, height=180, width=120)
    assert middle(page[:90], 1) == pytest.approx(40, abs=1.6)
    assert middle(page, 0) == pytest.approx(60, abs=1.6)


def test_random_words_come_from_their_list_and_need_no_zero_in_front() -> None:
    u = dice(200, LINE_DICE)
    patterns = {"!": "123456789", "?": "0123456789"}
    makers = {glyphs.callouts: glyphs.CALLOUTS, glyphs.handwriting: glyphs.NOTES, glyphs.stamps: glyphs.STAMPS}
    for make, listed in makers.items():
        items = make(u, scale=SCALE, **PAGE)
        for word in words(items):
            assert any(
                len(word) == len(form) and all(c in patterns.get(f, f) for c, f in zip(word, form, strict=True))
                for form in listed
            ), word
        assert (np.asarray(items.face) >= PRINTED).all() == (make is glyphs.handwriting)
        assert 0 < np.mean(np.asarray(items.upwards)) < 0.3
        assert bool((items.frame > 0).all()) == (make is glyphs.stamps)
    assert max(len(word) for listed in makers.values() for word in listed) <= LENGTH


def test_eager_jitted_and_batched_pages_are_alike() -> None:
    def page(u: jax.Array) -> jax.Array:
        items = glyphs.joined(*(make(u, scale=SCALE, **PAGE) for make in (glyphs.callouts, glyphs.handwriting)))
        return glyphs.lines_of_text(items, **PAGE)

    u = dice(3, 2, LINE_DICE)
    eager = np.stack([page(each) for each in u])
    assert (eager.max(axis=(1, 2)) > 0.5).all()
    assert eager.min() >= 0
    assert eager.max() <= 1
    np.testing.assert_allclose(jax.jit(jax.vmap(page))(u), eager, atol=1e-4)
