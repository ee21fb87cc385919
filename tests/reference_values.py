"""Slow NumPy twin of the value figures, written from the definitions, in float64."""

import math

import numpy as np


def figures(v_true, v_pred):
    """Of one curve."""
    rows = list(zip(np.float64(v_true), np.float64(v_pred), strict=True))
    pairs = np.array([(t, p) for t, p in rows if math.isfinite(t) and math.isfinite(p)]).reshape(-1, 2)
    missed = sum(math.isfinite(t) and not math.isfinite(p) for t, p in rows)
    (t, p), n = pairs.T, len(pairs)
    every = n + missed
    if n == 0:
        covered = dict.fromkeys(("mae", "rmse", "bias", "r2", "pearson", "snr_db", "within_1", "within_5"), math.nan)
    else:
        error, signal = p - t, np.mean((t - t.mean()) ** 2)
        varies, moves = signal > 1e-10, p.var() > 1e-10
        covered = {
            "mae": 100 * np.mean(np.abs(error)),
            "rmse": 100 * math.sqrt(np.mean(error**2)),
            "bias": 100 * np.mean(error),
            "r2": 1 - np.mean(error**2) / signal if varies else math.nan,
            "pearson": np.corrcoef(t, p)[0, 1] if varies and moves else math.nan,
            "snr_db": math.nan
            if not varies
            else 10 * np.log10(signal / np.mean(error**2))
            if error.any()
            else math.inf,
            "within_1": np.mean(np.abs(error) <= 0.01),
            "within_5": np.mean(np.abs(error) <= 0.05),
        }
    return covered | {
        "coverage": n / every if every else math.nan,
        "mae_all": (100 * np.abs(p - t).sum() + 100 * missed) / every if every else math.nan,
        "within_2_all": np.sum(np.abs(p - t) <= 0.02) / every if every else math.nan,
    }


def lag(v_true, v_pred, *, reach):
    """The lag at which the products of the differences sum to most, the least of equals."""
    t, p = (np.nan_to_num(np.diff(np.float64(v))) for v in (v_true, v_pred))
    best, most = math.nan, 0.0
    for size in range(reach + 1):
        for shift in (size, -size):
            score = sum(t[r] * p[r + shift] for r in range(len(t)) if 0 <= r + shift < len(t))
            if score > most:
                best, most = shift, score
    return best
