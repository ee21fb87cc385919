"""From curves to ink: pens of a width and a coding, exact on near-horizontal kicks because ink is a function of
distance to the polyline."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from veerjax.polyline import distance_field
from veerjax.synthesis.noise import between, dice, log_between

MAX_STROKE_PX = 12
REACH_PX = MAX_STROKE_PX // 2 + 1  # rows beyond the image whose curve may still ink it
# On and off in stroke widths of `labels.CODINGS`, but for the first, which is solid.
BROKEN = jnp.array([[2.0, 2.0], [4.0, 4.0], [6.0, 2.0], [1.0, 2.0]])
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


def random_pens(key: PRNGKeyArray, *, scale: Float[Array, ""]) -> Pen:
    """Curve 1's solid pen and curve 2's broken one, stacked. Widths 1 to 12 px, greater on finer scans."""
    u = dice(key, 6)
    first = log_between(u[0], 1.0, 5.0) * scale
    stroke = jnp.clip(jnp.stack([first, first * log_between(u[1], 0.6, 1.4)]), 1.0, MAX_STROKE_PX)
    choice = jnp.floor(u[2] * len(BROKEN)).astype(jnp.int32)
    by_hand = between(u[3:5], 0.75, 1.3)
    dash = jnp.maximum(BROKEN[choice] * by_hand * stroke[1], jnp.array([1.5, 2.5]))
    # A broad pen's pattern is shortened: across a longer gap nobody could tell where the curve went.
    dash = dash * jnp.minimum(1, (LONGEST_GAP_PX + 4 * scale) / dash[1])
    on = jnp.stack([jnp.asarray(SOLID_PX), dash[0]])
    off = jnp.stack([jnp.asarray(0.0), dash[1]])
    phase = jnp.stack([jnp.asarray(0.0), u[5] * (dash[0] + dash[1])])
    return Pen(stroke=stroke, on=on, off=off, phase=phase, coding=jnp.stack([jnp.zeros_like(choice), choice + 1]))


def ink_and_mask(
    x: Float[Array, " rows"], drawn: Bool[Array, " rows"], pen: Pen, *, width: int
) -> tuple[Float[Array, "height width"], Bool[Array, "height width"]]:
    """What a pen leaves on the paper, and the stroke it stands for.

    Args:
        x: where the curve crosses each row's centre [px], with `REACH_PX` rows more above and below the image
        drawn: whether the pen was down
        pen: how it is drawn
        width: of the image [px]

    Returns:
        Ink in [0, 1], broken by the coding and anti-aliased; and the mask of the whole stroke, its gaps bridged along
        the arc.
    """
    distance, arc = distance_field(x, drawn, width=width, reach=REACH_PX)
    body = jnp.clip(pen.stroke / 2 + 0.5 - distance, 0, 1)
    place = jnp.mod(arc + pen.phase, pen.on + pen.off)
    dash = jnp.clip(jnp.minimum(place, pen.on - place) + 0.5, 0, 1)
    solid = pen.on >= SOLID_PX
    return body * jnp.where(solid, 1.0, dash), distance <= pen.stroke / 2
