"""Anchors: boxes of some scales and ratios at every place of a feature map.

Reference: Ren et al. 2015, section 3.1.1. Ours stand on the centres of places and keep their fractions; torchvision's
stand on the corners, with whole sides (`centre=0`, `whole=True`).
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def anchors(
    shape: tuple[int, int],
    *,
    stride: int,
    scales: Sequence[float],
    ratios: Sequence[float],
    centre: float = 0.5,
    whole: bool = False,
) -> Float[Array, "anchors 4"]:
    """The anchors of one level, place by place in rows, at each place by ratio and then by scale.

    Args:
        shape: of the feature map [places]
        stride: [px] between places
        scales: [px] the root of an anchor's area
        ratios: height over width
        centre: where in its place an anchor stands [places]
        whole: round the corners about the centre to whole px
    """
    root = np.sqrt(np.asarray(ratios, np.float32))[:, None] * np.ones(len(scales), np.float32)
    heights, widths = (np.asarray(scales, np.float32) * shape for shape in (root, 1 / root))
    base = np.stack([-heights, -widths, heights, widths], axis=-1).reshape(-1, 4) / 2
    base = np.round(base) if whole else base
    rows, columns = ((np.arange(size, dtype=np.float32) + centre) * stride for size in shape)
    places = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 1, 2)
    return jnp.asarray((np.tile(places, 2) + base).reshape(-1, 4))
