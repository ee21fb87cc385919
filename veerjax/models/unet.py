"""The default network: a U-Net whose finest level may work at half the resolution.

Reference: Ronneberger, Fischer, Brox 2015. We differ in a norm after each convolution, upsampling by a dense layer with
depth-to-space (a 2 x 2 transposed convolution with a faster gradient on CPU), free widths and depth, and an optional
space-to-depth stem.

`model.padding` says what a convolution reads beyond the border: "same", zeros (the default, and the cheaper), or
"valid", nothing, as published. Then each convolution takes a place from every side, a skip is cropped to what it is
joined with, and the image is mirrored at its borders by as much as the network eats (92 px at 5 levels), so that every
pixel of it is labelled.
"""

import itertools
from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from veerjax.config import LossConfig, ModelConfig
from veerjax.labels import NUM_CLASSES
from veerjax.models.blocks import (
    PAPER,
    STEMS,
    Block,
    Images,
    Norm,
    compute_dtype,
    depth_to_space,
    norm_layer,
    padded,
    pool,
    space_to_depth,
)
from veerjax.models.heads import HEADS
from veerjax.models.model import Model
from veerjax.models.per_pixel import check_takes, per_pixel_model

# Neither looks beyond a pixel at inference, so a window's interior logits equal the strip's.
NORMS = ("batch", "pixel")
PADDINGS = ("same", "valid")


class UNet(nn.Module):
    """Logits of every pixel; inputs of any size are padded to a multiple of `stride` and the result is cropped."""

    features: tuple[int, ...]
    stem: str
    norm: str
    dtype: jnp.dtype
    outputs: int = NUM_CLASSES  # channels of logits
    remat: bool = False  # keep a block's input alone for the gradient, and compute the rest of it once more
    padding: str = "same"  # or "valid"

    @property
    def stride(self) -> int:
        return self.coarsest * self.side

    @property
    def coarsest(self) -> int:
        """The side of a place of the last level [places of the finest]."""
        return 2 ** (len(self.features) - 1)

    @property
    def side(self) -> int:
        """The side of the blocks of pixels that the finest level reads as one place [px]."""
        return STEMS[self.stem]

    @nn.compact
    def __call__(self, image: Images, *, train: bool) -> Float[Array, "batch height width outputs"]:
        height, width = image.shape[1:3]
        x = self.surrounded(image) if self.padding == "valid" else padded(image, multiple=self.stride)
        norm = norm_layer(self.norm, train=train, dtype=self.dtype)
        x = space_to_depth(x.astype(self.dtype), side=self.side)
        how = {"norm": norm, "dtype": self.dtype, "remat": self.remat, "padding": self.padding}
        finest = levels(x, self.features, **how)[-1]
        logits = nn.Dense(self.side**2 * self.outputs, dtype=jnp.float32)(finest)
        return depth_to_space(logits, side=self.side)[:, :height, :width]

    def surrounded(self, image: Images) -> Images:
        """Images less `PAPER`, mirrored at the borders as far as valid convolutions read to label all of them."""
        margin = 6 * self.coarsest - 4  # [places] what the blocks of all levels take from each side
        padding = [(0, 0)]
        for size in image.shape[1:3]:
            places = -(-size // self.side)
            made = 4 + -(-(places - 4) // self.coarsest) * self.coarsest  # of whole places at the last level
            padding.append((margin * self.side, (margin + made) * self.side - size))
        return jnp.pad(image - PAPER, [*padding, (0, 0)], mode="symmetric")


def levels(
    x: Images, features: Sequence[int], *, norm: Norm, dtype: jnp.dtype, remat: bool = False, padding: str = "same"
) -> list[Images]:
    """What a U-Net knows at each level, the coarsest first and then up to the finest; its layers are the caller's.

    Args:
        x: what the finest level reads; with the padding "same", its sides are multiples of `2 ** (len(features) - 1)`
        features: channel widths, finest level first
        norm: of `norm_layer`
        dtype: of the computation
        remat: keep a block's input alone for the gradient, and compute the rest of it once more
        padding: of the convolutions
    """
    kind, number = nn.remat(Block) if remat else Block, itertools.count()

    def block(width: int, x: Images) -> Images:
        # Named, so that remat, which is another class to Flax, has the same parameters.
        return kind(width, norm, dtype, padding=padding, name=f"Block_{next(number)}")(x)

    skips = []
    for width in features[:-1]:
        x = block(width, x)
        skips.append(x)
        x = pool(x)
    found = [block(features[-1], x)]
    for width, skip in zip(reversed(features[:-1]), reversed(skips), strict=True):
        x = depth_to_space(nn.Dense(4 * width, dtype=dtype)(found[-1]))
        found.append(block(width, jnp.concatenate([x, centre(skip, like=x)], axis=-1)))
    return found


def centre(features: Images, *, like: Images) -> Images:
    """The middle of features, of the height and width of others."""
    top, left = ((have - want) // 2 for have, want in zip(features.shape[1:3], like.shape[1:3], strict=True))
    return features[:, top : top + like.shape[1], left : left + like.shape[2]]


def build(config: ModelConfig, loss: LossConfig) -> Model:
    """A U-Net behind the seam of `models.model`.

    Raises:
        InputError: a norm that it does not have, or a key that it does not read.
    """
    check_takes(config, stem=tuple(STEMS), norm=NORMS, padding=PADDINGS)
    net = UNet(
        features=config.features,
        stem=config.stem,
        norm=config.norm,
        dtype=compute_dtype(config.dtype),
        outputs=HEADS[config.head].outputs,
        remat=config.remat,
        padding=config.padding,
    )
    return per_pixel_model(net, config, loss, least_px=net.stride)
