"""The default network: a U-Net whose finest level may work at half the resolution.

Reference: Ronneberger, Fischer, Brox 2015. We differ in same-padding, a norm after each convolution, upsampling by a
dense layer with depth-to-space (a 2 x 2 transposed convolution with a faster gradient on CPU), and an optional
space-to-depth stem.
"""

import itertools
from collections.abc import Callable
from typing import cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from veerjax.config import LossConfig, ModelConfig
from veerjax.labels import NUM_CLASSES
from veerjax.models.cost import Cost, forward_cost
from veerjax.models.heads import HEADS
from veerjax.models.model import Model, Variables
from veerjax.types import Batch, Prediction, with_channels

Images = Float[Array, "batch height width channels"]
STEMS = {"full": 1, "space_to_depth": 2, "space_to_depth_4": 4}
PAPER = 0.5  # subtracted from grey levels before the first convolution


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


class Block(nn.Module):
    """Two 3 x 3 convolutions, each followed by a norm and a ReLU."""

    features: int
    norm: Callable[[], nn.Module]
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: Images) -> Images:
        for _ in range(2):
            x = nn.Conv(self.features, (3, 3), use_bias=False, dtype=self.dtype)(x)
            x = nn.relu(self.norm()(x))
        return x


class UNet(nn.Module):
    """Logits of every pixel; inputs of any size are padded to a multiple of `stride` and the result is cropped."""

    features: tuple[int, ...]
    stem: str
    norm: str
    dtype: jnp.dtype
    outputs: int = NUM_CLASSES  # channels of logits
    remat: bool = False  # keep a block's input alone for the gradient, and compute the rest of it once more

    @property
    def stride(self) -> int:
        return 2 ** (len(self.features) - 1) * self.side

    @property
    def side(self) -> int:
        """The side of the blocks of pixels that the finest level reads as one place [px]."""
        return STEMS[self.stem]

    @nn.compact
    def __call__(self, image: Images, *, train: bool) -> Float[Array, "batch height width outputs"]:
        height, width = image.shape[1:3]
        padding = [(0, -height % self.stride), (0, -width % self.stride)]
        x = jnp.pad(image - PAPER, [(0, 0), *padding, (0, 0)], mode="edge").astype(self.dtype)
        x = self.levels(space_to_depth(x, side=self.side), self.norm_layer(train=train))
        logits = nn.Dense(self.side**2 * self.outputs, dtype=jnp.float32)(x)
        return depth_to_space(logits, side=self.side)[:, :height, :width]

    def norm_layer(self, *, train: bool) -> Callable[[], nn.Module]:
        # Neither looks beyond a pixel at inference, so a window's interior logits equal the strip's.
        if self.norm == "batch":
            return lambda: nn.BatchNorm(use_running_average=not train, momentum=0.97, dtype=self.dtype)
        return lambda: nn.LayerNorm(dtype=self.dtype)

    def levels(self, x: Images, norm: Callable[[], nn.Module]) -> Images:
        kind, number = nn.remat(Block) if self.remat else Block, itertools.count()

        def block(width: int, x: Images) -> Images:
            # Named, so that remat, which is another class to Flax, has the same parameters.
            return kind(width, norm, self.dtype, name=f"Block_{next(number)}")(x)

        skips = []
        for width in self.features[:-1]:
            x = block(width, x)
            skips.append(x)
            x = pool(x)
        x = block(self.features[-1], x)
        for width, skip in zip(reversed(self.features[:-1]), reversed(skips), strict=True):
            x = depth_to_space(nn.Dense(4 * width, dtype=self.dtype)(x))
            x = block(width, jnp.concatenate([x, skip], axis=-1))
        return x


def compute_dtype(name: str) -> jnp.dtype:
    """`auto` is bfloat16 on an accelerator and float32 on a CPU, which has no fast bfloat16."""
    if name == "auto":
        name = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    return jnp.dtype(name)


def build(config: ModelConfig, loss: LossConfig) -> Model:
    """A U-Net behind the seam of `models.model`."""
    head = HEADS[config.head]
    net = UNet(
        features=config.features,
        stem=config.stem,
        norm=config.norm,
        dtype=compute_dtype(config.dtype),
        outputs=head.outputs,
        remat=config.remat,
    )

    def init(key: PRNGKeyArray) -> Variables:
        return dict(net.init(key, jnp.zeros((1, net.stride, net.stride, config.channels)), train=False))

    def batch_loss(variables: Variables, batch: Batch, key: PRNGKeyArray) -> tuple[Float[Array, ""], Variables]:
        del key  # no dropout, no sampling
        image = with_channels(batch.image, config.channels)
        logits, changed = net.apply(variables, image, train=True, mutable=["batch_stats"])
        return head.loss(cast(Array, logits), batch, config=loss), dict(changed)

    def probability_of(variables: Variables, image: Images) -> Float[Array, "batch height width outputs"]:
        return head.probability(cast(Array, net.apply(variables, image, train=False)))

    def predict(variables: Variables, batch: Batch) -> Prediction:
        image = with_channels(batch.image, config.channels)
        probability = probability_of(variables, image)
        if config.mirror:
            # A track read in a mirror is a track: the renderer draws both alike.
            mirrored = probability_of(variables, image[:, :, ::-1])[:, :, ::-1]
            probability = (probability + mirrored) / 2
        return head.prediction(probability)

    def cost(image: tuple[int, int, int, int]) -> Cost:
        return forward_cost(net, image, train=False)

    return Model(init=init, loss=batch_loss, predict=predict, cost=cost, stride=net.stride)
