"""Fitted curves: their interface, their laws, and that they are like real wells."""

import functools
import json
from importlib.resources import files
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.data.wells.split import split_of_wells
from veerjax.data.wells.statistics import TRACK_PX, curve_statistics, kolmogorov_smirnov
from veerjax.data.wells.windows import well_windows
from veerjax.synthesis import curves, likeness
from veerjax.synthesis.likeness import CURVE_NUMBERS, LAW_SIZE, PAIR_NUMBERS, STEEP_SHARE, fitted_laws, random_pair

ROWS, COUNT = 512, 256


@jax.jit
def _pairs(keys: jax.Array, scale: float, steep: float) -> tuple[jax.Array, jax.Array]:
    def one(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        return random_pair(key, rows=ROWS, width=int(TRACK_PX), scale=jnp.float32(scale), steep=steep)

    return jax.vmap(one)(keys)


@functools.cache
def pairs(*, scale: float = 1.0, steep: float = STEEP_SHARE) -> tuple[np.ndarray, np.ndarray]:
    """Pairs in px on a track of 256 px, and where they are drawn."""
    x, drawn = _pairs(jax.random.split(jax.random.key(3), COUNT), scale, steep)
    return np.asarray(x), np.asarray(drawn)


def law(**numbers: float) -> np.ndarray:
    """A law in the middle of the cube, but for the numbers given for both curves or the pair."""
    of_curve = [numbers.get(name, 0.5) for name in CURVE_NUMBERS]
    return np.array([*of_curve, *of_curve, *(numbers.get(name, 0.5) for name in PAIR_NUMBERS)], np.float32)


followed = jax.jit(jax.vmap(lambda key, law: likeness.pair_of(key, law, rows=ROWS, scale=jnp.float32(1)), (0, None)))


def following(**numbers: float) -> np.ndarray:
    return np.asarray(followed(jax.random.split(jax.random.key(5), 24), law(**numbers)))


def test_pairs_are_finite_and_mostly_on_the_track():
    x, drawn = pairs()
    assert x.shape == drawn.shape == (COUNT, 2, ROWS)
    assert np.isfinite(x).all()
    assert np.mean((x >= 0) & (x < TRACK_PX)) > 0.93
    assert 0.9 < drawn.mean() < 1


@pytest.mark.parametrize("scale", [0.7, 4.0])
def test_every_scale_of_drawing_is_finite(scale: float):
    assert np.isfinite(pairs(scale=scale)[0]).all()


def test_any_number_of_rows_is_drawn_and_a_pair_is_the_same_alone_and_in_a_batch():
    one = functools.partial(random_pair, rows=83, width=64, scale=jnp.float32(1.3))
    keys = jax.random.split(jax.random.key(1), 5)
    together, alone = jax.jit(jax.vmap(one))(keys)[0], jax.jit(one)(keys[3])[0]
    assert together.shape == (5, 2, 83)
    np.testing.assert_allclose(together[3], alone, atol=1e-3)


def test_a_finer_scan_stretches_the_curves_in_depth():
    middle = [np.median(np.abs(np.diff(pairs(scale=scale, steep=0.0)[0]))) for scale in (1.0, 3.0)]
    assert 2.2 < middle[0] / middle[1] < 4.2


def test_likeness_makes_pairs_go_together_or_against_each_other():
    correlations = {
        u: np.mean([np.corrcoef(pair)[0, 1] for pair in following(likeness=u, together=0.0)]) for u in (0.0, 0.5, 1.0)
    }
    assert correlations[1.0] > 0.9
    assert abs(correlations[0.5]) < 0.3
    assert correlations[0.0] < -0.4


def test_together_makes_a_pair_coincide_for_long_stretches():
    for together, low, high in ((1.0, 0.7, 1.0), (0.0, 0.0, 0.3)):
        close = np.abs(np.diff(following(likeness=0.5, together=together, apart=0.1, swing=0.7), axis=1)) * TRACK_PX < 3
        assert low <= close.mean() <= high


@pytest.mark.parametrize(
    ("number", "statistic"),
    [("swing", "range"), ("resolution", "persistence"), ("fall", "persistence"), ("level", "median")],
)
def test_a_number_of_the_law_moves_its_statistic(number: str, statistic: str):
    plain = {"beds": 0.0, "bursts": 0.0, "quiet": 0.0, "kicks": 0.0, "resolution": 0.2}
    low, high = (
        np.median([curve_statistics(x.astype(np.float64))[statistic] for x in following(**plain | {number: u})[:, 0]])
        for u in (0.1, 0.9)
    )
    assert high > low + 0.15


def test_steep_pairs_have_kicks_across_a_third_of_the_track_within_two_rows():
    def reach(steep: float) -> np.ndarray:
        x = pairs(steep=steep)[0]
        return np.abs(x[:, :, 2:] - x[:, :, :-2]).max(axis=(1, 2))

    assert np.mean(reach(1.0) > TRACK_PX / 3) > 0.6
    assert np.mean(reach(0.0) > TRACK_PX / 3) < 0.15


def test_the_table_says_how_it_was_made_and_fits_the_code():
    table = json.loads(files("veerjax.synthesis").joinpath("likeness.json").read_text())
    assert {"seed", "draws", "wells", "curve_distance_p50_p90", "pair_distance_p50_p90"} <= table.keys()
    assert table["numbers"] == [*(f"{name} {k}" for k in (1, 2) for name in CURVE_NUMBERS), *PAIR_NUMBERS]
    laws = fitted_laws()
    assert laws.shape == (sum(well["laws"] for well in table["wells"]), LAW_SIZE)
    assert len(laws) <= 256
    assert laws.min() >= 0
    assert laws.max() <= 1


@pytest.fixture(scope="module")
def windows(real_data: Path) -> dict[str, list[np.ndarray]]:
    """Real curves by split, in fractions of the track."""
    found = well_windows(real_data / "las", height=ROWS, width=int(TRACK_PX))
    split = split_of_wells(window.well for window in found)
    parts = {"fit": [], "test": []}
    for window in found[::3]:
        margin = (window.x.shape[1] - ROWS) // 2
        inner = window.x[:, margin : margin + ROWS] / TRACK_PX
        parts["test" if split[window.well] == "test" else "fit"] += list(inner)
    return parts


@pytest.mark.slow
def test_no_law_was_fitted_to_a_test_well(real_data: Path):
    split = split_of_wells(window.well for window in well_windows(real_data / "las", height=ROWS, width=int(TRACK_PX)))
    table = json.loads(files("veerjax.synthesis").joinpath("likeness.json").read_text())
    assert {split[well["well"]] for well in table["wells"]} == {"train", "validation"}


@pytest.mark.slow
def test_fitted_curves_are_nearer_to_real_wells_than_invented_ones(windows: dict[str, list[np.ndarray]]):
    def invented(key: jax.Array) -> jax.Array:
        return curves.random_pair(key, rows=ROWS, width=int(TRACK_PX), scale=jnp.float32(1))[0]

    keys = jax.random.split(jax.random.key(3), COUNT)
    sources = {
        "invented": np.asarray(jax.jit(jax.vmap(invented))(keys)).reshape(-1, ROWS) / TRACK_PX,
        "fitted": pairs()[0].reshape(-1, ROWS) / TRACK_PX,
    }
    found = {
        name: [curve_statistics(np.asarray(x, np.float64)) for x in part] for name, part in (sources | windows).items()
    }
    for real in ("fit", "test"):
        gaps = {
            name: np.mean(
                [
                    kolmogorov_smirnov(*(np.array([one[key] for one in found[part]]) for part in (name, real)))
                    for key in found[real][0]
                ]
            )
            for name in sources
        }
        assert gaps["fitted"] < 0.65 * gaps["invented"]
