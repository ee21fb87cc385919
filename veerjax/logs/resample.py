"""From one value per pixel row to one per regular depth: averages that keep the area under the curve."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np
from jaxtyping import Bool, Float, Float64

from veerjax.errors import InputError

DEFAULT_STEP = {"ft": 0.5, "m": 0.1}  # what vendors deliver
# A depth this near a multiple of the step, as a fraction of it, is on it: interpolated depths are not exact.
SNAP = Decimal("1e-6")
MOST_SAMPLES = 10_000_000  # of an index: 100,000 ft in steps of a hundredth
MOST_DECIMALS = 8  # of a step: with six digits before the point, float64 still tells all multiples apart
MOST_BEYOND = 12  # multiples of a step that are tried at each end; there are steps of which none will do, such as .29
LEAST_COVERAGE = 0.5  # of a bin; with less of it under the curve its value is unknown


def step_decimals(step: float) -> int:
    """The decimals that write every multiple of `step` exactly, at least one."""
    exponent = Decimal(str(step)).normalize().as_tuple().exponent
    return max(1, -int(exponent))


def check_step(step: float) -> None:
    """Refuses a step of depth that no index can have.

    Raises:
        InputError: it is not above 0, or its multiples cannot be written.
    """
    if not (np.isfinite(step) and step > 0):
        raise InputError(f"the depth step is {step}; it must be above 0, such as 0.5 ft or 0.1 m.")
    if step_decimals(step) > MOST_DECIMALS:
        raise InputError(
            f"the depth step {step} has {step_decimals(step)} decimals, and its multiples could not be written; write"
            f" at most {MOST_DECIMALS}."
        )


def regular_index(depth_top: float, depth_bottom: float, step: float) -> Float64[np.ndarray, " samples"]:
    """Every multiple of `step` within a range, each the float64 nearest to its decimal.

    Args:
        depth_top: one end of the covered range [same unit as step]
        depth_bottom: its other end
        step: > 0

    Raises:
        InputError: the step cannot be, or the range holds no two multiples of it, or too many.
    """
    check_step(step)
    exact = Decimal(str(step))
    top, bottom = (Decimal(float(depth)) / exact for depth in sorted((depth_top, depth_bottom)))
    first = int((top - SNAP).to_integral_value(ROUND_CEILING))
    last = int((bottom + SNAP).to_integral_value(ROUND_FLOOR))
    if last <= first:
        raise InputError(
            f"the depths {depth_top:g} to {depth_bottom:g} hold no two multiples of the step {step:g};"
            " give a longer strip or a finer step."
        )
    if last - first >= MOST_SAMPLES:
        raise InputError(
            f"the depths {depth_top:g} to {depth_bottom:g} hold {last - first + 1:.2g} multiples of the step {step:g},"
            f" more than {MOST_SAMPLES:.0e}; give a coarser step, such as 0.5 ft or 0.1 m."
        )
    return np.round(np.arange(first, last + 1) * float(exact), step_decimals(step))


def las_index(depth_top: float, depth_bottom: float, step: float) -> Float64[np.ndarray, " samples"]:
    """`regular_index`, and a few multiples more where an end is not plainly a whole number of steps.

    The arguments and errors are those of `regular_index`.
    """
    index, decimals = regular_index(depth_top, depth_bottom, step), step_decimals(step)

    def beyond(end: float, outwards: float) -> Float64[np.ndarray, " samples"]:
        more = np.round(end + outwards * np.arange(MOST_BEYOND), decimals)
        plain = [place for place, depth in enumerate(more) if plainly_whole(depth, step)]
        return more[1 : plain[0] + 1] if plain else more[:0]

    return np.concatenate([beyond(index[0], -step)[::-1], index, beyond(index[-1], step)])


def plainly_whole(depth: float, step: float) -> bool:
    """Whether a depth is a whole number of steps in floating point too, both multiplied by a power of ten first.

    So lascheck finds whether STRT and STOP are; 15 % of the multiples of .05 are not.

    Example:
        >>> plainly_whole(601.25, 0.05), plainly_whole(601.3, 0.05)
        (True, False)
    """
    scale = 10 ** step_decimals(step)
    return (abs(depth) * scale) % (step * scale) == 0


def resample(
    depth_of_rows: Float[np.ndarray, " rows"],
    values: Float[np.ndarray, " rows"],
    index: Float[np.ndarray, " samples"],
    *,
    log: bool,
    step: float | None = None,
) -> Float64[np.ndarray, " samples"]:
    """The mean of value(depth) over [d - step/2, d + step/2] for each depth d of the index.

    value(depth) is linear from row to row, and constant over the outer half of a row without a neighbour:
    what a row's ink covers is its pixel, no more. In bins finer than a row this is linear interpolation.

    Args:
        depth_of_rows: of each row's centre, strictly monotonic
        values: NaN where the curve is absent
        index: depths to report
        log: average log10 of the values; values <= 0 are then absent
        step: the width of a bin; the spacing of the index where None

    Returns:
        The means, NaN where less than half of a bin is covered.

    Raises:
        InputError: fewer than two rows, or an index of one depth without a step.
    """
    if len(depth_of_rows) < 2:
        raise InputError(f"the scan has {len(depth_of_rows)} row(s); a depth scale needs at least two.")
    if step is None and len(index) < 2:
        raise InputError(f"the depth index has {len(index)} depth(s); give at least two, or the step.")
    width = float(step if step is not None else np.median(np.diff(index)))
    values = _log10(values) if log else np.asarray(values, np.float64)
    if not np.isfinite(values).any():
        return np.full(len(index), np.nan)
    # Areas are differences of long running sums: centred values keep them small, and a constant exact.
    offset = float(np.nanmean(values))
    area, covered = _bin_areas(depth_of_rows, values - offset, np.asarray(index, np.float64), width=width)
    known = covered >= (LEAST_COVERAGE - 1e-9) * width
    mean = np.where(known, area / np.where(known, covered, 1.0), np.nan) + offset
    return np.power(10.0, mean) if log else mean


def pooled(
    better: np.ufunc,
    depth_of_rows: Float[np.ndarray, " rows"],
    values: Float[np.ndarray, " rows"],
    index: Float[np.ndarray, " samples"],
    *,
    step: float,
) -> Float64[np.ndarray, " samples"]:
    """The extreme of the rows that reach into each bin, a row from half-way to the one above to half-way to the next.

    Args:
        better: np.fmin or np.fmax
        depth_of_rows: of each row's centre, strictly monotonic
        values: of the rows; NaN is passed over
        index: depths to report
        step: the width of a bin

    Returns:
        The extremes, NaN where no row reaches in.
    """
    order = 1 if depth_of_rows[0] < depth_of_rows[-1] else -1
    depth, known = np.asarray(depth_of_rows, np.float64)[::order], np.asarray(values, np.float64)[::order]
    borders = _borders(depth)
    slack = float(SNAP) * step  # a row that ends where a bin begins does not reach in
    first = np.searchsorted(borders[1:], index - step / 2 + slack)
    end = np.searchsorted(borders[:-1], index + step / 2 - slack)
    # The sentinel makes room for the end of the last bin; of an empty one `reduceat` takes the first row.
    found = better.reduceat(np.append(known, np.nan), np.stack([first, np.maximum(end, first)], 1).ravel())[::2]
    return np.where(end > first, found, np.nan)


def _borders(depth: Float64[np.ndarray, " rows"]) -> Float64[np.ndarray, " rows+1"]:
    """Where the rows end: half-way between neighbours, and as far beyond the first and the last centre."""
    between = (depth[:-1] + depth[1:]) / 2
    return np.concatenate([[2 * depth[0] - between[0]], between, [2 * depth[-1] - between[-1]]])


def _log10(values: Float[np.ndarray, " rows"]) -> Float64[np.ndarray, " rows"]:
    positive = np.asarray(values, np.float64) > 0
    return np.where(positive, np.log10(np.where(positive, values, 1.0)), np.nan)


def _bin_areas(
    depth_of_rows: Float[np.ndarray, " rows"],
    values: Float64[np.ndarray, " rows"],
    index: Float64[np.ndarray, " samples"],
    *,
    width: float,
) -> tuple[Float64[np.ndarray, " samples"], Float64[np.ndarray, " samples"]]:
    """The area under the curve in each bin, and the length of the bin that the curve covers."""
    order = 1 if depth_of_rows[0] < depth_of_rows[-1] else -1
    knots, begin, end, present = _half_rows(np.asarray(depth_of_rows, np.float64)[::order], values[::order])
    lengths = np.diff(knots) * present
    areas_before = np.concatenate([[0.0], np.cumsum(lengths * (begin + end) / 2)])
    lengths_before = np.concatenate([[0.0], np.cumsum(lengths)])
    edges = np.stack([index - width / 2, index + width / 2])
    piece = np.clip(np.searchsorted(knots, edges, side="right") - 1, 0, len(lengths) - 1)
    part = np.clip((edges - knots[piece]) / np.diff(knots)[piece], 0.0, 1.0)
    mean_of_part = begin[piece] + (end - begin)[piece] * part / 2
    areas = areas_before[piece] + lengths[piece] * part * mean_of_part
    covered = lengths_before[piece] + lengths[piece] * part
    return areas[1] - areas[0], covered[1] - covered[0]


def _half_rows(
    depth: Float64[np.ndarray, " rows"], values: Float64[np.ndarray, " rows"]
) -> tuple[
    Float64[np.ndarray, " knots"],
    Float64[np.ndarray, " halves"],
    Float64[np.ndarray, " halves"],
    Bool[np.ndarray, " halves"],
]:
    """Upper and lower half of every row: the depths between them, the values at both ends, and presence."""
    present = np.isfinite(values)
    known = np.where(present, values, 0.0)
    joined = present[:-1] & present[1:]
    middle = (known[:-1] + known[1:]) / 2
    top = np.concatenate([known[:1], np.where(joined, middle, known[1:])])
    bottom = np.concatenate([np.where(joined, middle, known[:-1]), known[-1:]])
    knots = np.empty(2 * len(depth) + 1)
    knots[0::2], knots[1::2] = _borders(depth), depth
    begin, end = np.stack([top, known], 1).ravel(), np.stack([known, bottom], 1).ravel()
    return knots, begin, end, np.repeat(present, 2)
