"""VeerNet: a residual encoder with attention, self-attention at its bottleneck, and a decoder with skips.

Reference: Nasim et al., J. Imaging 2023, 9(7), 136. Published, as far as we could read it, and built here: five
residual encoder stages of stride 2, CBAM in the stages, a bottleneck 128 wide with two layers of self-attention, five
upsampling stages with skips, GroupNorm, one channel in and three classes out, sizes padded to multiples of 32.

Not published where we could read it, and chosen by us:

- widths `model.features` of the stages, by default 16, 32, 64, 96, 128; a decoder stage is as wide as its skip;
- basic residual blocks of two convolutions, one a stage, with CBAM before their sum;
- 4 heads of attention, normalised before (no code of position, no feed-forward layers), and 8 groups in a norm, or as
  many as divide the width;
- upsampling by a dense layer with depth-to-space, a concatenated skip, and two convolutions; the skip of the last
  stage is the image;
- in place of GroupNorm, `model.norm` may be "batch" or "pixel".

GroupNorm, CBAM and self-attention see the whole window, so a window's logits are not the strip's.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from veerjax.config import LossConfig, ModelConfig, require
from veerjax.labels import NUM_CLASSES
from veerjax.models.blocks import Block, Images, compute_dtype, depth_to_space, norm_layer, padded
from veerjax.models.heads import HEADS
from veerjax.models.model import Model
from veerjax.models.per_pixel import check_takes, per_pixel_model
from veerjax.models.residual import Residual, SelfAttention

STAGES = 5
ATTENTIONS = 2
HEADS_OF_ATTENTION = 4
NORMS = ("group", "batch", "pixel")


class VeerNet(nn.Module):
    """Logits of every pixel; inputs of any size are padded to a multiple of 32 px and the result is cropped."""

    features: tuple[int, ...]  # of the five stages; the last is the bottleneck
    norm: str
    dtype: jnp.dtype
    outputs: int = NUM_CLASSES  # channels of logits
    remat: bool = False  # keep a stage's input alone for the gradient, and compute the rest of it once more

    @property
    def stride(self) -> int:
        return 2**STAGES

    @nn.compact
    def __call__(self, image: Images, *, train: bool) -> Float[Array, "batch height width outputs"]:
        height, width = image.shape[1:3]
        norm = norm_layer(self.norm, train=train, dtype=self.dtype)
        # Named, for remat makes another class of a module, which Flax would name otherwise.
        encode = nn.remat(Residual) if self.remat else Residual
        mix = nn.remat(SelfAttention) if self.remat else SelfAttention
        decode = nn.remat(Block) if self.remat else Block
        x = padded(image, multiple=self.stride).astype(self.dtype)
        skips = []
        for stage, features in enumerate(self.features):
            skips.append(x)
            x = encode(features, norm, self.dtype, stride=2, attention=True, name=f"Residual_{stage}")(x)
        for layer in range(ATTENTIONS):
            x = mix(HEADS_OF_ATTENTION, norm, self.dtype, name=f"SelfAttention_{layer}")(x)
        for stage, skip in enumerate(reversed(skips)):
            features = self.features[max(STAGES - 2 - stage, 0)]
            x = depth_to_space(nn.Dense(4 * features, dtype=self.dtype)(x))
            x = decode(features, norm, self.dtype, name=f"Block_{stage}")(jnp.concatenate([x, skip], axis=-1))
        return nn.Dense(self.outputs, dtype=jnp.float32)(x)[:, :height, :width]


def build(config: ModelConfig, loss: LossConfig) -> Model:
    """A VeerNet behind the seam of `models.model`.

    Raises:
        InputError: a stem or norm that it does not have, another number of stages, or heads that do not divide.
    """
    check_takes(config, norm=NORMS)
    widths = config.features
    require(
        len(widths) == STAGES,
        f"model.features has {len(widths)} widths; veernet needs 5, one a stage, such as 16,32,64,96,128.",
    )
    require(
        widths[-1] % HEADS_OF_ATTENTION == 0,
        f"model.features ends in {widths[-1]}, which does not divide by veernet's {HEADS_OF_ATTENTION} heads of "
        f"attention; the nearest that does is {max(round(widths[-1] / HEADS_OF_ATTENTION), 1) * HEADS_OF_ATTENTION}.",
    )
    net = VeerNet(
        features=widths,
        norm=config.norm,
        dtype=compute_dtype(config.dtype),
        outputs=HEADS[config.head].outputs,
        remat=config.remat,
    )
    return per_pixel_model(net, config, loss, least_px=net.stride)
