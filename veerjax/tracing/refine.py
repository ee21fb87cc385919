"""From a path of columns to a sub-pixel polyline: the ink around the path, its edges, the stroke's width."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from veerjax.tracing.envelope import FAR_PX, Edges, eroded, fit_polyline
from veerjax.tracing.rows import beside, interpolated, shifted

SNAP_PX = 3  # how far from the path the ink may lie
BORDER_PX = 20.0  # how far a stroke that touches the track's border may go on beyond it
THINNEST = 0.5  # of the stroke's width that is left on fast kicks
BASE_PX = 3  # [rows] to each side over which slopes are measured, against the steps between pixels
GENTLE = 0.6  # [px/row] the steepest slope at which a row tells the stroke's width
ENOUGH_ROWS = 8  # that tell the width
TYPICAL = 0.4  # quantile of the widths told; the greater ones are kicks


def ink_edges(
    mask: Float[Array, "height width"],
    other: Float[Array, "height width"],
    path: Int[Array, " height"],
    *,
    least_ink: float,
    hop_px: int,
) -> tuple[Edges, Float[Array, " height"]]:
    """The interval of ink that the path runs through in each row, and how sure that ink is.

    The interval goes on over short blanks and over the other curve's ink, and ends at the last pixel of the curve's own
    at which the mask is at least half of its greatest value near the path; ends are interpolated between pixel centres.

    Args:
        mask: probability of the curve's ink
        other: probability of the other curve's ink
        path: column in each row; negative where absent
        least_ink: rows whose mask stays below this near the path have no ink
        hop_px: the longest blank between two pieces of ink of one row that is hopped over

    Returns:
        The edges, and the greatest mask value near the path, 0 where absent.
    """
    columns = jnp.arange(mask.shape[1])[None]
    width = mask.shape[1]
    near = jnp.where(jnp.abs(columns - path[:, None]) <= SNAP_PX, mask, 0.0)
    centre, strength = jnp.argmax(near, axis=1), jnp.where(path >= 0, jnp.max(near, axis=1), 0.0)
    threshold = jnp.maximum(strength, least_ink) / 2
    inked, either = mask >= threshold[:, None], jnp.minimum(mask + other, 1.0)
    first, last = run_through(centre, short_blanks(inked, hop_px) | (either >= threshold[:, None]))
    own = inked & (columns >= first[:, None]) & (columns <= last[:, None])
    own_first, own_last = jnp.argmax(own, axis=1), width - 1 - jnp.argmax(own[:, ::-1], axis=1)
    left = own_first + 0.5 - crossing(mask, own_first, own_first - 1, threshold)
    right = own_last + 0.5 + crossing(mask, own_last, own_last + 1, threshold)
    least = first + 0.5 - crossing(either, first, first - 1, threshold)
    most = last + 0.5 + crossing(either, last, last + 1, threshold)
    edges = Edges(
        left=left,
        right=right,
        least=jnp.where(first == 0, -BORDER_PX, jnp.minimum(least, left)),
        most=jnp.where(last == width - 1, width + BORDER_PX, jnp.maximum(most, right)),
        inked=strength >= least_ink,
    )
    return edges, strength


def short_blanks(inked: Bool[Array, "height width"], hop_px: int) -> Bool[Array, "height width"]:
    """Pixels that are inked, or in a blank of at most `hop_px` columns between two inked ones."""
    width = inked.shape[1]
    columns = jnp.arange(width)[None]
    before = jax.lax.cummax(jnp.where(inked, columns, -width), axis=1)
    behind = jax.lax.cummin(jnp.where(inked, columns, 2 * width), axis=1, reverse=True)
    return behind - before <= hop_px + 1


def run_through(
    centre: Int[Array, " height"], passable: Bool[Array, "height width"]
) -> tuple[Int[Array, " height"], Int[Array, " height"]]:
    """The first and the last column of the run of passable pixels around the centre of each row."""
    width = passable.shape[1]
    columns = jnp.arange(width)[None]
    blocked_left = ~passable & (columns < centre[:, None])
    blocked_right = ~passable & (columns > centre[:, None])
    first = jnp.max(jnp.where(blocked_left, columns, -1), axis=1) + 1
    return first, jnp.min(jnp.where(blocked_right, columns, width), axis=1) - 1


def crossing(
    mask: Float[Array, "height width"],
    inside: Int[Array, " height"],
    outside: Int[Array, " height"],
    threshold: Float[Array, " height"],
) -> Float[Array, " height"]:
    """How far [px] from the inner pixel's centre the mask falls to the threshold; off the track it is 0."""
    width = mask.shape[1]
    high = jnp.take_along_axis(mask, inside[:, None], axis=1)[:, 0]
    low = jnp.take_along_axis(mask, jnp.clip(outside, 0, width - 1)[:, None], axis=1)[:, 0]
    low = jnp.where((outside >= 0) & (outside < width), low, 0.0)
    return jnp.clip((high - threshold) / jnp.maximum(high - low, 1e-6), 0.0, 1.0)


def half_strokes_px(edges: Edges, *, most_px: float, rows: Int[Array, ""] | None = None) -> Float[Array, " 2"]:
    """Half of each stroke's width.

    It is the trimmed mean of the ink across the curve in gently sloped rows; in other rows if these are few. A curve
    that never shows both of its sides is at least as wide as the other one.

    Args:
        edges: of the ink of both curves, stacked
        most_px: greater results are cut to this
        rows: of the strip, where padding without ink lies below it
    """
    own, seen = jax.vmap(partial(half_stroke_px, rows=rows))(edges)
    return jnp.clip(jnp.where(seen, own, jnp.maximum(own, own[::-1])), 0.5, most_px)


def half_stroke_px(edges: Edges, *, rows: Int[Array, ""] | None = None) -> tuple[Float[Array, ""], Bool[Array, ""]]:
    """Half of one stroke's width [px], 0 without ink, and whether both of its sides were seen in enough rows."""
    height = edges.inked.shape[0]
    inside = jnp.arange(height) < (height if rows is None else rows)
    middle = jnp.where(inside, (edges.left + edges.right) / 2, jnp.nan)
    ahead, behind = shifted(middle, jnp.array([BASE_PX, -BASE_PX]), outside=jnp.nan)
    slope = (ahead - behind) / (2 * BASE_PX)
    across = (edges.right - edges.left) / jnp.hypot(jnp.nan_to_num(slope), 1.0)
    before, after = beside(height, rows)
    steepness = jnp.abs((middle[after] - middle[before]) / (after - before))
    calm = edges.sure & edges.sure[before] & edges.sure[after] & (steepness < GENTLE)
    seen = jnp.sum(edges.sure) >= ENOUGH_ROWS
    telling = jnp.where(jnp.sum(calm) >= ENOUGH_ROWS, calm, jnp.where(seen, edges.sure, edges.inked))
    typical = jnp.nanquantile(jnp.where(telling, across, jnp.nan), TYPICAL, method="lower")
    kept = telling & (jnp.abs(across - typical) < 0.6 + 0.25 * typical)
    return jnp.sum(jnp.where(kept, across, 0.0)) / jnp.maximum(jnp.sum(kept), 1) / 2, seen


def without_slivers(edges: Edges, half_px: Float[Array, ""], *, reach: int) -> Edges:
    """The edges less what sticks out for fewer rows than the pen is wide, such as a grid line taken for ink.

    A round pen inks no fewer rows than its width; half of that is asked for, since strokes thin on fast kicks.
    """
    rows = jnp.floor(THINNEST * 2 * half_px)
    keep = jax.vmap(lambda edge: opened(jnp.where(edges.inked, edge, FAR_PX), rows, most_rows=reach))
    left, right, least, most = keep(jnp.stack([-edges.left, edges.right, -edges.least, edges.most]))
    return Edges(left=-left, right=right, least=-least, most=most, inked=edges.inked)


def opened(values: Float[Array, " height"], rows: Float[Array, ""], *, most_rows: int) -> Float[Array, " height"]:
    """A grey opening: whatever rises for fewer than `rows` rows, at most `most_rows`, is cut off."""
    offsets = jnp.arange(most_rows)
    beyond = (offsets >= jnp.maximum(rows, 1))[:, None]
    low = jnp.min(jnp.where(beyond, FAR_PX, shifted(values, offsets, outside=FAR_PX)), axis=0)
    return jnp.max(jnp.where(beyond, -FAR_PX, shifted(low, -offsets, outside=-FAR_PX)), axis=0)


def centreline(
    edges: Edges, half_px: Float[Array, ""], *, reach: int, iterations: int, rows: Int[Array, ""] | None = None
) -> Float[Array, " height"]:
    """The polyline that best explains the edges; meaningless in rows without ink.

    It starts in the middle of where the pen fits between the edges; rows whose ends are not the curve's own start
    between their surer neighbours.

    Args:
        edges: of the ink in each row
        half_px: half of the stroke's width
        reach: rows that a stroke may reach up and down [px]
        iterations: of the fit
        rows: of the strip, where padding without ink lies below it
    """
    edges = without_slivers(edges, half_px, reach=reach)
    low, high = eroded(edges, half_px, reach=reach)
    middle = (low + high) / 2
    start = jnp.where(edges.sure, middle, jnp.clip(interpolated(middle, edges.sure), low, high))
    start = interpolated(start, edges.inked)
    return fit_polyline(start, edges.inked, edges, half_px=half_px, reach=reach, iterations=iterations, rows=rows)
