"""Rows in which a curve has no ink of its own: hidden under the other curve, a short break, or a true gap."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from veerjax.tracing.rows import interpolated, neighbours, share_between, shifted

MOSTLY = 0.7  # share of a hidden stretch's rows that lie on the other curve's ink


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Other:
    """The curve that may hide the one that is judged."""

    mask: Float[Array, "height width"]  # probability of its ink
    x: Float[Array, " height"]  # [px] in its inked rows
    inked: Bool[Array, " height"]  # whether it has ink of its own
    touch_px: Float[Array, ""]  # curves this close to each other touch
    slack_px: Float[Array, ""]  # how far from its middle it hides the whole stroke


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Filled:
    """A curve after its breaks were judged."""

    x: Float[Array, " height"]  # [px]; interpolated in bridged rows
    presence: Bool[Array, " height"]
    occluded: Bool[Array, " height"]  # present, and hidden under the other curve
    bridged: Bool[Array, " height"]  # present without ink of its own


def fill_breaks(
    x: Float[Array, " height"],
    inked: Bool[Array, " height"],
    other: Other,
    *,
    bridge_px: int,
    hidden_px: int,
    rows: Int[Array, ""] | None = None,
) -> Filled:
    """Judges every stretch of rows without ink of the curve's own.

    It is hidden where the straight line between its ends lies mostly on the other curve's ink, or where its ends touch
    the other curve: then it follows that curve, to the strip's end as well if that is near. Between two inked rows, a
    stretch of at most `bridge_px` rows is bridged. Anything else is a gap, and nothing is invented across it.

    Args:
        x: of the curve in inked rows [px]
        inked: whether the curve has ink of its own
        other: the other curve
        bridge_px: the longest short break [rows]
        hidden_px: the longest stretch from the last ink to the strip's end that counts as hidden [rows]
        rows: of the strip, where padding without ink lies below it
    """
    height, width = other.mask.shape
    end = height if rows is None else rows
    above, below = neighbours(inked)
    below = jnp.minimum(below, end)
    missing = below - above - 1
    inside = ~inked & (above >= 0) & (below < end)
    at_end = ~inked & ((above >= 0) != (below < end)) & (missing <= hidden_px)
    straight = interpolated(x, inked)
    column = jnp.clip(jnp.floor(straight).astype(jnp.int32), 0, width - 1)
    on_ink = jnp.take_along_axis(other.mask, column[:, None], axis=1)[:, 0] > 0.5
    under = inside & (share_between(on_ink, above, below) >= MOSTLY)
    apart = x - other.x
    touching = nearest_hold(jnp.abs(apart) <= other.touch_px, inked) & (share_between(other.inked, above, below) >= 1)
    follows = (inside | at_end) & ~under & touching
    followed = other.x + jnp.clip(interpolated(apart, inked), -other.slack_px, other.slack_px)
    bridged = under | follows | (inside & (missing <= bridge_px))
    return Filled(
        x=jnp.where(follows, followed, straight),
        presence=inked | bridged,
        occluded=under | follows,
        bridged=bridged,
    )


def nearest_hold(condition: Bool[Array, " height"], known: Bool[Array, " height"]) -> Bool[Array, " height"]:
    """Whether the condition holds at the nearest known rows above and below; a missing one does not count."""
    height = known.shape[0]
    above, below = neighbours(known)
    top = condition[jnp.maximum(above, 0)] | (above < 0)
    bottom = condition[jnp.minimum(below, height - 1)] | (below >= height)
    return top & bottom


def without_caps(presence: Bool[Array, " height"], half_px: Float[Array, ""], *, reach: int) -> Bool[Array, " height"]:
    """Presence without the round ends of the stroke, which ink up to half its width beyond the curve's ends.

    The strip's first and last row end no curve.
    """
    offsets = jnp.arange(-reach, reach + 1)
    neighbour = shifted(presence, offsets, outside=True)
    return presence & jnp.all(neighbour | (jnp.abs(offsets) > half_px)[:, None], axis=0)
