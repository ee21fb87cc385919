"""Text on a scan, drawn from a small atlas of real glyphs: depth numbers, call-outs, handwriting, stamps.

The atlas is made by `tools/make_glyphs.py`; it holds rasters of DejaVu Sans (Bitstream Vera licence), STIX General,
Courier Prime, Humor Sans and Breip (SIL Open Font License).

A line of text is a row of whole glyphs, and a page is sampled from it by matrix products, so that no pixel looks
anything up: coverage = along the page's rows [H, h] @ (glyphs [h, w] @ along its columns [w, W]), and with rows and
columns in each other's roles for text that reads upwards.
"""

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from PIL import Image

from veerjax.synthesis.noise import Dice, between, log_between

CHARACTERS = " 0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ.-/'#+"  # the first is a blank and fills short lines
FACES = ("sans", "serif", "typewriter", "hand", "pen")
PRINTED = 3  # faces that machines print, the first of `FACES`; the others are written by hand
ROWS, COLUMNS = 24, 24  # of a cell [px of the atlas]
CAPITAL, ABOVE = 16, 4  # height of a capital, and what lies above it in its cell [px of the atlas]
LENGTH = 10  # glyphs of a line of text
# In the words below "!" stands for a random digit from 1 to 9, "?" for one from 0 to 9.
CALLOUTS = (
    *("GR", "SP", "CALI", "RHOB", "NPHI", "DT", "ILD", "SFL", "LLD", "MSFL", "TENSION", "GAMMA RAY", "NEUTRON"),
    *("DENSITY", "SONIC", "CALIPER", "INDUCTION", "POROSITY", "BIT SIZE", "MUD", "REPEAT", "MAIN LOG", "RUN !"),
    *("TD !???", "FR !???", "!???", "!??", "!?.? IN", "GAPI", "API UNITS", "OHM-M", "G/CC", "US/FT", "MV", "+ MV -"),
    *("0 150", "-160 40", "6 16", "0.2 2000", "1.95 2.95", "45 -15", "140 40", "5''/100'", "1/240", "X10"),
)
NOTES = (
    *("TD !???", "TOP", "BASE", "SAND", "SHALE", "LIME", "GAS", "OIL", "WET", "PAY", "OK", "PERF", "CORE #!", "DST #!"),
    *("!???", "!???'", "!??'", "ARBUCKLE", "LANSING", "MISS.", "GAS SHOW", "SEE NOTE", "+!?", "KB !???"),
)
STAMPS = ("COPY", "RECEIVED", "FIELD", "FINAL", "FILE COPY", "ORIGINAL", "MICROFILM", "VOID", "FILED", "NO. !???")
ROW_DIE, COLUMN_DIE = 4, 5  # the numbers of a line that place its middle on the page
LINE_DICE = 6 + 3 * LENGTH  # numbers in [0, 1] that a random line of text is made from


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class TextItems:
    """Lines of text on a page; `top` and `left` are those of the capitals' box, however it is turned."""

    glyphs: Int[Array, "items length"]  # positions in `CHARACTERS`; blanks behind the text count for nothing
    face: Int[Array, " items"]  # position in `FACES`
    top: Float[Array, " items"]  # [px]
    left: Float[Array, " items"]  # [px]
    size: Float[Array, " items"]  # height of a capital [px]
    upwards: Bool[Array, " items"]  # turned by 90 degrees, so that it reads from bottom to top
    strength: Float[Array, " items"]  # of the ink, in [0, 1]; 0 leaves nothing
    frame: Float[Array, " items"]  # thickness of the line of a box around the text [px]; 0 for none
    lift: Float[Array, "items length"]  # how far a glyph stands above its line, in heights of a capital
    growth: Float[Array, "items length"]  # size of a glyph over that of its line


@functools.lru_cache(maxsize=1)
def atlas() -> tuple[np.ndarray, np.ndarray]:
    """The glyphs in [0, 1], [faces, characters, rows, columns], and their advances [px], [faces, characters]."""
    with resources.files("veerjax.synthesis").joinpath("glyphs.png").open("rb") as file:
        page = np.asarray(Image.open(file), np.float32) / 255
    cells = page.reshape(len(FACES), ROWS + 1, len(CHARACTERS), COLUMNS).transpose(0, 2, 1, 3)
    return cells[:, :, :ROWS], np.sum(cells[:, :, ROWS] > 0.5, axis=-1).astype(np.float32)


def lines_of_text(items: TextItems, *, height: int, width: int) -> Float[Array, "{height} {width}"]:
    """How much of each pixel the text covers, in [0, 1].

    Args:
        items: the text
        height: of the page [px]
        width: of the page [px]
    """
    longest = max(height, width)
    down, across = jax.vmap(lambda item: factors(item, longest))(items)
    down, across = down[:, :height], across[:, :width]
    return jnp.clip(jnp.einsum("tyk,txk->yx", down, across), 0, 1)


def factors(item: TextItems, longest: int) -> tuple[Float[Array, "longest parts"], Float[Array, "longest parts"]]:
    """Two factors of the coverage of one line of text: over rows and over columns, `longest` px of each."""
    starts, scales, length = layout(item)
    position = jnp.arange(longest) + 0.5
    along = jnp.where(item.upwards, item.top + length - position, position - item.left)
    beside = position - jnp.where(item.upwards, item.left, item.top)
    cells = jax.vmap(uneven)(jnp.asarray(atlas()[0])[item.face, item.glyphs], item.lift, item.growth)
    columns = starts[:, None] + jnp.outer(scales, jnp.arange(COLUMNS) + 0.5)
    reading = sampling(jnp.subtract.outer(along, columns), scales[None, :, None]).reshape(longest, -1)
    text_along = reading @ cells.reshape(-1, ROWS)
    scale = item.size / CAPITAL
    text_beside = sampling(jnp.subtract.outer(beside, (jnp.arange(ROWS) + 0.5 - ABOVE) * scale), scale)
    box_along, box_beside = frame(along, length, item), frame(beside, item.size, item)
    sign = jnp.array([[1.0, -1.0]])  # the box is what lies in its outer rectangle and not in its inner one
    long = jnp.concatenate([text_along, box_along], axis=1)
    short = item.strength * jnp.concatenate([text_beside, sign * box_beside], axis=1)
    return jnp.where(item.upwards, long, short), jnp.where(item.upwards, short, long)


def layout(item: TextItems) -> tuple[Float[Array, " length"], Float[Array, " length"], Float[Array, ""]]:
    """Where each glyph of a line starts [px], how many px a px of the atlas is in it, and the length of all [px]."""
    scales = item.size / CAPITAL * item.growth
    advances = jnp.asarray(atlas()[1])[item.face, item.glyphs] * scales
    ends = jnp.cumsum(advances)
    return ends - advances, scales, jnp.max(jnp.where(item.glyphs > 0, ends, 0))


def sampling(distance: Float[Array, "..."], step: Float[Array, "..."]) -> Float[Array, "..."]:
    """The weight of a sample at a distance [px] in a row of samples `step` px apart: interpolated where they are wider
    apart than pixels, averaged where they are closer."""
    reach = jnp.maximum(step, 1)
    return step / reach * jnp.maximum(0, 1 - jnp.abs(distance) / reach)


def uneven(cell: Float[Array, "rows columns"], lift: Float[Array, ""], growth: Float[Array, ""]) -> Array:
    """A glyph raised above its line and grown in height."""
    row = jnp.arange(ROWS) + 0.5
    baseline = float(ABOVE + CAPITAL)
    source = (row + lift * CAPITAL - baseline) / growth + baseline
    return cell.T @ jnp.maximum(0, 1 - jnp.abs(jnp.subtract.outer(row, source)))


def frame(position: Float[Array, " n"], extent: Float[Array, ""], item: TextItems) -> Float[Array, "n 2"]:
    """Coverage by the outer and the inner extent of a text's box, half a capital away from the text."""
    margin = 0.5 * item.size + jnp.array([1.0, 0.0]) * item.frame
    inside = jnp.minimum(jnp.add.outer(position, margin), jnp.add.outer(extent - position, margin))
    return jnp.where(item.frame > 0, jnp.clip(inside + 0.5, 0, 1), 0)


def encoded(words: Sequence[str]) -> np.ndarray:
    """Words as positions in `CHARACTERS`, filled up with blanks to `LENGTH`; -2 and -1 for "!" and "?"."""
    codes = {"!": -2, "?": -1} | {character: place for place, character in enumerate(CHARACTERS)}
    return np.array([[codes[character] for character in word.ljust(LENGTH)] for word in words], np.int32)


def random_lines(u: Float[Array, "items dice"], words: Sequence[str], *, size: Float[Array, " items"]) -> TextItems:
    """A random word on each line, in a random printed face, on the page's upper left corner.

    Args:
        u: `LINE_DICE` random numbers in [0, 1] for each line, of which the caller spends the third to sixth
        words: to choose from
        size: height of a capital [px]
    """
    chosen = jnp.asarray(encoded(words))[jnp.floor(u[:, 0] * len(words)).astype(jnp.int32)]
    first = jnp.where(chosen == -2, 1, 0)  # the least digit that may stand here
    digits = 1 + first + jnp.floor(u[:, 6 : 6 + LENGTH] * (10 - first)).astype(jnp.int32)
    face = jnp.floor(u[:, 1] * PRINTED).astype(jnp.int32)
    return plain_lines(jnp.where(chosen < 0, digits, chosen), face=face, size=size)


def plain_lines(
    glyphs: Int[Array, "items length"], *, face: Int[Array, " items"], size: Float[Array, " items"]
) -> TextItems:
    """Level, even lines in full ink on the page's upper left corner."""
    blank = jnp.zeros_like(size)
    return TextItems(
        glyphs=glyphs,
        face=face,
        top=blank,
        left=blank,
        size=size,
        upwards=jnp.zeros(size.shape, bool),
        strength=blank + 1,
        frame=blank,
        lift=jnp.zeros(glyphs.shape),
        growth=jnp.ones(glyphs.shape),
    )


def centred(items: TextItems, *, row: Array, column: Array) -> TextItems:
    """The same lines with the middle of each at a place of the page [px]."""
    _, _, length = jax.vmap(layout)(items)
    tall, wide = jnp.where(items.upwards, length, items.size), jnp.where(items.upwards, items.size, length)
    return dataclasses.replace(items, top=row - tall / 2, left=column - wide / 2)


def callouts(u: Float[Array, "items dice"], *, height: int, width: int, scale: Float[Array, ""]) -> TextItems:
    """Printed mnemonics, units, scale ends and depths anywhere on the page; one in five reads upwards.

    Args:
        u: `LINE_DICE` random numbers in [0, 1] for each
        height: of the page [px]
        width: of the page [px]
        scale: how many times 100 dpi the page is
    """
    lines = random_lines(u, CALLOUTS, size=log_between(u[:, 2], 6.0, 11.0) * scale)
    return centred(
        dataclasses.replace(lines, upwards=u[:, 3] < 0.2), row=u[:, ROW_DIE] * height, column=u[:, COLUMN_DIE] * width
    )


def handwriting(u: Float[Array, "items dice"], *, height: int, width: int, scale: Float[Array, ""]) -> TextItems:
    """Notes by hand, their letters uneven in size and off their line; the arguments are those of `callouts`."""
    lines = random_lines(u, NOTES, size=log_between(u[:, 2], 8.0, 18.0) * scale)
    lift, growth = u[:, 6 + LENGTH : 6 + 2 * LENGTH], u[:, 6 + 2 * LENGTH :]
    uneven = dataclasses.replace(
        lines,
        face=PRINTED + jnp.floor(u[:, 1] * (len(FACES) - PRINTED)).astype(jnp.int32),
        upwards=u[:, 3] < 0.15,
        lift=between(lift, -0.12, 0.12),
        growth=between(growth, 0.8, 1.15),
    )
    return centred(uneven, row=u[:, ROW_DIE] * height, column=u[:, COLUMN_DIE] * width)


def stamps(u: Float[Array, "items dice"], *, height: int, width: int, scale: Float[Array, ""]) -> TextItems:
    """Rubber stamps: a word in a box, in ink of uneven strength; the arguments are those of `callouts`."""
    lines = random_lines(u, STAMPS, size=log_between(u[:, 2], 10.0, 20.0) * scale)
    inked = dataclasses.replace(
        lines,
        upwards=u[:, 3] < 0.2,
        strength=between(u[:, 6 + LENGTH], 0.4, 1.0),
        frame=between(u[:, 7 + LENGTH], 0.08, 0.2) * lines.size,
    )
    return centred(inked, row=u[:, ROW_DIE] * height, column=u[:, COLUMN_DIE] * width)


def depth_numbers(u: Dice, rows: Float[Array, " items"], *, column: Array, scale: Float[Array, ""]) -> TextItems:
    """Consecutive depths such as 5100, 5200, 5300, all in one face, size and direction.

    Args:
        u: 5 random numbers in [0, 1], or more
        rows: where the depths are, downwards [px]; those off the page are not seen
        column: of the numbers' middle [px]
        scale: how many times 100 dpi the page is
    """
    count = rows.shape[0]
    interval = jnp.where(u[0] < 0.7, 100, 50)  # [ft] or [m]
    numbers = interval * (jnp.floor(between(u[1], 2, 180)).astype(jnp.int32) + jnp.arange(count))
    items = plain_lines(
        numerals(numbers),
        face=jnp.full(count, jnp.floor(u[3] * PRINTED).astype(jnp.int32)),
        size=jnp.full(count, log_between(u[2], 7.0, 12.0) * scale),
    )
    turned = dataclasses.replace(items, upwards=jnp.full(count, u[4] < 0.4))
    return centred(turned, row=rows, column=column)


def numerals(numbers: Int[Array, " items"]) -> Int[Array, "items length"]:
    """Whole numbers, at least 0, as glyphs; they start at the first."""
    powers = 10 ** jnp.arange(9)
    digits = jnp.maximum(1, jnp.sum(numbers[:, None] >= powers[None], axis=1))
    behind = jnp.subtract.outer(digits - 1, jnp.arange(LENGTH))  # how many digits follow
    return jnp.where(behind >= 0, 1 + numbers[:, None] // powers[jnp.clip(behind, 0, 8)] % 10, 0)


def faded(items: TextItems, strength: Float[Array, "#items"] | Float[Array, ""]) -> TextItems:
    """The same lines with their ink taken times a number in [0, 1]; 0 leaves nothing."""
    return dataclasses.replace(items, strength=items.strength * strength)


def joined(*items: TextItems) -> TextItems:
    """All the lines of several."""
    return jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *items)
