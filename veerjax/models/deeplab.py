"""DeepLab v3: a residual encoder whose last stages are atrous, and pyramid pooling by atrous convolutions.

Reference: Chen, Papandreou, Schroff, Adam 2017, "Rethinking Atrous Convolution for Semantic Image Segmentation": stages
beyond the output stride keep the size and double the rate; atrous spatial pyramid pooling of a 1 x 1 convolution, three
of 3 x 3 at rates 6, 12, 18 (twice that at output stride 8) and the mean of the image; a fixed bilinear upsampling to
pixels. We differ in these:

- basic residual blocks of free widths, one a stage, where theirs is a ResNet-50 or 101 of bottleneck blocks;
- rates are `model.rates`, for a feature map of 16 x 16 places is narrower than the published ones reach;
- five stages, each of stride 2 up to the output stride, without the pooling and the multi-grid of their stem and block;
- trained from scratch; the norm may be "pixel" in place of "batch".

The fully connected CRF of v1 and v2, which v3 left out, is `model.crf`.

The mean of the image sees the whole window, so a window's logits are not the strip's.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from veerjax.config import LossConfig, ModelConfig, require
from veerjax.labels import NUM_CLASSES
from veerjax.models.blocks import Images, Norm, bilinear_upsampling, compute_dtype, norm_layer, padded
from veerjax.models.heads import HEADS
from veerjax.models.model import Model
from veerjax.models.per_pixel import check_takes, per_pixel_model
from veerjax.models.residual import Residual

STRIDES = (4, 8, 16)  # [px] of the features that are labelled
RATES = {4: (24, 48, 72), 8: (12, 24, 36), 16: (6, 12, 18)}  # [places]; of stride 4, the same reach in px
NORMS = ("batch", "pixel")


class DeepLab(nn.Module):
    """Logits of every pixel; inputs of any size are padded to a multiple of the output stride and cropped back."""

    features: tuple[int, ...]  # of the stages; the last is that of each branch of the pyramid too
    output_stride: int  # [px]
    rates: tuple[int, ...]  # [places] of the pyramid
    norm: str
    dtype: jnp.dtype
    outputs: int = NUM_CLASSES  # channels of logits
    remat: bool = False  # keep a stage's input alone for the gradient, and compute the rest of it once more

    @property
    def stride(self) -> int:
        return self.output_stride

    @nn.compact
    def __call__(self, image: Images, *, train: bool) -> Float[Array, "batch height width outputs"]:
        height, width = image.shape[1:3]
        norm = norm_layer(self.norm, train=train, dtype=self.dtype)
        x = padded(image, multiple=self.stride).astype(self.dtype)
        stage = nn.remat(Residual) if self.remat else Residual
        stride = rate = 1
        for index, features in enumerate(self.features):
            step = 2 if stride < self.output_stride else 1
            # Beyond the output stride the rate doubles in place of the stride, so that the reach stays the same.
            stride, rate = stride * step, rate * (2 if step == 1 else 1)
            x = stage(features, norm, self.dtype, stride=step, rate=rate, name=f"Residual_{index}")(x)
        pyramid = nn.remat(Pyramid) if self.remat else Pyramid
        x = pyramid(self.rates, norm, self.dtype, name="Pyramid_0")(x)
        logits = nn.Dense(self.outputs, dtype=jnp.float32)(x)
        return bilinear_upsampling(logits, factor=self.output_stride)[:, :height, :width]


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling: what several reaches and the mean of the image say, mixed at each place."""

    rates: tuple[int, ...]
    norm: Norm
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: Images) -> Images:
        branches = [self.branch(x, kernel=1), *(self.branch(x, kernel=3, rate=rate) for rate in self.rates)]
        mean = self.branch(jnp.mean(x, axis=(1, 2), keepdims=True), kernel=1)
        branches.append(jnp.broadcast_to(mean, x.shape))
        return self.branch(jnp.concatenate(branches, axis=-1), kernel=1, features=x.shape[-1])

    def branch(self, x: Images, *, kernel: int, rate: int = 1, features: int = 0) -> Images:
        layer = nn.Conv(
            features or x.shape[-1], (kernel, kernel), kernel_dilation=rate, use_bias=False, dtype=self.dtype
        )
        return nn.relu(self.norm(layer(x)))


def build(config: ModelConfig, loss: LossConfig) -> Model:
    """A DeepLab v3 behind the seam of `models.model`.

    Raises:
        InputError: a stem, norm, output stride or rate that it does not have, or too few stages for the stride.
    """
    check_takes(config, norm=NORMS, output_stride=(0, *STRIDES), rates=(config.rates,))
    stride = config.output_stride or STRIDES[-1]
    least = stride.bit_length() - 1
    require(
        len(config.features) >= least,
        f"model.features has {len(config.features)} widths; deeplab of output stride {stride} needs {least} or more.",
    )
    rates = config.rates or RATES[stride]
    net = DeepLab(
        features=config.features,
        output_stride=stride,
        rates=rates,
        norm=config.norm,
        dtype=compute_dtype(config.dtype),
        outputs=HEADS[config.head].outputs,
        remat=config.remat,
    )
    # A tap that is further away than the map is wide reads padding alone, and the convolution is one of 1 x 1.
    return per_pixel_model(net, config, loss, least_px=max(rates) * stride + 1, least_by="model.rates")
