"""What the channels of a network's logits mean: classes that exclude each other, or curves that may overlap."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from veerjax.config import LossConfig
from veerjax.labels import BACKGROUND, CURVE_1, CURVE_2, NUM_CLASSES, NUM_CURVES
from veerjax.losses import segmentation_loss
from veerjax.models.model import prediction_from_masks, prediction_from_probability
from veerjax.types import Batch, Prediction

Logits = Float[Array, "batch height width outputs"]
Plane = Shaped[Array, "batch height width"]
Params = dict[str, Any]
ONE_SCORE = ("unet", "veernet", "deeplab")  # models whose last dense layer alone makes the logits


@dataclass(frozen=True, kw_only=True)
class Head:
    """Three functions of what a network says or of the probabilities that it stands for."""

    outputs: int  # channels of logits
    exclusive: bool  # whether a pixel has one of them; else each by itself
    loss: Callable[..., Float[Array, ""]]  # of (logits, batch, *, config)
    probability: Callable[..., Logits]  # of logits
    prediction: Callable[[Logits], Prediction]  # of probabilities


def softmax_loss(logits: Logits, batch: Batch, *, config: LossConfig) -> Float[Array, ""]:
    """The loss of three classes on the exclusive label."""
    return segmentation_loss(logits, batch.label, batch.valid, config=config)


def sigmoid_loss(logits: Logits, batch: Batch, *, config: LossConfig) -> Float[Array, ""]:
    """The mean over the curves of the loss of two classes, ink of the curve or not, on its own strokes."""

    def of_curve(curve: int) -> Float[Array, ""]:
        return mask_loss(logits[..., curve], batch.strokes[:, curve], batch.valid, config=config)

    return jnp.mean(jnp.stack([of_curve(curve) for curve in range(NUM_CURVES)]))


def mask_loss(logit: Plane, mask: Plane, valid: Bool[Array, " batch"], *, config: LossConfig) -> Float[Array, ""]:
    """The loss of two classes, in the mask or not.

    A sigmoid is a softmax of two classes whose background logit is 0, so every loss serves it too.

    Args:
        logit: log-odds of the mask
        mask: the true one, boolean
        valid: which examples count
        config: the weights of the losses
    """
    two = jnp.stack([jnp.zeros_like(logit), logit], axis=-1)
    return segmentation_loss(two, mask.astype(jnp.uint8), valid, config=config)


def softmax_probability(logits: Logits) -> Logits:
    """Class probabilities, computed in planes as masks are: a softmax over three channels leaves a vector unit idle."""
    return jnp.moveaxis(jax.nn.softmax(jnp.moveaxis(logits, -1, 1), axis=1), 1, -1)


def sigmoid_prediction(probability: Logits) -> Prediction:
    """What two independent probabilities say; a crossing may belong to both."""
    masks = jnp.moveaxis(probability, -1, 1)
    return replace(prediction_from_masks(masks), label=overlapping_label(masks))


def overlapping_label(masks: Float[Array, "batch 2 height width"]) -> Int[Array, "batch height width"]:
    """The class ids that two independent probabilities stand for.

    A pixel's label is ink where `1 - (1 - p_1)(1 - p_2)` is above one half, sure or not whose. It is curve 1,
    which is drawn above, where that is likely or likelier than curve 2.
    """
    first, second = masks[:, 0], masks[:, 1]
    ink = (1 - first) * (1 - second) < 0.5
    owner = jnp.where((first > 0.5) | (first >= second), CURVE_1, CURVE_2)
    return jnp.where(ink, owner, BACKGROUND)


def sigmoid_from_softmax(params: Params) -> Params:
    """Parameters of a network with a sigmoid head that begins where one with a softmax head stands.

    The last dense layer's logits become the log-odds of each curve against the background, `z_k - z_0`; that is the
    logit of a sigmoid but for the other curve's share. All else is the same.
    """
    name = max((name for name in params if name.startswith("Dense_")), key=lambda name: int(name.rpartition("_")[2]))

    def odds(leaf: Array) -> Array:
        by_class = leaf.reshape(*leaf.shape[:-1], -1, NUM_CLASSES)
        return (by_class[..., 1:] - by_class[..., :1]).reshape(*leaf.shape[:-1], -1)

    return {**params, name: jax.tree.map(odds, params[name])}


HEADS = {
    "softmax": Head(
        outputs=NUM_CLASSES,
        exclusive=True,
        loss=softmax_loss,
        probability=softmax_probability,
        prediction=prediction_from_probability,
    ),
    "sigmoid": Head(
        outputs=NUM_CURVES,
        exclusive=False,
        loss=sigmoid_loss,
        probability=jax.nn.sigmoid,
        prediction=sigmoid_prediction,
    ),
}
