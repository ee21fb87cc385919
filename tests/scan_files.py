"""Draws small scans of known curves beside LAS files and calibrations, for tests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import numpy as np
from las_files import write_las
from PIL import Image

from veerjax.synthesis.draw import MARGIN_PX, draw_curves

TRACK_PX, LEFT_PX, ROWS = 128, 24, 320
PX_PER_FT, TOP_FT, FT_PER_M = 2.0, 5000.0, 1 / 0.3048
STEP_FT = 0.5
Curve = Callable[[np.ndarray], np.ndarray]  # depth [ft] to the share of the track's width

SCALES = {
    "GR": {"class": 1, "unit": "GAPI", "left": 0, "right": 150},
    "CALI": {"class": 2, "unit": "IN", "left": 6, "right": 16},
}
SHARES: dict[str, Curve] = {
    "GR": lambda ft: 0.35 + 0.2 * np.sin(ft / 6) + 0.05 * np.sin(ft),
    "CALI": lambda ft: 0.6 + 0.15 * np.cos(ft / 9) + 0.05 * np.sin(ft / 1.7),
}


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What a scan shows."""

    image: np.ndarray  # [ROWS, TRACK_PX + 2 * LEFT_PX]
    strokes: np.ndarray  # [2, ROWS, TRACK_PX], of the track alone
    centreline: np.ndarray  # [2, ROWS] px of the track
    presence: np.ndarray


@partial(jax.jit, static_argnames="width")
def _picture(key, x, drawn, *, width):
    return draw_curves(key, x, drawn, width=width)


def drawn_track(
    shares: Mapping[str, Curve] = SHARES, *, seed: int = 0, upwards: bool = False, known: Curve | None = None
) -> Drawn:
    """A track with curves, between white margins.

    Args:
        shares: of the track's width that each curve takes, curve 1 first
        seed: of its look
        upwards: depth decreases down the rows
        known: depth [ft] to whether the curves are plotted there; everywhere if None
    """
    depth = depths_of_rows(np.arange(-MARGIN_PX, ROWS + MARGIN_PX) + 0.5, upwards=upwards)
    x = np.stack([share(depth) for share in shares.values()]).astype(np.float32) * TRACK_PX
    there = np.ones(x.shape, bool) if known is None else np.stack([known(depth)] * 2)
    batch = jax.device_get(_picture(jax.random.key(seed), x, there, width=TRACK_PX))
    image = np.full((ROWS, TRACK_PX + 2 * LEFT_PX), 255, np.uint8)
    image[:, LEFT_PX:-LEFT_PX] = np.rint(batch.image[..., 0] * 255)
    return Drawn(image=image, strokes=batch.strokes, centreline=batch.centreline, presence=batch.presence)


def depths_of_rows(row_px: np.ndarray, *, upwards: bool = False) -> np.ndarray:
    """The depth [ft] of rows of a scan."""
    return TOP_FT + (ROWS - row_px if upwards else row_px) / PX_PER_FT


def values(name: str, share: np.ndarray, scales: Mapping[str, Mapping] = SCALES) -> np.ndarray:
    """What a share of the track's width stands for."""
    scale = scales[name]
    ends = np.array([scale["left"], scale["right"]], float)
    if scale.get("scale") == "log":
        return 10 ** np.interp(share, [0, 1], np.log10(ends), left=np.nan, right=np.nan)
    return ends[0] + share * (ends[1] - ends[0])


def write_log(
    folder: Path,
    name: str = "a",
    *,
    shares: Mapping[str, Curve] = SHARES,
    scales: Mapping[str, Mapping] = SCALES,
    seed: int = 0,
    well: str = "A 1",
    las_unit: str = "F",
    unit: str = "ft",
    upwards: bool = False,
    descending: bool = False,
    known: Curve | None = None,
    units: Mapping[str, str] | None = None,
) -> Drawn:
    """`NAME.png`, `NAME.las` and `NAME.toml` of one log.

    Args:
        folder: to write into
        name: of the files
        shares: the curves, by mnemonic
        scales: of the curves
        seed: of the scan's look
        well: its name in the LAS file
        las_unit: of depth in the LAS file, "F" or "M"
        unit: of depth in the calibration, "ft" or "m"
        upwards: the scan's depth decreases down the rows
        descending: the LAS file's depth does
        known: where the curves have values
        units: of values in the LAS file
    """
    track = drawn_track(shares, seed=seed, upwards=upwards, known=known)
    Image.fromarray(track.image).save(folder / f"{name}.png")
    depth = TOP_FT - 20 + np.arange(round((ROWS / PX_PER_FT + 40) / STEP_FT)) * STEP_FT
    curves = {key: values(key, share(depth), scales) for key, share in shares.items()}
    if known is not None:
        curves = {key: np.where(known(depth), samples, np.nan) for key, samples in curves.items()}
    order = slice(None, None, -1 if descending else 1)
    write_las(
        folder / f"{name}.las",
        well=well,
        depth=(depth if las_unit == "F" else depth / FT_PER_M)[order],
        curves={key: samples[order] for key, samples in curves.items()},
        unit=las_unit,
        units={key: scale["unit"] for key, scale in scales.items()} if units is None else units,
    )
    (folder / f"{name}.toml").write_text(calibration(scales, unit=unit, upwards=upwards))
    return track


def calibration(
    scales: Mapping[str, Mapping] = SCALES,
    *,
    unit: str = "ft",
    upwards: bool = False,
    left_px: float = LEFT_PX,
    right_px: float = LEFT_PX + TRACK_PX,
) -> str:
    """The TOML of one track."""
    depths = depths_of_rows(np.array([0.0, ROWS]), upwards=upwards) / (1 if unit == "ft" else FT_PER_M)
    lines = ["[depth]", f'unit = "{unit}"', f"anchors = [[0, {float(depths[0])}], [{ROWS}, {float(depths[1])}]]"]
    lines += ["[[track]]", f"left_px = {left_px}", f"right_px = {right_px}"]
    for name, scale in scales.items():
        lines += ["[[track.curve]]", f'mnemonic = "{name}"']
        lines += [f"{key} = {value!r}".replace("'", '"') for key, value in scale.items()]
    return "\n".join(lines) + "\n"
