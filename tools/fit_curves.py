"""Fits the laws of random curves to real wells: `python tools/fit_curves.py LAS_FOLDER [--draws N] [--seed N]`.

Approximate Bayesian computation in two steps. Laws of one curve are drawn from the whole unit cube; for each curve of
each chosen window the nearest is kept, by the standardised statistics of `data.curve_statistics`, and improved among
its neighbours, by the mean distance of several curves. Then laws of a pair are drawn for each window, its curves'
laws given. Only wells of the training and validation splits are read; wells count alike, but none gives more than
`MOST_PER_WINDOW` laws for each of its windows.
"""

import argparse
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from veerjax.data.wells.split import split_of_wells
from veerjax.data.wells.statistics import SCALES, TRACK_PX, curve_statistics, pair_statistics
from veerjax.data.wells.windows import WindowSpec, las_files, well_windows
from veerjax.synthesis import likeness

HEIGHT = 512  # rows of a window
MOST_PER_WINDOW = 3
CHUNK = 2000  # curves simulated at a time
TRIED = 20  # laws near a curve in each round
REPEATS = 4  # curves of each of them
ROUNDS = (0.12, 0.08, 0.05)  # spread of the laws tried around a kept one
PAIRS_TRIED = 64
TABLE = Path(likeness.__file__).with_name("likeness.json")
Statistics = Callable[[np.ndarray], dict[str, float]]
Simulator = Callable[[np.ndarray, jax.Array], jax.Array]
CURVE, PAIR = len(likeness.CURVE_NUMBERS), len(likeness.PAIR_NUMBERS)


def main() -> None:
    parser = argparse.ArgumentParser(description="Fits the laws of random curves to real wells.")
    parser.add_argument("folder", type=Path, help="of LAS files")
    parser.add_argument("--draws", type=int, default=20_000, help="laws of one curve (%(default)s)")
    parser.add_argument("--laws", type=int, default=240, help="rows of the table at most (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=TABLE)
    arguments = parser.parse_args()
    by_well = windows_to_fit(arguments.folder)
    windows = [window for group in chosen(by_well, arguments.laws).values() for window in group]
    generator = np.random.default_rng(arguments.seed)
    singles, distances = fitted_curves(windows, draws=arguments.draws, generator=generator)
    pairs, pair_distances = fitted_pairs(windows, singles, generator=generator)
    laws = np.concatenate([singles.reshape(len(windows), 2 * CURVE), pairs], axis=1)
    table = {
        "made_by": "tools/fit_curves.py",
        "seed": arguments.seed,
        "draws": arguments.draws,
        "wells": sources(by_well, windows, arguments.folder),
        "curve_distance_p50_p90": np.percentile(distances, [50, 90]).round(2).tolist(),
        "pair_distance_p50_p90": np.percentile(pair_distances, [50, 90]).round(2).tolist(),
        "numbers": [*(f"{n} {k}" for k in (1, 2) for n in likeness.CURVE_NUMBERS), *likeness.PAIR_NUMBERS],
        "laws_thousandths": (laws * 1000).round().astype(int).tolist(),
    }
    arguments.out.write_text(written(table))
    print({key: value for key, value in table.items() if key != "laws_thousandths"})


def windows_to_fit(folder: Path) -> dict[str, list[WindowSpec]]:
    """Windows of the training and validation wells, by well."""
    windows = well_windows(folder, height=HEIGHT, width=int(TRACK_PX))
    split = split_of_wells(window.well for window in windows)
    by_well = defaultdict(list)
    for window in windows:
        if split[window.well] != "test":
            by_well[window.well].append(window)
    return dict(by_well)


def chosen(by_well: dict[str, list[WindowSpec]], laws: int) -> dict[str, list[WindowSpec]]:
    """As many windows of each well, evenly down its pairs; a short well's windows more than once."""
    share, left, taken = 0, laws, {}
    for place, (well, windows) in enumerate(sorted(by_well.items(), key=lambda item: len(item[1]))):
        share = min(left // (len(by_well) - place), MOST_PER_WINDOW * len(windows))
        left -= share
        taken[well] = [windows[int(i)] for i in np.linspace(0, len(windows) - 0.01, share)]
    return taken


def in_fractions(window: WindowSpec) -> np.ndarray:
    """Both curves of the window's own rows, in fractions of the track."""
    margin = (window.x.shape[1] - HEIGHT) // 2
    return window.x[:, margin : margin + HEIGHT] / window.width


def features(curves: np.ndarray, statistics: Statistics) -> np.ndarray:
    """A row of statistics for each curve or pair, on scales on which differences compare."""
    rows = [statistics(curve) for curve in curves]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.stack([SCALES.get(n, np.asarray)(np.array([row[n] for row in rows])) for n in rows[0]], axis=1)


def spread(values: np.ndarray) -> np.ndarray:
    """The standard deviation of each statistic of real windows, without its outermost values."""
    low, high = np.nanpercentile(values, [2, 98], axis=0)
    return np.maximum(np.nanstd(np.clip(values, low, high), axis=0), 0.02)


def distance(ours: np.ndarray, real: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Rms of the standardised differences; statistics that a real window does not have do not count."""
    difference = (ours - real) / scale
    difference = np.where(np.isnan(ours) & ~np.isnan(real), 5.0, difference)
    return np.sqrt(np.nanmean(np.clip(difference, -5, 5) ** 2, axis=-1))


@jax.jit
def _curves(laws: jax.Array, keys: jax.Array) -> jax.Array:
    def one(law: jax.Array, key: jax.Array) -> jax.Array:
        both = jnp.concatenate([law, law, jnp.full((PAIR,), 0.5)])
        return likeness.pair_of(key, both, rows=HEIGHT, scale=jnp.float32(1))[0]

    return jax.vmap(one)(laws, keys)


@jax.jit
def _pairs(laws: jax.Array, keys: jax.Array) -> jax.Array:
    return jax.vmap(lambda law, key: likeness.pair_of(key, law, rows=HEIGHT, scale=jnp.float32(1)))(laws, keys)


def simulated(function: Simulator, laws: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Curves that follow the laws, a chunk at a time."""
    made = []
    for start in range(0, len(laws), CHUNK):
        part = laws[start : start + CHUNK]
        padded = np.resize(part, (CHUNK, laws.shape[1])).astype(np.float32)
        keys = jax.random.split(jax.random.key(int(generator.integers(2**31))), CHUNK)
        made.append(np.asarray(function(padded, keys), np.float64)[: len(part)])
    return np.concatenate(made)


def fitted_curves(
    windows: list[WindowSpec], *, draws: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The laws nearest to both curves of each window, and their distances."""
    real = features(np.concatenate([in_fractions(window) for window in windows]), curve_statistics)
    scale = spread(real)
    laws = generator.random((draws, CURVE))
    ours = features(simulated(_curves, laws, generator), curve_statistics)
    near = np.stack([np.argsort(distance(ours, one, scale))[:TRIED] for one in real])
    kept, gap = nearest(laws[near], real, scale, generator)
    for width in ROUNDS:
        tried = kept[:, None] + width * generator.normal(size=(len(kept), TRIED, CURVE))
        tried[:, 0] = kept
        kept, gap = nearest(np.clip(tried, 0, 1), real, scale, generator)
    return kept, gap


def nearest(
    tried: np.ndarray,
    real: np.ndarray,
    scale: np.ndarray,
    generator: np.random.Generator,
    *,
    function: Simulator = _curves,
    statistics: Statistics = curve_statistics,
) -> tuple[np.ndarray, np.ndarray]:
    """Of the laws tried for each window the one whose curves are nearest on average: one curve alone may be lucky."""
    repeated = np.repeat(tried.reshape(-1, tried.shape[2]), REPEATS, axis=0)
    made = features(simulated(function, repeated, generator), statistics)
    gaps = distance(made.reshape(*tried.shape[:2], REPEATS, -1), real[:, None, None], scale).mean(axis=2)
    rows, best = np.arange(len(tried)), np.argmin(gaps, axis=1)
    return tried[rows, best], gaps[rows, best]


def fitted_pairs(
    windows: list[WindowSpec], singles: np.ndarray, *, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """For each window the numbers of the pair, its curves' laws given, and their distances."""
    real = features(np.stack([in_fractions(window) for window in windows]), pair_statistics)
    scale = spread(real)
    numbers = generator.random((len(windows), PAIRS_TRIED, PAIR))
    given = np.repeat(singles.reshape(len(windows), 1, 2 * CURVE), PAIRS_TRIED, axis=1)
    laws = np.concatenate([given, numbers], axis=2)
    kept, gaps = nearest(laws, real, scale, generator, function=_pairs, statistics=pair_statistics)
    return kept[:, 2 * CURVE :], gaps


def sources(by_well: dict[str, list[WindowSpec]], windows: list[WindowSpec], folder: Path) -> list[dict[str, Any]]:
    """The wells that were read, with the digests of their files."""
    paths = {path.name: path for path in las_files(folder)}
    return [
        {
            "well": well,
            "file": group[0].file,
            "sha256": hashlib.sha256(paths[group[0].file].read_bytes()).hexdigest(),
            "windows": len(group),
            "laws": sum(window.well == well for window in windows),
        }
        for well, group in by_well.items()
    ]


def written(table: dict[str, Any]) -> str:
    """JSON with one law a line."""
    head = json.dumps({key: value for key, value in table.items() if key != "laws_thousandths"}, indent=1)
    laws = ",\n".join(json.dumps(law, separators=(",", ":")) for law in table["laws_thousandths"])
    return f'{head[:-2]},\n "laws_thousandths": [\n{laws}\n ]\n}}\n'


if __name__ == "__main__":
    main()
