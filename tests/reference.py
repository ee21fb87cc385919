"""Slow NumPy twins of the losses and metrics, written from the definitions, one pixel or row at a time."""

import math

import numpy as np


def softmax(logits):
    powers = np.exp(np.float64(logits) - np.float64(logits).max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def cross_entropy(logits, label):
    """Every example counts: leave out the invalid ones before calling."""
    probability = softmax(logits)
    terms = [-math.log(probability[(*pixel, label[pixel])]) for pixel in np.ndindex(label.shape)]
    return sum(terms) / len(terms)


def soft_dice(logits, label, *, smooth=1.0):
    """Milletari's quotient of each foreground class, over all pixels of all examples."""
    probability, coefficients = softmax(logits), []
    for k in range(1, logits.shape[-1]):
        shared = predicted = true = 0.0
        for pixel in np.ndindex(label.shape):
            p, g = probability[(*pixel, k)], float(label[pixel] == k)
            shared, predicted, true = shared + p * g, predicted + p * p, true + g * g
        coefficients.append((2 * shared + smooth) / (predicted + true + smooth))
    return 1 - sum(coefficients) / len(coefficients)


def confusion(label, predicted, *, num_classes=3):
    counts = np.zeros((num_classes, num_classes), np.int64)
    for pixel in np.ndindex(label.shape):
        if label[pixel] in range(num_classes) and predicted[pixel] in range(num_classes):
            counts[label[pixel], predicted[pixel]] += 1
    return counts


def iou(true, predicted):
    """Of two masks."""
    union = np.sum(true | predicted)
    return np.sum(true & predicted) / union if union else math.nan


def present(x, presence, row, *, width):
    return 0 <= row < len(x) and bool(presence[row]) and 0 <= x[row] < width


def raster(x, presence, *, width):
    """A row's pixels: from the least to the greatest x of its vertex and of its borders with joined rows."""
    image = np.zeros((len(x), width), bool)
    for row in range(len(x)):
        if present(x, presence, row, width=width):
            rows = [n for n in (row - 1, row + 1) if present(x, presence, n, width=width)]
            reached = [x[row], *((x[row] + x[n]) / 2 for n in rows)]
            image[row, math.floor(min(reached)) : math.floor(max(reached)) + 1] = True
    return image


def distance_squared(mask):
    """To the nearest True pixel, every one tried; infinite for an empty mask."""
    result = np.full(mask.shape, np.inf)
    for target in np.argwhere(mask):
        rows, columns = np.indices(mask.shape)
        result = np.minimum(result, (rows - target[0]) ** 2 + (columns - target[1]) ** 2)
    return result


def tolerance_counts(true, predicted, *, tolerance):
    """Of two masks: predicted near, predicted, true near, true."""
    near_true = distance_squared(true) <= tolerance**2
    near_predicted = distance_squared(predicted) <= tolerance**2
    return [int(np.sum(part)) for part in (predicted & near_true, predicted, true & near_predicted, true)]


def row_errors(x_true, presence_true, x_pred, presence_pred):
    """Of one curve: the list of |dx| of covered rows, and how many rows are missed and extra."""
    errors, missed, extra = [], 0, 0
    for x, p, y, q in zip(x_true, presence_true, x_pred, presence_pred, strict=True):
        true, predicted = p and not math.isnan(x), q and not math.isnan(y)
        if true and predicted:
            errors.append(abs(float(y) - float(x)))
        missed, extra = missed + int(true and not predicted), extra + int(predicted and not true)
    return errors, missed, extra
