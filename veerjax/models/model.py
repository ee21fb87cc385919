"""The seam that every architecture goes through: three pure functions over a dictionary of variables."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from veerjax.models.cost import Cost
from veerjax.types import Batch, Prediction

Variables = dict[str, Any]  # "params", and where the model has running statistics "batch_stats"
FLOOR = 1e-7  # keeps logarithms of probabilities finite


@dataclass(frozen=True, kw_only=True)
class Model:
    """`init(key)`, `loss(variables, batch, key)` -> (loss, new non-trained variables), `predict(variables, batch)`."""

    init: Callable[[PRNGKeyArray], Variables]
    loss: Callable[[Variables, Batch, PRNGKeyArray], tuple[Float[Array, ""], Variables]]
    predict: Callable[[Variables, Batch], Prediction]
    cost: Callable[[tuple[int, int, int, int]], Cost]  # of one forward pass over images of that shape
    stride: int  # [px] windows should start at multiples of this
    least_px: int = 1  # a side of its training images: of shorter ones, a part of it would see padding alone
    least_by: str = "model.features"  # the key of the config that makes it so
    training_cost: Callable[[tuple[int, int, int, int]], Cost] | None = None  # of a pass within the loss, if another


def prediction_from_logits(logits: Float[Array, "batch height width 3"]) -> Prediction:
    """What a three-class softmax says."""
    return prediction_from_probability(jax.nn.softmax(logits.astype(jnp.float32), axis=-1))


def prediction_from_probability(probability: Float[Array, "batch height width 3"]) -> Prediction:
    """What class probabilities say."""
    masks = jnp.moveaxis(probability[..., 1:], -1, 1)
    return replace(prediction_from_masks(masks), label=jnp.argmax(probability, axis=-1))


def prediction_from_masks(masks: Float[Array, "batch 2 height width"]) -> Prediction:
    """What the probabilities of ink say: a curve is in a row as surely as its likeliest pixel is its ink."""
    evidence = jnp.log(masks + FLOOR)
    return Prediction(masks=masks, row_log_prob=jax.nn.log_softmax(evidence, axis=-1), presence=jnp.max(masks, axis=-1))
