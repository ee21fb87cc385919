"""From curves to ink: pens of a width and a coding, exact on near-horizontal kicks because ink is a function of
distance to the polyline."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from veerjax.polyline import at_vertices, distance_field, nearest_point, segment_lengths
from veerjax.synthesis.noise import between, dice, log_between, value_noise

MAX_STROKE_PX = 12
REACH_PX = MAX_STROKE_PX // 2 + 1  # rows beyond the image whose curve may still ink it
# On and off in stroke widths of `labels.CODINGS`, but for the first, which is solid.
BROKEN = np.array([[2, 2], [4, 4], [6, 2], [1, 2]], np.float32)
SOLID_PX = 1e6
LONGEST_GAP_PX = 7  # at 0 dpi, and 4 px more for each 100 dpi


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Pen:
    """How a curve is drawn; every field is an array so that pens batch."""

    stroke: Float[Array, ""]  # [px]
    on: Float[Array, ""]  # inked length of a dash [px]; SOLID_PX where the coding is solid
    off: Float[Array, ""]  # gap after a dash [px]
    phase: Float[Array, ""]  # where along the arc the first dash starts [px]
    coding: Int[Array, ""]  # position in `labels.CODINGS`


def random_pens(key: PRNGKeyArray, *, scale: Float[Array, ""], widest: float = MAX_STROKE_PX) -> Pen:
    """Curve 1's solid pen and curve 2's broken one, stacked. Widths 1 to `widest` px, greater on finer scans."""
    u = dice(key, 6)
    first = log_between(u[0], 1.0, 5.0) * scale
    stroke = jnp.clip(jnp.stack([first, first * log_between(u[1], 0.6, 1.4)]), 1.0, widest)
    choice = jnp.floor(u[2] * len(BROKEN)).astype(jnp.int32)
    by_hand = between(u[3:5], 0.75, 1.3)
    dash = jnp.maximum(jnp.asarray(BROKEN)[choice] * by_hand * stroke[1], jnp.array([1.5, 2.5]))
    # A broad pen's pattern is shortened: across a longer gap nobody could tell where the curve went.
    dash = dash * jnp.minimum(1, (LONGEST_GAP_PX + 4 * scale) / dash[1])
    on = jnp.stack([jnp.asarray(SOLID_PX), dash[0]])
    off = jnp.stack([jnp.asarray(0.0), dash[1]])
    phase = jnp.stack([jnp.asarray(0.0), u[5] * (dash[0] + dash[1])])
    return Pen(stroke=stroke, on=on, off=off, phase=phase, coding=jnp.stack([jnp.zeros_like(choice), choice + 1]))


def identical(pens: Pen) -> Pen:
    """Curve 1's pen for both curves."""
    return jax.tree.map(lambda leaf: jnp.stack([leaf[0], leaf[0]]), pens)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Hand:
    """How a pen moves along one curve."""

    thin: Float[Array, " rows"]  # share of the stroke's width and darkness that is left at the row's speed
    dash_arc: Float[Array, " rows"]  # [px] arc length as the hand that spaces the dashes feels it


def hand_of(
    x: Float[Array, " rows"],
    pen: Pen,
    u: Float[Array, " n"],
    *,
    pen_speed: float | Array,
    by_hand: float | Array,
    scale: Float[Array, ""],
) -> Hand:
    """A hand that thins and pales fast kicks, and spaces its dashes unevenly.

    Args:
        x: where the curve crosses each row's centre [px]
        pen: which moves along it
        u: random numbers in [0, 1], 32 or more
        pen_speed: strength in [0, 1]; 1 leaves a fifth of the stroke on the fastest kicks
        by_hand: strength in [0, 1]
        scale: how many times 100 dpi the drawing is
    """
    lengths = segment_lengths(x)
    speed = jnp.maximum(jnp.append(lengths, lengths[-1:]), jnp.append(lengths[:1], lengths))
    fast = jnp.clip((speed - 2) / (12 * scale), 0, 1)
    arc = jnp.concatenate([jnp.zeros(1), jnp.cumsum(lengths)])
    pattern = jnp.where(pen.on >= SOLID_PX, 8.0, pen.on + pen.off)
    # As many knots as there are numbers, used again from the first.
    knots = jnp.resize(u, (4 * x.shape[0],))
    slip = (
        by_hand * 0.3 * pattern * value_noise(knots, jnp.minimum(arc / pattern, 4.0 * x.shape[0] - 2), jnp.asarray(1.0))
    )
    return Hand(thin=1 - pen_speed * 0.8 * fast, dash_arc=arc + slip)


def ink_and_mask(
    x: Float[Array, " rows"], drawn: Bool[Array, " rows"], pen: Pen, *, width: int, reach: int = REACH_PX
) -> tuple[Float[Array, "height width"], Bool[Array, "height width"]]:
    """What an even hand leaves on the paper, and the stroke it stands for.

    Args:
        x: where the curve crosses each row's centre [px], with `reach` rows more above and below the image
        drawn: whether the pen was down
        pen: how it is drawn
        width: of the image [px]
        reach: of half a stroke [px]

    Returns:
        Ink in [0, 1], broken by the coding and anti-aliased; and the mask of the whole stroke, its gaps bridged along
        the arc.
    """
    distance, arc = distance_field(x, drawn, width=width, reach=reach)
    return ink_at(distance, arc, pen, stroke=pen.stroke), distance <= pen.stroke / 2


def ink_at(
    distance: Float[Array, "height width"],
    arc: Float[Array, "height width"],
    pen: Pen,
    *,
    stroke: Float[Array, "*#size"],
) -> Float[Array, "height width"]:
    """Ink in [0, 1] at distances [px] from a curve's centre and places along its arc [px]."""
    body = jnp.clip(stroke / 2 + 0.5 - distance, 0, 1)
    place = jnp.mod(arc + pen.phase, pen.on + pen.off)
    dash = jnp.clip(jnp.minimum(place, pen.on - place) + 0.5, 0, 1)
    solid = pen.on >= SOLID_PX
    return body * jnp.where(solid, 1.0, dash)


def inks_and_masks(
    x: Float[Array, "curves rows"],
    drawn: Bool[Array, "curves rows"],
    pens: Pen,
    hands: Hand,
    period: Float[Array, " curves"],
    *,
    lean: Float[Array, " height"],
    tilt: Float[Array, " width"],
    greatest_tilt: int,
    reach: int,
) -> tuple[Float[Array, "curves height width"], Bool[Array, "curves height width"]]:
    """What pens leave on a page that may be tilted, each moved by its own hand.

    Args:
        x: where each curve crosses each row's centre [px], with `reach + greatest_tilt` rows more above and below
        drawn: whether the pen was down
        pens: one for each curve
        hands: one for each curve
        period: at which each curve wraps around the track [px]
        lean: of the rows, as in `polyline.nearest_point`; also `tilt` and `greatest_tilt`
        tilt: of the rows [px]
        greatest_tilt: a bound of it [px]
        reach: of half a stroke [px]

    Returns:
        As those of `ink_and_mask`, for each curve.
    """

    def nearest(curve: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        return nearest_point(
            curve[0],
            curve[1],
            width=tilt.shape[0],
            reach=reach,
            lean=lean,
            tilt=tilt,
            greatest_tilt=greatest_tilt,
            period=curve[2],
            in_vertices=True,
        )

    def inked(distance: Array, place: Array, pen: Pen, hand: Hand) -> tuple[Array, Array]:
        thin = at_vertices(hand.thin, place)
        stroke = jnp.maximum(pen.stroke * thin, jnp.minimum(pen.stroke, 1.0))
        ink = ink_at(distance, at_vertices(hand.dash_arc, place), pen, stroke=stroke)
        return ink * (0.4 + 0.6 * thin), distance <= stroke / 2

    # A map, not a vmap: what follows looks the place up several times, and XLA would compute it anew for each.
    distance, place = jax.lax.map(nearest, (x, drawn, period))
    return jax.lax.map(lambda curve: inked(*curve), (distance, place, pens, hands))
