"""What a forward pass costs by the definition of its layers, whatever a compiler makes of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp

COUNTED = (nn.Conv, nn.ConvTranspose, nn.Dense)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one forward pass over a batch; a multiplication and an addition count as two operations."""

    flops: int  # of all convolutions and dense layers
    first_flops: int  # of the layer that reads the image, for which no training needs an input gradient
    image_bytes: int
    activation_bytes: int  # the output of each of those layers
    parameters: int  # trained numbers
    layers: tuple["Layer", ...] = ()


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What one convolution or dense layer does."""

    flops: int
    reads: int  # channels
    makes: int  # channels


def padded_flops(layers: Sequence[Layer], *, side: int) -> int:
    """The operations of the layers, were channels rounded up to multiples of `side`, as a square matrix unit sees them.

    An upper bound: a compiler may fill the unit with neighbouring pixels instead.
    """

    def rounded(channels: int) -> int:
        return -(-channels // side) * side

    return sum(
        layer.flops * rounded(layer.reads) * rounded(layer.makes) // (layer.reads * layer.makes) for layer in layers
    )


def forward_cost(net: nn.Module, image: tuple[int, int, int, int], **call: Any) -> Cost:
    """The cost of `net` on an image batch, counted layer by layer without computing anything.

    A layer's operations are `2 * outputs * (kernel elements an output reads)`; "same" padding counts as data, and
    norms, activations and pooling, which move bytes rather than compute, count nothing.

    Args:
        net: made of `nn.Conv`, `nn.ConvTranspose`, `nn.Dense`, and modules whose `operations` says theirs of what
            they are called with
        image: shape of the batch of images
        **call: further keywords of the net
    """
    layers: list[tuple[Layer, int]] = []

    def record(call_layer: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        made = call_layer(*args, **kwargs)
        module = context.module
        if context.method_name == "__call__" and (isinstance(module, COUNTED) or hasattr(module, "operations")):
            layer = (
                _counted(module, args[0], made) if isinstance(module, COUNTED) else cast(Any, module).operations(*args)
            )
            layers.append((layer, made.size * made.dtype.itemsize))
        return made

    def run(key: jax.Array) -> Any:
        with nn.intercept_methods(record):
            return net.init(key, jnp.zeros(image), **call)

    variables = jax.eval_shape(run, jax.random.key(0))
    kinds, outputs = zip(*layers, strict=True)
    return Cost(
        flops=sum(layer.flops for layer in kinds),
        first_flops=kinds[0].flops,
        image_bytes=4 * math.prod(image),
        activation_bytes=sum(outputs),
        parameters=sum(leaf.size for leaf in jax.tree.leaves(variables["params"])),
        layers=kinds,
    )


def _counted(layer: Any, read: jax.Array, made: jax.Array) -> Layer:
    reads, makes = read.shape[-1], made.shape[-1]
    return Layer(flops=2 * made.size * _reads(layer, reads), reads=reads, makes=makes)


def _reads(layer: nn.Conv | nn.ConvTranspose | nn.Dense, channels: int) -> int:
    """Kernel elements behind one output of a layer that reads `channels`."""
    if isinstance(layer, nn.Dense):
        return channels
    kernel = math.prod(cast(Sequence[int], layer.kernel_size)) * channels
    if isinstance(layer, nn.ConvTranspose):
        return kernel // math.prod(cast(Sequence[int], layer.strides))
    return kernel // layer.feature_group_count
