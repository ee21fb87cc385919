"""A row-wise head on the U-Net: where in each row a curve is, how far its ink reaches there, and whether it is there.

The trunk is the U-Net of `models.unet` as it is. Its last layer makes four maps a curve: a score, whose softmax over
the columns of a row is the curve's distribution; the log-odds that the curve is there; and how far the ink goes on to
the left and to the right. A row's odds of presence are the sum of its pixels' odds. Its position and the reach of its
ink are read where the curve is: as means over the columns around the likeliest one, weighed by the distribution there.

Reference:
    Qin, Wang, Li 2020, "Ultra Fast Structure-aware Deep Lane Detection": a softmax over places in each row, and the
    expectation of it. Unlike theirs: every row and every column of the image, where they have few anchors and coarse
    cells; a target spread over columns; presence as a probability of its own, where they have one more cell; scores of
    a U-Net, where their dense layer sees the whole image at a fixed size; no term for structure, as kicks are no lanes.
    Sun, Xiao, Wei, Liang, Wei 2018, "Integral Human Pose Regression": the expectation as the position, differentiable.
    Unlike theirs: over a window, so that a second mode in the row does not draw it aside.
    Pinheiro, Collobert 2015, "From Image-level to Pixel-level Labeling with Convolutional Networks": odds of
    a whole pooled from those of its places by log-sum-exp. Unlike theirs: a sum, not a mean.
    The reach of the ink is our own: in a row of a kick that runs nearly horizontal it is wider than any pen.
"""

from dataclasses import dataclass
from typing import cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from veerjax.config import LossConfig, ModelConfig
from veerjax.labels import NUM_CURVES
from veerjax.models.blocks import STEMS, Images, compute_dtype
from veerjax.models.cost import Cost, forward_cost
from veerjax.models.heads import overlapping_label
from veerjax.models.model import Model, Variables
from veerjax.models.per_pixel import check_labels_no_pixels, check_takes
from veerjax.models.unet import NORMS, PADDINGS, UNet
from veerjax.tracing.refine import run_through
from veerjax.types import Batch, Prediction, with_channels

KINDS = 4  # of maps: score, presence, reach to the left, reach to the right
SPREAD_PX = 1.0  # standard deviation of the target around the true centreline
WINDOW_PX = 3  # to each side of the likeliest column

Maps = Float[Array, "batch height width outputs"]  # one channel for each kind and, within it, each curve
Planes = Float[Array, "batch curves height width"]
OfRows = Float[Array, "batch curves height"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Rows:
    """What the maps say of each row and curve."""

    log_prob: Planes  # log of the distribution over columns
    x: OfRows  # [px] its expectation over the window
    presence: OfRows  # log-odds
    left: OfRows  # [px] from x to the left end of the ink, >= 0
    right: OfRows  # [px] from x to its right end, >= 0


def rows_of(maps: Maps) -> Rows:
    """The rows that maps stand for.

    The reach is read at the curve but does not move it: no gradient goes from the one to the other.
    """
    score, presence, left, right = jnp.moveaxis(maps.reshape(*maps.shape[:3], KINDS, -1), (3, 4), (0, 2))
    column = centres(score)
    near = jnp.abs(column - 0.5 - jnp.argmax(score, axis=-1, keepdims=True)) <= WINDOW_PX
    weight = nn.softmax(jnp.where(near, score, -jnp.inf), axis=-1)

    def read(plane: Planes) -> OfRows:
        return jnp.sum(jax.lax.stop_gradient(weight) * plane, axis=-1)

    return Rows(
        log_prob=nn.log_softmax(score, axis=-1),
        x=jnp.sum(weight * column, axis=-1),
        presence=jax.nn.logsumexp(presence, axis=-1),
        left=nn.softplus(read(left)),
        right=nn.softplus(read(right)),
    )


def centres(planes: Planes) -> Float[Array, "1 1 1 width"]:
    """Of the columns [px]."""
    return (jnp.arange(planes.shape[-1]) + 0.5)[None, None, None]


def rowwise_loss(maps: Maps, batch: Batch) -> Float[Array, ""]:
    """The sum of five means, of equal weight.

    Over the rows of valid examples in which a curve is present: the cross-entropy [nats] to a Gaussian of `SPREAD_PX`
    around its centreline, normalised over the columns; and the smooth L1 distance (quadratic below 1 px) of the
    position, of the reach to the left and of that to the right. Over all rows of valid examples: the binary
    cross-entropy of presence [nats]. A mean over no rows is 0. The reach of the truth is that of the run of its
    stroke's pixels around the centreline, which holds one pixel at least.

    Args:
        maps: of the images
        batch: with strokes, centreline and presence
    """
    counted = jnp.broadcast_to(batch.valid[:, None, None], batch.presence.shape)
    there = counted & batch.presence
    # Replaced, not multiplied by zero: 0 * NaN would carry a padded example into the loss and the gradient.
    rows = rows_of(jnp.where(batch.valid[:, None, None, None], maps.astype(jnp.float32), 0.0))
    x = jnp.where(there, batch.centreline, 0.5)
    first, last = ink_around(x, batch.strokes)
    return loss_of_rows(rows, (x, x - first, last - x), batch.presence, there=there, counted=counted)


def loss_of_rows(
    rows: Rows,
    lengths: tuple[OfRows, OfRows, OfRows],
    presence: Bool[Array, "batch curves height"],
    *,
    there: Bool[Array, "batch curves height"],
    counted: Bool[Array, "batch curves height"],
) -> Float[Array, ""]:
    """The five means of `rowwise_loss`.

    Args:
        rows: found
        lengths: true x, and reach to the left and to the right [px]
        presence: true
        there: rows whose place counts
        counted: rows whose presence counts
    """
    x = lengths[0]
    target = nn.softmax(gaussian(x, width=rows.log_prob.shape[-1]), axis=-1)

    def mean(values: OfRows, over: Bool[Array, "batch curves height"]) -> Float[Array, ""]:
        return jnp.sum(jnp.where(over, values, 0.0)) / jnp.maximum(jnp.sum(over), 1)

    pairs = zip((rows.x, rows.left, rows.right), lengths, strict=True)
    return (
        mean(-jnp.sum(target * rows.log_prob, axis=-1), there)
        + sum(mean(optax.losses.huber_loss(found, true), there) for found, true in pairs)
        + mean(optax.losses.sigmoid_binary_cross_entropy(rows.presence, presence), counted)
    )


def gaussian(x: OfRows, *, width: int) -> Planes:
    """Over the columns, the logarithm of what is proportional to a normal distribution of `SPREAD_PX` around x."""
    column = (jnp.arange(width) + 0.5)[None, None, None]
    return -0.5 * ((column - x[..., None]) / SPREAD_PX) ** 2


def ink_around(x: OfRows, strokes: Bool[Array, "batch curves height width"]) -> tuple[OfRows, OfRows]:
    """Where the run of ink around x begins and ends [px]; at least the pixel that x is in."""
    centre = jnp.clip(jnp.floor(x), 0, strokes.shape[-1] - 1).astype(jnp.int32)
    first, last = jax.vmap(jax.vmap(run_through))(centre, strokes)
    return first.astype(x.dtype), last + 1.0


def prediction_of(rows: Rows) -> Prediction:
    """What rows say, for tracing.

    A pixel's mask is `p m c`: p is the probability of presence; m the mass of the distribution between the ends of the
    ink and `WINDOW_PX` beyond them, which is 1 for a row that is sure of its place; and c how much of the pixel lies
    between the ends, from 0 to 1, in a stroke of 1 px or more. So the mask falls to half of its height at the ends.
    Above and below a curve's ends there is no ink, where the pen would leave half a stroke.
    """
    column = centres(rows.log_prob)
    presence = nn.sigmoid(rows.presence)
    within = jnp.minimum(column - (rows.x - rows.left)[..., None], (rows.x + rows.right)[..., None] - column)
    mass = jnp.sum(jnp.where(within >= -WINDOW_PX, jnp.exp(rows.log_prob), 0.0), axis=-1)
    # Rounding may leave the mass of a sure row above 1.
    masks = jnp.minimum(presence * mass, 1.0)[..., None] * jnp.clip(within + 0.5, 0, 1)
    return Prediction(masks=masks, row_log_prob=rows.log_prob, presence=presence, label=overlapping_label(masks))


def mirrored(maps: Maps) -> Maps:
    """The maps of the mirror image, left for right."""
    score, presence, left, right = jnp.split(maps[:, :, ::-1], KINDS, axis=-1)
    return jnp.concatenate([score, presence, right, left], axis=-1)


def build(config: ModelConfig, loss: LossConfig) -> Model:
    """A U-Net with a row-wise head behind the seam of `models.model`.

    Its curves may overlap, as those of `model.head="sigmoid"` do, and its loss is always `rowwise_loss`.

    Raises:
        InputError: a norm or head that it does not have, a key that it does not read, or a weight of a loss.
    """
    check_takes(config, head=("sigmoid",), stem=tuple(STEMS), norm=NORMS, padding=PADDINGS)
    check_labels_no_pixels(config, loss)
    net = UNet(
        features=config.features,
        stem=config.stem,
        norm=config.norm,
        dtype=compute_dtype(config.dtype),
        outputs=KINDS * NUM_CURVES,
        remat=config.remat,
        padding=config.padding,
    )

    def init(key: PRNGKeyArray) -> Variables:
        return dict(net.init(key, jnp.zeros((1, net.stride, net.stride, config.channels)), train=False))

    def batch_loss(variables: Variables, batch: Batch, key: PRNGKeyArray) -> tuple[Float[Array, ""], Variables]:
        image = with_channels(batch.image, config.channels)
        maps, changed = net.apply(variables, image, train=True, mutable=["batch_stats"])
        return rowwise_loss(maps, batch), dict(changed)

    def maps_of(variables: Variables, image: Images) -> Maps:
        return cast(Array, net.apply(variables, image, train=False))

    def predict(variables: Variables, batch: Batch) -> Prediction:
        image = with_channels(batch.image, config.channels)
        maps = maps_of(variables, image)
        if config.mirror:
            maps = (maps + mirrored(maps_of(variables, image[:, :, ::-1]))) / 2
        return prediction_of(rows_of(maps))

    def cost(image: tuple[int, int, int, int]) -> Cost:
        return forward_cost(net, image, train=False)

    return Model(init=init, loss=batch_loss, predict=predict, cost=cost, stride=net.stride, least_px=net.stride)
