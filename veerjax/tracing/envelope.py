"""The edges that a stroke of known width leaves, and the polyline that explains given edges.

A polyline drawn with a round pen covers, in each row, one interval. Its ends are a function of the vertices nearby, and
that function is inverted here: near a kick's tip neither the middle of the interval nor its ends are the curve.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from veerjax.tracing.rows import beside, shifted

FAR_PX = 1e4


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Edges:
    """The interval of ink in each row: what the curve must cover, and what it must not leave.

    The two differ where the ink ends at the other curve's, beneath which it may go on, or at the track's border.
    """

    left: Float[Array, " height"]  # [px]
    right: Float[Array, " height"]  # [px]
    least: Float[Array, " height"]  # [px] at most `left`
    most: Float[Array, " height"]  # [px] at least `right`
    inked: Bool[Array, " height"]  # whether the row has ink at all; without it the rest is meaningless

    @property
    def sure(self) -> Bool[Array, " height"]:
        """Whether both ends of the ink are the curve's own."""
        return self.inked & (self.left - self.least < 0.5) & (self.most - self.right < 0.5)

    def moved(self, by_px: Float[Array, " height"]) -> "Edges":
        """The same ink further to the right."""
        ends = {name: getattr(self, name) + by_px for name in ("left", "right", "least", "most")}
        return Edges(**ends, inked=self.inked)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Envelope:
    """The right edge of a drawn polyline, and the point of the polyline that made it."""

    edge: Float[Array, " height"]  # [px]
    segment: Int[Array, " height"]  # row of the segment's upper vertex
    along: Float[Array, " height"]  # 0 at the upper vertex, 1 at the lower


def right_envelope(
    x: Float[Array, " height"], presence: Bool[Array, " height"], half_px: Float[Array, ""], *, reach: int
) -> Envelope:
    """The rightmost ink in each row of a polyline drawn with a round pen.

    A disc of radius h whose centre is d rows away ends `sqrt(h^2 - d^2)` right of its centre; the edge is the greatest
    such end over all centres on the polyline. On one segment of slope s it is where the slope of the disc is s.

    Args:
        x: where the curve crosses each row's centre [px]
        presence: whether the curve is there
        half_px: half of the stroke's width, at most `reach - 1`
        reach: rows that a stroke may reach up and down [px]
    """
    offsets = jnp.arange(-reach, reach)  # of the segments' upper vertices
    slope = jnp.append(jnp.diff(x), 0.0)
    joined = presence & jnp.append(presence[1:], False)
    lean = slope * half_px * jax.lax.rsqrt(slope**2 + 1)
    away = offsets[:, None].astype(x.dtype)
    low, high = jnp.maximum(0.0, -away - half_px), jnp.minimum(1.0, -away + half_px)
    touch = jnp.clip(shifted(lean, offsets, outside=0.0) - away, low, high)
    end = jnp.sqrt(jnp.maximum(half_px**2 - (away + touch) ** 2, 0.0))
    start = shifted(jnp.where(joined, x, -FAR_PX), offsets, outside=-FAR_PX)
    candidate = jnp.where(low <= high, start + shifted(slope, offsets, outside=0.0) * touch + end, -FAR_PX)
    best = jnp.argmax(candidate, axis=0)[None]
    edge = jnp.take_along_axis(candidate, best, axis=0)[0]
    along = jnp.take_along_axis(touch, best, axis=0)[0]
    alone = jnp.where(presence, x + half_px, -FAR_PX) >= edge
    return Envelope(
        edge=jnp.where(alone, jnp.where(presence, x + half_px, -FAR_PX), edge),
        segment=jnp.arange(x.shape[0]) + jnp.where(alone, 0, offsets[best[0]]),
        along=jnp.where(alone, 0.0, along),
    )


def eroded(edges: Edges, half_px: Float[Array, ""], *, reach: int) -> tuple[Array, Array]:
    """The least and the greatest x in each row at which a disc of the stroke's width leaves no edge."""
    offsets = jnp.arange(-reach, reach + 1)
    end = jnp.sqrt(jnp.maximum(half_px**2 - offsets**2, 0.0))[:, None]
    near = (jnp.abs(offsets) <= half_px)[:, None]
    least = shifted(jnp.where(edges.inked, edges.least, -FAR_PX), offsets, outside=-FAR_PX)
    most = shifted(jnp.where(edges.inked, edges.most, FAR_PX), offsets, outside=FAR_PX)
    low = jnp.max(jnp.where(near, least + end, -FAR_PX), axis=0)
    return low, jnp.min(jnp.where(near, most - end, FAR_PX), axis=0)


def fit_polyline(
    x: Float[Array, " height"],
    presence: Bool[Array, " height"],
    edges: Edges,
    *,
    half_px: Float[Array, ""],
    reach: int,
    iterations: int,
    stiffness: float = 0.02,
    rows: Int[Array, ""] | None = None,
) -> Float[Array, " height"]:
    """The polyline whose drawn edges lie nearest to the given ones.

    Each iteration draws the polyline, and moves each vertex by the mean of the edge errors that it answers for.

    Args:
        x: where to start [px]
        presence: whether the curve is there
        edges: what to explain
        half_px: half of the stroke's width
        reach: rows that a stroke may reach up and down [px]
        iterations: ten suffice
        stiffness: weight of the mean of both neighbours, against the weight 1 of an edge
        rows: of the strip, where padding without ink lies below it

    Reference:
        Gilbert 1972, simultaneous iterative reconstruction: `x += J'e / J'1`.
    """

    # The left edge is the right edge of the mirror image.
    sides = jnp.array([[1.0], [-1.0]])
    cover = jnp.stack([edges.right, -edges.left])
    limit = jnp.stack([edges.most, -edges.least])
    before, after = beside(x.shape[0], rows)
    draw = jax.vmap(lambda x: right_envelope(x, presence, half_px, reach=reach))

    def body(_: int, x: Float[Array, " height"]) -> Float[Array, " height"]:
        drawn = draw(sides * x[None])
        error, weight = edge_error(drawn.edge, cover, limit)
        share = jax.vmap(attributed)(drawn, jnp.where(edges.inked, error, 0), jnp.where(edges.inked, weight, 0))
        smooth = (x[before] + x[after]) / 2
        push = share[0, :, 0] - share[1, :, 0] + stiffness * (smooth - x)
        return x + push / (share[0, :, 1] + share[1, :, 1] + stiffness)

    return jax.lax.fori_loop(0, iterations, body, x)


def edge_error(
    drawn: Float[Array, "2 height"], cover: Float[Array, "2 height"], limit: Float[Array, "2 height"]
) -> tuple[Array, Array]:
    """How far the drawn edge falls short of what it must cover (> 0) or passes its limit (< 0), and the weight."""
    error = jnp.maximum(cover - drawn, 0.0) + jnp.minimum(limit - drawn, 0.0)
    between = (drawn > cover) & (drawn < limit)
    return jnp.clip(error, -FAR_PX, FAR_PX), jnp.where(between, 0.0, 1.0)


def attributed(
    envelope: Envelope, error: Float[Array, " height"], weight: Float[Array, " height"]
) -> Float[Array, "height 2"]:
    """Sums the errors, and their weights, at the vertices that made the edges."""
    both = jnp.stack([error * weight, weight], axis=-1)
    along = envelope.along[:, None]
    total = jnp.zeros_like(both)
    total = total.at[envelope.segment].add((1 - along) * both, mode="drop")
    return total.at[envelope.segment + 1].add(along * both, mode="drop")
