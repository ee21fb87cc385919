"""One module per architecture behind one seam; only here is flax.linen imported."""

import importlib

from veerjax.config import LossConfig, ModelConfig, choice
from veerjax.models.model import Model

MODELS = ("unet", "fcn", "veernet", "deeplab", "rowwise")


def build_model(config: ModelConfig, loss: LossConfig) -> Model:
    """The model that a config names.

    Raises:
        InputError: unknown model.
    """
    choice("model.name", config.name, MODELS)
    return importlib.import_module(f"veerjax.models.{config.name}").build(config, loss)
