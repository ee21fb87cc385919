"""Two curves that are made to meet: shifted copies of one, and pairs that cross or touch at a known angle.

The data of the comparison of boxes and pixels. A sample is a function of its key, its `Look` and its size alone; paper
is plain, so that nothing but the meeting is hard. The shape of a curve, its place and the pixel noise come from the
key: samples of one key that differ in their separation show one curve, so that they can be compared pair by pair.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from veerjax.labels import label_of
from veerjax.synthesis.curves import kicks_of
from veerjax.synthesis.noise import between, dice, log_between, value_noise
from veerjax.synthesis.strokes import SOLID_PX, Pen, ink_and_mask
from veerjax.types import Batch

SHIFTED, CROSSING, TOUCHING = range(3)
MEETINGS = ("shifted", "crossing", "touching")
CODED, GREYS, IDENTICAL = range(3)
STYLES = ("coded", "greys", "identical")  # solid and dashed; black and grey; alike: curve 1 is the left one at the top
SETTINGS = {"shifted": (SHIFTED,), "meeting": (CROSSING, TOUCHING)}  # of `settings`, and the meetings they draw
STROKES_PX = (1.0, 5.0)
ANGLES = (10.0, 90.0)  # [degrees] between two curves that cross
WIDEST = 0.46  # of the image, that the box of one of two shifted curves takes
NARROWEST = 0.34
REACH_PX = 4  # of half the widest stroke
DARKNESS = np.array([[0.9, 0.9], [0.9, 0.45], [0.9, 0.9]], np.float32)  # of both curves, by style
PAPER, NOISE = 0.95, 0.02
OWN = 0.3  # of its distance from the middle, by which a curve that meets another wanders by itself
DASHED = 1  # place of dash 2/2 in `labels.CODINGS`
SHORTEST_DASH_PX = 3.0


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Look:
    """What is chosen of a sample."""

    meeting: Int[Array, "*n"]  # SHIFTED, CROSSING or TOUCHING
    separation: Float[Array, "*n"]  # of shifted curves: the shift over the width of a curve's box
    angle: Float[Array, "*n"]  # [degrees] between curves that cross, or would if they did not part
    stroke_px: Float[Array, "*n"]
    style: Int[Array, "*n"]  # CODED, GREYS or IDENTICAL
    spiky: Bool[Array, "*n"]  # with kicks, else smooth


def random_look(key: PRNGKeyArray, *, setting: str) -> Look:
    """A look of a training sample of "shifted" or "meeting": every value of the comparison's cells and between them."""
    u = dice(key, 6)
    meetings = SETTINGS[setting]
    return Look(
        meeting=jnp.asarray(meetings)[jnp.floor(u[0] * len(meetings)).astype(jnp.int32)],
        # As many far apart as near each other.
        separation=u[1] ** 2,
        angle=log_between(u[2], *ANGLES),
        stroke_px=log_between(u[3], *STROKES_PX),
        style=jnp.floor(u[4] * len(STYLES)).astype(jnp.int32),
        spiky=u[5] < 0.5,
    )


def draw_pair(key: PRNGKeyArray, look: Look, *, height: int, width: int) -> Batch:
    """One example, without a batch axis, in grey.

    Args:
        key: decides all that `look` does not
        look: of the sample
        height: of the image [px]
        width: of the image [px]
    """
    curve_key, knot_key, number_key, noise_key = jax.random.split(key, 4)
    u = dice(number_key, 8)
    rows = height + 2 * REACH_PX
    knots = dice(knot_key, 4, rows + 2)
    shape = shape_of(dice(curve_key, 8, rows + 2), look.spiky, rows=rows)
    apart = jnp.where(
        look.meeting == SHIFTED,
        shifted_copies(shape, u, look, width=width),
        meeting_pair(shape, knots, u, look, height=height, width=width),
    )
    # Which of them is curve 1 is tossed, where the ink tells.
    swap = (look.style != IDENTICAL) & (u[7] < 0.5)
    x = jnp.where(swap, apart[::-1], apart)
    pens = pens_of(look, phase=u[6])
    drawn = jnp.ones(rows, bool)
    ink, masks = jax.lax.map(lambda c: ink_and_mask(c[0], drawn, c[1], width=width, reach=REACH_PX), (x, pens))
    darkness = jnp.asarray(DARKNESS)[look.style]
    grain = NOISE * jax.random.normal(noise_key, (height, width))
    image = jnp.clip(PAPER - jnp.max(ink * darkness[:, None, None], axis=0) + grain, 0, 1)
    inner = x[:, REACH_PX : rows - REACH_PX]
    return Batch(
        image=(jnp.round(image * 255) / 255)[..., None],
        strokes=masks,
        label=label_of(masks),
        centreline=inner,
        presence=(inner >= 0) & (inner < width),
        valid=jnp.asarray(True),
        coding=pens.coding,
    )


def shape_of(tables: Float[Array, "8 n"], spiky: Bool[Array, ""], *, rows: int) -> Float[Array, " rows"]:
    """A curve that takes every value from 0 to 1 and none beyond, within the image."""
    position = jnp.arange(rows, dtype=jnp.float32)
    slow = value_noise(tables[0], position, between(tables[7, 0], 0.15, 0.4) * rows)
    fine = value_noise(tables[1], position, between(tables[7, 1], 8.0, 20.0))
    kicks = kicks_of(tables[7, 2:4], tables[2:7, :rows], position, jnp.asarray(0.5))
    curve = slow + 0.25 * fine + jnp.where(spiky, 2 * kicks, 0.0)
    inside = curve[REACH_PX : rows - REACH_PX]
    least, most = jnp.min(inside), jnp.max(inside)
    return jnp.clip((curve - least) / jnp.maximum(most - least, 1e-6), 0, 1)


def shifted_copies(
    shape: Float[Array, " rows"], u: Float[Array, " 8"], look: Look, *, width: int
) -> Float[Array, "2 rows"]:
    """The left one and the right one [px]: each in a box of width w, the boxes `separation` w apart.

    Boxes of width w that lie s apart overlap by an IoU of (w - s) / (w + s).
    """
    wide = between(u[0], NARROWEST, WIDEST) * width
    shift = look.separation * wide
    # Where the two stand does not depend on how far apart they are, unless it must.
    left = u[1] * (width - 2 * wide)
    x = left + look.stroke_px / 2 + shape * (wide - look.stroke_px)
    return jnp.stack([x, x + shift])


def meeting_pair(
    shape: Float[Array, " rows"],
    knots: Float[Array, "4 n"],
    u: Float[Array, " 8"],
    look: Look,
    *,
    height: int,
    width: int,
) -> Float[Array, "2 rows"]:
    """The curve that is left at the top, and the other [px]: they cross once, or touch once and part.

    Both stand off a common middle, by as much in their own way on either side, so they meet nowhere else.
    """
    position = jnp.arange(shape.shape[0], dtype=jnp.float32)
    middle = width * (0.5 + 0.2 * (shape - 0.5))
    most = between(u[2], 0.1, 0.2) * width
    row = REACH_PX + height * between(u[3], 0.35, 0.65)
    off = most * jnp.tanh(jnp.tan(jnp.deg2rad(look.angle / 2)) * (position - row) / most)
    # Strokes that touch lie side by side where they are nearest.
    off = jnp.where(look.meeting == TOUCHING, jnp.hypot(off, look.stroke_px / 2), -off)
    own = jnp.stack([value_noise(knots[k], position, 24.0 + 24.0 * u[4 + k]) for k in range(2)])
    return middle[None] + jnp.array([[-1.0], [1.0]]) * off[None] * (1 + OWN * own)


def pens_of(look: Look, *, phase: Float[Array, ""]) -> Pen:
    """The pens of both curves, stacked: the second one dashed where the style is so."""
    dash = jnp.maximum(2 * look.stroke_px, SHORTEST_DASH_PX)
    coded = look.style == CODED
    solid = jnp.asarray(SOLID_PX)
    zero = jnp.zeros(())
    return Pen(
        stroke=jnp.stack([look.stroke_px, look.stroke_px]),
        on=jnp.stack([solid, jnp.where(coded, dash, solid)]),
        off=jnp.stack([zero, jnp.where(coded, dash, zero)]),
        phase=jnp.stack([zero, jnp.where(coded, 2 * dash * phase, zero)]),
        coding=jnp.stack([jnp.zeros((), jnp.int32), jnp.where(coded, DASHED, 0)]),
    )
