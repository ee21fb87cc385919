"""The grid that is printed on the paper: depth lines across, scale lines down, at every spacing that logs have."""

import dataclasses
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from veerjax.synthesis.geometry import Geometry
from veerjax.synthesis.noise import between, dice, held, log_between, lookup, patches

FINE = 8  # looked-up lines are evaluated at so many places a px
JITTERED_LINES = 128  # before the jitter of the pitch repeats
DEPTH_WEIGHTS = np.array([0.25, 0.5, 0.75, 1.0], np.float32)  # of 2, 10, 50 and 100 ft lines
# Pitch at 100 dpi [px], and every how many lines one is medium, heavy, heaviest: 2 ft at 5 in/100 ft, 10 ft at 2 and at
# 1 in/100 ft, 1 m at 1:200, 2 m at 1:500, 5 m at 1:1000.
DEPTH_SCALES = np.array(
    [[10, 5, 25, 50], [20, 5, 10, 50], [10, 5, 10, 50], [19.7, 5, 10, 50], [15.7, 5, 25, 50], [19.7, 2, 10, 20]]
)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Grid:
    """The random numbers that a grid is made from."""

    across: Float[Array, " 4"]
    down: Float[Array, " 6"]
    jitter: Float[Array, " lines"]
    there: Bool[Array, ""]
    pitch: float | Float[Array, ""] = 10.0  # of the horizontal lines at 100 dpi [px]
    steps: tuple[int | Int[Array, ""], ...] = (5, 25, 50)  # every how many of them one is medium, heavy, heaviest
    bold: float | Float[Array, ""] = 1.0  # times the ordinary thickness of vertical lines
    four_decades: bool | Bool[Array, ""] = False  # a logarithmic track runs from 0.2 to 2000
    beyond: bool | Bool[Array, ""] = False  # the neighbouring track begins at the border


def random_grid(key: PRNGKeyArray) -> Grid:
    """Any grid; one scan in twelve has none."""
    u = dice(key, 11 + JITTERED_LINES)
    return Grid(across=u[:4], down=u[4:10], jitter=u[11:], there=~(u[10] < 1 / 12))


def of_any_scale(key: PRNGKeyArray, grid: Grid) -> Grid:
    """The same at any depth scale; one in eight is very bold, of the logarithmic ones half have four decades."""
    u = dice(key, 5)
    chosen = jnp.asarray(DEPTH_SCALES, jnp.float32)[jnp.floor(u[0] * len(DEPTH_SCALES)).astype(jnp.int32)]
    return dataclasses.replace(
        grid,
        pitch=chosen[0],
        steps=tuple(chosen[1:].astype(jnp.int32)),
        bold=jnp.where(u[1] < 0.125, between(u[2], 2.0, 6.0), 1.0),
        four_decades=u[3] < 0.5,
        beyond=u[4] < 0.5,
    )


def is_logarithmic(grid: Grid) -> Bool[Array, ""]:
    return grid.down[5] < 0.25


def heavy_rows(grid: Grid, *, count: int, scale: Float[Array, ""]) -> Float[Array, " count"]:
    """The rows of the first 100-ft lines [px]."""
    pitch, heaviest = grid.pitch * scale * between(grid.across[0], 0.8, 1.3), grid.steps[2]
    passed = jnp.mod(jnp.floor(grid.across[1] * 50), heaviest)
    return (heaviest * (jnp.arange(count) + 1) - passed) * pitch


def plain(grid: Grid) -> Grid:
    """The same with linear divisions of light lines from edge to edge, and there."""
    across, down = grid.across.at[2:4].set(0.0), grid.down.at[jnp.array([1, 2, 3, 5])].set(jnp.array([0.0, 0.3, 0, 1]))
    return Grid(across=across, down=down, jitter=jnp.full_like(grid.jitter, 0.5), there=jnp.asarray(True))


def lines(
    distance_in_pitches: Float[Array, " n"], pitch: Float[Array, ""], thickness: Float[Array, " n"]
) -> Float[Array, " n"]:
    """Coverage in [0, 1] by lines at the whole numbers of a coordinate that counts pitches."""
    distance = jnp.abs(distance_in_pitches - jnp.round(distance_in_pitches)) * pitch
    return jnp.clip(thickness / 2 + 0.5 - distance, 0, 1)


def depth_lines(grid: Grid, *, rows: Float[Array, " height"], scale: Float[Array, ""]) -> Float[Array, " height"]:
    """Strength of the horizontal lines: every 2 ft light, 10, 50 and 100 ft heavier and thicker, pitch jittered 1 px.

    Args:
        grid: whose lines
        rows: where to evaluate it [px]
        scale: how many times 100 dpi the drawing is
    """
    u, jitter = grid.across, grid.jitter
    pitch = grid.pitch * scale * between(u[0], 0.8, 1.3)
    coordinate = rows / pitch + jnp.floor(u[1] * 50)
    index = jnp.round(coordinate).astype(jnp.int32)
    medium, heavy, heaviest = grid.steps
    rank = (index % medium == 0).astype(jnp.int32) + (index % heavy == 0) + (index % heaviest == 0)
    thickness = jnp.maximum(scale * log_between(u[2], 0.5, 1.5), 0.8) * (1 + 0.4 * rank)
    amount = jnp.minimum(between(u[3], 0.25, 1.0) + 0.25 * rank, 1.0) * jnp.asarray(DEPTH_WEIGHTS)[rank] ** 0.5
    shifted = coordinate + between(jitter[index % jitter.shape[0]], -1.0, 1.0) / pitch
    return amount * lines(shifted, pitch, thickness)


def scale_pitch(
    u: Float[Array, " 6"], *, width: float | Array, scale: Float[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The pitch [px] of a track's vertical divisions, and the number of the line at its left edge.

    Half of the images are a whole track with its edges at the image's edges, the others start anywhere.
    """
    pitch = 25 * scale * between(u[0], 0.85, 1.15)
    whole = u[3] < 0.5
    start = jnp.where(whole, 0.0, u[4] * 10)
    return jnp.where(whole, width / jnp.maximum(jnp.round(width / pitch), 1), pitch), start


def scale_lines(
    grid: Grid, *, columns: Float[Array, " width"], width: float | Array, scale: Float[Array, ""]
) -> Float[Array, " width"]:
    """Strength of the vertical lines: linear divisions with heavier centre and edges, or logarithmic decades.

    Args:
        grid: whose lines
        columns: where to evaluate it, from the track's left edge [px]
        width: of the track [px]
        scale: how many times 100 dpi the drawing is
    """
    u = grid.down
    pitch, start = scale_pitch(u, width=width, scale=scale)
    thickness = jnp.maximum(scale * log_between(u[1], 0.5, 2.0), 0.8) * grid.bold
    light = between(u[2], 0.3, 1.0)
    coordinate = columns / pitch + start
    heavy = (jnp.round(coordinate).astype(jnp.int32) % 5 == 0).astype(jnp.float32)
    linear = jnp.maximum(light, heavy) * lines(coordinate, pitch, thickness * (1 + 0.5 * heavy))
    logarithmic = decade_lines(coordinate / 2.5, 2.5 * pitch, thickness, light)
    if grid.four_decades is not False:
        decade = jnp.asarray(width, jnp.float32) / 4
        four = decade_lines(columns / decade + jnp.log10(2.0), decade, thickness, light)
        logarithmic = jnp.where(grid.four_decades, four, logarithmic)
    return jnp.where(is_logarithmic(grid), logarithmic, linear)


def decade_lines(
    coordinate: Float[Array, " n"],
    decade: Float[Array, ""],
    thickness: Float[Array, ""],
    light: Float[Array, ""],
) -> Float[Array, " n"]:
    """Strength of logarithmic lines at 1, 2, .. 9 times the powers of ten of a coordinate that counts decades."""
    mantissa = 10 ** jnp.mod(coordinate, 1.0)
    digit = jnp.clip(jnp.round(mantissa), 1, 10)
    distance = jnp.abs(jnp.log10(mantissa) - jnp.log10(digit)) * decade
    major = ((digit == 1) | (digit == 10)).astype(jnp.float32)
    return jnp.maximum(light, major) * jnp.clip(thickness * (1 + 0.5 * major) / 2 + 0.5 - distance, 0, 1)


def grid_lines(grid: Grid, *, height: int, width: int, scale: Float[Array, ""]) -> Float[Array, "height width"]:
    """Strength of a grid in [0, 1] whose track fills the image."""
    rows, columns = jnp.arange(height) + 0.5, jnp.arange(width) + 0.5
    across = depth_lines(grid, rows=rows, scale=scale)[:, None]
    down = scale_lines(grid, columns=columns, width=width, scale=scale)[None, :]
    return jnp.where(grid.there, jnp.maximum(across, down), 0.0)


def displaced_grid_lines(
    grid: Grid, geometry: Geometry, *, height: int, scale: Float[Array, ""]
) -> Float[Array, "height width"]:
    """Strength of a grid in [0, 1] on a displaced track, whose edges are heavy lines.

    Args:
        grid: what is drawn
        geometry: with some rows more above and below
        height: of the image [px]
        scale: how many times 100 dpi the drawing is
    """
    rows, width = geometry.depth.shape[0], geometry.tilt.shape[0]
    first = (rows - height) // 2
    inner = slice(first, first + height)
    # Both families of lines are evaluated once, finely, and looked up.
    fine_rows = (jnp.arange(FINE * rows) + 0.5) / FINE
    fine_columns = (jnp.arange(FINE * 3 * width) + 0.5) / FINE - width
    across = depth_lines(grid, rows=fine_rows - first, scale=scale)
    track = geometry.right - geometry.left
    down = scale_lines(grid, columns=fine_columns - geometry.left, width=track, scale=scale)
    inside = ((fine_columns >= geometry.left) & (fine_columns < geometry.right)) | jnp.asarray(grid.beyond)
    edge = jnp.minimum(jnp.abs(fine_columns - geometry.left), jnp.abs(fine_columns - geometry.right))
    framed = (geometry.left > 0) | (geometry.right < width)
    border = jnp.where(framed, jnp.clip(jnp.maximum(scale, 1) + 0.5 - edge, 0, 1), 0)
    down = jnp.maximum(jnp.where(inside, down, 0), border)
    across, down, inside = held(across), held(down), held(inside.astype(down.dtype))
    row = FINE * (geometry.depth[inner, None] + 0.5 + geometry.tilt[None, :])
    column = FINE * (jnp.arange(width)[None, :] + 0.5 - geometry.lean[inner, None] + width)
    row = jnp.clip(jnp.floor(row).astype(jnp.int32), 0, FINE * rows - 1)
    column = jnp.clip(jnp.floor(column).astype(jnp.int32), 0, FINE * 3 * width - 1)
    crossed = lookup(inside, column) * lookup(across, row)
    return jnp.where(grid.there, jnp.maximum(crossed, lookup(down, column)), 0.0)


def broken(
    u: Float[Array, " n"], lines: Float[Array, "height width"], strength: float | Array
) -> Float[Array, "height width"]:
    """A grid with breaks over up to a third of the page."""
    holes = jnp.clip((patches(u, shape=lines.shape, across=9) - 0.6) * 8, 0, 1)
    return lines * (1 - strength * holes)


def rough(
    field: Float[Array, "height width"], lines: Float[Array, "height width"], strength: float | Array
) -> Float[Array, "height width"]:
    """A grid printed through a screen: dark and pale grains along its lines."""
    grain = (field + jnp.roll(field, 1, axis=0) + jnp.roll(field, 1, axis=1)) / 3
    return lines * (1 - strength * jnp.clip(1.6 * grain - 0.3, 0, 1))
