"""Residual blocks, and the attention that a published network adds to them."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from veerjax.models.blocks import Images, Norm
from veerjax.models.cost import Layer

REDUCTION = 8  # channels of a stage for each hidden unit of its channel attention
LEAST = 4  # hidden units: a single one that no image wakes would be attention that never learns


class Residual(nn.Module):
    """Two 3 x 3 convolutions with norms beside a shortcut, which is a 1 x 1 convolution where shapes differ.

    Reference: He, Zhang, Ren, Sun 2015 (the basic block); its padding is symmetric.
    """

    features: int
    norm: Norm
    dtype: jnp.dtype
    stride: int = 1  # [px]
    rate: int = 1  # [px] between the taps of both convolutions
    attention: bool = False  # CBAM before the sum

    @nn.compact
    def __call__(self, x: Images) -> Images:
        shortcut = x
        x = nn.relu(self.norm(self.conv(x, stride=self.stride)))
        x = self.norm(self.conv(x))
        if self.attention:
            x = CBAM(self.dtype)(x)
        if shortcut.shape != x.shape:
            shortcut = self.norm(self.conv(shortcut, kernel=1, stride=self.stride))
        return nn.relu(x + shortcut)

    def conv(self, x: Images, *, kernel: int = 3, stride: int = 1) -> Images:
        rate = self.rate if kernel > 1 else 1
        layer = nn.Conv(
            self.features,
            (kernel, kernel),
            strides=stride,
            kernel_dilation=rate,
            padding=rate * (kernel // 2),
            use_bias=False,
            dtype=self.dtype,
        )
        return layer(x)


class CBAM(nn.Module):
    """Features weighed by channel, and then by place.

    Reference: Woo, Park, Lee, Kweon 2018. We differ in a reduction of 8 and no fewer than 4 hidden units, for narrow
    stages, and from their code in no norm behind the convolution over places. The channels' weights are those of the
    whole window, padding included.
    """

    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: Images) -> Images:
        channels = x.shape[-1]
        squeeze = nn.Dense(max(channels // REDUCTION, LEAST), dtype=self.dtype)
        excite = nn.Dense(channels, dtype=self.dtype)
        window = x.reshape(x.shape[0], -1, 1, channels)
        summaries = (jnp.mean(window, axis=1, keepdims=True), maximum(window, axis=1))
        x = x * nn.sigmoid(sum(excite(nn.relu(squeeze(summary))) for summary in summaries))
        places = jnp.concatenate([maximum(x, axis=-1), jnp.mean(x, axis=-1, keepdims=True)], axis=-1)
        return x * nn.sigmoid(nn.Conv(1, (7, 7), dtype=self.dtype)(places))


def maximum(x: Images, *, axis: int) -> Images:
    """The largest along an axis, which stays, with a gradient to the first of them alone.

    The gradient of `jnp.max` divides by how many equal the maximum. XLA may round them anew where it fuses, so that
    none does: 0 / 0.
    """
    return jnp.take_along_axis(x, jnp.argmax(x, axis=axis, keepdims=True), axis=axis)


class SelfAttention(nn.Module):
    """Every place reads every other: `x + W_o softmax(q k^T / sqrt(d)) v`, of normalised `x`, in several heads.

    Reference: Vaswani et al. 2017. There is no code of position, so that an image of any size may be read.
    """

    heads: int
    norm: Norm
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: Images) -> Images:
        batch, height, width, channels = x.shape
        shape = (batch, height * width, self.heads, channels // self.heads)
        parts = jnp.split(nn.Dense(3 * channels, dtype=self.dtype)(self.norm(x)), 3, axis=-1)
        mixed = Mixing()(*(part.reshape(shape) for part in parts))
        return x + nn.Dense(channels, dtype=self.dtype)(mixed.reshape(x.shape))


class Mixing(nn.Module):
    """Values mixed by the likeness of queries and keys; a module without parameters, so that its cost is counted."""

    @nn.compact
    def __call__(self, query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
        likeness = jnp.einsum("bqhd,bkhd->bhqk", query, key, preferred_element_type=jnp.float32)
        weights = nn.softmax(likeness * query.shape[-1] ** -0.5, axis=-1).astype(value.dtype)
        return jnp.einsum("bhqk,bkhd->bqhd", weights, value)

    def operations(self, query: jax.Array, key: jax.Array, value: jax.Array) -> Layer:
        """Of the two products of matrices."""
        queries, places = query.shape[1], key.shape[1]
        flops = 2 * (places * query.size + queries * value.size)
        return Layer(flops=flops, reads=query.shape[-1], makes=places)
