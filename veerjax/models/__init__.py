"""One module per architecture behind one seam; only here is flax.linen imported.

An architecture is a module with `build(config, loss) -> Model`: one of this folder by its name, or one of your own by
the name that Python imports it by, such as `mynets.tiny`.
"""

import importlib
import pkgutil
from types import ModuleType

from veerjax.config import LossConfig, ModelConfig, choice, require
from veerjax.errors import InputError
from veerjax.models.model import Model


def build_model(config: ModelConfig, loss: LossConfig) -> Model:
    """The model that a config names.

    Raises:
        InputError: an architecture that is not there, or a key that it does not have.
    """
    return architecture(config.name).build(config, loss)


def architecture(name: str) -> ModuleType:
    """The module of that name."""
    if "." not in name:
        choice("model.name", name, architectures())
        return importlib.import_module(f"{__name__}.{name}")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):
            raise  # it is there, and what it imports is not
        raise InputError(
            f"model.name is {name!r}, which Python does not find; put the folder that holds {name.partition('.')[0]} "
            f"on PYTHONPATH, or write one of {', '.join(architectures())}."
        ) from error
    require(hasattr(module, "build"), f"model.name is {name!r}, which has no build(config, loss); write one.")
    return module


def architectures() -> tuple[str, ...]:
    """The names of those that veerjax has."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    return tuple(module.__name__.rpartition(".")[2] for module in modules if hasattr(module, "build"))
