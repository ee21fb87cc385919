"""The geometry of region proposals in plain NumPy: loops written from the definitions, one box at a time."""

import math

import numpy as np


def anchors(height, width, *, stride, scales, ratios):
    found = []
    for row in range(height):
        for column in range(width):
            y, x = (row + 0.5) * stride, (column + 0.5) * stride
            for ratio in ratios:
                for scale in scales:
                    h, w = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
                    found.append((y - h / 2, x - w / 2, y + h / 2, x + w / 2))
    return np.array(found)


def iou(a, b):
    height = min(a[2], b[2]) - max(a[0], b[0])
    width = min(a[3], b[3]) - max(a[1], b[1])
    both = max(height, 0) * max(width, 0)
    either = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - both
    return both / either if either > 0 else 0.0


def encode(box, anchor, weights):
    (h, w), (ah, aw) = ((b[2] - b[0], b[3] - b[1]) for b in (box, anchor))
    dy = ((box[0] + box[2]) - (anchor[0] + anchor[2])) / 2 / ah
    dx = ((box[1] + box[3]) - (anchor[1] + anchor[3])) / 2 / aw
    return np.array([weights[0] * dy, weights[0] * dx, weights[1] * math.log(h / ah), weights[1] * math.log(w / aw)])


def decode(code, anchor, weights):
    ah, aw = anchor[2] - anchor[0], anchor[3] - anchor[1]
    y = (anchor[0] + anchor[2]) / 2 + code[0] / weights[0] * ah
    x = (anchor[1] + anchor[3]) / 2 + code[1] / weights[0] * aw
    h, w = (math.exp(min(code[2 + i] / weights[1], math.log(1000 / 16))) * (ah, aw)[i] for i in (0, 1))
    return np.array([y - h / 2, x - w / 2, y + h / 2, x + w / 2])


def match(ious, valid, *, low, high, low_quality):
    """`ious[truth][box]`; a list of indices, -1 background, -2 ignored."""
    truths = [t for t in range(len(ious)) if valid[t]]
    found = []
    for box in range(len(ious[0])):
        mine = [(ious[t][box], -t) for t in truths]
        most, first = max(mine, default=(-1.0, 0))
        answer = -first if most >= high else -1 if most < low else -2
        if low_quality:
            for t in truths:
                best = max(ious[t])
                if best > 0 and ious[t][box] == best:
                    answer = -first
        found.append(answer)
    return found


def nms(boxes, scores, *, threshold, category):
    order = sorted(range(len(boxes)), key=lambda i: (-scores[i], i))
    kept = []
    for i in order:
        if scores[i] > -math.inf and not any(
            category[i] == category[j] and iou(boxes[j], boxes[i]) > threshold for j in kept
        ):
            kept.append(i)
    return kept


def soft_nms(boxes, scores, *, keep, lowered):
    """`lowered(overlap)` is what a score keeps."""
    left, kept = dict(enumerate(scores)), []
    while left and len(kept) < keep:
        best = max(left, key=lambda i: (left[i], -i))
        kept.append((best, left.pop(best)))
        for i in left:
            left[i] *= lowered(iou(boxes[best], boxes[i]))
    return kept


def point(features, y, x):
    """Bilinear interpolation; 0 more than one place outside."""
    height, width, channels = features.shape
    if y < -1 or y > height or x < -1 or x > width:
        return np.zeros(channels)
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    v, u = y - top, x - left
    return (
        (1 - v) * (1 - u) * features[top, left]
        + (1 - v) * u * features[top, right]
        + v * (1 - u) * features[bottom, left]
        + v * u * features[bottom, right]
    )


def roi_align(features, box, *, size, scale, samples, aligned):
    shift = 0.5 if aligned else 0.0
    y0, x0, y1, x1 = (edge * scale - shift for edge in box)
    h, w = (y1 - y0, x1 - x0) if aligned else (max(y1 - y0, 1.0), max(x1 - x0, 1.0))
    found = np.zeros((*size, features.shape[-1]))
    for r in range(size[0]):
        for c in range(size[1]):
            for i in range(samples):
                for j in range(samples):
                    y = y0 + (r + (i + 0.5) / samples) * h / size[0]
                    x = x0 + (c + (j + 0.5) / samples) * w / size[1]
                    found[r, c] += point(features, y, x) / samples**2
    return found


def pasted(mask, box, height, width):
    """torchvision's, pixel by pixel: a border of 0, the box grown as much, whole px, interpolation over them."""
    rows, columns = mask.shape
    around = np.pad(mask, 1)
    centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    half = ((box[2] - box[0]) / 2 * (rows + 2) / rows, (box[3] - box[1]) / 2 * (columns + 2) / columns)
    y0, x0, y1, x1 = (int(c + s * h) for s in (-1, 1) for c, h in zip(centre, half, strict=True))
    h, w = max(y1 - y0 + 1, 1), max(x1 - x0 + 1, 1)
    found = np.zeros((height, width))
    for y in range(max(y0, 0), min(y0 + h, height)):
        for x in range(max(x0, 0), min(x0 + w, width)):
            v = max((y - y0 + 0.5) * (rows + 2) / h - 0.5, 0)
            u = max((x - x0 + 0.5) * (columns + 2) / w - 0.5, 0)
            found[y, x] = point(around[..., None], min(v, rows + 1), min(u, columns + 1))[0]
    return found


def cropped(mask, box, size):
    """The mean over each cell, by cutting every px into small squares."""
    fine = 60  # whose squares fit the px of the cases
    found = np.zeros(size)
    for r in range(size[0]):
        for c in range(size[1]):
            ys = box[0] + (box[2] - box[0]) * (r + (np.arange(fine) + 0.5) / fine) / size[0]
            xs = box[1] + (box[3] - box[1]) * (c + (np.arange(fine) + 0.5) / fine) / size[1]
            inside = [
                mask[int(y), int(x)] if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] else 0 for y in ys for x in xs
            ]
            found[r, c] = np.mean(inside)
    return found
