"""Pairs of masks that metrics find hard, and random ones."""

import numpy as np
from scipy import ndimage

HEIGHT, WIDTH = 24, 20
KINDS = ("empty", "full", "one pixel", "line", "crossing", "touching", "specks", "blobs", "frame")


def mask(kind, seed=0, *, shape=(HEIGHT, WIDTH)):
    noise, image = np.random.default_rng([seed, KINDS.index(kind)]), np.zeros(shape, bool)
    height, width = shape
    if kind == "full":
        image[:] = True
    if kind == "one pixel":
        image[noise.integers(height), noise.integers(width)] = True
    if kind in ("line", "crossing", "touching"):
        slope = noise.uniform(-1, 1)
        for row in range(height):
            column = int(width / 2 + slope * (row - height / 2)) % width
            image[row, max(column - 1, 0) : column + 2] = True
            if kind == "crossing":
                image[row, int(width / 2 - slope * (row - height / 2)) % width] = True
            if kind == "touching" and row % 2:
                image[row, min(column + 2, width - 1)] = True
    if kind == "specks":
        image[:] = noise.random(shape) < noise.uniform(0.05, 0.6)
    if kind == "blobs":
        image[:] = ndimage.binary_dilation(noise.random(shape) < 0.02, iterations=int(noise.integers(1, 4)))
    if kind == "frame":
        image[[0, -1]] = image[:, [0, -1]] = True
    return image


def pairs(count=230):
    """Every kind against every kind, then shifted copies, then more at random."""
    found = [(mask(a), mask(b, 1)) for a in KINDS for b in KINDS]
    found += [(mask(kind, 2), np.roll(mask(kind, 2), shift, axis=1)) for kind in KINDS for shift in (0, 1, 3)]
    for seed in range(count - len(found)):
        noise = np.random.default_rng(seed)
        a, b = noise.choice(KINDS, 2)
        found.append((mask(a, seed), mask(b, seed + 1)))
    return found
