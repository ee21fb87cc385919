"""A fully connected CRF behind a network: every pixel hears all others, the more of those nearby and of like grey.

The labels of least energy `-sum_i log p_i(x_i) + sum_{i<j} [x_i != x_j] (w_a a_ij + w_s s_ij)` are sought, where `p` is
what the network says, `f` a pixel's place [px], `g` its grey level, and (appearance, smoothness)

    a_ij = exp(-|f_i - f_j|^2 / 2 appearance_px^2 - (g_i - g_j)^2 / 2 appearance_grey^2)
    s_ij = exp(-|f_i - f_j|^2 / 2 smoothness_px^2)

by the mean field `q <- softmax(log p + w_a A q + w_s S q)` from `q = p`, all pixels at once, where
`(A q)_i = sum_{j != i} a_ij q_j / sum_j a_ij`, and `S` likewise.

Reference: Krähenbühl, Koltun 2011, algorithm 1 with Potts compatibility; behind DeepLab: Chen et al. 2015. We differ in
the division by `sum_j a_ij`, which their formulas do not have, so that a weight does not depend on how many pixels an
image has; in luma in place of RGB; and in a bilateral grid (Chen, Paris, Durand 2007) in place of their lattice.

The sums are over a whole image: of a strip that is read by windows, over each window. Where devices share the height of
an image, the sums are over all of it, and XLA sends what that takes.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from veerjax.config import CrfConfig, require
from veerjax.models.model import FLOOR
from veerjax.types import with_channels

Grey = Float[Array, "batch height width"]
Maps = Float[Array, "batch problems classes height width"]
Sums = Callable[[Maps], Maps]

EXACT_PX = 64 * 64  # of which all pairs are 64 MiB an image
CELLS = 2  # of the grid in a bandwidth; fewer are faster and less exact
REACH = 4  # bandwidths, beyond which the grid's Gaussians are cut off: 3e-4 of their height


def refined(
    probability: Float[Array, "batch height width outputs"],
    image: Float[Array, "batch height width channels"],
    crf: CrfConfig,
    *,
    exclusive: bool,
) -> Float[Array, "batch height width outputs"]:
    """A head's probabilities after the mean field.

    Args:
        probability: 0 to 1
        image: 0 black to 1 white
        crf: its kernels and iterations
        exclusive: whether outputs are classes of one labelling; else each is a labelling of two, itself or not
    """
    if not crf.iterations:
        return probability
    maps = jnp.moveaxis(probability, -1, 1)
    given = maps[:, None] if exclusive else jnp.stack([1 - maps, maps], axis=2)
    found = mean_field(given, with_channels(image, 1)[..., 0], crf)
    return jnp.moveaxis(found[:, 0] if exclusive else found[:, :, 1], 1, -1)


def mean_field(probability: Maps, grey: Grey, crf: CrfConfig, *, exact: bool = False) -> Maps:
    """Probabilities after `crf.iterations`; after none, those that were given.

    Args:
        probability: of the classes of several independent labellings of one image, each summing to one
        grey: 0 black to 1 white
        crf: its kernels and iterations
        exact: sum over all pairs, for which the image must be small, and not by the grid

    Raises:
        InputError: an image too large for `exact`.
    """
    sums = (exact_sums if exact else grid_sums)(grey, crf)
    unary = jnp.log(jnp.maximum(probability, FLOOR))

    def step(q: Maps, _: None) -> tuple[Maps, None]:
        return jax.nn.softmax(unary + sums(q), axis=2), None

    return jax.lax.scan(step, probability, length=crf.iterations)[0]


def exact_sums(grey: Grey, crf: CrfConfig) -> Sums:
    """`q -> w_a A q + w_s S q` from all pairs of pixels: for n of them, n^2 numbers and as many products a class.

    Raises:
        InputError: the image has more pixels than `EXACT_PX`.
    """
    _, height, width = grey.shape
    require(
        height * width <= EXACT_PX,
        f"the image has {height} x {width} px, and all pairs are for at most {EXACT_PX} px; leave out exact=True.",
    )
    places = jnp.stack(jnp.unravel_index(jnp.arange(height * width), (height, width)), axis=-1)
    apart = jnp.sum((places[:, None] - places[None]) ** 2, axis=-1)[None]
    shades = grey.reshape(grey.shape[0], -1)
    unlike = (shades[:, :, None] - shades[:, None]) ** 2
    appearance = jnp.exp(-apart / (2 * crf.appearance_px**2) - unlike / (2 * crf.appearance_grey**2))
    smoothness = jnp.exp(-apart / (2 * crf.smoothness_px**2))

    def shares(kernel: Array) -> Array:
        others = kernel * (1 - jnp.eye(height * width))[None]
        return others / jnp.sum(kernel, axis=-1, keepdims=True)

    pairs = crf.appearance_weight * shares(appearance) + crf.smoothness_weight * shares(smoothness)

    def sums(q: Maps) -> Maps:
        flat = q.reshape(*q.shape[:3], -1)
        return jnp.einsum("bij,bpcj->bpci", pairs, flat, precision="highest").reshape(q.shape)

    return sums


def grid_sums(grey: Grey, crf: CrfConfig) -> Sums:
    """`q -> w_a A q + w_s S q` nearly, by a bilateral grid over rows, columns and grey levels.

    For n pixels and k = 2 / appearance_grey levels, it costs a few n k products a class whatever the bandwidths in px,
    and n k / (appearance_px / 2)^2 numbers a class are kept: an iteration over 512 x 256 px took .23 s on two busy CPU
    cores with appearance_grey .1, and .48 s with .04. On 45 x 40 px of two crossing lines under random scores,
    with weights of 4 and 2 and bandwidths of 3 to 50 px, the sums were within .02 of the exact ones, and the
    probabilities after five iterations within .01 (test_crf.py).
    """
    levels = math.ceil(CELLS / crf.appearance_grey) + 1
    position = jnp.clip(grey, 0, 1) * CELLS / crf.appearance_grey
    appearance = normalised(grid_filter(position, levels=levels, bandwidth_px=crf.appearance_px))
    smoothness = normalised(grid_filter(jnp.zeros_like(grey), levels=1, bandwidth_px=crf.smoothness_px))
    return lambda q: crf.appearance_weight * appearance(q) + crf.smoothness_weight * smoothness(q)


def normalised(kernel: tuple[Sums, Maps]) -> Sums:
    """The sum over all other pixels divided by the kernel's own over all."""
    filtered, own = kernel
    whole = filtered(jnp.ones_like(own))
    return lambda q: (filtered(q) - own * q) / whole


def grid_filter(position: Grey, *, levels: int, bandwidth_px: float) -> tuple[Sums, Maps]:
    """A filter by a Gaussian over rows, columns and levels, and what of a pixel's own value it returns.

    Values are shared out linearly to the corners of their cell (splat), the grid is blurred, and read linearly (slice).
    The two interpolations widen the Gaussian, so the blur between them is narrower by as much.

    Reference: Chen, Paris, Durand 2007, whose grid we sample at half a bandwidth in place of a whole one.

    Args:
        position: of each pixel among the levels, 0 to `levels - 1`
        levels: of the grid, `CELLS` to a bandwidth
        bandwidth_px: of the Gaussian over rows and columns
    """
    height, width = position.shape[1:]
    cell = max(int(bandwidth_px / CELLS), 1)
    variance = (bandwidth_px / cell) ** 2 - (1 - 1 / cell**2) / 3
    blur = gaussian(variance)
    level = position[:, None, None]
    among = gaussian(CELLS**2 - 1 / 3)
    mixing = among(np.subtract.outer(np.arange(levels), np.arange(levels)))

    def filtered(q: Maps) -> Maps:
        def splatted(index: Array) -> Array:
            return splat(splat(nearness(level - index) * q, axis=3, cell=cell), axis=4, cell=cell)

        def read(total: Maps, item: tuple[Array, Array]) -> tuple[Maps, None]:
            index, plane = item
            plane = interpolated(plane, axis=4, cell=cell, size=width)
            return total + nearness(level - index) * interpolated(plane, axis=3, cell=cell, size=height), None

        indices = jnp.arange(levels, dtype=position.dtype)
        grid = jax.lax.map(splatted, indices)
        grid = blurred(blurred(grid, axis=0, variance=variance), axis=1, variance=variance)
        grid = jnp.tensordot(jnp.asarray(mixing, grid.dtype), grid, axes=1, precision="highest")
        return jax.lax.scan(read, jnp.zeros_like(q), (indices, grid))[0]

    def kept(fraction: Array, next_one: np.ndarray) -> Array:
        return (1 - fraction) ** 2 + fraction**2 + 2 * fraction * (1 - fraction) * next_one

    rows, columns = (jnp.arange(size) % cell / cell for size in (height, width))
    places = kept(rows, blur(1))[:, None] * kept(columns, blur(1))[None]
    own = places[None, None, None] * kept(level - jnp.floor(level), among(1))
    return filtered, own


def gaussian(variance: float) -> Callable[..., np.ndarray]:
    """`x -> exp(-x^2 / 2 variance)`, in cells."""
    return lambda x: np.exp(-np.square(x) / (2 * variance))


def nearness(apart: Array) -> Array:
    """The weight of linear interpolation of what lies so many cells away."""
    return jnp.maximum(1 - jnp.abs(apart), 0)


def splat(x: Array, *, axis: int, cell: int) -> Array:
    """Along an axis, the corners of cells of so many px, between which each value is shared out linearly."""
    size = x.shape[axis]
    cells = (size + cell - 1) // cell
    x = jax.lax.pad(x, jnp.zeros((), x.dtype), [(0, (cells * cell - size) * (i == axis), 0) for i in range(x.ndim)])
    blocks = x.reshape(*x.shape[:axis], cells, cell, *x.shape[axis + 1 :])
    first, second = (jnp.sum(blocks * share, axis=axis + 1) for share in corner_shares(blocks.ndim, axis + 1, cell))
    return padded(first, axis=axis, by=(0, 1)) + padded(second, axis=axis, by=(1, 0))


def interpolated(grid: Array, *, axis: int, cell: int, size: int) -> Array:
    """Along an axis, the values of so many px between the corners of their cells."""
    cells = grid.shape[axis] - 1
    first, second = (jnp.expand_dims(jax.lax.slice_in_dim(grid, k, k + cells, axis=axis), axis + 1) for k in (0, 1))
    near, far = corner_shares(first.ndim, axis + 1, cell)
    blocks = first * near + second * far
    whole = blocks.reshape(*grid.shape[:axis], cells * cell, *grid.shape[axis + 1 :])
    return jax.lax.slice_in_dim(whole, 0, size, axis=axis)


def corner_shares(ndim: int, axis: int, cell: int) -> tuple[np.ndarray, np.ndarray]:
    """What the places of a cell give its two corners, along an axis."""
    far = np.arange(cell, dtype=np.float32) / cell
    shape = [cell if i == axis else 1 for i in range(ndim)]
    return (1 - far).reshape(shape), far.reshape(shape)


def blurred(grid: Array, *, axis: int, variance: float) -> Array:
    """Along one of the last two axes, the sum of neighbours weighed by a Gaussian, with zeros around.

    Args:
        grid: its last two axes are rows and columns
        axis: 0 rows, 1 columns
        variance: of the Gaussian [cells^2]
    """
    reach = math.ceil(REACH * math.sqrt(variance))
    taps = jnp.asarray(gaussian(variance)(np.arange(-reach, reach + 1)), grid.dtype)
    kernel = taps[None, None, :, None] if axis == 0 else taps[None, None, None]
    planes = grid.reshape(-1, 1, *grid.shape[-2:])
    return jax.lax.conv_general_dilated(planes, kernel, (1, 1), "SAME", precision="highest").reshape(grid.shape)


def padded(x: Array, *, axis: int, by: tuple[int, int]) -> Array:
    """Zeros before and behind, along an axis."""
    return jnp.pad(x, [by if i == axis else (0, 0) for i in range(x.ndim)])
