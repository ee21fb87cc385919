"""Whether a label lies on its ink: the contrast under its strokes, and where that would be greater."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from veerjax.data.checks.samples import Sample

REACH_PX = 8  # shifts looked at, each way
NEAR_PX = 1  # a shift up to this is none
SURROUNDINGS_PX = 6  # paper that the ink is compared with, beyond an edge of 1 px that blur greys
BETTER_BY = 0.02  # of the range from black to white
BETTER_TIMES = 1.1


@dataclass(frozen=True, kw_only=True)
class Shift:
    """Where the ink lies relative to its label."""

    dy: int  # [px] down
    dx: int  # [px] to the right
    contrast: float  # there, 0 to 1
    contrast_here: float  # within `NEAR_PX`, where it should be greatest


def contrast_map(sample: Sample) -> Float[np.ndarray, "shifts shifts"] | None:
    """How much darker the image is under the strokes than beside them, for each shift of the strokes.

    Entry [8 + dy, 8 + dx] is the mean darkness under the strokes shifted by (dy, dx) less that of a rim around them.
    Only strokes further than `REACH_PX` from the border count, so that every shift sees as many pixels.

    Returns:
        None where there is no such stroke or rim.
    """
    strokes = sample.strokes[0] | sample.strokes[1]
    rim = grown(strokes, SURROUNDINGS_PX) & ~grown(strokes, 1)
    inner = (slice(REACH_PX, -REACH_PX),) * 2
    strokes, rim = strokes[inner], rim[inner]
    if not strokes.any() or not rim.any():
        return None
    weight = strokes / np.float32(strokes.sum()) - rim / np.float32(rim.sum())
    darkness = 1 - np.nan_to_num(sample.image.min(axis=-1)).astype(np.float32)  # colour inks darken some channel
    return correlated(darkness, weight)


def correlated(
    image: Float[np.ndarray, "height width"], weight: Float[np.ndarray, "inner_height inner_width"]
) -> Float[np.ndarray, "shifts shifts"]:
    """The weighted sum of the image under each place of the smaller array that lies wholly on the larger one."""
    spectrum = np.fft.rfft2(image) * np.conj(np.fft.rfft2(weight, s=image.shape))
    return np.fft.irfft2(spectrum, s=image.shape)[: 2 * REACH_PX + 1, : 2 * REACH_PX + 1]


def grown(mask: Bool[np.ndarray, "height width"], by: int) -> Bool[np.ndarray, "height width"]:
    """The pixels within a square of `by` px each way of the mask."""
    for _ in range(2):  # down, then across
        total = np.cumsum(np.pad(mask, ((by + 1, by), (0, 0))), axis=0, dtype=np.int32)
        mask = (total[2 * by + 1 :] > total[: -2 * by - 1]).T
    return mask


def shift_of(contrast: Float[np.ndarray, "shifts shifts"]) -> Shift | None:
    """The shift under which the contrast is greatest, if that is farther than `NEAR_PX` and clearly better.

    A contrast that still grows at the last shift has no greatest value yet: other ink is there, such as a neighbour's.

    Args:
        contrast: of `contrast_map`
    """
    dy, dx = (int(i) - REACH_PX for i in np.unravel_index(np.argmax(contrast), contrast.shape))
    near = slice(REACH_PX - NEAR_PX, REACH_PX + NEAR_PX + 1)
    there, here = float(contrast.max()), float(contrast[near, near].max())
    clear = max(abs(dy), abs(dx)) < REACH_PX and there > here + BETTER_BY and there > BETTER_TIMES * here
    return Shift(dy=dy, dx=dx, contrast=there, contrast_here=here) if clear else None


def offset_px(contrast: Float[np.ndarray, "shifts shifts"]) -> tuple[float, float]:
    """Where the contrast is greatest, down and to the right, to a part of a pixel: the top of a parabola each way."""
    row, column = (int(i) for i in np.unravel_index(np.argmax(contrast), contrast.shape))
    return parabola_top(contrast[:, column], row) - REACH_PX, parabola_top(contrast[row], column) - REACH_PX


def parabola_top(values: Float[np.ndarray, " shifts"], peak: int) -> float:
    """The position of the top of the parabola through the greatest value and its neighbours."""
    if not 0 < peak < len(values) - 1:
        return float(peak)
    before, top, after = (float(value) for value in values[peak - 1 : peak + 2])
    bend = before - 2 * top + after
    return peak if bend >= 0 else peak + 0.5 * (before - after) / bend
