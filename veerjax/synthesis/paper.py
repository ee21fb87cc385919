"""What the ink lies on and what the scanner adds: grid, paper tone, blur, noise, thresholding."""

import dataclasses
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from veerjax.synthesis.geometry import Geometry
from veerjax.synthesis.noise import between, dice, held, log_between, lookup

FINE = 8  # looked-up lines are evaluated at so many places a px
JITTERED_LINES = 128  # before the jitter of the pitch repeats
DEPTH_WEIGHTS = jnp.array([0.25, 0.5, 0.75, 1.0])  # of 2, 10, 50 and 100 ft lines


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Tones:
    """Grey levels of one scan, 0 black to 1 white."""

    paper: Float[Array, ""]
    inks: Float[Array, " 2"]
    grid: Float[Array, ""]  # of the heaviest line
    others: Float[Array, " n"]  # of ink that belongs to no declared curve


def random_tones(key: PRNGKeyArray, *, contrast: float = 1.0, others: int = 0) -> Tones:
    """Paper 128-250, ink 20-180 and at least 51 darker, heavy grid .2 to `contrast` times the ink's (in 255ths).

    Args:
        key: random key
        contrast: most of the heavy grid's against the ink's
        others: how many tones for other ink
    """
    u = dice(key, 5)
    paper = jnp.where(u[0] < 0.75, between(u[1], 0.8, 0.98), between(u[1], 0.5, 0.8))
    darkest = between(u[2:4], 0.08, 0.7) ** 1.3
    inks = jnp.minimum(darkest, paper - 0.2)
    heavy = between(u[4], 0.2, contrast) * (paper - jnp.max(inks))
    strange = dice(jax.random.fold_in(key, 1), others) if others else jnp.zeros(0)
    return Tones(paper=paper, inks=inks, grid=paper - heavy, others=between(strange, 0.05, paper - 0.15))


def in_one_ink(tones: Tones) -> Tones:
    """Both curves in the tone of the first."""
    return dataclasses.replace(tones, inks=jnp.broadcast_to(tones.inks[:1], tones.inks.shape))


def lines(
    distance_in_pitches: Float[Array, " n"], pitch: Float[Array, ""], thickness: Float[Array, " n"]
) -> Float[Array, " n"]:
    """Coverage in [0, 1] by lines at the whole numbers of a coordinate that counts pitches."""
    distance = jnp.abs(distance_in_pitches - jnp.round(distance_in_pitches)) * pitch
    return jnp.clip(thickness / 2 + 0.5 - distance, 0, 1)


def depth_lines(
    u: Float[Array, " 4"], jitter: Float[Array, " lines"], *, rows: Float[Array, " height"], scale: Float[Array, ""]
) -> Float[Array, " height"]:
    """Strength of the horizontal lines: every 2 ft light, 10, 50 and 100 ft heavier and thicker, pitch jittered 1 px.

    Args:
        u: random numbers in [0, 1]
        jitter: one more for each line, used again from the first when there are more lines
        rows: where to evaluate it [px]
        scale: how many times 100 dpi the drawing is
    """
    pitch = 10 * scale * between(u[0], 0.8, 1.3)
    coordinate = rows / pitch + jnp.floor(u[1] * 50)
    index = jnp.round(coordinate).astype(jnp.int32)
    rank = (index % 5 == 0).astype(jnp.int32) + (index % 25 == 0) + (index % 50 == 0)
    thickness = jnp.maximum(scale * log_between(u[2], 0.5, 1.5), 0.8) * (1 + 0.4 * rank)
    amount = jnp.minimum(between(u[3], 0.25, 1.0) + 0.25 * rank, 1.0) * DEPTH_WEIGHTS[rank] ** 0.5
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
    u: Float[Array, " 6"], *, columns: Float[Array, " width"], width: float | Array, scale: Float[Array, ""]
) -> Float[Array, " width"]:
    """Strength of the vertical lines: linear divisions with heavier centre and edges, or logarithmic decades.

    Args:
        u: random numbers in [0, 1]
        columns: where to evaluate it, from the track's left edge [px]
        width: of the track [px]
        scale: how many times 100 dpi the drawing is
    """
    pitch, start = scale_pitch(u, width=width, scale=scale)
    thickness = jnp.maximum(scale * log_between(u[1], 0.5, 2.0), 0.8)
    light = between(u[2], 0.3, 1.0)
    coordinate = columns / pitch + start
    heavy = (jnp.round(coordinate).astype(jnp.int32) % 5 == 0).astype(jnp.float32)
    linear = jnp.maximum(light, heavy) * lines(coordinate, pitch, thickness * (1 + 0.5 * heavy))
    logarithmic = decade_lines(coordinate / 2.5, 2.5 * pitch, thickness, light)
    return jnp.where(u[5] < 0.25, logarithmic, linear)


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


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Grid:
    """The random numbers that a grid is made from."""

    across: Float[Array, " 4"]
    down: Float[Array, " 6"]
    jitter: Float[Array, " lines"]
    there: Bool[Array, ""]


def random_grid(key: PRNGKeyArray) -> Grid:
    """Any grid; one scan in twelve has none."""
    u = dice(key, 11 + JITTERED_LINES)
    return Grid(across=u[:4], down=u[4:10], jitter=u[11:], there=~(u[10] < 1 / 12))


def heavy_rows(grid: Grid, *, count: int, scale: Float[Array, ""]) -> Float[Array, " count"]:
    """The rows of the first 100-ft lines [px]."""
    pitch = 10 * scale * between(grid.across[0], 0.8, 1.3)
    return (50 * jnp.arange(count) - jnp.floor(grid.across[1] * 50) + 50) * pitch


def plain(grid: Grid) -> Grid:
    """The same with linear divisions of light lines from edge to edge, and there."""
    across, down = grid.across.at[2:4].set(0.0), grid.down.at[jnp.array([1, 2, 3, 5])].set(jnp.array([0.0, 0.3, 0, 1]))
    return Grid(across=across, down=down, jitter=jnp.full_like(grid.jitter, 0.5), there=jnp.asarray(True))


def grid_lines(grid: Grid, *, height: int, width: int, scale: Float[Array, ""]) -> Float[Array, "height width"]:
    """Strength of a grid in [0, 1] whose track fills the image."""
    rows, columns = jnp.arange(height) + 0.5, jnp.arange(width) + 0.5
    across = depth_lines(grid.across, grid.jitter, rows=rows, scale=scale)[:, None]
    down = scale_lines(grid.down, columns=columns, width=width, scale=scale)[None, :]
    return jnp.where(grid.there, jnp.maximum(across, down), 0.0)


def displaced_grid_lines(
    grid: Grid, geometry: Geometry, *, height: int, scale: Float[Array, ""]
) -> Float[Array, "height width"]:
    """Strength of a grid in [0, 1] on a displaced track, whose edges are heavy lines and beyond which there is none.

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
    across = depth_lines(grid.across, grid.jitter, rows=fine_rows - first, scale=scale)
    track = geometry.right - geometry.left
    down = scale_lines(grid.down, columns=fine_columns - geometry.left, width=track, scale=scale)
    inside = (fine_columns >= geometry.left) & (fine_columns < geometry.right)
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


def patchy(u: Float[Array, " n"], strength: float | Array, *, shape: tuple[int, ...]) -> Float[Array, "height width"]:
    """How much ink holds on the paper: down to 40 % in patches."""
    return 1 - 0.6 * strength * jnp.clip(2 * (patches(u, shape=shape, across=9) - 0.4), 0, 1)


def patches(u: Float[Array, " n"], *, shape: tuple[int, ...], across: int) -> Float[Array, "height width"]:
    """A smooth random surface in [0, 1] of `across` x `across` knots."""
    return jax.image.resize(jnp.resize(u, (across, across)), shape, "linear")


def blurred(image: Float[Array, "height width"], sigma: Float[Array, ""]) -> Float[Array, "height width"]:
    """A Gaussian blur of `sigma` px, cut at 3 px; the edge is repeated outwards."""
    offsets = jnp.arange(-3, 4)
    kernel = jnp.exp(-0.5 * (offsets / jnp.maximum(sigma, 0.05)) ** 2)
    kernel = kernel / jnp.sum(kernel)
    for axis in (0, 1):
        padded = jnp.pad(image, [(3, 3) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        size = image.shape[axis]
        shifted = (jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(7))
        image = sum((weight * part for weight, part in zip(kernel, shifted, strict=True)), jnp.zeros_like(image))
    return image


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Scanner:
    """What an ordinary scanner does to a print."""

    stains: Float[Array, ""]  # amplitude, of the range from black to white
    blur: Float[Array, ""]  # sigma [px]
    noise: Float[Array, ""]  # sigma, of the range from black to white
    threshold: Float[Array, ""]  # grey level above which a 1-bit scan is white
    bitonal: Bool[Array, ""]


def random_scanner(
    key: PRNGKeyArray, tones: Tones, *, thinnest: Float[Array, ""], wear: float = 1.0, bitonal: float = 0.3
) -> Scanner:
    """An ordinary scanner.

    What a scanner does to a legible print leaves it legible: the blur stays below the thinnest stroke [px] and the
    noise below the faintest ink, or the truth would ask for curves that nobody can see.

    Args:
        key: random key
        tones: of the print
        thinnest: of its strokes [px]
        wear: of stains, blur and noise, 0 for none
        bitonal: share of 1-bit scanners
    """
    u = dice(key, 5)
    faintest = jnp.max(tones.inks)
    return Scanner(
        stains=wear * between(u[0], 0.0, 0.03),
        blur=wear * (u[1] * jnp.minimum(0.4 * thinnest, 1.1)),
        noise=wear * (u[2] * jnp.minimum(0.3 * (tones.paper - faintest), 0.07)),
        threshold=faintest + between(u[3], 0.35, 0.65) * (tones.paper - faintest),
        bitonal=u[4] < bitonal,
    )


def stained(
    key: PRNGKeyArray, image: Float[Array, "height width"], amount: Float[Array, ""]
) -> Float[Array, "height width"]:
    """Soft light and dark patches."""
    return image + amount * jax.image.resize(jax.random.normal(key, (5, 5)), image.shape, "linear")


def noisy(
    key: PRNGKeyArray, image: Float[Array, "height width"], sigma: Float[Array, ""]
) -> Float[Array, "height width"]:
    """Independent noise of each pixel."""
    return image + sigma * jax.random.normal(key, image.shape)


def thresholded(image: Float[Array, "..."], level: Array, there: Bool[Array, ""]) -> Float[Array, "..."]:
    """Black and white where the scan is 1-bit."""
    return jnp.where(there, (image > level).astype(image.dtype), image)


def quantised(image: Float[Array, "..."]) -> Float[Array, "..."]:
    """In 255ths from 0 to 1."""
    return jnp.round(jnp.clip(image, 0, 1) * 255) / 255
