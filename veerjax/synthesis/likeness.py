"""Random curves with the statistics of real wells, drawn from laws that were fitted to them.

A law is a point of the unit cube: `CURVE_NUMBERS` for each of two curves and `PAIR_NUMBERS` for how they go together.
`likeness.json` holds the laws whose curves are nearest to windows of real wells (`tools/fit_curves.py` finds them); a
sample takes one of them, moves it a little and follows it. Real curves are straight between samples of the tool, so a
law is followed at samples. Everything is continuous in the random numbers but for the choice of the law.
"""

import dataclasses
import functools
import json
from dataclasses import dataclass
from importlib.resources import files

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from veerjax.synthesis.curves import drawn_rows, kicks_of
from veerjax.synthesis.noise import between, dice, held, log_between, value_noise

Samples = Float[Array, " samples"]
Rows = Float[Array, " rows"]
Knots = Float[Array, " knots"]  # numbers in [-1, 1]

# Of one curve, each from 0 to 1; `law_of` gives them their ranges.
CURVE_NUMBERS = (
    *("level", "swing", "fall", "resolution", "lean", "bursts", "quiet"),
    *("beds", "thickness", "edge", "kicks", "spacing", "sampling"),
)
PAIR_NUMBERS = ("likeness", "together", "parting", "apart")
LAW_SIZE = 2 * len(CURVE_NUMBERS) + len(PAIR_NUMBERS)

OCTAVES = tuple(2.0**power for power in range(1, 10))  # wavelengths of the detail [px at 100 dpi]
COARSEST = 0.7  # times 100 dpi: no drawing is coarser
THINNEST_PX = 6.0  # bed, and least distance of kicks [px at 100 dpi]
MODULATION_PX = 90.0  # over which calm and lively stretches alternate
SHARED_KNOTS = (*len(OCTAVES) * (False,), True, False, True, False, True, True)  # see `knot_counts`
JITTER = 0.06  # of a fitted law, in the unit cube
STEEP_SHARE = 0.18  # of the pairs have kicks as scans do; LAS windows hardly have them
HELD_SHARE = 0.6  # of the pairs are drawn against the edge where they leave the track


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class CurveLaw:
    """How one curve moves; lengths in px at 100 dpi, heights in fractions of the track."""

    level: Float[Array, ""]  # about which it moves
    swing: Float[Array, ""]  # rms of the movement, a fraction of the track
    fall: Float[Array, ""]  # power of the wavelength with which amplitudes grow
    resolution: Float[Array, ""]  # wavelength below which the tool sees nothing
    lean: Float[Array, ""]  # kicks go right (positive) or left, and calm is on the other side
    bursts: Float[Array, ""]  # how much livelier lively stretches are, as a logarithm
    quiet: Float[Array, ""]  # share of the depth in which it hardly moves
    beds: Float[Array, ""]  # share of the movement that is plateaus with steps
    thickness: Float[Array, ""]  # of beds
    edge: Float[Array, ""]  # over which a bed gives way to the next
    kicks: Float[Array, ""]  # height of sparse excursions, in units of the swing
    spacing: Float[Array, ""]  # cells that hold one of them at most
    sampling: Float[Array, ""]  # step of the tool


def law_of(u: Float[Array, " numbers"]) -> CurveLaw:
    """The law of one curve at a point of the unit cube."""
    at = dict(zip(CURVE_NUMBERS, u, strict=True))
    return CurveLaw(
        level=between(at["level"], -0.15, 1.15),
        swing=log_between(at["swing"], 0.003, 0.3),
        fall=between(at["fall"], -0.3, 1.5),
        resolution=log_between(at["resolution"], 1.0, 64.0),
        lean=between(at["lean"], -1.5, 1.5),
        bursts=between(at["bursts"], 0.0, 2.0),
        quiet=between(at["quiet"], -1.0, 0.9),
        beds=jnp.maximum(0.0, between(at["beds"], -0.3, 1.0)),
        thickness=log_between(at["thickness"], 2 * THINNEST_PX, 160.0),
        edge=log_between(at["edge"], 2.0, 16.0),
        kicks=jnp.maximum(0.0, between(at["kicks"], -4.0, 8.0)),
        spacing=log_between(at["spacing"], 4 * THINNEST_PX, 400.0),
        sampling=between(at["sampling"], 0.8, 3.0),
    )


@functools.cache
def fitted_laws() -> Float[np.ndarray, "laws numbers"]:
    """The laws of `likeness.json`, one a row: numbers of curve 1, of curve 2, of the pair."""
    table = json.loads(files("veerjax.synthesis").joinpath("likeness.json").read_text())
    laws = np.array(table["laws_thousandths"], np.float32) / 1000
    assert laws.shape[1] == LAW_SIZE, "likeness.json was made for other numbers; run tools/fit_curves.py"
    return laws


def random_pair(
    key: PRNGKeyArray, *, rows: int, width: int, scale: Float[Array, ""], steep: float | Array = STEEP_SHARE
) -> tuple[Float[Array, "2 rows"], Bool[Array, "2 rows"]]:
    """Two curves of one track, as `curves.random_pair` gives them, with the statistics of real wells.

    Args:
        key: random key
        rows: of the image, margins included [px]
        width: of the track [px]
        scale: how many times 100 dpi the drawing is, at least `COARSEST`, which stretches the curves in depth
        steep: share of the pairs that have kicks as scans do

    Returns:
        x where each curve crosses each row's centre [px], off the track included, and whether it is drawn there.
    """
    law_key, kick_key, number_key = jax.random.split(key, 3)
    u = dice(number_key, LAW_SIZE + 16)
    laws = jnp.asarray(fitted_laws())
    chosen = laws[jnp.floor(u[0] * len(laws)).astype(jnp.int32)]
    law = jnp.clip(chosen + JITTER * (u[16:] - 0.5), 0, 1)
    fraction = pair_of(law_key, law, rows=rows, scale=scale)
    fraction = fraction + jnp.where(u[1] < steep, steep_kicks(kick_key, u[2:6], rows=rows, scale=scale), 0.0)
    kept = jnp.where(u[6] < HELD_SHARE, jnp.clip(fraction, 0.005, 0.995), fraction)
    position = jnp.arange(rows, dtype=jnp.float32)
    drawn = jnp.stack([drawn_rows(u[8:12], position), drawn_rows(u[12:16], position)])
    return kept * width, drawn


def steep_kicks(
    key: PRNGKeyArray, u: Float[Array, " 4"], *, rows: int, scale: Float[Array, ""]
) -> Float[Array, "2 rows"]:
    """Sparse kicks, some across half the track and back within two rows: scans have them, LAS windows hardly."""
    position, tables = jnp.arange(rows, dtype=jnp.float32), held(dice(key, 2, 5, rows))
    return jax.vmap(lambda u, table: kicks_of(u, table, position, scale))(u.reshape(2, 2), tables)


def pair_of(
    key: PRNGKeyArray, law: Float[Array, " numbers"], *, rows: int, scale: Float[Array, ""]
) -> Float[Array, "2 rows"]:
    """Two curves that follow a law, in track fractions; they may leave the track.

    Args:
        key: random key
        law: a point of the unit cube, `LAW_SIZE` numbers
        rows: of the image, margins included [px]
        scale: how many times 100 dpi the drawing is
    """
    count, extent = len(CURVE_NUMBERS), rows / COARSEST
    needs = knot_counts(extent)
    knots = held(2 * dice(key, 2, sum(needs) + _knots(extent, MODULATION_PX)) - 1)
    laws = jax.vmap(law_of)(law[: 2 * count].reshape(2, count))
    likeness, together, parting, apart = law[2 * count :]
    alike = jnp.clip(between(likeness, -1.4, 1.4), -1, 1)
    # Both curves cross the same beds and lively stretches, and go the same way there, or opposite ways, in part.
    blend = alike * knots[0] + jnp.sqrt(1 - alike**2) * knots[1]
    common = jnp.asarray(np.repeat(SHARED_KNOTS, needs))
    second = jnp.where(common, knots[0, : sum(needs)], blend[: sum(needs)])
    thickness = laws.thickness * (laws.thickness[0] / laws.thickness) ** jnp.abs(alike)
    laws = dataclasses.replace(laws, thickness=thickness)
    of_both = held(jnp.stack([knots[0, : sum(needs)], second]))
    own = jax.vmap(lambda law, of_one: curve_of(law, of_one, rows=rows, scale=scale))(laws, of_both)
    depth = jnp.arange(rows, dtype=jnp.float32) / jnp.maximum(scale, COARSEST)
    gap = value_noise((knots[1, sum(needs) :] + 1) / 2, depth, log_between(parting, MODULATION_PX, 400.0))
    share = jnp.clip(log_between(apart, 0.01, 1.0) * jnp.maximum(gap + 0.3, 0.0), 0, 1)
    return jnp.stack([own[0], jnp.where(together > 0.5, own[0] + share * (own[1] - own[0]), own[1])])


def _knots(extent: float, wavelength: float) -> int:
    return int(extent / wavelength) + 6


def knot_counts(extent: float) -> tuple[int, ...]:
    """Knots of a curve over `extent` px at 100 dpi: of the octaves, of bursts, of beds and their warp, of kicks."""
    shortest = (*OCTAVES, MODULATION_PX, *2 * (THINNEST_PX,), *3 * (4 * THINNEST_PX,))
    return tuple(_knots(extent, wavelength) for wavelength in shortest)


def curve_of(law: CurveLaw, knots: Knots, *, rows: int, scale: Float[Array, ""]) -> Rows:
    """A curve that follows a law, in track fractions: at the samples of the tool, straight between them."""
    scale = jnp.maximum(scale, COARSEST)
    step = jnp.maximum(law.sampling * scale, 1.0)  # of the samples [rows]
    depth = jnp.arange(rows + 2, dtype=jnp.float32) * step / scale
    depth = jnp.minimum(depth, rows / COARSEST)
    values = held(movement(law, knots, depth, extent=rows / COARSEST))
    place = jnp.arange(rows, dtype=jnp.float32) / step
    index = jnp.floor(place).astype(jnp.int32)
    between_samples = place - index
    return law.level + values[index] * (1 - between_samples) + values[index + 1] * between_samples


def movement(law: CurveLaw, knots: Knots, depth: Samples, *, extent: float) -> Samples:
    """What a curve does about its level, in track fractions."""
    ends = np.cumsum(knot_counts(extent))[len(OCTAVES) - 1 : -1]
    detail, slow, values, warp, height, place, there = jnp.split(knots, ends)
    lively = spline_noise(slow, depth, MODULATION_PX)
    pace = jnp.exp(law.bursts * 2 * lively) * jnp.clip(4 * (2 * lively + 1.2 - 2.2 * law.quiet), 0.02, 1)
    fractal = pace * fractal_of(law, detail, depth, extent=extent)
    whole = jnp.sqrt(1 - 0.9 * law.beds) * fractal + jnp.sqrt(law.beds) * beds_of(law, values, warp, depth)
    lean = jnp.where(jnp.abs(law.lean) < 0.01, 0.01, law.lean)
    leaning = jnp.expm1(jnp.clip(lean * whole, -4, 2)) / lean
    return law.swing * (leaning + sparse_kicks(law, height, place, there, depth))


def fractal_of(law: CurveLaw, knots: Knots, depth: Samples, *, extent: float) -> Samples:
    """Octaves whose amplitudes grow as a power of the wavelength, without those that the tool cannot resolve; rms 1."""
    counts = knot_counts(extent)[: len(OCTAVES)]
    first = jnp.asarray(np.cumsum((0, *counts[:-1])), jnp.int32)[:, None]
    wavelength = jnp.asarray(OCTAVES)[:, None]
    amplitude = (wavelength / 64) ** law.fall / (1 + (law.resolution / wavelength) ** 3)
    octaves = spline_noise(knots, depth[None, :], wavelength, first=first)
    return jnp.sum(amplitude * octaves, axis=0) / (0.4 * jnp.sqrt(jnp.sum(amplitude**2)))


def spline_noise(
    knots: Knots,
    depth: Float[Array, "*n"],
    wavelength: float | Float[Array, "*#n"],
    *,
    first: int | Int[Array, "*#n"] = 0,
) -> Float[Array, "*n"]:
    """Smooth noise of rms .4: random knots, from the `first` on, under a cubic B-spline."""
    place = depth / wavelength
    index = jnp.floor(place).astype(jnp.int32)
    t = place - index
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    return sum((w * knots[first + index + k] for k, w in enumerate(weights)), jnp.zeros_like(place)) / 6


def beds_of(law: CurveLaw, values: Knots, warp: Knots, depth: Samples) -> Samples:
    """Plateaus of random thickness with steps between them; rms about 1."""
    shift = 1 + 1.6 * spline_noise(warp, depth, law.thickness * 2)
    warped = jnp.maximum(depth + law.thickness * shift, 0.0)
    level = value_noise((values + 1) / 2, warped, law.thickness, sharpness=law.thickness / law.edge)
    return 1.7 * level


def sparse_kicks(law: CurveLaw, height: Knots, place: Knots, there: Knots, depth: Samples) -> Samples:
    """Excursions to the side that the curve leans to, at most one a cell, as wide as the tool sees them."""
    half = jnp.clip(1.2 * law.resolution, 2.5, law.spacing / 4)
    cell = jnp.floor(depth / law.spacing).astype(jnp.int32)
    tip = (cell + 0.5 + 0.25 * place[cell]) * law.spacing
    bump = jnp.maximum(0, 1 - ((depth - tip) / half) ** 2) ** 2
    side = jnp.where(height[cell] * 0.5 + jnp.tanh(law.lean) > 0, 1.0, -1.0)
    return law.kicks * side * height[cell] ** 2 * jnp.where(there[cell] < 0.2, bump, 0.0)
