"""Tracks of four curves, two solid and two dashed, seeded as a technician would; whether their names are kept.

Each curve has a seed at the top of its track, and one wherever it parts from the other one of its class after they ran
together for a quarter of an inch or more.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64
from plotted_scores import PARTS, STEP_FT, read_truth, value_scores
from plotted_single import CLOSE_SHARE, place, read_rows, single_track, starts_of
from plotted_strips import Kind, Strip
from plotted_tables import table

from veerjax.data.digest import name_number
from veerjax.data.wells.pairs import (
    CALI,
    DT,
    GR,
    ILD,
    ILM,
    LLD,
    LLS,
    NPHI,
    RHOB,
    SP,
    PlottedCurve,
    TypicalCurve,
    plotted,
    resistivity,
)
from veerjax.data.wells.windows import depth_in_feet
from veerjax.labels import CURVE_1, CURVE_2
from veerjax.logs.las import Well, read_las
from veerjax.metrics.crossings import FAR_STROKES
from veerjax.tracing.rows import runs

CALIPER_2 = TypicalCurve(name="CALIPER_2", mnemonics=("C24",), left=5, right=15, unit="IN")
THOR = TypicalCurve(name="THOR", mnemonics=("THOR",), left=0, right=40, unit="")
NEUT = TypicalCurve(name="NEUT", mnemonics=("NEUT",), left=0, right=1500, unit="CPS")
SPHI = TypicalCurve(name="SPHI", mnemonics=("SPHI", "DPHI_SAN"), left=0.45, right=-0.15, unit="V/V", porosity=True)
# Solid, dashed, solid, dashed; of each place the first curve that the well has.
FOURS = {
    "gamma": ((GR,), (CALI,), (SP,), (CALIPER_2, THOR, NEUT, DT)),
    "porosity": ((RHOB,), (NPHI,), (DT,), (SPHI, GR)),
    "resistivity": ((ILD,), (ILM,), (LLD, resistivity("AF60")), (LLS, resistivity("AF10"))),
}
CLASSES = (CURVE_1, CURVE_2, CURVE_1, CURVE_2)
LONG_IN = 0.25  # of paper on which two curves run together: longer, and a technician marks where they part
CLICK_PX = 1.0  # standard deviation of where a technician clicks [px of the scan]


def strips_of(well: Well, kind: Kind, *, stem: str, half: str | None) -> Iterator[tuple[Strip, dict[str, Any]]]:
    """A strip of each track for which the well has four curves."""
    depth = depth_in_feet(well)
    for track, kinds in FOURS.items():
        there = [first_of(well, of_place, curve_class) for of_place, curve_class in zip(kinds, CLASSES, strict=True)]
        curves = [curve for curve in there if curve is not None]
        if len(curves) < len(CLASSES):
            continue
        starts = starts_of(depth, curves, feet=kind.feet, half=half)
        if len(starts) == 0:
            continue
        name = f"{stem}_{track}_{kind.name}"
        generator = np.random.default_rng(name_number(f"{name}/seeds"))
        start = float(generator.choice(starts))
        strip = single_track(name, kind, track=track, depth=depth, curves=curves, start_ft=start)
        seeds = seeds_of(strip, generator)
        (drawn,) = strip.tracks
        marked = tuple(replace(c, scale=replace(c.scale, seeds=s)) for c, s in zip(drawn.curves, seeds, strict=True))
        yield replace(strip, tracks=(replace(drawn, curves=marked),)), {"seeds": [len(of_one) for of_one in seeds]}


def first_of(well: Well, kinds: Sequence[TypicalCurve], curve_class: int) -> PlottedCurve | None:
    """The first of several kinds of curve that the well has."""
    found = (plotted(well, kind, curve_class=curve_class) for kind in kinds)
    return next((curve for curve in found if curve), None)


def seeds_of(strip: Strip, generator: np.random.Generator) -> list[tuple[tuple[float, float], ...]]:
    """Where a technician marks each curve of a strip: row and column [px]."""
    (track,) = strip.tracks
    rows = np.arange(np.ceil(strip.top_px), np.floor(float(strip.row(strip.stop_ft)))) + 0.5
    width = track.right_px - track.left_px
    x = np.stack([np.interp(rows, strip.row(strip.depth_ft), curve.fraction) for curve in track.curves])
    seeds: list[tuple[tuple[float, float], ...]] = [() for _ in track.curves]
    for curve_class in sorted(set(CLASSES)):
        members = [k for k, one in enumerate(CLASSES) if one == curve_class]
        away = np.where(((x > 0) & (x < 1))[members].all(axis=0), width * np.abs(np.diff(x[members], axis=0)[0]), 0.0)
        for index in telling_rows(away, stroke_px=strip.look.stroke_in * strip.kind.dpi, dpi=strip.kind.dpi):
            for k in members:
                at = track.left_px + width * x[k, index] + generator.normal(0, CLICK_PX)
                at = float(np.clip(round(at, 1), track.left_px + 1, track.right_px - 1))
                seeds[k] = (*seeds[k], (float(rows[index]), at))
    return seeds


def telling_rows(away: Float[np.ndarray, " rows"], *, stroke_px: float, dpi: int) -> list[int]:
    """The rows in which two curves are marked that lie so far apart: at the top, and after each time they run together.

    That is the first row in which they are clearly apart, or else that before the next time they do where they are
    farthest apart. Curves that never are apart are marked once, where they are farthest.
    """
    far = FAR_STROKES * stroke_px
    together = [(a, b) for a, b in runs(away <= far) if b - a >= LONG_IN * dpi]
    begins = [0, *(stop for _, stop in together)]
    ends = [*(start for start, _ in together), len(away)]
    found = []
    for begin, end in zip(begins, ends, strict=True):
        part = away[begin:end]
        if len(part) and part.max() > far:
            clear = part >= min(2 * far, part.max())
            found.append(begin + int(np.argmax(clear)))
    return found or [int(np.argmax(away))]


def scored(folder: Path, read: Path, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Figures of each curve and each pair of a strip, the pairs in `pairs` of the one entry that it gives.

    Of the rows in which two curves are apart and read, the names are exchanged where the sum of the distances is less
    with the names the other way round; swaps are how often that changes, the first row counted where it is wrong.
    """
    truth, well = read_truth(folder, entry["name"]), read_las(read / f"{entry['name']}.las")
    (track,) = truth.section.tracks
    true, found, _ = read_rows(folder, read, entry)
    true = np.where((true >= 0) & (true <= 1), true, np.nan)
    width = track.right_px - track.left_px
    pairs = []
    for a, b in combinations(range(len(track.curves)), 2):
        far = width * np.abs(true[a] - true[b]) > FAR_STROKES * entry["stroke_px"]
        judged = far & np.isfinite(found[[a, b]]).all(axis=0)
        wrong = exchanged(true[[a, b]], found[[a, b]])[judged]
        pairs.append(
            {
                "curves": [track.curves[a].mnemonic, track.curves[b].mnemonic],
                "classes": [track.curves[a].curve_class, track.curves[b].curve_class],
                "rows": int(judged.sum()),
                "exchanged": int(wrong.sum()),
                "swaps": int(np.count_nonzero(np.diff(wrong.astype(int), prepend=0))),
            }
        )
    curves = []
    for k, scale in enumerate(track.curves):
        known, there = np.isfinite(true[k]), np.isfinite(found[k])
        offsets = ((np.arange(PARTS) + 0.5) / PARTS - 0.5) * STEP_FT
        mean = place(truth, scale, well.depth[:, None] + offsets[None]).mean(axis=1)
        values = value_scores(mean, scale.x(well.curves[scale.mnemonic], 0.0, 1.0))
        curves.append(
            {
                "curve": scale.mnemonic,
                "class": scale.curve_class,
                "seeds": len(scale.seeds),
                "rows": int(known.sum()),
                "read": float((known & there).sum() / known.sum()),
                "close": float((there & (np.abs(found[k] - true[k]) <= CLOSE_SHARE)).sum() / known.sum()),
                **{name: values[name] for name in ("mae", "coverage")},
            }
        )
    return [
        {"strip": entry["name"], **{k: entry[k] for k in ("dpi", "bits", "track")}, "pairs": pairs, "curves": curves}
    ]


def exchanged(true: Float64[np.ndarray, "2 rows"], found: Float64[np.ndarray, "2 rows"]) -> Bool[np.ndarray, " rows"]:
    """Whether two readings are nearer, in sum, to their true curves with the names exchanged."""
    return np.abs(found - true[::-1]).sum(axis=0) < np.abs(found - true).sum(axis=0)


def markdown(scores: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Tables of the pairs by class, of the curves, and of the worst tracks."""
    sorts = {"two solid": (CURVE_1, CURVE_1), "two dashed": (CURVE_2, CURVE_2), "solid and dashed": (CURVE_1, CURVE_2)}
    header = ("pairs", "number", "swaps", "pairs without", "rows exchanged", "of rows apart")
    rows = []
    for name, classes in sorts.items():
        group = [pair for s in scores for pair in s["pairs"] if tuple(sorted(pair["classes"])) == classes]
        none = sum(pair["swaps"] == 0 for pair in group)
        totals = [sum(pair[key] for pair in group) for key in ("swaps", "exchanged", "rows")]
        rows.append([name, str(len(group)), str(totals[0]), str(none), *map(str, totals[1:])])
    yield table(header, rows)
    yield ""
    header = ("curves", "number", "seeds: mean, most", "rows read", "within 1 %", "median MAE [% of scale]", "worst")
    yield table(header, [curve_cells(scores, name, one) for name, one in (("solid", CURVE_1), ("dashed", CURVE_2))])
    yield ""
    header = ("tracks", "swaps: solid, dashed, mixed", "rows exchanged", "MAE of its curves", "seeds")
    yield table(header, map(track_cells, sorted(scores, key=lambda s: -sum(p["exchanged"] for p in s["pairs"]))))


def curve_cells(scores: Sequence[Mapping[str, Any]], name: str, curve_class: int) -> list[str]:
    group = [curve for s in scores for curve in s["curves"] if curve["class"] == curve_class]
    seeds, weights = [curve["seeds"] for curve in group], [curve["rows"] for curve in group]
    pooled = [np.average([curve[key] for curve in group], weights=weights) for key in ("read", "close")]
    mae = [curve["mae"] for curve in group]
    figures = [f"{pooled[0]:.3f}", f"{pooled[1]:.3f}", f"{np.nanmedian(mae):.2f}", f"{np.nanmax(mae):.2f}"]
    return [name, str(len(group)), f"{np.mean(seeds):.1f}, {max(seeds)}", *figures]


def track_cells(score: Mapping[str, Any]) -> list[str]:
    swaps = {sort: 0 for sort in ((CURVE_1, CURVE_1), (CURVE_2, CURVE_2), (CURVE_1, CURVE_2))}
    for pair in score["pairs"]:
        swaps[tuple(sorted(pair["classes"]))] += pair["swaps"]
    rows = sum(pair["exchanged"] for pair in score["pairs"])
    mae = ", ".join(f"{curve['curve']} {curve['mae']:.2f}" for curve in score["curves"])
    seeds = ", ".join(str(curve["seeds"]) for curve in score["curves"])
    return [score["strip"], ", ".join(map(str, swaps.values())), str(rows), mae, seeds]
