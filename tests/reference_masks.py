"""Slow NumPy twins of the metrics of masks, from the definitions."""

import math

import numpy as np


def thin(mask):
    """Guo and Hall's conditions, pixel by pixel."""
    image = np.pad(mask, 1).astype(int)
    while True:
        before = image.copy()
        for first in (True, False):
            remove = []
            for r, c in np.argwhere(image):
                # x[1] is east, then counter-clockwise; x[9] is x[1] again.
                x = [0, image[r, c + 1], image[r - 1, c + 1], image[r - 1, c], image[r - 1, c - 1]]
                x += [image[r, c - 1], image[r + 1, c - 1], image[r + 1, c], image[r + 1, c + 1]]
                x.append(x[1])
                crossings = sum(not x[2 * k - 1] and (x[2 * k] or x[2 * k + 1]) for k in range(1, 5))
                n1 = sum(bool(x[2 * k - 1] or x[2 * k]) for k in range(1, 5))
                n2 = sum(bool(x[2 * k] or x[2 * k + 1]) for k in range(1, 5))
                side = (x[2] or x[3] or not x[8]) and x[1] if first else (x[6] or x[7] or not x[4]) and x[5]
                if crossings == 1 and 2 <= min(n1, n2) <= 3 and not side:
                    remove.append((r, c))
            for r, c in remove:
                image[r, c] = 0
        if (image == before).all():
            return image[1:-1, 1:-1].astype(bool)


def stroke_counts(strokes, label, predicted):
    """Pixels of two overlapping truths and of what is read: in both, in either; and the same of the exclusive label."""
    counts = {name: [0, 0] for name in ("both", "either", "shown", "shown_or_true")}
    for k, row, column in np.ndindex(strokes.shape):
        true, read, shown = strokes[k, row, column], predicted[k, row, column], label[row, column] == k + 1
        counts["both"][k] += true and read
        counts["either"][k] += true or read
        counts["shown"][k] += true and shown
        counts["shown_or_true"][k] += true or shown
    return counts


def cldice(true, predicted, skeletonise):
    if not true.any() and not predicted.any():
        return math.nan
    if not true.any() or not predicted.any():
        return 0.0
    skeleton_true, skeleton_pred = skeletonise(true), skeletonise(predicted)
    precision = np.sum(skeleton_pred & true) / skeleton_pred.sum()
    sensitivity = np.sum(skeleton_true & predicted) / skeleton_true.sum()
    return 2 * precision * sensitivity / (precision + sensitivity) if precision + sensitivity else 0.0


def outline(mask):
    """Corners of pixels where the mask's outline passes, with the length of outline there."""
    padded, found = np.pad(mask, 1), []
    for r in range(padded.shape[0] - 1):
        for c in range(padded.shape[1] - 1):
            block = padded[r : r + 2, c : c + 2]
            inside = block.sum()
            if inside in (1, 3):
                found.append((r, c, math.sqrt(0.5)))
            elif inside == 2:
                diagonal = block[0, 0] == block[1, 1]
                found.append((r, c, 2 * math.sqrt(0.5) if diagonal else 1.0))
    return found


def surface(true, predicted):
    """HD95 and ASSD over all pairs of outline corners; `tie` where a length is just 95 % of its outline."""
    if not true.any() and not predicted.any():
        return math.nan, math.nan, False
    if not true.any() or not predicted.any():
        return math.inf, math.inf, False
    ways, total, length, far, tie = [outline(true), outline(predicted)], 0.0, 0.0, [], False
    for own, other in (ways, ways[::-1]):
        near = sorted((min(math.hypot(r - y, c - x) for y, x, _ in other), weight) for r, c, weight in own)
        whole = math.fsum(weight for _, weight in near)
        total, length, upto = total + math.fsum(d * w for d, w in near), length + whole, []
        for distance, weight in near:
            upto.append(weight)
            share = math.fsum(upto) / whole
            tie |= abs(share - 0.95) < 1e-9
            if share >= 0.95 - 1e-9:
                far.append(distance)
                break
    return max(far), total / length, tie


def boundary(true, predicted, width_px):
    """Pixels within so many king's moves of the outside, one pixel at a time: in both, in either."""

    def near(mask):
        padded = np.pad(mask, width_px)
        size = 2 * width_px + 1
        result = np.zeros(mask.shape, bool)
        for r, c in np.argwhere(mask):
            result[r, c] = not padded[r : r + size, c : c + size].all()
        return result

    a, b = near(true), near(predicted)
    return [int(np.sum(a & b)), int(np.sum(a | b))]


def panoptic(true, predicted):
    """Matched, true, predicted and sum of IoU of background and two curves."""
    rows = []
    for t, p in zip([~true.any(axis=0), *true], [~predicted.any(axis=0), *predicted], strict=True):
        union = np.sum(t | p)
        share = np.sum(t & p) / union if union else 0.0
        rows.append([share > 0.5, t.any(), p.any(), share if share > 0.5 else 0.0])
    return np.array(rows, float).T
