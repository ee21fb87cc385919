"""Set prediction: two learned queries read a U-Net's features, and each answers with a class and a mask; no boxes.

Reference: Carion et al. 2020 (DETR: queries, and a loss on the cheapest assignment of them to objects); Cheng, Schwing,
Kirillov 2021 (MaskFormer: a mask is the product of a query's embedding with every pixel's, semantic inference); Lal et
al. 2023 (LineFormer: the lines of a chart as such masks). It is a light one, and differs from theirs in these:

- two queries, for a log has two curves; classes are curve 1, curve 2 and none, the curve that the window lacks;
- a U-Net is backbone and pixel decoder at once, its coarsest level the memory: no transformer encoder;
- three decoder layers, normalised before as in Xiong et al. 2020; queries are learned vectors in the residual stream,
  not added again in each layer; attention is not masked as in Mask2Former (Cheng et al. 2022);
- the code of a place counts places of the memory, not shares of the image, so a longer image only adds places;
- products of embeddings are divided by the root of their length, as attention's are, so that masks start unsure;
- losses of masks are the config's, over all pixels instead of sampled ones, after the last layer alone.

Queries see the whole window, its padding included, so a window's logits are not the strip's.
"""

from dataclasses import dataclass, replace
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from veerjax.config import LossConfig, ModelConfig, require
from veerjax.labels import NUM_CURVES
from veerjax.models.blocks import STEMS, Images, compute_dtype, depth_to_space, norm_layer, padded, space_to_depth
from veerjax.models.cost import Layer
from veerjax.models.heads import HEADS, mask_loss
from veerjax.models.model import Model
from veerjax.models.per_pixel import check_takes, per_pixel_model
from veerjax.models.residual import Mixing
from veerjax.models.unet import levels
from veerjax.types import Batch

QUERIES = 2
NONE = NUM_CURVES  # the class of a query without a curve, behind those of the curves
LAYERS = 3
HEADS_OF_ATTENTION = 4
WIDENING = 4  # of the hidden units of a feed-forward layer
PERIOD = 10_000  # [places] over 2 pi: the longest wave of the position code (Vaswani et al. 2017)
CLASS_WEIGHT = 0.4  # beside the mask losses: Mask2Former's 2 beside 5
NONE_WEIGHT = 0.1  # beside a curve's 1 in the class loss (DETR)
NORMS = ("batch", "pixel")
Tokens = Float[Array, "batch tokens channels"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Said:
    """What the queries say of a batch."""

    classes: Float[Array, "batch queries 3"]  # logits of curve 1, curve 2, none
    masks: Float[Array, "batch queries height width"]  # log-odds


class SetPrediction(nn.Module):
    """What two queries say; inputs of any size are padded to a multiple of `stride` and masks are cropped back."""

    features: tuple[int, ...]  # of the U-Net, finest first; masks are as wide as the first, queries as the last
    stem: str
    norm: str  # of the U-Net; queries have LayerNorm
    dtype: jnp.dtype
    remat: bool = False  # keep a block's input alone for the gradient, and compute the rest of it once more

    @property
    def stride(self) -> int:
        return 2 ** (len(self.features) - 1) * STEMS[self.stem]

    @nn.compact
    def __call__(self, image: Images, *, train: bool) -> Said:
        height, width = image.shape[1:3]
        side, narrow, wide = STEMS[self.stem], self.features[0], self.features[-1]
        x = space_to_depth(padded(image, multiple=self.stride).astype(self.dtype), side=side)
        norm = norm_layer(self.norm, train=train, dtype=self.dtype)
        coarse, *_, fine = levels(x, self.features, norm=norm, dtype=self.dtype, remat=self.remat)
        queries = self.param("queries", nn.initializers.normal(1.0), (QUERIES, wide))
        queries = jnp.broadcast_to(queries.astype(self.dtype), (image.shape[0], QUERIES, wide))
        memory = coarse.reshape(image.shape[0], -1, wide)
        code = position_code(*coarse.shape[1:3], channels=wide).astype(self.dtype)
        for layer in range(LAYERS):
            queries = DecoderLayer(self.dtype, name=f"DecoderLayer_{layer}")(queries, memory, code)
        queries = nn.LayerNorm(dtype=self.dtype, name="norm")(queries)
        classes = nn.Dense(NONE + 1, dtype=jnp.float32, name="classes")(queries)
        for number, channels in enumerate((wide, wide, narrow)):
            queries = nn.relu(queries) if number else queries
            queries = nn.Dense(channels, dtype=self.dtype, name=f"embedding_{number}")(queries)
        pixels = nn.Dense(side**2 * narrow, dtype=self.dtype, name="pixels")(fine)
        masks = depth_to_space(Likeness()(pixels, queries), side=side)[:, :height, :width]
        return Said(classes=classes, masks=jnp.moveaxis(masks, -1, 1))


class DecoderLayer(nn.Module):
    """Queries read each other, then the memory, then each thinks by itself."""

    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: Tokens, memory: Tokens, code: Float[Array, "1 tokens channels"]) -> Tokens:
        normed = [nn.LayerNorm(dtype=self.dtype) for _ in range(3)]
        query = normed[0](x)
        x = x + Attention(self.dtype)(query, query, query)
        x = x + Attention(self.dtype)(normed[1](x), memory + code, memory)
        hidden = nn.relu(nn.Dense(WIDENING * x.shape[-1], dtype=self.dtype)(normed[2](x)))
        return x + nn.Dense(x.shape[-1], dtype=self.dtype)(hidden)


class Attention(nn.Module):
    """`W_o softmax(q k^T / sqrt(d)) v` in several heads (Vaswani et al. 2017)."""

    dtype: jnp.dtype

    @nn.compact
    def __call__(self, query: Tokens, key: Tokens, value: Tokens) -> Tokens:
        channels = query.shape[-1]

        def split(x: Tokens, name: str) -> Array:
            # A bias of the keys adds the same to all likenesses of a query, which softmax takes away again.
            x = nn.Dense(channels, use_bias=name != "key", dtype=self.dtype, name=name)(x)
            return x.reshape(*x.shape[:2], HEADS_OF_ATTENTION, channels // HEADS_OF_ATTENTION)

        mixed = Mixing()(split(query, "query"), split(key, "key"), split(value, "value"))
        return nn.Dense(channels, dtype=self.dtype, name="out")(mixed.reshape(query.shape))


class Likeness(nn.Module):
    """Products of embeddings with those of every pixel; a module without parameters, so that its cost is counted."""

    @nn.compact
    def __call__(self, pixels: Images, embeddings: Tokens) -> Images:
        """Of blocks of pixels, whose channels are the pixels' one after another: [B, h, w, side**2 queries]."""
        channels = embeddings.shape[-1]
        each = pixels.reshape(*pixels.shape[:3], -1, channels)
        likeness = jnp.einsum("bhwpc,bqc->bhwpq", each, embeddings, preferred_element_type=jnp.float32)
        return likeness.reshape(*pixels.shape[:3], -1) * channels**-0.5

    def operations(self, pixels: Images, embeddings: Tokens) -> Layer:
        """Of the product of matrices."""
        queries, channels = embeddings.shape[1:]
        return Layer(flops=2 * pixels.size * queries, reads=channels, makes=queries)


def position_code(height: int, width: int, *, channels: int) -> Float[Array, "1 places channels"]:
    """Sines and cosines of the row, then of the column, of each place; fixed, so that any size has one.

    Args:
        height: of the memory [places]
        width: of the memory [places]
        channels: a multiple of 4

    Reference:
        Vaswani et al. 2017, section 3.5, half the channels for each axis as in DETR.
    """
    waves = PERIOD ** -(np.arange(channels // 4, dtype=np.float32) / (channels // 4))

    def of_axis(size: int) -> Float[Array, "size channels"]:
        angles = jnp.arange(size, dtype=jnp.float32)[:, None] * waves[None]
        return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)

    shape = (height, width, channels // 2)
    rows, columns = of_axis(height)[:, None], of_axis(width)[None]
    code = jnp.concatenate([jnp.broadcast_to(rows, shape), jnp.broadcast_to(columns, shape)], axis=-1)
    return code.reshape(1, -1, channels)


def semantic_probability(said: Said) -> Float[Array, "batch height width 2"]:
    """Of each curve, the sum over the queries of `p(class) p(mask)`, or 1 if that is less.

    Reference:
        Cheng, Schwing, Kirillov 2021, section 3.4. They take the largest and need no bound; ours is a probability.
    """
    shares = jnp.einsum("bqk,bqhw->bhwk", nn.softmax(said.classes)[..., :NONE], nn.sigmoid(said.masks))
    return jnp.minimum(shares, 1.0)


def set_loss(said: Said, batch: Batch, *, config: LossConfig, assignment: str) -> Float[Array, ""]:
    """The class loss of the queries and the mean over the curves of their masks' losses, once each has its curve.

    The loss of a curve's masks is the config's over the valid examples that have the curve; a query that is given a
    curve which the window lacks should say none, and its mask is free.

    Args:
        said: by the queries
        batch: the truth
        config: the weights of the mask losses
        assignment: "hungarian", the cheapest by `pair_costs` in each example, or "fixed", query k to curve k
    """
    present = present_curves(batch)
    if assignment == "hungarian":
        exchanged = is_exchanged(pair_costs(jax.lax.stop_gradient(said), batch, config=config))
        said = jax.tree.map(lambda x: jnp.where(exchanged.reshape(-1, *[1] * (x.ndim - 1)), x[:, ::-1], x), said)
    of_curves = [
        mask_loss(said.masks[:, curve], batch.strokes[:, curve], present[:, curve], config=config)
        for curve in range(NUM_CURVES)
    ]
    return CLASS_WEIGHT * class_loss(said.classes, present, batch.valid) + jnp.mean(jnp.stack(of_curves))


def present_curves(batch: Batch) -> Bool[Array, "batch 2"]:
    """Which curves have ink in the image; none of an example that is not valid."""
    return jnp.any(batch.strokes, axis=(2, 3)) & batch.valid[:, None]


def class_loss(
    classes: Float[Array, "batch 2 3"], present: Bool[Array, "batch 2"], valid: Bool[Array, " batch"]
) -> Float[Array, ""]:
    """The cross-entropy of query k with curve k, or with none where it is absent, which weighs less.

    The weighted mean over the queries of the valid examples; 0 where no example is valid.
    """
    target = jnp.where(present, jnp.arange(NUM_CURVES)[None], NONE)
    weight = jnp.where(present, 1.0, NONE_WEIGHT) * valid[:, None]
    log_probability = nn.log_softmax(jnp.where(valid[:, None, None], classes, 0.0))
    missed = -jnp.sum(jax.nn.one_hot(target, NONE + 1) * log_probability, axis=-1)
    return jnp.sum(weight * missed) / jnp.maximum(jnp.sum(weight), NONE_WEIGHT)


def pair_costs(said: Said, batch: Batch, *, config: LossConfig) -> Float[Array, "batch queries 2"]:
    """What each query would cost as each curve: its mask's loss less the weighed probability of the class.

    An absent curve costs nothing.

    Reference:
        Carion et al. 2020, section 3.1: the probability, not its logarithm, to be commensurable with losses of masks.
    """

    def of_mask(logit: Float[Array, "height width"], mask: Bool[Array, "height width"]) -> Float[Array, ""]:
        return mask_loss(logit[None], mask[None], jnp.ones(1, bool), config=config)

    of_query = jax.vmap(of_mask, (None, 0))
    masks = jax.vmap(jax.vmap(of_query, (0, None)))(said.masks, batch.strokes)
    costs = masks - CLASS_WEIGHT * nn.softmax(said.classes)[..., :NONE]
    return jnp.where(present_curves(batch)[:, None], costs, 0.0)


def is_exchanged(costs: Float[Array, "batch 2 2"]) -> Bool[Array, " batch"]:
    """Whether query 1 is curve 2 and query 2 curve 1: the cheaper of the two assignments, and of equals not this."""
    return costs[:, 0, 1] + costs[:, 1, 0] < costs[:, 0, 0] + costs[:, 1, 1]


def build(config: ModelConfig, loss: LossConfig) -> Model:
    """A set prediction behind the seam of `models.model`.

    Raises:
        InputError: a norm or head that it does not have, a key that it does not read, or heads that do not divide.
    """
    check_takes(config, stem=tuple(STEMS), norm=NORMS, head=("sigmoid",), assignment=("hungarian", "fixed"))
    wide = config.features[-1]
    require(
        wide % HEADS_OF_ATTENTION == 0,
        f"model.features ends in {wide}, which does not divide by set_prediction's {HEADS_OF_ATTENTION} heads of "
        f"attention; the nearest that does is {max(round(wide / HEADS_OF_ATTENTION), 1) * HEADS_OF_ATTENTION}.",
    )
    net = SetPrediction(
        features=config.features,
        stem=config.stem,
        norm=config.norm,
        dtype=compute_dtype(config.dtype),
        remat=config.remat,
    )
    # Its probabilities are read as those of two sigmoids, for a crossing may belong to both queries.
    head = replace(
        HEADS["sigmoid"],
        loss=partial(set_loss, assignment=config.assignment),
        probability=semantic_probability,
    )
    return per_pixel_model(net, config, loss, least_px=net.stride, head=head)
