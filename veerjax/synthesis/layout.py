"""Curves on their track and the track on the scan: every displacement of a drawing, and the truth that follows it."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from veerjax.synthesis import geometry as geo
from veerjax.synthesis import grid as grids
from veerjax.synthesis import placement, strokes, wear
from veerjax.synthesis.clutter import Strangers
from veerjax.synthesis.doses import Doses
from veerjax.synthesis.geometry import Geometry
from veerjax.synthesis.settings import Setting
from veerjax.synthesis.strokes import Pen

NO_PERIOD = 1e6  # [px] of a curve that does not wrap


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Placed:
    """The two curves of a scan: as the pen has drawn them, and where they are seen."""

    x: Float[Array, "2 rows"]  # [px] on the page before lean and tilt, beyond the edges where it wraps
    drawn: Bool[Array, "2 rows"]
    period: Float[Array, " 2"]  # [px] at which a curve repeats sideways
    geometry: Geometry
    row: Float[Array, ""]  # of a splice, with the rows above the image
    centreline: Float[Array, "2 height"]  # [px]
    presence: Bool[Array, "2 height"]


def rows_beyond(setting: Setting, width: int) -> int:
    """The rows above and below the image whose curve may still ink it."""
    return setting.widest_px // 2 + 1 + tilt_rows(setting, width)


def tilt_rows(setting: Setting, width: int) -> int:
    return geo.greatest_tilt(width) if "tilt" in setting.artefacts else 0


def placed(
    x: Float[Array, "2 rows"],
    drawn: Bool[Array, "2 rows"],
    grid: grids.Grid,
    doses: Doses,
    *,
    setting: Setting,
    width: int,
    scale: Float[Array, ""],
) -> Placed:
    """Curves where the setting's placement and geometry take them; unmoved where it has none.

    Args:
        x: where each curve crosses each row's centre [px], with `rows_beyond` rows more above and below the image
        drawn: whether the pen was down
        grid: of the track
        doses: of the sample
        setting: it is drawn in
        width: of the image [px]
        scale: how many times 100 dpi the drawing is
    """
    rows, beyond = x.shape[1], rows_beyond(setting, width)
    inner = slice(beyond, rows - beyond)
    geometry, row = random_geometry(doses, rows=rows, width=width)
    left, right = geometry.left, geometry.right
    wraps = jnp.zeros(2, jnp.int32)
    if "margins" in doses:
        x = left + x * ((right - left) / width)
    if "off_scale" in doses:
        u, strength = doses.of("off_scale")
        x, wraps = placement.off_scale(u, x, strength, left=left, right=right)
    if "hug" in doses:
        pitch, start = grids.scale_pitch(grid.down, width=right - left, scale=scale)
        linear = grid.there & ~grids.is_logarithmic(grid)
        x = doses.applied("hug", placement.hug, x, left=left, right=right, pitch=pitch, start=start, linear=linear)
    if not setting.has_geometry:
        there = drawn & (x >= 0) & (x < width)
        return Placed(
            x=x,
            drawn=drawn,
            period=jnp.full(2, NO_PERIOD),
            geometry=geometry,
            row=row,
            centreline=x[:, inner],
            presence=there[:, inner],
        )
    x, drawn = jax.vmap(lambda x, drawn: geo.bend(x, drawn, geometry))(x, drawn)
    lean = geometry.lean[None, :]
    column, allowed = placement.within(x, wraps, left=left, right=right)
    drawn = drawn & allowed
    seen, there = jax.vmap(lambda *curve: geo.seen(curve[0], curve[1], curve[2], geometry))(x, drawn, column + lean)
    offset, allowed = placement.within(seen, wraps, left=left, right=right)
    column = offset + lean
    on = (offset >= left) & (offset < right) & (column >= 0) & (column < width)
    return Placed(
        x=x,
        drawn=drawn,
        period=jnp.where(wraps > 0, right - left, NO_PERIOD),
        geometry=geometry,
        row=row,
        centreline=column[:, inner],
        presence=(there & allowed & on)[:, inner],
    )


def random_geometry(doses: Doses, *, rows: int, width: int) -> tuple[Geometry, Float[Array, ""]]:
    """The geometry of a sample, and the row of its splice."""
    left, right = geo.margins(*doses.of("margins"), width=width)
    spliced, row = geo.splice(*doses.of("splice"), rows=rows)
    lean = geo.skew(*doses.of("skew"), rows=rows) + geo.drift(*doses.of("drift"), rows=rows) + spliced
    geometry = Geometry(
        left=left,
        right=right,
        depth=geo.stretch(*doses.of("stretch"), rows=rows),
        lean=lean,
        tilt=geo.tilt(*doses.of("tilt"), width=width),
    )
    return geometry, row


def drawn_strokes(
    track: Placed,
    pens: Pen,
    strangers: Strangers | None,
    doses: Doses,
    *,
    setting: Setting,
    width: int,
    scale: Float[Array, ""],
) -> tuple[Float[Array, "curves height width"], Bool[Array, "2 height width"]]:
    """What all pens leave on the paper, the declared curves' first, and the strokes that the declared ones stand for.

    Args:
        track: the declared curves
        pens: theirs
        strangers: further curves, if there are any
        doses: of the sample
        setting: it is drawn in
        width: of the image [px]
        scale: how many times 100 dpi the drawing is
    """
    x, drawn, period = track.x, track.drawn, track.period
    reach, geometry = setting.widest_px // 2 + 1, track.geometry
    if not setting.artefacts:
        # Without a blur, image and masks would each compute the distances for themselves; a map keeps them.
        def even(x: Array, drawn: Array, pen: Pen) -> tuple[Array, Array]:
            return strokes.ink_and_mask(x, drawn, pen, width=width, reach=reach)

        if setting.wear > 0:
            return jax.vmap(even)(x, drawn, pens)
        return jax.lax.map(lambda curve: even(*curve), (x, drawn, pens))
    if strangers is not None:
        x, drawn = jnp.concatenate([x, strangers.x]), jnp.concatenate([drawn, strangers.drawn])
        pens = jax.tree.map(lambda *pair: jnp.concatenate(pair), pens, strangers.pens)
        period = jnp.concatenate([period, jnp.full(len(strangers.x), NO_PERIOD)])
    (u, speed), (v, uneven) = doses.of("pen_speed"), doses.of("hand")
    numbers = jnp.stack([u, v, u[::-1], v[::-1]])[: len(x)]
    hands = jax.vmap(lambda x, pen, u: strokes.hand_of(x, pen, u, pen_speed=speed, by_hand=uneven, scale=scale))(
        x, pens, numbers
    )
    beyond = rows_beyond(setting, width)
    ink, masks = strokes.inks_and_masks(
        x,
        drawn,
        pens,
        hands,
        period,
        lean=geometry.lean[beyond : x.shape[1] - beyond],
        tilt=geometry.tilt,
        greatest_tilt=tilt_rows(setting, width),
        reach=reach,
    )
    inside = on_paper(geometry, ink.shape[1])[None]
    return jnp.concatenate([ink[:2] * inside, ink[2:]]), masks[:2] & inside


def on_paper(geometry: Geometry, height: int) -> Bool[Array, "height width"]:
    """Where a pen of the track may leave ink: between its edges, and a pixel beyond."""
    first = (geometry.lean.shape[0] - height) // 2
    lean = geometry.lean[first : first + height, None]
    offset = jnp.arange(geometry.tilt.shape[0])[None, :] + 0.5 - lean
    return (offset > geometry.left - 1) & (offset < geometry.right + 1)


def remaining(track: Placed, doses: Doses) -> Bool[Array, "1 height"]:
    """The rows whose paper is not gone."""
    height = track.presence.shape[1]
    return ~wear.gap(*doses.of("missing"), height=height)[None] if "missing" in doses else jnp.ones((1, height), bool)
