"""Slow NumPy twins of COCO's average precision, from the definition."""

import math

import numpy as np

THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def mask_iou(a, b):
    union = sum(bool(x or y) for x, y in zip(a.flat, b.flat, strict=True))
    return sum(bool(x and y) for x, y in zip(a.flat, b.flat, strict=True)) / union if union else 0.0


def box(mask):
    """(y0, x0, y1, x1) of the pixels' outer edges."""
    pixels = np.argwhere(mask)
    if not len(pixels):
        return [0, 0, 0, 0]
    return [*pixels.min(axis=0), *(pixels.max(axis=0) + 1)]


def box_iou(a, b):
    """By counting the cells of whole-numbered boxes."""
    cells = [{(y, x) for y in range(int(y0), int(y1)) for x in range(int(x0), int(x1))} for y0, x0, y1, x1 in (a, b)]
    return len(cells[0] & cells[1]) / len(cells[0] | cells[1]) if cells[0] | cells[1] else 0.0


def average_precision(images, *, threshold):
    """Of a list of (iou[d][t], scores[d], number of truths)."""
    truths = sum(count for _, _, count in images)
    if not truths:
        return math.nan
    called = []
    for image, (iou, scores, count) in enumerate(images):
        free = set(range(count))
        for place, d in enumerate(sorted(range(len(scores)), key=lambda d: -scores[d])):
            able = [t for t in free if iou[d][t] >= threshold]
            best = max(able, key=lambda t: (iou[d][t], t), default=None)
            free.discard(best)
            called.append((-scores[d], image, place, best is not None))
    right, points = 0, []
    for rank, (*_, hit) in enumerate(sorted(called), start=1):
        right += hit
        points.append((right / truths, right / rank))
    best = [
        max((precision for recall, precision in points if recall >= r), default=0.0) for r in np.linspace(0, 1, 101)
    ]
    return sum(best) / 101
