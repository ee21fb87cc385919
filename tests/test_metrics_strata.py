"""Row errors by what makes a row hard."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import reference_strata
from ways import every_way

from veerjax.labels import CODINGS, UNKNOWN_CODING
from veerjax.metrics.centreline import row_errors
from veerjax.metrics.strata import (
    CROSSING_ROWS,
    SLOPES_PX,
    STRATA,
    STROKES_PX,
    bin_names,
    rows_to_crossing,
    slope_px,
    stratum_figures,
    stratum_sums,
    stroke_width_px,
)
from veerjax.polyline import distance_field

HEIGHT, WIDTH = 40, 48


def pair(seed):
    noise = np.random.default_rng(seed)
    x = (24 + np.cumsum(noise.normal(0, 2.0, (2, HEIGHT)), axis=1)).astype(np.float32)
    presence = noise.random((2, HEIGHT)) < (1.0, 0.8, 0.2)[seed % 3]
    if seed % 7 == 0:
        x[1] = x[0]
    return x, presence


def test_distances_to_crossings_and_slopes_are_those_of_loops_over_rows():
    near, steep = jax.jit(rows_to_crossing), jax.jit(slope_px)
    pairs = [pair(seed) for seed in range(210)]
    oracles.agree(
        "rows to the nearest crossing",
        "own NumPy",
        [near(*p) for p in pairs],
        [reference_strata.rows_to_crossing(*p) for p in pairs],
    )
    oracles.agree(
        "slope",
        "own NumPy",
        [steep(*p)[0] for p in pairs],
        [reference_strata.slope(p[0][0], p[1][0]) for p in pairs],
        allowed=1e-5,
    )


def ink(seed):
    """Blots, no ink, or a page full of it."""
    return np.random.default_rng(seed).random((2, HEIGHT, WIDTH)) < (0.1, 0.4, 0.0, 1.0)[seed % 4]


def test_stroke_widths_are_areas_over_lengths():
    wide = jax.jit(stroke_width_px)
    ours, theirs = [], []
    for seed in range(210):
        (x, presence), strokes = pair(seed), ink(seed)
        ours.append(wide(strokes, x, presence))
        theirs.append([reference_strata.stroke_width(strokes[k], x[k], presence[k]) for k in range(2)])
    oracles.agree("stroke width (px)", "own NumPy", ours, theirs, allowed=2e-4)


def test_sums_of_strata_are_those_of_the_loop_over_rows():
    summed = jax.jit(lambda x, p, y, q, s, c: stratum_sums(row_errors(x, p, y, q), s, x, p, coding=c))
    counted, errors = ([], []), ([], [])
    for seed in range(210):
        (x, presence), (y, found), strokes = pair(seed), pair(seed + 1000), ink(seed)
        coding = np.random.default_rng(seed).integers(-1, len(CODINGS), 2)
        coding = np.where(coding < 0, UNKNOWN_CODING, coding).astype(np.int32)
        sums = jax.device_get(summed(x, presence, y, found, strokes, coding))
        for k in range(2):
            width = reference_strata.stroke_width(strokes[k], x[k], presence[k])
            values = {
                "crossing_distance": (reference_strata.rows_to_crossing(x, presence), CROSSING_ROWS),
                "slope": (reference_strata.slope(x[k], presence[k]), SLOPES_PX),
                "stroke_width": ([np.float32(width)] * HEIGHT, STROKES_PX),
            }
            bins = {name: [reference_strata.place(v, bounds) for v in each] for name, (each, bounds) in values.items()}
            bins["coding"] = [len(CODINGS) if coding[k] == UNKNOWN_CODING else coding[k]] * HEIGHT
            for name, rows in bins.items():
                slow = reference_strata.stratum_sums(x[k], presence[k], y[k], found[k], rows, len(STRATA[name]))
                slow["logs"] = slow["true"] > 0
                for part in ("true", "covered", "right", "logs"):
                    counted[0].append(sums[name][part][k])
                    counted[1].append(slow[part])
                errors[0].append(sums[name]["error_px"][k])
                errors[1].append(slow["error_px"])
    oracles.agree("rows and logs of strata", "own NumPy", *counted)
    oracles.agree("errors of strata (px)", "own NumPy", *errors, allowed=2e-3)


def test_the_stroke_width_of_a_drawn_line_is_its_pens():
    x = jnp.stack([jnp.full(HEIGHT, 20.3), 10 + 0.8 * jnp.arange(HEIGHT)])
    there = jnp.ones((2, HEIGHT), bool)
    padded = jnp.pad(x, ((0, 0), (8, 8)), mode="edge")
    pens = (3.0, 6.0)
    strokes = jnp.stack([
        distance_field(padded[k], jnp.ones(HEIGHT + 16, bool), width=WIDTH, reach=8)[0] <= pens[k] / 2 for k in range(2)
    ])  # fmt: skip
    np.testing.assert_allclose(stroke_width_px(strokes, x, there), pens, rtol=0.12)


def test_every_true_row_is_in_one_bin_of_each_stratum():
    for seed in range(12):
        (x, presence), (y, found) = pair(seed), pair(seed + 100)
        strokes = np.zeros((2, HEIGHT, WIDTH), bool)
        rows = row_errors(x, presence, y, found)
        sums = stratum_sums(rows, strokes, x, presence, coding=jnp.array([0, UNKNOWN_CODING]))
        assert sums.keys() == STRATA.keys()
        for name, part in sums.items():
            assert part["true"].shape == (2, len(STRATA[name]))
            np.testing.assert_array_equal(part["true"].sum(axis=1), presence.sum(axis=1))
            np.testing.assert_array_equal(part["covered"].sum(axis=1), (presence & found).sum(axis=1))
        assert sums["coding"]["true"][0, 0] == presence[0].sum()
        assert sums["coding"]["true"][1, len(CODINGS)] == presence[1].sum()


def test_each_bin_counts_its_logs():
    one, other = (np.full((2, HEIGHT), 10.0, np.float32) for _ in range(2))
    other[:, 20:] += 5
    there, ink = np.ones((2, HEIGHT), bool), np.zeros((2, HEIGHT, WIDTH), bool)
    sums = [stratum_sums(row_errors(x, there, x, there), ink, x, there, coding=None) for x in (one, other)]
    pool = jax.tree.map(lambda a, b: np.asarray(a) + np.asarray(b), *sums)
    assert stratum_figures(pool)["slope"]["logs"][0].tolist() == [2, 0, 0, 0, 0, 1, 0]


def test_errors_fall_into_the_bin_of_their_row():
    x = np.stack([np.full(HEIGHT, 10.0), np.full(HEIGHT, 30.0)]).astype(np.float32)
    x[0, 20:] += 5  # one step of 5 px
    there = np.ones((2, HEIGHT), bool)
    y = x.copy()
    y[0, 20] += 9
    sums = stratum_sums(row_errors(x, there, y, there), np.zeros((2, HEIGHT, WIDTH), bool), x, there, coding=None)
    steep = SLOPES_PX.index(4) + 1
    figures = stratum_figures(jax.device_get(sums))["slope"]
    assert figures["rows"][0].tolist() == [HEIGHT - 2, 0, 0, 0, 0, 2, 0]
    assert figures["within_2px"][0, steep] == 0.5
    assert figures["mean_error_px"][0, steep] == 4.5
    assert np.isnan(figures["coverage"][0, 1])


def test_bins_are_named_by_their_bounds():
    assert bin_names((2, 5), "rows") == ("<= 2 rows", "2-5 rows", "> 5 rows")
    assert len(STRATA["crossing_distance"]) == len(CROSSING_ROWS) + 1


def test_sums_are_the_same_every_way():
    (x, presence), (y, found) = pair(1), pair(2)
    strokes = np.random.default_rng(0).random((2, HEIGHT, WIDTH)) < 0.2

    def sums(*arrays):
        return stratum_sums(row_errors(*arrays[:4]), arrays[4], *arrays[:2], coding=arrays[5])

    every_way(sums, x, presence, y, found, strokes, np.array([0, 2], np.int32), rtol=1e-6)
