"""Features cut out of boxes, each to a grid of one size: RoIAlign, as two products of matrices.

Reference: He et al. 2017, section 3; Lin et al. 2017 (levels of a pyramid); torchvision's roi_align.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from veerjax.models.mask_rcnn.boxes import Boxes, areas

CANONICAL_PX = 224  # the side of a box that belongs to the level `CANONICAL_LEVEL`
CANONICAL_LEVEL = 4  # whose stride is 2 to the power of it


def roi_align(
    features: Float[Array, "height width channels"],
    boxes: Boxes,
    *,
    size: tuple[int, int],
    scale: float,
    samples: int = 2,
    aligned: bool = True,
) -> Float[Array, "n rows columns channels"]:
    """The mean of features interpolated at `samples` x `samples` points of each bin of each box.

    A point more than one place beyond the features counts as 0; nearer ones read the border.

    Args:
        features: of one image
        boxes: in the image [px]
        size: of the grid [bins]
        scale: places of the features to a px of the image
        samples: a side of a bin
        aligned: half a place is taken off, for features stand on the centres of places; torchvision's `False` leaves
            it, and makes boxes at least one place wide
    """
    ends = boxes * scale - (0.5 if aligned else 0.0)
    along = []
    for axis in (0, 1):
        start, end = ends[:, axis], ends[:, axis + 2]
        end = end if aligned else jnp.maximum(end, start + 1)
        along.append(_interpolation(start, end, bins=size[axis], of=features.shape[axis], samples=samples))
    rows, columns = (weights.astype(features.dtype) for weights in along)
    return jnp.einsum("hwc,nrh,nsw->nrsc", features, rows, columns, optimize=[(0, 1), (0, 1)])


def pyramid_align(
    features: Sequence[Float[Array, "height width channels"]],
    boxes: Boxes,
    *,
    strides: Sequence[int],
    size: tuple[int, int],
    canonical_px: float = CANONICAL_PX,
    canonical_level: int = CANONICAL_LEVEL,
    samples: int = 2,
    aligned: bool = True,
) -> Float[Array, "n rows columns channels"]:
    """`roi_align` of each box on the level of its size.

    Args:
        features: of one image, finest level first
        boxes: in the image [px]
        strides: [px] of the levels, each twice the one before
        size: of the grid [bins]
        canonical_px: the side of a box that belongs to the canonical level
        canonical_level: the logarithm to base 2 of that level's stride
        samples: of `roi_align`
        aligned: of `roi_align`
    """
    level = levels(boxes, strides=strides, canonical_px=canonical_px, canonical_level=canonical_level)
    how = {"size": size, "samples": samples, "aligned": aligned}
    found = [
        jnp.where((level == k)[:, None, None, None], roi_align(of_level, boxes, scale=1 / stride, **how), 0)
        for k, (of_level, stride) in enumerate(zip(features, strides, strict=True))
    ]
    return sum(found[1:], found[0])


def levels(
    boxes: Boxes,
    *,
    strides: Sequence[int],
    canonical_px: float = CANONICAL_PX,
    canonical_level: int = CANONICAL_LEVEL,
) -> Int[Array, " n"]:
    """The position in `strides` of the level that a box is read from: `4 + log2(side / 224 px)`, rounded down.

    Reference:
        Lin et al. 2017, equation 1, the side being the root of the area.
    """
    finest = jnp.log2(jnp.float32(strides[0]))
    side = jnp.sqrt(jnp.maximum(areas(boxes), 1e-6))
    level = jnp.floor(canonical_level + jnp.log2(side / canonical_px) + 1e-6) - finest
    return jnp.clip(level, 0, len(strides) - 1).astype(jnp.int32)


def _interpolation(
    start: Float[Array, " n"], end: Float[Array, " n"], *, bins: int, of: int, samples: int
) -> Float[Array, "n bins of"]:
    """What each place adds to each bin along one axis."""
    share = (jnp.arange(bins * samples) + 0.5) / (bins * samples)
    at = start[:, None] + (end - start)[:, None] * share[None]  # [places], on which integers are centres
    inside = (at >= -1) & (at <= of)
    at = jnp.clip(at, 0, of - 1)
    # A tent of one place to each side: what linear interpolation gives the neighbours of a point.
    weights = jnp.maximum(1 - jnp.abs(at[..., None] - jnp.arange(of)[None, None]), 0) * inside[..., None]
    return jnp.mean(weights.reshape(-1, bins, samples, of), axis=2)
