"""The geometry of a curve: one x per row, joined by straight segments from row centre to row centre.

Rendering, tracing and metrics all speak of this object. Vertex r lies at (x[r], r + .5); a segment is there when both
of its rows are present, and a present row without present neighbours is a point.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

AT_ONCE, PASS = 20, 9  # rows that one pass looks at: when it is the only one, and when there are more
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
    return nearest_point(x, presence, width=width, reach=reach)


def nearest_point(
    x: Float[Array, " rows"],
    presence: Bool[Array, " rows"],
    *,
    width: int,
    reach: int,
    lean: Float[Array, " height"] | None = None,
    tilt: Float[Array, " width"] | None = None,
    greatest_tilt: int = 0,
    period: Float[Array, ""] | None = None,
    in_vertices: bool = False,
) -> tuple[Float[Array, "height width"], Float[Array, "height width"]]:
    """The nearest point of a polyline that may be seen on a tilted scan, and may wrap around the track.

    `x` carries `reach + greatest_tilt` rows more than the image above and below.

    Args:
        x: where the curve crosses each row's centre [px]
        presence: whether the curve is there
        width: of the image [px]
        reach: distances up to this [px] are exact; greater ones are at least this, or `FAR_PX`
        lean: row r of the image is moved to the right by `lean[r]` [px]
        tilt: the pixel at row r and column c shows what lies at row `r + tilt[c]` [px]
        greatest_tilt: a bound of its absolute value [px]
        period: the curve is repeated sideways at this distance [px]; its steps must be shorter
        in_vertices: say where the point lies in vertices from the first, and not in arc length

    Returns:
        The distance of every pixel centre [px], and the place of the nearest point [px of arc length, or vertices].
    """
    rows_more = reach + greatest_tilt
    height = x.shape[0] - 2 * rows_more
    arc = jnp.concatenate([jnp.zeros(1), jnp.cumsum(segment_lengths(x))])
    step = jnp.append(jnp.diff(x), 0.0)
    joined = presence & jnp.append(presence[1:], False)
    columns = jnp.arange(width)[None, :] + 0.5
    if lean is not None:
        columns = columns - lean[:, None]

    def closest(start: int | Array, found: tuple[Array, Array], *, offsets: range) -> tuple[Array, Array]:
        squared, place = found
        for k in offsets:
            offset = start + k
            rows = jnp.clip(jnp.arange(height) + rows_more + offset, 0, x.shape[0] - 1)
            dx, slope, here = columns - x[rows][:, None], step[rows][:, None], presence[rows][:, None]
            if period is not None:
                dx = dx - period * jnp.round((dx - slope / 2) / period)
            down = offset if tilt is None else offset - tilt[None, :]
            along = jnp.clip((dx * slope - down) / (slope**2 + 1), 0, 1) * joined[rows][:, None]
            candidate = jnp.where(here, (dx - along * slope) ** 2 + (down + along) ** 2, FAR_PX**2)
            closer = candidate < squared
            squared = jnp.where(closer, candidate, squared)
            if in_vertices:
                place = jnp.where(closer, rows[:, None].astype(x.dtype) + along, place)
            else:
                place = jnp.where(closer, arc[rows][:, None] + along * jnp.hypot(slope, 1.0), place)
        return squared, place

    # A pixel of row r is within reach of segments r - reach - 1 .. r + reach only; the loop is unrolled so that XLA
    # fuses it into one pass over the image. Beyond some twenty it takes minutes to compile: then a few passes do it.
    first, count = -rows_more - 1, 2 * rows_more + 2
    found = (jnp.full((height, width), FAR_PX**2), jnp.zeros((height, width)))
    if count <= AT_ONCE:
        squared, place = closest(first, found, offsets=range(count))
    else:
        passes = -(-count // PASS)
        squared, place = jax.lax.fori_loop(
            0, passes, lambda i, found: closest(first + PASS * i, found, offsets=range(PASS)), found
        )
    return jnp.sqrt(squared), place


def at_vertices(quantity: Float[Array, " rows"], place: Float[Array, "height width"]) -> Float[Array, "height width"]:
    """A quantity of the vertices at places between them, as `nearest_point` gives them in vertices."""
    index = jnp.floor(place).astype(jnp.int32)
    gain = jnp.append(jnp.diff(quantity), 0.0)
    here, more = (table.at[index].get(mode="promise_in_bounds") for table in (quantity, gain))
    return here + (place - index) * more
