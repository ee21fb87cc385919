"""What every network that labels pixels shares behind the seam: heads, the mirror, the CRF, dropout, cost, refusals."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Protocol, cast

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from veerjax.config import LossConfig, ModelConfig, RcnnConfig, nearest, require
from veerjax.models.blocks import Images
from veerjax.models.cost import Cost, forward_cost
from veerjax.models.crf import refined
from veerjax.models.heads import HEADS, Head
from veerjax.models.model import Model, Variables
from veerjax.types import Batch, Prediction, with_channels

# What an architecture takes of a key that it does not name: either head, and of the others what says nothing.
UNNAMED: dict[str, Sequence[Any]] = {
    "head": tuple(HEADS),
    "stem": ("full",),
    "padding": ("same",),
    "output_stride": (0,),
    "rates": ((),),
    "assignment": ("hungarian",),
    "dropout": (0.0,),
    "rcnn": (RcnnConfig(),),
}


class Network(Protocol):
    """A Flax module whose `__call__(image, train=...)` gives the logits of every pixel."""

    @property
    def stride(self) -> int:
        """[px] what sizes are padded to a multiple of"""
        ...


def per_pixel_model(
    net: Network,
    config: ModelConfig,
    loss: LossConfig,
    *,
    least_px: int = 1,
    least_by: str = "model.features",
    head: Head | None = None,
) -> Model:
    """A network behind the seam of `models.model`; its cost is without that of the mirror and of the CRF.

    Args:
        net: whose `__call__` gives logits
        config: of the model
        loss: and its weights
        least_px: a side of the images that it is trained on
        least_by: the key of the config that makes it so
        head: what reads the logits; that of the config by default
    """
    head, module = head or HEADS[config.head], cast(nn.Module, net)

    def init(key: PRNGKeyArray) -> Variables:
        return dict(module.init(key, jnp.zeros((1, net.stride, net.stride, config.channels)), train=False))

    def batch_loss(variables: Variables, batch: Batch, key: PRNGKeyArray) -> tuple[Float[Array, ""], Variables]:
        image = with_channels(batch.image, config.channels)
        rngs = {"dropout": key} if config.dropout else None
        logits, changed = module.apply(variables, image, train=True, mutable=["batch_stats"], rngs=rngs)
        return head.loss(logits, batch, config=loss), dict(changed)

    def probability_of(variables: Variables, image: Images) -> Float[Array, "batch height width outputs"]:
        return head.probability(module.apply(variables, image, train=False))

    def predict(variables: Variables, batch: Batch) -> Prediction:
        image = with_channels(batch.image, config.channels)
        probability = probability_of(variables, image)
        if config.mirror:
            # A track read in a mirror is a track: the renderer draws both alike.
            mirrored = probability_of(variables, image[:, :, ::-1])[:, :, ::-1]
            probability = (probability + mirrored) / 2
        return head.prediction(refined(probability, image, config.crf, exclusive=head.exclusive))

    def cost(image: tuple[int, int, int, int]) -> Cost:
        return forward_cost(module, image, train=False)

    return Model(
        init=init,
        loss=batch_loss,
        predict=predict,
        cost=cost,
        stride=net.stride,
        least_px=least_px,
        least_by=least_by,
    )


def check_takes(config: ModelConfig, **allowed: Sequence[Any]) -> None:
    """Refuses what an architecture does not have, so that no key of a config is passed over in silence.

    Args:
        config: of the model
        **allowed: the values that it takes of a key; of one that is not named, those of `UNNAMED`

    Raises:
        InputError: another value.
    """
    for key, takes in {**UNNAMED, **allowed}.items():
        given = getattr(config, key)
        if is_dataclass(given):
            for inner in fields(given):
                taken = [getattr(group, inner.name) for group in takes]
                _check(config.name, f"{key}.{inner.name}", getattr(given, inner.name), taken)
        else:
            _check(config.name, key, given, takes)


def check_labels_no_pixels(config: ModelConfig, loss: LossConfig) -> None:
    """Refuses the CRF and the losses on pixels, for an architecture that has neither.

    Raises:
        InputError: a CRF, or another weight of a loss than its default.
    """
    require(
        config.crf.iterations == 0,
        f"model.crf.iterations is {config.crf.iterations}, and {config.name}, which labels no pixels, has no CRF; "
        "write 0.",
    )
    defaults = vars(LossConfig())
    for key, value in vars(loss).items():
        require(
            value == defaults[key],
            f"loss.{key} is {value}, and {config.name}, which labels no pixels, reads no loss.*; write "
            f"{defaults[key]}.",
        )


def _check(name: str, key: str, value: Any, takes: Sequence[Any]) -> None:
    values = [str(item) for item in takes]
    close = nearest(value, values) if isinstance(value, str) else ""
    require(
        value in takes,
        f"model.{key} is {value!r}, which {name} does not have; write {'one of ' * (len(takes) > 1)}"
        f"{', '.join(values)}{close}.",
    )
