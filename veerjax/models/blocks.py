"""Parts that more than one architecture is made of: stem, padding, convolutions with norms, pooling, upsampling."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Images = Float[Array, "batch height width channels"]
Norm = Callable[[Images], Images]
STEMS = {"full": 1, "space_to_depth": 2, "space_to_depth_4": 4}
PAPER = 0.5  # subtracted from grey levels before the first convolution
GROUPS = 8  # of a GroupNorm, or as many of them as divide the channels


def compute_dtype(name: str) -> jnp.dtype:
    """`auto` is bfloat16 on an accelerator and float32 on a CPU, which has no fast bfloat16."""
    if name == "auto":
        name = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    return jnp.dtype(name)


def padded(image: Images, *, multiple: int) -> Images:
    """Images less `PAPER`, repeated at the bottom and the right up to a multiple of so many px."""
    height, width = image.shape[1:3]
    padding = [(0, 0), (0, -height % multiple), (0, -width % multiple), (0, 0)]
    return jnp.pad(image - PAPER, padding, mode="edge")


def space_to_depth(image: Images, *, side: int = 2) -> Images:
    """Blocks of `side` x `side` px become channels: [B, H, W, C] -> [B, H/side, W/side, side**2 C]."""
    batch, height, width, channels = image.shape
    blocks = image.reshape(batch, height // side, side, width // side, side, channels)
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // side, width // side, side**2 * channels)


def depth_to_space(features: Images, *, side: int = 2) -> Images:
    """The inverse of `space_to_depth`: [B, H, W, side**2 C] -> [B, side H, side W, C]."""
    batch, height, width, channels = features.shape
    blocks = features.reshape(batch, height, width, side, side, channels // side**2)
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(batch, side * height, side * width, channels // side**2)


def pool(features: Images) -> Images:
    """The maximum of each block of 2 x 2, as strided maxima: the gradient of `nn.max_pool` is slow on CPU."""
    rows = jnp.maximum(features[:, ::2], features[:, 1::2])
    return jnp.maximum(rows[:, :, ::2], rows[:, :, 1::2])


def norm_layer(kind: str, *, train: bool, dtype: jnp.dtype) -> Norm:
    """What a module puts behind its convolutions; called within one, it makes a layer of it.

    "batch" and "pixel" look at one pixel at inference, so a window's interior logits equal the strip's; "group" takes
    its statistics from the whole window. "none" is the identity.
    """
    layers: dict[str, Norm] = {
        "batch": lambda x: nn.BatchNorm(use_running_average=not train, momentum=0.97, dtype=dtype)(x),
        "pixel": lambda x: nn.LayerNorm(dtype=dtype)(x),
        "group": lambda x: nn.GroupNorm(num_groups=math.gcd(GROUPS, x.shape[-1]), dtype=dtype)(x),
        "none": lambda x: x,
    }
    return layers[kind]


class Block(nn.Module):
    """Convolutions of one width, each followed by a norm and a ReLU."""

    features: int
    norm: Norm
    dtype: jnp.dtype
    layers: int = 2
    kernel: int = 3  # [px] side
    bias: bool = False  # for want of a norm that has one
    padding: str = "same"  # zeros around the image, or "valid": none, and each convolution makes less than it reads
    kernel_init: Callable[..., Array] = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Images) -> Images:
        how = {"padding": self.padding, "use_bias": self.bias, "dtype": self.dtype, "kernel_init": self.kernel_init}
        for _ in range(self.layers):
            x = nn.relu(self.norm(nn.Conv(self.features, (self.kernel, self.kernel), **how)(x)))
        return x


def bilinear_kernel(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
    """An initialiser of a transposed convolution that interpolates each channel by itself.

    Args:
        key: not used
        shape: [2 factor, 2 factor, channels, channels]
        dtype: of the kernel
    """
    del key
    side, channels = shape[0], shape[-1]
    triangle = 1 - jnp.abs((2 * jnp.arange(side) + 1) / side - 1)
    return jnp.einsum("h,w,io->hwio", triangle, triangle, jnp.eye(channels)).astype(dtype)


class LearnedUpsampling(nn.Module):
    """A transposed convolution to twice the size that starts as bilinear interpolation.

    Reference: Long, Shelhamer, Darrell 2015, section 3.3. We repeat the border where they pad the image by 100 px.
    """

    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: Images) -> Images:
        around = jnp.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
        grown = nn.ConvTranspose(
            x.shape[-1],
            (4, 4),
            strides=(2, 2),
            padding="VALID",
            use_bias=False,
            dtype=self.dtype,
            kernel_init=bilinear_kernel,
        )(around)
        return grown[:, 3:-3, 3:-3]


def bilinear_upsampling(x: Images, *, factor: int) -> Images:
    """Bilinear interpolation to `factor` times the size, places being squares whose borders are repeated.

    It is the transposed convolution by `bilinear_kernel`, axis by axis: a kernel of 64 x 64 px is slow on CPU.
    """
    return _interpolated(_interpolated(x, axis=1, factor=factor), axis=2, factor=factor)


def _interpolated(x: Images, *, axis: int, factor: int) -> Images:
    around = jnp.pad(x, [(1, 1) if i == axis else (0, 0) for i in range(x.ndim)], mode="edge")
    size = x.shape[axis]
    taps = jnp.stack([jax.lax.slice_in_dim(around, k, k + size, axis=axis) for k in range(3)])
    offset = (np.arange(factor) + 0.5) / factor - 0.5  # of each new place from the centre of its old one
    shares = np.stack([np.maximum(-offset, 0), 1 - np.abs(offset), np.maximum(offset, 0)]).astype(x.dtype)
    phases = [sum(shares[k, phase] * taps[k] for k in range(3)) for phase in range(factor)]
    shape = [*x.shape[:axis], size * factor, *x.shape[axis + 1 :]]
    return jnp.stack(phases, axis=axis + 1).reshape(shape)
