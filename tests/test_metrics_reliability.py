"""Confidence against how often it is right."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import reference_reliability as reference
from ways import every_way

from veerjax.metrics.centreline import RowErrors
from veerjax.metrics.reliability import (
    BINS,
    KEPT_SHARES,
    calibration,
    confidence_sums,
    expected_calibration_error,
    risk_coverage,
)

ROWS = 4000
summed = jax.jit(partial(confidence_sums, track_width_px=100))


def rows_of(confidence, wrong_px, *, seed=0):
    """Rows that are right as often as `confidence` says; the wrong ones are off by `wrong_px`."""
    right = np.random.default_rng(seed).random(confidence.shape) < confidence
    error = np.where(right, 0.5, wrong_px).astype(np.float32)
    no = np.zeros(error.shape, bool)
    return RowErrors(error_px=jnp.asarray(error), missed=jnp.asarray(no), extra=jnp.asarray(no))


def sums_of(rows, confidence):
    return jax.device_get(summed(rows, jnp.asarray(confidence, jnp.float32)))


def random_rows(seed):
    """Covered, missed, extra and empty rows at random, or none that is read."""
    noise = np.random.default_rng(seed)
    kind = noise.choice(4, (2, 60), p=((0.6, 0.1, 0.2, 0.1), (0, 0.5, 0, 0.5), (1, 0, 0, 0))[min(seed % 9, 2)])
    rows = RowErrors(
        error_px=np.where(kind == 0, noise.exponential(2, kind.shape), np.nan).astype(np.float32),
        missed=kind == 1,
        extra=kind == 2,
    )
    confidence = noise.random(kind.shape) if seed % 2 else noise.choice([0.0, 0.5, 0.99, 1.0], kind.shape)
    return rows, confidence.astype(np.float32)


def test_figures_are_those_of_the_loop_over_rows():
    ours, theirs = {}, {}

    def noted(name, our, their):
        ours.setdefault(name, []).append(our)
        theirs.setdefault(name, []).append(their)

    for seed in range(240):
        rows, confidence = random_rows(seed)
        sums = sums_of(rows, confidence)
        k = seed % 2
        read = reference.read_rows(rows.error_px[k], rows.extra[k], confidence[k], track_width_px=100)
        error = reference.expected_calibration_error(read)
        noted("expected calibration error", expected_calibration_error(sums)[k], error)
        slow, fast = reference.calibration(read), calibration(sums)
        noted("calibration", [fast[name][k] for name in slow], list(slow.values()))
        risk = risk_coverage(sums)
        noted(
            "risk and coverage (px, share)",
            [risk["mean_error_px"][k], risk["wrong"][k]],
            np.transpose([reference.risk(read, share) for share in KEPT_SHARES]),
        )
    for name in ours:
        oracles.agree(name, "own NumPy", ours[name], theirs[name], allowed=2e-5)


def test_honest_confidence_is_calibrated_and_boasting_is_not():
    confidence = np.random.default_rng(1).random((2, ROWS))
    honest = expected_calibration_error(sums_of(rows_of(confidence, 9.0), confidence))
    boasting = expected_calibration_error(sums_of(rows_of(confidence / 2, 9.0), confidence))
    assert (honest < 0.06).all()
    np.testing.assert_allclose(boasting, 0.25, atol=0.03)


def test_the_surest_rows_are_the_best_where_confidence_means_something():
    confidence = np.random.default_rng(1).random((2, ROWS))
    risk = risk_coverage(sums_of(rows_of(confidence, 9.0), confidence))
    assert (np.diff(risk["mean_error_px"], axis=1) > -0.05).all()
    assert (risk["wrong"][:, 0] < 0.1).all()
    np.testing.assert_allclose(risk["wrong"][:, -1], 0.5, atol=0.03)
    blind = risk_coverage(sums_of(rows_of(np.full((2, ROWS), 0.5), 9.0), confidence))
    assert (np.ptp(blind["wrong"], axis=1) < 0.1).all()


def test_risk_of_a_share_is_that_of_the_sorted_rows():
    noise = np.random.default_rng(2)
    confidence = (noise.integers(0, BINS, (2, 600)) + 0.5) / BINS
    rows = rows_of(confidence, 9.0)
    risk = risk_coverage(sums_of(rows, confidence))
    for k in range(2):
        order = np.argsort(-confidence[k], kind="stable")
        error = np.asarray(rows.error_px)[k][order]
        # Rows of one confidence are taken in no order: compare where a share ends with a bin.
        _, counts = np.unique(-confidence[k], return_counts=True)
        ends = np.cumsum(counts)
        means = np.interp(np.array(KEPT_SHARES) * 600, ends, np.cumsum(error)[ends - 1]) / (np.array(KEPT_SHARES) * 600)
        within = np.array(KEPT_SHARES) * 600 >= ends[0]
        np.testing.assert_allclose(risk["mean_error_px"][k][within], means[within], rtol=1e-5)


def test_a_row_where_no_curve_is_counts_as_wrong_at_the_track_width():
    rows = RowErrors(
        error_px=jnp.array([[0.5, jnp.nan, jnp.nan]]),
        missed=jnp.array([[False, False, True]]),
        extra=jnp.array([[False, True, False]]),
    )
    sums = sums_of(rows, [[0.9, 0.9, 0.0]])
    assert sums["rows"].sum() == 2
    np.testing.assert_allclose(risk_coverage(sums)["mean_error_px"][0, -1], 50.25)
    assert risk_coverage(sums)["wrong"][0, -1] == 0.5
    assert np.nanmax(calibration(sums)["within_2px"]) == 0.5


def test_nothing_read_has_no_risk():
    no = np.zeros((2, 5), bool)
    rows = RowErrors(error_px=jnp.full((2, 5), jnp.nan), missed=jnp.asarray(~no), extra=jnp.asarray(no))
    sums = sums_of(rows, np.zeros((2, 5)))
    assert np.isnan(expected_calibration_error(sums)).all()
    assert np.isnan(risk_coverage(sums)["mean_error_px"]).all()


def test_sums_are_the_same_every_way():
    confidence = np.random.default_rng(1).random((2, 20)).astype(np.float32)
    rows = rows_of(confidence, 9.0)
    every_way(
        lambda e, m, x, c: confidence_sums(RowErrors(error_px=e, missed=m, extra=x), c, track_width_px=100),
        rows.error_px, rows.missed, rows.extra, confidence, rtol=1e-6,
    )  # fmt: skip
