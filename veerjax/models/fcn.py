"""Fully convolutional networks: FCN-32s, FCN-16s and FCN-8s, by `model.output_stride`.

Reference: Long, Shelhamer, Darrell, CVPR 2015: the 13 convolutions and 5 poolings of VGG-16, its fully connected layers
as convolutions (7 x 7 and 1 x 1) with dropout, scores that start from 0, fused with those of pool4 (16s) and pool3 (8s)
through learned transposed convolutions that start as bilinear, and a fixed bilinear upsampling to pixels.

As published with `features=(64, 128, 256, 512, 512, 4096), norm="none", dropout=0.5`, but for these:

- the widths are free, and a norm may follow each convolution of the trunk;
- same-padding, and borders repeated in the upsampling, where they pad the image by 100 px and crop;
- one network trained from scratch by the initialisation of He et al. 2015, where they start from VGG-16's weights and
  train 16s from 32s and 8s from 16s.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from veerjax.config import LossConfig, ModelConfig, require
from veerjax.labels import NUM_CLASSES
from veerjax.models.blocks import (
    Block,
    Images,
    LearnedUpsampling,
    bilinear_upsampling,
    compute_dtype,
    norm_layer,
    padded,
    pool,
)
from veerjax.models.heads import HEADS
from veerjax.models.model import Model
from veerjax.models.per_pixel import check_takes, per_pixel_model

CONVOLUTIONS = (2, 2, 3, 3, 3)  # of each stage of VGG-16
STRIDES = (8, 16, 32)  # [px] of the finest scores
NORMS = ("none", "batch", "pixel")


class FCN(nn.Module):
    """Logits of every pixel; inputs of any size are padded to a multiple of 32 px and the result is cropped."""

    features: tuple[int, ...]  # of the five stages, and of the two layers that were fully connected
    output_stride: int  # [px] of the finest scores
    norm: str
    dtype: jnp.dtype
    outputs: int = NUM_CLASSES  # channels of logits
    dropout: float = 0.0
    remat: bool = False  # keep a stage's input alone for the gradient, and compute the rest of it once more

    @property
    def stride(self) -> int:
        return 2 ** len(CONVOLUTIONS)

    @nn.compact
    def __call__(self, image: Images, *, train: bool) -> Float[Array, "batch height width outputs"]:
        height, width = image.shape[1:3]
        levels = self.trunk(padded(image, multiple=self.stride).astype(self.dtype), train=train)
        stride = self.stride
        logits = self.score(levels[stride], stride)
        while stride > self.output_stride:
            stride //= 2
            logits = LearnedUpsampling(jnp.dtype("float32"))(logits) + self.score(levels[stride], stride)
        return bilinear_upsampling(logits, factor=stride)[:, :height, :width]

    def score(self, features: Images, stride: int) -> Images:
        layer = nn.Dense(self.outputs, kernel_init=nn.initializers.zeros, dtype=jnp.float32, name=f"score_{stride}")
        return layer(features)

    def trunk(self, x: Images, *, train: bool) -> dict[int, Images]:
        """The features of each stride [px]; behind the last pooling they have passed the two wide layers."""
        kind, norm = nn.remat(Block) if self.remat else Block, norm_layer(self.norm, train=train, dtype=self.dtype)

        def block(index: int, x: Images, *, layers: int, kernel: int) -> Images:
            # Named, so that remat, which is another class to Flax, has the same parameters.
            return kind(
                self.features[min(index, len(CONVOLUTIONS))],
                norm,
                self.dtype,
                layers=layers,
                kernel=kernel,
                bias=self.norm == "none",
                kernel_init=nn.initializers.he_normal(),
                name=f"Block_{index}",
            )(x)

        levels = {}
        for index, layers in enumerate(CONVOLUTIONS):
            x = pool(block(index, x, layers=layers, kernel=3))
            levels[2 ** (index + 1)] = x
        for index, kernel in ((5, 7), (6, 1)):
            x = block(index, x, layers=1, kernel=kernel)
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return {**levels, self.stride: x}


def build(config: ModelConfig, loss: LossConfig) -> Model:
    """An FCN behind the seam of `models.model`.

    Raises:
        InputError: a stem, norm, output stride or number of widths that it does not have.
    """
    check_takes(config, norm=NORMS, output_stride=(0, *STRIDES), dropout=(config.dropout,))
    require(
        len(config.features) == len(CONVOLUTIONS) + 1,
        f"model.features has {len(config.features)} widths; fcn needs 6, of its five stages and of the two layers "
        "that were fully connected, such as 16,32,64,96,128,256.",
    )
    net = FCN(
        features=config.features,
        output_stride=config.output_stride or STRIDES[0],
        norm=config.norm,
        dtype=compute_dtype(config.dtype),
        outputs=HEADS[config.head].outputs,
        dropout=config.dropout,
        remat=config.remat,
    )
    return per_pixel_model(net, config, loss, least_px=net.stride)
