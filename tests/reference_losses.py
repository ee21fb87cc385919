"""Slow NumPy twins of the losses, written from the definitions, in another way than ours where there is one.

Every example counts: leave out the invalid ones before calling.
"""

import math
from itertools import pairwise

import numpy as np
from reference import cross_entropy, soft_dice, softmax

__all__ = ["cross_entropy", "soft_dice"]


def focal(logits, label, *, gamma=2.0):
    probability = softmax(logits)
    true = [probability[(*pixel, label[pixel])] for pixel in np.ndindex(label.shape)]
    return sum(-((1 - p) ** gamma) * math.log(p) for p in true) / len(true)


def symmetric_cross_entropy(logits, label, *, alpha=0.1, beta=1.0, log_zero=-4.0):
    """The cross-entropies of truth and prediction, and of prediction and truth."""
    probability, ordinary, reverse = softmax(logits), 0.0, 0.0
    for pixel in np.ndindex(label.shape):
        for k, p in enumerate(probability[pixel]):
            ordinary -= float(label[pixel] == k) * math.log(p)
            reverse -= p * (0.0 if label[pixel] == k else log_zero)
    return (alpha * ordinary + beta * reverse) / label.size


def tversky(logits, label, *, beta=0.7, smooth=0.5):
    probability, indices = softmax(logits), []
    for k in range(1, logits.shape[-1]):
        both = false = missed = 0.0
        for pixel in np.ndindex(label.shape):
            p, g = probability[(*pixel, k)], label[pixel] == k
            both, false, missed = both + p * g, false + p * (not g), missed + (1 - p) * g
        indices.append((both + smooth) / (both + (1 - beta) * false + beta * missed + smooth))
    return 1 - sum(indices) / len(indices)


def lovasz_softmax(logits, label):
    """The extension as the integral over the threshold t of `1 - Jaccard` where just the errors above t are made."""
    probability, losses = softmax(logits), []
    for k in range(1, logits.shape[-1]):
        true = label == k
        if true.any():
            errors = np.where(true, 1 - probability[..., k], probability[..., k])
            steps = pairwise([0.0, *np.unique(errors)])
            losses.append(sum((above - below) * jaccard_loss(true, errors > below) for below, above in steps))
    return sum(losses) / len(losses) if losses else 0.0


def jaccard_loss(true, wrong):
    """Of the mask that differs from the true one in the wrong pixels."""
    predicted = true ^ wrong
    return 1 - np.sum(true & predicted) / np.sum(true | predicted)


def soft_skeleton(mask, *, iterations):
    """Of one plane, pixel by pixel."""

    def extremum(plane, pick, offsets):
        result = np.empty_like(plane)
        for r, c in np.ndindex(plane.shape):
            places = [(r + dr, c + dc) for dr, dc in offsets]
            inside = [plane[y, x] for y, x in places if 0 <= y < plane.shape[0] and 0 <= x < plane.shape[1]]
            result[r, c] = pick(inside)
        return result

    square = [(dr, dc) for dr in (-1, 0, 1) for dc in (-1, 0, 1)]
    cross = [offset for offset in square if 0 in offset]
    eroded = [mask]
    for _ in range(iterations + 1):
        eroded.append(extremum(eroded[-1], min, cross))
    thin = 1.0
    for before, after in pairwise(eroded):
        thin = thin * (1 - np.maximum(before - extremum(after, max, square), 0))
    return 1 - thin


def soft_cldice(logits, label, *, iterations=3, smooth=1.0):
    probability, coefficients = softmax(logits), []
    for k in range(1, logits.shape[-1]):
        inside = skeleton = found = true_skeleton = 0.0
        for p, g in zip(probability[..., k], (label == k).astype(float), strict=True):
            thin_p, thin_g = (soft_skeleton(plane, iterations=iterations) for plane in (p, g))
            inside, skeleton = inside + np.sum(thin_p * g), skeleton + np.sum(thin_p)
            found, true_skeleton = found + np.sum(thin_g * p), true_skeleton + np.sum(thin_g)
        precision, sensitivity = (inside + smooth) / (skeleton + smooth), (found + smooth) / (true_skeleton + smooth)
        coefficients.append(2 / (1 / precision + 1 / sensitivity))
    return 1 - sum(coefficients) / len(coefficients)
