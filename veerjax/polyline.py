"""The geometry of a curve: one x per row, joined by straight segments from row centre to row centre.

Rendering, tracing and metrics all speak of this object. Vertex r lies at (x[r], r + .5); a segment is there when both
of its rows are present, and a present row without present neighbours is a point.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

FAR_PX = 1e4  # the distance reported where no curve is within reach


def spans(
    x: Float[Array, " height"], presence: Bool[Array, " height"]
) -> tuple[Float[Array, " height"], Float[Array, " height"]]:
    """The horizontal extent of the polyline within each row.

    Row r holds the curve from the boundary with the row above to the boundary with the row below, so
    `lo = min(x[r], (x[r-1]+x[r])/2, (x[r]+x[r+1])/2)`, absent neighbours left out.

    Args:
        x: where the curve crosses each row's centre [px]
        presence: whether the curve is there

    Returns:
        The least and the greatest x [px] of each row; meaningless where the curve is absent.
    """
    joined = presence[:-1] & presence[1:]
    middle = (x[:-1] + x[1:]) / 2
    above = jnp.concatenate([x[:1], jnp.where(joined, middle, x[1:])])
    below = jnp.concatenate([jnp.where(joined, middle, x[:-1]), x[-1:]])
    return jnp.minimum(jnp.minimum(above, below), x), jnp.maximum(jnp.maximum(above, below), x)


def segment_lengths(x: Float[Array, " height"]) -> Float[Array, " height-1"]:
    """The length [px] of each segment between the centres of neighbouring rows."""
    return jnp.hypot(jnp.diff(x), 1.0)


def distance_field(
    x: Float[Array, " rows"], presence: Bool[Array, " rows"], *, width: int, reach: int
) -> tuple[Float[Array, "height width"], Float[Array, "height width"]]:
    """Exact Euclidean distance of every pixel centre to the polyline, and the arc length at the nearest point.

    `x` carries `reach` rows more than the image above and below, so that what lies just outside still marks the
    image: `height = rows - 2 * reach`.

    Args:
        x: where the curve crosses each row's centre [px]
        presence: whether the curve is there
        width: of the image [px]
        reach: distances up to this [px] are exact; greater ones are at least this, or `FAR_PX`

    Returns:
        The distance [px], and the arc length [px] from the first vertex to the nearest point.
    """
    height = x.shape[0] - 2 * reach
    arc = jnp.concatenate([jnp.zeros(1), jnp.cumsum(segment_lengths(x))])
    step = jnp.append(jnp.diff(x), 0.0)
    joined = presence & jnp.append(presence[1:], False)
    columns = jnp.arange(width)[None, :] + 0.5
    squared = jnp.full((height, width), FAR_PX**2)
    nearest_arc = jnp.zeros((height, width))
    # A pixel of row r is within reach of segments r - reach - 1 .. r + reach only; the loop is unrolled so that XLA
    # fuses it into one pass over the image.
    for offset in range(-reach - 1, reach + 1):
        rows = jnp.clip(jnp.arange(height) + reach + offset, 0, x.shape[0] - 1)
        dx, slope, here = columns - x[rows][:, None], step[rows][:, None], presence[rows][:, None]
        along = jnp.clip((dx * slope - offset) / (slope**2 + 1), 0, 1) * joined[rows][:, None]
        candidate = jnp.where(here, (dx - along * slope) ** 2 + (offset + along) ** 2, FAR_PX**2)
        closer = candidate < squared
        squared = jnp.where(closer, candidate, squared)
        nearest_arc = jnp.where(closer, arc[rows][:, None] + along * jnp.hypot(slope, 1.0), nearest_arc)
    return jnp.sqrt(squared), nearest_arc
