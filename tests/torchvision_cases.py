"""Small cases for torchvision's detection code, from a seed: what tools/make_torchvision_golden.py has it judge.

Boxes are ours, (y0, x0, y1, x1) [px]; the tool turns them for torchvision.
"""

import zlib

import numpy as np

LEVELS = {"shapes": [(4, 6), (2, 3)], "strides": [8, 16], "scales": [(10.0, 21.0), (33.0, 64.0)], "ratios": (0.5, 1, 2)}
WEIGHTS = (10.0, 5.0)  # of the shift and of the logarithm
MATCHERS = {"rpn": (0.3, 0.7, True), "box": (0.5, 0.5, False)}  # low, high, low_quality
GRID = (3, 2)  # [bins]
ALIGN = {"scale": 0.25, "samples": 2}
MASK_GRID = 7  # [cells] a side of the masks that are made from boxes
PASTED_GRID, PASTED_SIZE = 5, (22, 19)  # [cells] a side, [px]
PYRAMID_STRIDES, CANONICAL_PX = (4, 8, 16), 28


def boxes(rng, count, *, extent, least=0.5, most=None):
    """With centres in a square a little larger than `extent` x `extent` px, of sides from `least` to `most`."""
    centre = rng.uniform(-0.1 * extent, 1.1 * extent, (count, 2))
    half = rng.uniform(least, most or extent, (count, 2)) / 2
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


def inside(rng, count, *, size, least, most, beyond=0.0):
    """Of sides from `least` to `most` px, no further than `beyond` px outside an image of a size.

    The Python that stands for torchvision's RoIAlign reads the border from any distance, and the operator 0.
    """
    sides = rng.uniform(least, most, (count, 2))
    start = rng.uniform(-beyond, np.array(size) + beyond - sides)
    return np.concatenate([start, start + sides], axis=1).astype(np.float32)


def cases():
    """All inputs by name."""
    rng = np.random.default_rng(0)
    code = rng.normal(0, 1, (16, 4)) * np.array([4, 4, 2, 2])
    code[:2, 2:] = 5 * np.array([4.2, 9.0])  # beyond the growth that is decoded
    regions = inside(rng, 10, size=(48, 36), least=4, most=40, beyond=2)
    regions[:2] = [[20, 20, 21, 22], [30, 5, 33, 5.5]]  # less than a place of the features
    return {
        "anchors": boxes(rng, 16, extent=64, least=4),
        "boxes": boxes(rng, 16, extent=64, least=4),
        "code": code.astype(np.float32),
        # In steps of 1/20, so that some are equal and some at a threshold; each true box overlaps something.
        "iou": (rng.integers(0, 18, (12, 3, 20)) / 20).astype(np.float32),
        "features": rng.normal(0, 1, (12, 9, 2)).astype(np.float32),
        "regions": regions,
        "levels": boxes(rng, 40, extent=600, least=1, most=1200),
        "pyramid": [rng.normal(0, 1, (64 // side, 48 // side, 2)).astype(np.float32) for side in PYRAMID_STRIDES],
        "masks": rng.random((6, 20, 26)) > 0.5,
        "mask_boxes": inside(rng, 6, size=(20, 26), least=MASK_GRID + 0.5, most=2 * MASK_GRID - 0.5),
        "grids": rng.random((8, PASTED_GRID, PASTED_GRID)).astype(np.float32),
        "pasted_boxes": boxes(rng, 8, extent=20, least=0.2, most=24),
    }


def fingerprint():
    """Of the bytes of all cases: another NumPy must draw the same ones."""
    arrays = (
        np.asarray(array) for value in cases().values() for array in (value if isinstance(value, list) else [value])
    )
    return zlib.crc32(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays))
