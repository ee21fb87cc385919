"""Ink that is none of the two declared curves, and so background: further curves, shading, call-outs with arrows."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from veerjax.synthesis import glyphs
from veerjax.synthesis.curves import random_curve
from veerjax.synthesis.doses import Doses
from veerjax.synthesis.geometry import Geometry
from veerjax.synthesis.noise import Dice, between, held, lookup
from veerjax.synthesis.strokes import SOLID_PX, Pen

Strength = float | Float[Array, ""]
Edge = Float[Array, ""]
WORDS, NUMBERS = 2, 3  # call-outs and depth numbers of a page


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Strangers:
    """Curves that nobody asked for."""

    x: Float[Array, "strangers rows"]  # [px] on the page before lean and tilt
    drawn: Bool[Array, "strangers rows"]
    pens: Pen


def stranger(
    key: PRNGKeyArray,
    u: Dice,
    strength: Strength,
    *,
    x: Float[Array, "2 rows"],
    pens: Pen,
    left: Edge,
    right: Edge,
    scale: Float[Array, ""],
) -> tuple[Float[Array, " rows"], Bool[Array, " rows"], Pen]:
    """A curve that nobody asked for: a further one of the track, a backup of a declared one on a shifted scale, or
    the neighbouring track's that enters from the side.

    It is drawn in any coding, the declared ones too; then it is thinner than theirs, or comes from outside the track.

    Args:
        key: random key
        u: random numbers
        strength: 0 draws nothing; 1 a stroke as broad as a declared one's
        x: the declared curves [px]
        pens: theirs
        left: the track's edges [px]; also `right`
        scale: how many times 100 dpi the drawing is

    Returns:
        Its x [px], where it is drawn, and its pen.
    """
    rows, width = x.shape[1], right - left
    further = left + width * random_curve(key, rows=rows, scale=scale)
    one = (u[0] < 0.5).astype(jnp.int32)
    side = jnp.where(u[1] < 0.5, 1.0, -1.0)
    backup = x[one] - side * width * between(u[2], 0.7, 1.0)
    neighbour = (
        jnp.where(side > 0, right, left) + side * width * between(u[2], 0.05, 0.4) + 0.8 * (further - left - width / 2)
    )
    is_backup, is_neighbour = u[3] < 0.2, u[3] >= 0.7
    own = jnp.where(is_backup, backup, jnp.where(is_neighbour, neighbour, further))
    drawn = (jnp.asarray(strength) > 0) & jnp.where(is_neighbour, True, (own >= left) & (own < right))
    coding = jnp.where(u[4] < 0.3, 0, jnp.where(u[4] < 0.55, 1, 2))  # as curve 1, as curve 2, its own dots
    declared = pens.stroke[jnp.clip(coding, 0, 1)]
    full = jnp.where(is_neighbour, 1.0, between(u[5], 0.35, jnp.where(coding == 2, 1.0, 0.65)))
    stroke = jnp.maximum(declared * full * (0.4 + 0.6 * strength), 0.8)
    on = jnp.where(coding == 0, SOLID_PX, jnp.where(coding == 1, pens.on[1], jnp.maximum(stroke * u[6] * 2, 1.5)))
    off = jnp.where(coding == 0, 0.0, jnp.where(coding == 1, pens.off[1], jnp.maximum(stroke * 3 * (1 + u[7]), 3.0)))
    return own, jnp.broadcast_to(drawn, own.shape), Pen(stroke=stroke, on=on, off=off, phase=u[8] * 20, coding=coding)


def shading(
    u: Dice,
    x: Float[Array, "2 rows"],
    strength: Strength,
    *,
    drawn: Bool[Array, "2 rows"],
    geometry: Geometry,
    beyond: int,
) -> Float[Array, "height width"]:
    """Ink between a curve and the border, or between both curves: a tint, hatching or dots.

    Args:
        u: random numbers
        x: of the curves on the page, before lean and tilt [px]
        strength: 0 leaves nothing
        drawn: where both curves are, else nothing is shaded
        geometry: of the page
        beyond: rows of `x` above and below the image
    """
    low, high = jnp.min(x, axis=0), jnp.max(x, axis=0)
    curve = jnp.where(u[0] < 0.5, x[0], x[1])
    left, right = geometry.left, geometry.right
    low = jnp.where(u[1] < 0.35, left, jnp.where(u[1] < 0.7, curve, low))
    high = jnp.where(u[1] < 0.35, curve, jnp.where(u[1] < 0.7, right, high))
    high = jnp.where(jnp.all(drawn, axis=0), high, low)
    low, high = held(jnp.clip(jnp.stack([low, high]), left, right))
    height, width = x.shape[1] - 2 * beyond, geometry.tilt.shape[0]
    shown = jnp.arange(beyond, beyond + height)[:, None] + jnp.round(geometry.tilt).astype(jnp.int32)[None, :]
    lean = geometry.lean[beyond : beyond + height, None]
    row, column = shown + 0.5, jnp.arange(width)[None, :] + 0.5 - lean
    inside = jnp.clip(column - lookup(low, shown), 0, 1) * jnp.clip(lookup(high, shown) - column, 0, 1)
    pitch = between(u[2], 4.0, 10.0)
    hatch = (jnp.mod(row + jnp.where(u[3] < 0.5, column, -column), pitch) < 1.3).astype(jnp.float32)
    dots = ((jnp.mod(row, pitch) < 1.6) & (jnp.mod(column + 0.5 * pitch * jnp.floor(row / pitch), pitch) < 1.6)) * 1.0
    pattern = jnp.where(u[4] < 0.4, 0.5, jnp.where(u[4] < 0.75, hatch, dots))
    return strength * between(u[5], 0.4, 1.0) * inside * pattern


def writing(
    doses: Doses, *, height: int, width: int, scale: Float[Array, ""], depth_rows: Float[Array, " numbers"]
) -> Float[Array, "height width"]:
    """Text on the page: depth numbers, call-outs, handwriting, stamps; at strengths 0 there is none.

    Args:
        doses: of these four
        height: of the image [px]
        width: of the image [px]
        scale: how many times 100 dpi the drawing is
        depth_rows: of the 100-ft lines [px]
    """
    size = jnp.clip(scale, 0.8, 2.5)
    page = {"height": height, "width": width, "scale": size}
    lines = []
    for name, count, of in (
        ("words", WORDS, glyphs.callouts),
        ("handwriting", 1, glyphs.handwriting),
        ("stamp", 1, glyphs.stamps),
    ):
        u, strength = doses.of(name)
        lines.append(glyphs.faded(of(u[: count * glyphs.LINE_DICE].reshape(count, -1), **page), jnp.asarray(strength)))
    u, strength = doses.of("depth_numbers")
    column = between(u[5], 0.04, 0.96) * width
    lines.append(glyphs.faded(glyphs.depth_numbers(u, depth_rows, column=column, scale=size), jnp.asarray(strength)))
    return glyphs.lines_of_text(glyphs.joined(*lines), height=height, width=width)


def arrow(
    u: Dice,
    strength: Strength,
    *,
    target: Float[Array, " height"],
    there: Bool[Array, " height"],
    width: int,
    scale: Float[Array, ""],
) -> Float[Array, "height width"]:
    """The arrow of the first call-out, to a curve that runs at `target` [px] where it is there; half have one.

    `u` are the numbers that `glyphs.callouts` places the call-out by, and more.
    """
    height = target.shape[0]
    start = jnp.stack([u[glyphs.ROW_DIE] * height, u[glyphs.COLUMN_DIE] * width])
    row = jnp.clip(start[0] + between(u[80], -0.15, 0.15) * height, 0, height - 1)
    nearest = row.astype(jnp.int32)
    tip = jnp.stack([row, target[nearest]])
    along = (start - tip) / (jnp.linalg.norm(start - tip) + 1e-3)
    across = jnp.stack([-along[1], along[0]])
    size = 5 * jnp.clip(scale, 0.8, 2.5)
    barbs = [tip + size * (along + 0.5 * side * across) for side in (1.0, -1.0)]
    distance = jnp.full((height, width), 1e3)
    for end in (tip + 0.8 * (start - tip), *barbs):
        distance = jnp.minimum(distance, distance_to_segment(tip, end, height=height, width=width))
    pointed = (u[81] < 0.5) & (jnp.asarray(strength) > 0) & there[nearest]
    return jnp.where(pointed, strength * jnp.clip(0.5 + 0.6 * jnp.clip(scale, 0.8, 2.5) - distance, 0, 1), 0.0)


def distance_to_segment(
    start: Float[Array, " 2"], end: Float[Array, " 2"], *, height: int, width: int
) -> Float[Array, "height width"]:
    """Of every pixel's centre [px]; both ends are (row, column) [px]."""
    row = jnp.arange(height)[:, None] + 0.5 - start[0]
    column = jnp.arange(width)[None, :] + 0.5 - start[1]
    step = end - start
    share = jnp.clip((row * step[0] + column * step[1]) / (jnp.sum(step**2) + 1e-6), 0, 1)
    return jnp.sqrt((row - share * step[0]) ** 2 + (column - share * step[1]) ** 2)


def strangers(
    key: PRNGKeyArray,
    doses: Doses,
    *,
    x: Float[Array, "2 rows"],
    pens: Pen,
    geometry: Geometry,
    scale: Float[Array, ""],
) -> Strangers:
    """Both strangers of a page.

    Args:
        key: random key
        doses: of the sample
        x: the declared curves on the page [px]
        pens: theirs
        geometry: of the page
        scale: how many times 100 dpi the drawing is
    """
    names = ("first_stranger", "second_stranger")
    found = [
        stranger(k, *doses.of(name), x=x, pens=pens, left=geometry.left, right=geometry.right, scale=scale)
        for k, name in zip(jax.random.split(key), names, strict=True)
    ]
    own, drawn, own_pens = jax.tree.map(lambda *leaves: jnp.stack(leaves), *found)
    return Strangers(x=own, drawn=drawn, pens=own_pens)
