"""Tracks in which a curve leaves its scale up to three times and is drawn on from the opposite edge; how it is read.

The scale of a real curve is narrowed until it leaves its track just so often; of a pair of resistivities both curves
wrap, on one scale. All of these are declared to wrap, those too that never do.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from plotted_scores import PARTS, STEP_FT, read_truth, value_scores
from plotted_single import CLOSE_SHARE, place, read_rows, single_track, starts_of
from plotted_strips import PLACES, Kind, Strip
from plotted_tables import table

from veerjax.data.digest import name_number
from veerjax.data.wells.pairs import TYPICAL_PAIRS, PlottedCurve
from veerjax.data.wells.windows import depth_in_feet, interpolated, pair_of
from veerjax.logs.las import Well, read_las

TURNS = (0, 1, 2, 3)
WRAPPING = {"gr_cali": (0,), "ild_ilm": (0, 1), "lld_lls": (0, 1), "rhob_nphi": (1,)}  # which curves wrap
LEAST_PLACE = 0.1  # of the track, that the curve keeps from the edge over which it never goes
# Scales are chosen so that a curve is on them mostly, and can be followed by eye where it is not.
MOST_OFF = 0.3  # of a stretch's depth that is off the scale
LEAP, MOST_LEAPS = 0.5, 0.02  # moves [tracks] from a step of the LAS to the next one, and the share of steps with one
LEAST_RANGE = 0.05  # of the whole scale, that a stretch covers
ASKED = 0.98  # of the rows, whose wrap count is to be right


def strips_of(well: Well, kind: Kind, *, stem: str, half: str | None) -> Iterator[tuple[Strip, dict[str, Any]]]:
    """One strip of each pair of the well, wrapping another number of times for each kind."""
    depth = depth_in_feet(well)
    for pairs in PLACES:
        there = ((pair, pair_of(well, TYPICAL_PAIRS[pair])) for pair in pairs)
        pair, curves = next(((pair, curves) for pair, curves in there if curves), (pairs[0], None))
        if curves is None:
            continue
        starts = starts_of(depth, curves, feet=kind.feet, half=half)
        if len(starts) == 0:
            continue
        number = name_number(f"{stem}_{pair}") + 2 * (kind.dpi == 300) + kind.bits
        turns = TURNS[number % len(TURNS)]
        name = f"{stem}_{pair}_x{turns}_{kind.name}"
        generator = np.random.default_rng(name_number(f"{name}/scale"))
        found = narrowed(
            depth, [curves[k] for k in WRAPPING[pair]], starts, kind=kind, turns=turns, generator=generator
        )
        if found is None:
            continue
        start, left, width = found
        chosen = [on_scale(c, left, width) if k in WRAPPING[pair] else c for k, c in enumerate(curves)]
        strip = single_track(name, kind, track=pair, depth=depth, curves=chosen, start_ft=start)
        yield strip, {"turns": turns, "wrapping": WRAPPING[pair]}


def narrowed(
    depth: Float64[np.ndarray, " samples"],
    curves: Sequence[PlottedCurve],
    starts: Float64[np.ndarray, " starts"],
    *,
    kind: Kind,
    turns: int,
    generator: np.random.Generator,
) -> tuple[float, float, float] | None:
    """A stretch, and the part of the scale, from its left edge on, on which curves wrap just so often there.

    They leave it to the right or to the left. None where the well has no stretch in which they could be followed.
    """
    at = starts[:, None] + np.arange(0, kind.feet, STEP_FT)[None]
    places = np.stack([interpolated(depth, curve.fraction, at.ravel()).reshape(at.shape) for curve in curves])
    least, most = np.nanmin(places, axis=(0, 2)), np.nanmax(places, axis=(0, 2))
    reach = turns + generator.uniform(0.3, 0.9) if turns else 1 - LEAST_PLACE
    width = np.maximum(most - least, LEAST_RANGE) / (reach - LEAST_PLACE)
    lefts = np.stack([least - LEAST_PLACE * width, most - (1 - LEAST_PLACE) * width])  # off to the right, to the left
    off = (places < lefts[:, None, :, None]) | (places > (lefts + width)[:, None, :, None])
    leaps = np.abs(np.diff(places, axis=2)) > LEAP * width[:, None]
    good = (off.mean(axis=3).max(axis=1) <= MOST_OFF) & (leaps.mean(axis=2).max(axis=0) <= MOST_LEAPS)
    if not good.any():
        return None
    side, index = generator.choice(np.argwhere(good))
    return float(starts[index]), float(lefts[side, index]), float(width[index])


def on_scale(curve: PlottedCurve, left: float, width: float) -> PlottedCurve:
    """The curve on a part of its scale, beyond which it wraps."""
    ends = curve.scale.value(np.array([left, left + width]), 0.0, 1.0)
    scale = replace(curve.scale, left=float(ends[0]), right=float(ends[1]), wrap=True)
    return replace(curve, scale=scale, fraction=(curve.fraction - left) / width)


def scored(folder: Path, read: Path, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Figures of each curve of a strip that is declared to wrap.

    `wrap_right` is the share of the rows of the scan, read or not, that are read with the right wrap count; `close` is
    the share that is within a hundredth of the track of the unwrapped truth; `false` is the number of rows with a wrap
    of a curve that never leaves its scale.
    """
    truth, well = read_truth(folder, entry["name"]), read_las(read / f"{entry['name']}.las")
    (track,) = truth.section.tracks
    true, found, wraps = read_rows(folder, read, entry)
    figures = []
    for k in entry["wrapping"]:
        known, there = np.isfinite(true[k]), np.isfinite(found[k])
        right = there & (wraps[k] == np.floor(true[k]))
        close = there & (np.abs(found[k] - true[k]) <= CLOSE_SHARE)
        scale = track.curves[k]
        offsets = ((np.arange(PARTS) + 0.5) / PARTS - 0.5) * STEP_FT
        mean = place(truth, scale, well.depth[:, None] + offsets[None]).mean(axis=1)
        values = value_scores(mean, scale.x(well.curves[scale.mnemonic], 0.0, 1.0))
        figures.append(
            {
                "strip": entry["name"],
                "curve": scale.mnemonic,
                "turns": entry["turns"],
                "rows": int(known.sum()),
                "off_scale": float((known & (np.floor(true[k]) != 0)).sum() / known.sum()),
                "wrap_right": float((known & right).sum() / known.sum()),
                "read": float((known & there).sum() / known.sum()),
                "close": float((known & close).sum() / known.sum()),
                "false": 0 if entry["turns"] else int((there & (wraps[k] != 0)).sum()),
                **{name: values[name] for name in ("mae", "coverage")},
            }
        )
    return figures


def markdown(scores: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A table of what is asked, and the worst curves."""
    header = (
        "wraps",
        "curves",
        "rows off scale",
        "wrap count right: pooled, worst",
        "of rows read",
        f"curves with {ASKED:.0%}",
    )
    header = (*header, "rows with a false wrap", "rows within 1 %", "median MAE [% of scale]", "worst")
    groups = {turns: [s for s in scores if s["turns"] == turns] for turns in TURNS}
    yield table(header, [[f"x{turns}", *cells_of(group)] for turns, group in groups.items() if group])
    worst = sorted(scores, key=lambda s: s["wrap_right"])[:12]
    yield ""
    columns = ("wrap_right", "read", "close", "off_scale", "mae", "coverage")
    rows = [[f"{s['strip']} {s['curve']}", *(f"{s[name]:.3f}" for name in columns), str(s["false"])] for s in worst]
    yield table(("worst curves", *columns, "false"), rows)


def cells_of(group: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = np.array([s["rows"] for s in group], np.float64)

    def pooled(name: str) -> float:
        return float(np.average([s[name] for s in group], weights=rows))

    right, mae = np.array([s["wrap_right"] for s in group]), np.array([s["mae"] for s in group])
    return [
        str(len(group)),
        f"{pooled('off_scale'):.3f}",
        f"{pooled('wrap_right'):.4f}, {right.min():.3f}",
        f"{pooled('wrap_right') / pooled('read'):.4f}",
        f"{(right >= ASKED).mean():.2f}",
        f"{sum(s['false'] for s in group)} of {int(rows.sum())}",
        f"{pooled('close'):.4f}",
        f"{np.nanmedian(mae):.2f}",
        f"{np.nanmax(mae):.2f}",
    ]
