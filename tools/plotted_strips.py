"""Log strips as an independent plotter draws them: matplotlib's lines, API grids, exact edges, anchors and truth.

A strip has up to three tracks: gamma ray (solid) with caliper (dashed); then, right of the depth column, deep (solid)
with medium (dashed) resistivity on four decades, and bulk density (solid) with neutron porosity (dashed, reversed).
What is drawn of a curve is the straight line from sample to sample, cut off at the edges of its track, and that line
is the truth.
"""

import csv
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from jaxtyping import Float64, UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Affine2D, Bbox, TransformedBbox
from PIL import Image

from veerjax.data.digest import name_number
from veerjax.data.wells.pairs import TYPICAL_PAIRS, PlottedCurve
from veerjax.data.wells.windows import depth_in_feet, interpolated, pair_of
from veerjax.labels import CURVE_2
from veerjax.logs.atomic import replacing
from veerjax.logs.las import Well

PLACES = (("gr_cali",), ("ild_ilm", "lld_lls"), ("rhob_nphi",))  # the first pair of each that the well has there
TRACK_IN, DEPTH_COLUMN_IN, MARGIN_IN = 2.5, 0.75, 0.15
LEAST_KNOWN, LEAST_ON_SCALE = 0.99, 0.9  # of a stretch, for each curve of a pair
START_FT = 10  # stretches start at multiples of it
LEAST_PITCH_IN = 0.08  # lines nearer to one another are not drawn
LINES_FT = ((100, 1.0), (50, 0.75), (10, 0.5), (2, 0.25))  # every so many ft, of a weight
DASHES = ((4, 3), (6, 3), (8, 4), (5, 5))  # on and off, in stroke widths
CHUNK_ROWS = 12_000  # drawn at once: matplotlib has a limit, and a colour canvas takes 4 bytes a pixel

Series = Float64[np.ndarray, " samples"]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How a strip is plotted and scanned."""

    dpi: int
    bits: bool  # black and white, else grey
    inches: int  # for 100 ft
    feet: int

    @property
    def name(self) -> str:
        return f"{self.dpi}dpi_{'bits' if self.bits else 'grey'}_{self.inches}in_{self.feet}ft"


@dataclass(frozen=True, kw_only=True)
class Look:
    """What differs from plotter to plotter and from scan to scan."""

    stroke_in: float
    dashed_share: float  # of the solid curve's width
    dashes: tuple[int, int]
    grid_in: float  # width of the heaviest line
    paper: int  # grey level
    ink: int
    grid: int  # grey level of the heaviest line
    noise: float  # standard deviation [grey levels]
    threshold: int  # of a black and white scan
    offset_px: tuple[float, float]  # by which edges and anchors miss whole pixels


@dataclass(frozen=True, kw_only=True)
class DrawnTrack:
    """Curves between two edges."""

    pair: str  # its name; some tracks have two pairs
    left_px: float
    right_px: float
    curves: tuple[PlottedCurve, ...]


@dataclass(frozen=True, kw_only=True)
class Strip:
    """A stretch of a well, ready to draw."""

    name: str
    kind: Kind
    look: Look
    start_ft: float
    top_px: float  # row of the start
    depth_ft: Series  # of the samples that are drawn, of one beyond either end too
    tracks: tuple[DrawnTrack, ...]

    @property
    def px_per_ft(self) -> float:
        return self.kind.dpi * self.kind.inches / 100

    @property
    def stop_ft(self) -> float:
        return self.start_ft + self.kind.feet

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        margin = MARGIN_IN * self.kind.dpi
        height = self.top_px + self.kind.feet * self.px_per_ft + margin
        return int(np.ceil(height)), int(np.ceil(max(track.right_px for track in self.tracks) + margin))

    def row(self, depth_ft: Series | float) -> Series:
        return np.asarray(self.top_px + (np.asarray(depth_ft) - self.start_ft) * self.px_per_ft)


def strip_of(well: Well, kind: Kind, *, stem: str) -> Strip | None:
    """A stretch of the well where most places have a pair; None where none has one for so many feet.

    Where it starts and how it looks follow from its name alone.
    """
    name = f"{stem}_{kind.name}"
    generator = np.random.default_rng(name_number(name))
    depth = depth_in_feet(well)
    found = {pair: curves for pair in sum(PLACES, ()) if (curves := pair_of(well, TYPICAL_PAIRS[pair]))}
    starts = np.arange(np.ceil(depth[0] / START_FT) * START_FT, depth[-1] - kind.feet, START_FT)
    usable = {pair: usable_starts(depth, curves, starts, feet=kind.feet) for pair, curves in found.items()}
    places = [np.any([usable[pair] for pair in place if pair in usable], axis=0) for place in PLACES]
    count = np.sum([np.broadcast_to(place, starts.shape) for place in places], axis=0)
    if len(starts) == 0 or count.max() == 0:
        return None
    at = int(generator.choice(np.flatnonzero(count == count.max())))
    look = look_of(kind, generator)
    chosen = [next((pair for pair in place if pair in usable and usable[pair][at]), None) for place in PLACES]
    near = np.flatnonzero((depth >= starts[at]) & (depth <= starts[at] + kind.feet))
    rows = slice(max(near[0] - 1, 0), near[-1] + 2)
    edges = [left * kind.dpi + look.offset_px[0] for left in lefts_in()]
    tracks = tuple(
        DrawnTrack(
            pair=pair,
            left_px=left,
            right_px=left + TRACK_IN * kind.dpi,
            curves=tuple(PlottedCurve(scale=c.scale, fraction=c.fraction[rows]) for c in found[pair]),
        )
        for left, pair in zip(edges, chosen, strict=True)
        if pair is not None
    )
    top = MARGIN_IN * kind.dpi + look.offset_px[1]
    return Strip(
        name=name,
        kind=kind,
        look=look,
        start_ft=float(starts[at]),
        top_px=top,
        depth_ft=depth[rows],
        tracks=tracks,
    )


def lefts_in() -> list[float]:
    """The tracks' left edges [in]: the depth column lies right of the first."""
    first = MARGIN_IN + TRACK_IN + DEPTH_COLUMN_IN
    return [MARGIN_IN, first, first + TRACK_IN]


def usable_starts(depth: Series, curves: Sequence[PlottedCurve], starts: Series, *, feet: int) -> np.ndarray:
    """Which stretches have both curves, and have them on the scale, most of the way."""
    at = starts[:, None] + np.arange(0.5, feet)[None]
    good = np.ones(len(starts), bool)
    for curve in curves:
        values = interpolated(depth, curve.fraction, at.ravel()).reshape(at.shape)
        on_scale = (values > 0) & (values < 1)
        good &= (np.isfinite(values).mean(axis=1) >= LEAST_KNOWN) & (on_scale.mean(axis=1) >= LEAST_ON_SCALE)
    return good


def look_of(kind: Kind, generator: np.random.Generator) -> Look:
    """A look; a black and white scan has grid and curves in one black."""
    ink = int(generator.integers(20, 80))
    return Look(
        stroke_in=generator.uniform(0.012, 0.03),
        dashed_share=generator.uniform(0.7, 1.0),
        dashes=DASHES[generator.integers(len(DASHES))],
        grid_in=generator.uniform(0.008, 0.015),
        paper=int(generator.integers(205, 250)),
        ink=ink,
        grid=ink if kind.bits else int(generator.integers(80, 150)),
        noise=generator.uniform(10, 25) if kind.bits else generator.uniform(2, 9),
        threshold=int(generator.integers(120, 160)),
        offset_px=tuple(generator.uniform(0, 1, 2)),
    )


def drawn(strip: Strip) -> UInt8[np.ndarray, "height width"]:
    """The strip as a scanner sees it: grey, or 0 and 255."""
    height, _ = strip.shape
    generator = np.random.default_rng(name_number(f"{strip.name}/noise"))
    pieces = []
    with matplotlib.rc_context({"path.simplify": False}):
        for top in range(0, height, CHUNK_ROWS):
            clean = drawn_rows(strip, top, min(top + CHUNK_ROWS, height)).astype(np.float32)
            noisy = clean + generator.normal(0, strip.look.noise, clean.shape).astype(np.float32)
            pieces.append(scanned(noisy, strip))
    return np.concatenate(pieces)


def scanned(noisy: np.ndarray, strip: Strip) -> UInt8[np.ndarray, "rows width"]:
    if strip.kind.bits:
        return np.where(noisy >= strip.look.threshold, np.uint8(255), np.uint8(0))
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)


def drawn_rows(strip: Strip, top: int, bottom: int) -> UInt8[np.ndarray, "rows width"]:
    """Rows of the strip before its scan; artists are placed in its own pixels, so that nothing is rounded."""
    rows, width, dpi = bottom - top, strip.shape[1], strip.kind.dpi
    page = Figure(figsize=((width + 0.01) / dpi, (rows + 0.01) / dpi), dpi=dpi, facecolor=grey(strip.look.paper))
    canvas = FigureCanvasAgg(page)
    pixels = Affine2D().translate(0, -bottom).scale(1, -1)
    for artist in (*grids(strip), *depth_numbers(strip), *curve_lines(strip)):
        box = artist.get_clip_box()
        artist.set_transform(pixels)
        artist.set_clip_on(box is not None)
        if box is not None:
            artist.set_clip_box(TransformedBbox(box, pixels))
        page.add_artist(artist)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., 0]


def grey(level: float) -> str:
    return str(min(max(level / 255, 0), 1))


def points(strip: Strip, inches: float) -> float:
    """A width [pt] of at least a pixel."""
    return max(inches, 1 / strip.kind.dpi) * 72


def faded(strip: Strip, weight: float) -> str:
    """A grid line's grey: the lighter lines are paler too, but for black and white scans."""
    look = strip.look
    return grey(look.grid if strip.kind.bits else look.grid + (1 - weight) * 0.6 * (look.paper - look.grid))


def grids(strip: Strip) -> Iterator[LineCollection]:
    """The lines of all tracks and of the depth column, the lightest first."""
    by_weight: dict[float, list] = {weight: [] for _, weight in reversed(LINES_FT)}
    top, bottom = float(strip.row(strip.start_ft)), float(strip.row(strip.stop_ft))
    done: set[float] = set()
    for every, weight in LINES_FT:
        if every * strip.kind.inches / 100 < LEAST_PITCH_IN:
            continue
        depths = np.arange(np.ceil(strip.start_ft / every) * every, strip.stop_ft + 1e-6, every)
        for depth in (float(d) for d in depths if d not in done):
            done.add(depth)
            row = float(strip.row(depth))
            by_weight[weight] += [[(t.left_px, row), (t.right_px, row)] for t in strip.tracks]
    for track in strip.tracks:
        for fraction, weight in verticals(track):
            x = track.left_px + fraction * (track.right_px - track.left_px)
            by_weight[weight].append([(x, top), (x, bottom)])
    for weight, lines in by_weight.items():
        width = points(strip, strip.look.grid_in * weight)
        yield LineCollection(lines, linewidths=width, colors=faded(strip, weight), capstyle="projecting", snap=False)


def verticals(track: DrawnTrack) -> list[tuple[float, float]]:
    """Fractions of the track and weights: ten divisions, or the digits of four decades."""
    if track.curves[0].scale.scale == "linear":
        weights = {0: 1.0, 5: 0.5, 10: 1.0}
        return [(division / 10, weights.get(division, 0.25)) for division in range(11)]
    scale = track.curves[0].scale
    first = np.log10(min(scale.left, scale.right))
    digits = [(digit * 10.0**power, digit) for power, digit in itertools.product(range(-1, 4), range(1, 10))]
    inner = [(float(scale.x(v, 0.0, 1.0)), 0.75 if d == 1 else 0.25) for v, d in digits if np.log10(v) > first + 1e-6]
    return [(0.0, 1.0), *((f, w) for f, w in inner if 0 < f < 1 - 1e-6), (1.0, 1.0)]


def depth_numbers(strip: Strip) -> Iterator[Text]:
    """Every 100 ft, in the depth column."""
    x = (MARGIN_IN + TRACK_IN + DEPTH_COLUMN_IN / 2) * strip.kind.dpi
    for depth in np.arange(np.ceil(strip.start_ft / 100) * 100, strip.stop_ft + 1e-6, 100):
        yield Text(x, float(strip.row(depth)), f"{depth:.0f}", color=grey(strip.look.ink), fontsize=12, ha="center")


def curve_lines(strip: Strip) -> Iterator[Line2D]:
    """The first curve of each track last, so that it lies over the others; what wraps is drawn once for each turn."""
    look = strip.look
    top, bottom = float(strip.row(strip.start_ft)), float(strip.row(strip.stop_ft))
    for track in strip.tracks:
        width_px = track.right_px - track.left_px
        for number, curve in reversed(list(enumerate(track.curves))):
            is_dashed = curve.scale.curve_class == CURVE_2
            width = points(strip, look.stroke_in * (look.dashed_share if is_dashed else 1))
            for turns in turns_of(curve):
                x = track.left_px + (curve.fraction - turns) * width_px
                line = Line2D(x, strip.row(strip.depth_ft), lw=width, color=grey(look.ink), snap=False, zorder=3)
                line.set_solid_joinstyle("round")
                if is_dashed:
                    line.set_dashes(dashes_of(look, number))
                    line.set_dash_capstyle("butt")
                box = Bbox.from_extents(track.left_px, top, track.right_px, bottom)
                line.set_clip_box(box)  # type: ignore[arg-type]
                yield line


def turns_of(curve: PlottedCurve) -> range:
    """How many tracks off its scale a curve is drawn: only one that wraps is."""
    if not curve.scale.wrap:
        return range(1)
    return range(int(np.floor(np.nanmin(curve.fraction))), int(np.floor(np.nanmax(curve.fraction))) + 1)


def dashes_of(look: Look, number: int) -> tuple[int, int]:
    """The dashes of a track's curve: a second dashed one has others than the first."""
    return DASHES[(DASHES.index(look.dashes) + number // 2) % len(DASHES)]


def write_strip(strip: Strip, folder: Path) -> Path:
    """Writes `<name>.tif`, its calibration `<name>.toml` and the drawn samples `<name>.truth.csv`."""
    image, path, dpi = drawn(strip), folder / f"{strip.name}.tif", strip.kind.dpi
    with replacing(path) as temporary:
        if strip.kind.bits:
            Image.fromarray(image > 0).save(temporary, format="TIFF", compression="group4", dpi=(dpi, dpi))
        else:
            Image.fromarray(image).save(temporary, format="TIFF", compression="tiff_lzw", dpi=(dpi, dpi))
    (folder / f"{strip.name}.toml").write_text(calibration_text(strip))
    curves = [curve for track in strip.tracks for curve in track.curves]
    values = [curve.scale.value(curve.fraction, 0.0, 1.0) for curve in curves]
    with (folder / f"{strip.name}.truth.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["DEPT", *(curve.scale.mnemonic for curve in curves)])
        for row in zip(strip.depth_ft, *values, strict=True):
            writer.writerow([f"{value:.10g}" if np.isfinite(value) else "" for value in row])
    return path


def calibration_text(strip: Strip) -> str:
    """The calibration as `veerjax digitize` reads it."""
    anchors = [[float(strip.row(depth)), depth] for depth in (strip.start_ft, strip.stop_ft)]
    lines = ["[depth]", 'unit = "ft"', f"anchors = {anchors}"]
    for track in strip.tracks:
        lines += ["", "[[track]]", f"left_px = {float(track.left_px)}", f"right_px = {float(track.right_px)}"]
        for curve in track.curves:
            s = curve.scale
            lines += ["", "[[track.curve]]", f"class = {s.curve_class}", f'mnemonic = "{s.mnemonic}"']
            lines += [f'unit = "{s.unit}"', f"left = {s.left}", f"right = {s.right}", f'scale = "{s.scale}"']
            lines += ["wrap = true"] * s.wrap
            lines += [f"seeds = {[[float(at) for at in seed] for seed in s.seeds]}"] * bool(s.seeds)
    return "\n".join(lines) + "\n"
