"""Draws docs/likeness.png: `python tools/compare_with_real.py DATA [--points CSV] [--out F]`.

DATA holds the real strip and, in las/, the real wells. Rendered are the first training samples of each setting. The
printed table says how far the distributions of the curves' statistics are from those of real wells.
"""

import argparse
import csv
import functools
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import jax
import jax.numpy as jnp
import numpy as np
from fit_curves import HEIGHT, chosen, in_fractions, windows_to_fit
from PIL import Image
from skimage.morphology import medial_axis, skeletonize

from veerjax.data.wells.split import split_of_wells
from veerjax.data.wells.statistics import TRACK_PX, curve_statistics, kolmogorov_smirnov, pair_statistics, steps_px
from veerjax.data.wells.windows import well_windows
from veerjax.report.likeness_plot import RENDERED, Comparison, Samples
from veerjax.report.likeness_plot import likeness_plot as drawn_plot
from veerjax.synthesis import curves, likeness
from veerjax.synthesis.draw import draw_batch

STRIP = "kgs_strip_300dpi.png"
STRIP_TRACK_PX = 750.0  # a track of 2.5 in at 300 dpi
READING_SCALE = 0.4  # at which the digitiser reads a strip of 300 dpi
INK_LEVEL = 85  # darker pixels of the strip are ink
SIZE, CHUNK = 256, 16
PAIRS = 600  # of curves from each generator
LAWS = 240  # windows of the fit
REFERENCE, KEPT_APART, NOT_STEEP = "the wells of the fit", "test well", "fitted curves, no steep kicks"


def main() -> None:
    parser = argparse.ArgumentParser(description="Rendered logs against real ones, as a figure and a table.")
    parser.add_argument("data", type=Path, help=f"folder of {STRIP} and las/")
    parser.add_argument("--points", type=Path, help="CSV of row_px,x_px read off the strip by hand")
    parser.add_argument("--count", type=int, default=96, help="samples of each setting (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("docs/likeness.png"))
    arguments = parser.parse_args()
    strip = iio.imread(arguments.data / STRIP)
    measured = {name: rendered(name, count=arguments.count) for name in RENDERED}
    measured |= {"strip, 300 dpi": of_strip(strip), "strip, as it is read": of_strip(reduced(strip))}
    sources = {
        "invented curves": generated(curves.random_pair),
        "fitted curves": generated(likeness.random_pair),
        NOT_STEEP: generated(functools.partial(likeness.random_pair, steep=0.0)),
        KEPT_APART: of_test_well(arguments.data / "las"),
        REFERENCE: of_fit(arguments.data / "las"),
    }
    slopes = {name: part["slope_px"] for name, part in measured.items() if name in RENDERED}
    slopes |= {name: steps_of(sources[name]) for name in (REFERENCE, KEPT_APART)}
    statistics = {name: statistics_of(pairs) for name, pairs in sources.items()}
    found = Comparison(
        grey={name: part["grey"] for name, part in measured.items()},
        stroke_px={name: part["stroke_px"] for name, part in measured.items()},
        slope_px=slopes,
        ink_share={name: part["ink_share"] for name, part in measured.items()},
        curves={name: one for name, one in statistics.items() if name != NOT_STEEP},
        reference=REFERENCE,
        gaps={name: gaps(one, statistics[REFERENCE]) for name, one in statistics.items()},
    )
    arguments.out.write_bytes(drawn_plot(found))
    print(table(statistics))
    by_hand = {"strip, by hand": slopes_by_hand(arguments.points)} if arguments.points else {}
    print(quantiles(measured, slopes | by_hand))


def rendered(setting: str, *, count: int) -> dict[str, np.ndarray]:
    """Grey levels, stroke widths, slopes and ink shares of the first training samples of a setting."""
    draw = jax.jit(lambda indices: draw_batch(0, "train", indices, height=SIZE, width=SIZE, setting=setting))
    grey, widths, slopes, shares = [], [], [], []
    for start in range(0, count, CHUNK):
        batch = jax.device_get(draw(jnp.arange(start, start + CHUNK)))
        grey.append(np.round(255 * batch.image).ravel())
        widths += [stroke_widths(mask) for mask in batch.strokes.reshape(-1, SIZE, SIZE) if mask.any()]
        x = np.where(batch.presence, batch.centreline / SIZE, np.nan).reshape(-1, SIZE)
        slopes += [steps_px(curve) for curve in x.astype(np.float64)]
        shares.append(np.mean(batch.label > 0, axis=(1, 2)))
    found = {"grey": grey, "stroke_px": widths, "slope_px": slopes, "ink_share": shares}
    return {name: np.concatenate(parts).astype(np.float64) for name, parts in found.items()}


def of_strip(grey: np.ndarray) -> dict[str, np.ndarray]:
    """The same of a real strip, whose strokes are its dark pixels, in square pieces."""
    ink, side = grey < INK_LEVEL, grey.shape[1]
    pieces = [ink[top : top + side] for top in range(0, len(ink) - side + 1, side)]
    shares = np.array([piece.mean() for piece in pieces])
    return {"grey": grey.ravel().astype(np.float64), "stroke_px": stroke_widths(ink), "ink_share": shares}


def reduced(grey: np.ndarray) -> np.ndarray:
    """The strip at the scale at which it is read."""
    size = (round(grey.shape[1] * READING_SCALE), round(grey.shape[0] * READING_SCALE))
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))


def stroke_widths(ink: np.ndarray) -> np.ndarray:
    """Twice the distance from each pixel of the skeleton to the paper, half a pixel less: right on average [px]."""
    ink = ink.copy()  # what comes from a device is read-only
    _, distance = medial_axis(ink, return_distance=True)
    return 2 * distance[skeletonize(ink)] - 0.5


def slopes_by_hand(path: Path) -> np.ndarray:
    """|dx| per row between the points, on a track of `TRACK_PX`: both axes scale alike."""
    with path.open() as file:
        points = np.array([(float(row["row_px"]), float(row["x_px"])) for row in csv.DictReader(file)])
    points = points[np.argsort(points[:, 0])]
    rows = np.arange(points[0, 0], points[-1, 0])
    return np.abs(np.diff(np.interp(rows, points[:, 0], points[:, 1])))


def generated(function: Any) -> list[np.ndarray]:
    """Pairs of a generator at the depth scale of the real windows, in fractions of the track."""

    def one(key: jax.Array) -> jax.Array:
        return function(key, rows=HEIGHT, width=int(TRACK_PX), scale=jnp.float32(1))[0]

    return list(np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(7), PAIRS)), np.float64) / TRACK_PX)


def of_fit(folder: Path) -> list[np.ndarray]:
    """The windows of the fit: wells of the training and validation splits."""
    by_well = chosen(windows_to_fit(folder), LAWS)
    return [in_fractions(window) for windows in by_well.values() for window in windows]


def of_test_well(folder: Path) -> list[np.ndarray]:
    """The windows of the well that was kept apart."""
    windows = well_windows(folder, height=HEIGHT, width=int(TRACK_PX))
    split = split_of_wells(window.well for window in windows)
    return [in_fractions(window) for window in windows if split[window.well] == "test"]


def statistics_of(pairs: list[np.ndarray]) -> dict[str, np.ndarray]:
    """All statistics of both curves of each pair, and of the pairs."""
    singles, both = [curve_statistics(x) for pair in pairs for x in pair], [pair_statistics(pair) for pair in pairs]
    return {name: np.array([one[name] for one in group]) for group in (singles, both) for name in group[0]}


def steps_of(pairs: list[np.ndarray]) -> np.ndarray:
    """|dx| per row of all curves."""
    return np.concatenate([steps_px(x) for pair in pairs for x in pair])


def gaps(ours: Samples, real: Samples) -> np.ndarray:
    """Kolmogorov-Smirnov distances of the statistics, in their order."""
    return np.array([kolmogorov_smirnov(ours[name], real[name]) for name in real])


def table(statistics: dict[str, dict[str, np.ndarray]]) -> str:
    """Markdown: the distances of each source of curves to both sets of real wells, and of these from one another."""
    real = (REFERENCE, KEPT_APART)
    compared = [(name, to) for to in real for name in statistics if name not in real] + [(KEPT_APART, REFERENCE)]
    columns = np.stack([gaps(statistics[name], statistics[to]) for name, to in compared], axis=1)
    named = [*zip(statistics[REFERENCE], columns, strict=True), ("mean", columns.mean(axis=0))]
    lines = ["| statistic | " + " | ".join(f"{name} to {to}" for name, to in compared) + " |"]
    lines.append("| --- " * (1 + len(compared)) + "|")
    for name, row in named:
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(f"{gap:.2f}" for gap in row) + " |")
    return "\n".join(lines)


def quantiles(measured: dict[str, dict[str, np.ndarray]], slopes: dict[str, np.ndarray]) -> str:
    """Quantiles of what the histograms show."""
    lines = []
    for name, part in measured.items():
        grey, width, share = part["grey"], part["stroke_px"], part["ink_share"]
        lines.append(f"{name}: grey p5 p50 p95 {told(grey, 5, 50, 95)}; stroke p25 p50 p75 {told(width, 25, 50, 75)}; ")
        lines[-1] += f"ink share p10 p50 p90 {told(share, 10, 50, 90)}"
    return "\n".join(lines + [f"{n}: |dx| p50 p90 p99 max {told(v, 50, 90, 99, 100)}" for n, v in slopes.items()])


def told(values: np.ndarray, *at: float) -> str:
    return " / ".join(f"{value:.3g}" for value in np.percentile(values, at))


if __name__ == "__main__":
    main()
