"""Slow NumPy twins of the scores of chart mining, row by row."""

import math

import numpy as np
from scipy.optimize import linear_sum_assignment


def mean_score(line, other, epsilon):
    """Of the rows of `line` against another line."""
    scores = []
    for y, z in zip(line, other, strict=True):
        if math.isfinite(y):
            error = abs(float(z) - float(y)) if math.isfinite(z) else math.inf
            scale = abs(float(y)) + epsilon
            scores.append(max(0.0, 1 - error / scale) if scale else float(error == 0))
    return sum(scores) / len(scores)


def line_score(true, predicted):
    """Of two lines, each with a row at least."""
    known = [float(y) for y in true if math.isfinite(y)]
    epsilon = (max(known) - min(known)) / 100
    recall, precision = mean_score(true, predicted, epsilon), mean_score(predicted, true, epsilon)
    return 2 * recall * precision / (recall + precision) if recall + precision else 0.0


def chart_scores(v_true, v_pred):
    """6a and 6b."""
    true, predicted = ([line for line in lines if np.isfinite(line).any()] for lines in (v_true, v_pred))
    scores = np.array([[line_score(t, p) for p in predicted] for t in true]).reshape(len(true), len(predicted))
    best = scores[linear_sum_assignment(scores, maximize=True)].sum()
    most = max(len(true), len(predicted))
    return best / len(true) if true else math.nan, best / most if most else math.nan


def published_line_score(true, predicted):
    """Of unbroken lines as in the competition: points weigh by the interval halfway to both neighbours."""
    epsilon, shares = (max(true) - min(true)) / 100, []
    for line, other in ((true, predicted), (predicted, true)):
        weights = [0.5, *[1.0] * (len(line) - 2), 0.5]
        errors = [min(1, abs(y - z) / (abs(y) + epsilon)) for y, z in zip(line, other, strict=True)]
        shares.append(sum(w * (1 - e) for w, e in zip(weights, errors, strict=True)) / sum(weights))
    return 2 * shares[0] * shares[1] / sum(shares) if sum(shares) else 0.0
