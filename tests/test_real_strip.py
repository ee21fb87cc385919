"""The real strip: which curve's ink each row is read from. Its curves are apart in the scan, so their ink tells.

A class flip is a row from which on curve 1 is read from the other curve's ink, or from its own again.
"""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import veerjax
from veerjax.jobs.digitize import digitize_pages
from veerjax.jobs.reader import Reader
from veerjax.logs.calibration import read_calibration
from veerjax.logs.scan import read_scan
from veerjax.logs.tables import read_pixels_csv

STRIP = "kgs_strip_300dpi.png"
INK, PEN_PX = 80, 3  # grey levels below this are ink and no grid; both curves are broader
PARTS = 4  # of ink: the heavy curve leaves the strip once, the other one comes into it twice
NEAR_PX = 5
HEAVY, OTHER = 1, 2
TRACK = """
[depth]
unit = "ft"
anchors = [[0.0, 1000.0], [2600.0, 1173.0]]
[[track]]
left_px = 0.0
right_px = 224.0
straighten = false
"""
CURVE = """
[[track.curve]]
class = {k}
mnemonic = "C{k}"
unit = "MV"
left = 0.0
right = 100.0
"""


@pytest.fixture(scope="module")
def reader() -> Reader:
    return veerjax.load("release")


@pytest.fixture(scope="module")
def ink(real_data: Path) -> np.ndarray:
    """Of each pixel whose ink it is: `HEAVY`, `OTHER` or 0."""
    square = np.ones((PEN_PX, PEN_PX))
    part, count = ndimage.label(ndimage.binary_opening(np.asarray(read_scan(real_data / STRIP)) < INK, square), square)
    assert count == PARTS
    reach = [(part == k).any(axis=1).sum() for k in range(1, PARTS + 1)]
    heavy = np.argsort(reach)[-2:] + 1
    assert np.isin(part[[0, -1]], [0, *heavy]).all(), "the heavy curve runs from top to bottom"
    return np.where(part == 0, 0, np.where(np.isin(part, heavy), HEAVY, OTHER))


def whose(ink: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Whose ink a reading is on in each row: 0 where it is absent or on none."""
    columns = np.arange(ink.shape[1]) + 0.5
    away = np.where(ink > 0, np.abs(columns - x[:, None]), np.inf)
    nearest = np.argmin(np.where(np.isfinite(away), away, np.inf), axis=1)
    rows = np.arange(len(x))
    return np.where(away[rows, nearest] <= NEAR_PX, ink[rows, nearest], 0)


def test_a_flip_is_seen() -> None:
    ink = np.zeros((9, 60), int)
    ink[:, 10:14], ink[:, 40:44] = HEAVY, OTHER
    x = np.array([12, 12, 42, 42, 12, np.nan, 12, 26, 12.0])
    assert whose(ink, x).tolist() == [1, 1, 2, 2, 1, 0, 1, 0, 1]
    assert flips(whose(ink, x)) == 2


def flips(rows: np.ndarray) -> int:
    return int(np.count_nonzero(np.diff(rows[rows > 0])))


@pytest.mark.slow
@pytest.mark.parametrize("declared", [(), (1,), (1, 2)])
def test_the_heavy_curve_is_read_from_its_own_ink_in_every_row(
    reader: Reader, real_data: Path, ink: np.ndarray, tmp_path: Path, declared: tuple[int, ...]
) -> None:
    """Undeclared, declared alone, and with a broken curve declared too that is not there."""
    path = tmp_path / "strip.toml"
    path.write_text(TRACK + "".join(CURVE.format(k=k) for k in declared))
    calibration = read_calibration(path) if declared else None
    digitize_pages(reader, real_data / STRIP, tmp_path, calibration=calibration)
    pixels = read_pixels_csv(tmp_path / f"{Path(STRIP).stem}.pixels.csv")
    first, second = (whose(ink, pixels[f"curve_{k}_px"]) for k in (1, 2))
    print(f"\n{declared}: {flips(first)} flips; curve 1 on {np.bincount(first, minlength=3).tolist()} rows of no ink,")
    print(f"its own and the other's; curve 2 on {np.bincount(second, minlength=3).tolist()}")
    assert flips(first) == 0
    assert not (first == OTHER).any()
    assert (first == HEAVY).mean() > 0.9
