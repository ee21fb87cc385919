"""Configuration: frozen dataclasses with units and ranges, strict keys, JSON in and out. No JAX here."""

import dataclasses
import importlib.util
import json
import math
import re
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from veerjax.checks import choice, nearest, require
from veerjax.errors import InputError
from veerjax.model_config import CrfConfig, ModelConfig, RcnnConfig

__all__ = [
    "CheckpointConfig",
    "Config",
    "CrfConfig",
    "DataConfig",
    "DevicesConfig",
    "LossConfig",
    "ModelConfig",
    "OptimiserConfig",
    "RcnnConfig",
    "ValidationConfig",
    "choice",
    "from_dict",
    "load_config_file",
    "nearest",
    "require",
    "to_dict",
    "with_overrides",
]

T = TypeVar("T")
SHORT_NUMBER = re.compile(r"[-+]?(\d+\.\d*|\.\d+)([eE][-+]?\d+)?")  # such as .99, which JSON does not know


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where examples come from."""

    setting: str = "standard"  # drawn on the device from (seed, index), or several in turn: "a+b"; or raster_logs/NAME
    height: int = 256  # [px], at least 16
    width: int = 256  # [px], the working width of a track
    curriculum: tuple[str, ...] = ()  # "SETTING:STEPS", rendered settings to begin with, one after the other
    augment: bool = True  # vary the examples of a built dataset anew in each epoch; drawn ones are always new

    def __post_init__(self) -> None:
        for item in self.curriculum:
            name, _, steps = item.rpartition(":")
            require(
                bool(name) and steps.isdigit() and int(steps) >= 1,
                f"data.curriculum has {item!r}; write SETTING:STEPS, such as clean:500.",
            )
        for name in ("height", "width"):
            value = getattr(self, name)
            require(value >= 16, f"data.{name} is {value}; it must be at least 16 px.")


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the summed loss terms, each >= 0, and what two of them are set to."""

    cross_entropy: float = 1.0
    dice: float = 1.0
    tversky: float = 0.0
    lovasz: float = 0.0
    focal: float = 0.0
    symmetric_cross_entropy: float = 0.0
    cldice: float = 0.0
    tversky_beta: float = 0.7  # what a missed pixel costs, 0 to 1; a false one costs the rest
    focal_gamma: float = 2.0  # >= 0; 0 is the cross-entropy

    @property
    def weights(self) -> dict[str, float]:
        """Of each term, by its name."""
        return {name: value for name, value in vars(self).items() if name not in ("tversky_beta", "focal_gamma")}

    def __post_init__(self) -> None:
        weights = self.weights
        require(
            min(weights.values()) >= 0 and max(weights.values()) > 0,
            f"loss weights are {weights}; each must be >= 0 and one must be > 0.",
        )
        require(0 <= self.tversky_beta <= 1, f"loss.tversky_beta is {self.tversky_beta}; it must be from 0 to 1.")
        require(self.focal_gamma >= 0, f"loss.focal_gamma is {self.focal_gamma}; it must be >= 0.")


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """The optimiser and its schedule."""

    name: str = "adamw"  # "adamw" or "sgd"
    learning_rate: float = 2e-3  # peak, > 0
    warmup_steps: int = 100  # linear from 0
    final_fraction: float = 0.01  # of the peak, at the last step of the cosine
    weight_decay: float = 1e-4
    clip_norm: float = 1.0  # global gradient norm, > 0
    accumulate: int = 1  # portions of a batch whose gradients are averaged; more portions, less memory
    ema_decay: float = 0.999  # of the mean of the parameters, which is what is evaluated and shipped; 0 for none

    def __post_init__(self) -> None:
        choice("optimiser.name", self.name, ("adamw", "sgd"))
        require(
            self.learning_rate > 0,
            f"optimiser.learning_rate is {self.learning_rate}; it must be above 0, such as 2e-3.",
        )
        require(self.clip_norm > 0, f"optimiser.clip_norm is {self.clip_norm}; it must be above 0.")
        require(self.warmup_steps >= 0, f"optimiser.warmup_steps is {self.warmup_steps}; it must be >= 0.")
        require(
            0 <= self.final_fraction <= 1,
            f"optimiser.final_fraction is {self.final_fraction}; it must be from 0 to 1.",
        )
        require(self.weight_decay >= 0, f"optimiser.weight_decay is {self.weight_decay}; it must be >= 0.")
        require(self.accumulate >= 1, f"optimiser.accumulate is {self.accumulate}; it must be at least 1.")
        require(0 <= self.ema_decay < 1, f"optimiser.ema_decay is {self.ema_decay}; it must be from 0 to below 1.")


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """The fixed validation set watched during training."""

    examples: int = 64  # logs, drawn from the validation split
    every: int = 500  # steps between validations
    patience: int = 0  # validations without a better one after which training stops; 0: never

    def __post_init__(self) -> None:
        require(self.examples >= 1, f"validation.examples is {self.examples}; it must be at least 1.")
        require(self.every >= 1, f"validation.every is {self.every}; it must be at least 1.")
        require(self.patience >= 0, f"validation.patience is {self.patience}; it must be >= 0.")


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """When the state is saved, and how much is kept; may differ from start to start of one run."""

    every: int = 0  # steps between saves, besides the one at each validation; 0: none besides
    keep: int = 2  # newest checkpoints, besides the best

    def __post_init__(self) -> None:
        require(self.every >= 0, f"checkpoint.every is {self.every}; it must be >= 0.")
        require(self.keep >= 1, f"checkpoint.keep is {self.keep}; it must be at least 1.")


@dataclass(frozen=True, kw_only=True)
class DevicesConfig:
    """How the devices share the work; may differ from start to start of one run."""

    rows: int = 1  # devices that share the height of each image, which must be a multiple of rows x the model's stride

    def __post_init__(self) -> None:
        require(self.rows >= 1, f"devices.rows is {self.rows}; it must be at least 1.")


@dataclass(frozen=True, kw_only=True)
class Config:
    """All that a training run depends on."""

    name: str
    seed: int = 0
    steps: int = 4000
    batch: int = 8  # examples a step, over all devices
    memory: str = "given"  # or "auto": where a step does not fit, model.remat and optimiser.accumulate are raised
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    devices: DevicesConfig = field(default_factory=DevicesConfig)

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**31, f"seed is {self.seed}; it must be from 0 to {2**31 - 1}.")
        require(self.steps >= 1, f"steps is {self.steps}; it must be at least 1.")
        require(self.batch >= 1, f"batch is {self.batch}; it must be at least 1.")
        choice("memory", self.memory, ("given", "auto"))


def to_dict(config: Any) -> dict[str, Any]:
    """The config as plain JSON values."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def from_dict(kind: type[T], values: typing.Mapping[str, Any], *, prefix: str = "") -> T:
    """A config of `kind` from plain values.

    Raises:
        InputError: an unknown key (the nearest one is named), a missing one, or a value of the wrong type.
    """
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(typing.cast(Any, kind))}
    arguments = {}
    for key, value in values.items():
        if key not in fields:
            raise InputError(f"the config has no key {prefix + key!r}{nearest(key, fields)}.")
        arguments[key] = _convert(hints[key], value, prefix + key)
    for name, spec in fields.items():
        has_default = spec.default is not dataclasses.MISSING or spec.default_factory is not dataclasses.MISSING
        require(has_default or name in arguments, f"the config needs the key {prefix + name!r}.")
    return kind(**arguments)


def _convert(hint: Any, value: Any, key: str) -> Any:
    if dataclasses.is_dataclass(hint):
        require(isinstance(value, dict), f"{key} is {value!r}; it must be a group of keys.")
        return from_dict(typing.cast(type, hint), value, prefix=f"{key}.")
    if typing.get_origin(hint) is tuple:
        require(isinstance(value, (list, tuple)), f"{key} is {value!r}; it must be a list, such as [16,32].")
        return tuple(_convert(typing.get_args(hint)[0], item, key) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    plain = hint if not isinstance(hint, types.UnionType) else typing.get_args(hint)
    matches = isinstance(value, plain) and (hint is bool or not isinstance(value, bool))
    require(matches, f"{key} is {value!r}; it must be of type {getattr(hint, '__name__', hint)}.")
    require(not isinstance(value, float) or math.isfinite(value), f"{key} is {value}; it must be finite.")
    return value


def with_overrides(config: Config, overrides: typing.Sequence[str]) -> Config:
    """The config after `--set a.b=c` items, checked like any other.

    Raises:
        InputError: an item without `=`, an unknown key, or a value of the wrong type.
    """
    values = to_dict(config)
    for item in overrides:
        path, equals, text = item.partition("=")
        require(
            bool(equals),
            f"--set was given {item!r}; write it as key=value, such as optimiser.learning_rate=1e-3.",
        )
        group = values
        *parents, leaf = path.split(".")
        for depth, parent in enumerate(parents):
            known = isinstance(group.get(parent), dict)
            require(known, f"the config has no group {'.'.join(parents[: depth + 1])!r}{nearest(parent, group)}.")
            group = group[parent]
        require(leaf in group, f"the config has no key {path!r}{nearest(leaf, group)}.")
        group[leaf] = value_of(text)
    return from_dict(Config, values)


def value_of(text: str) -> Any:
    """What a value on the command line means: JSON; a number as Python writes it, such as .99; or else text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return float(text) if SHORT_NUMBER.fullmatch(text) else text


def load_config_file(path: str | Path) -> Config:
    """The result of `get_config()` in a Python file, or a config JSON as written beside checkpoints.

    Raises:
        InputError: the file is missing, is no config, or has a mistyped key.
    """
    path = Path(path)
    require(path.is_file(), f"there is no config file {str(path)!r}; give one such as configs/unet.py.")
    if path.suffix == ".json":
        try:
            values = json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise InputError(f"{path} is not valid JSON ({error}).") from error
        return from_dict(Config, values)
    spec = importlib.util.spec_from_file_location("veerjax_user_config", path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is neither a .py nor a .json file; give one such as configs/unet.py.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        config = module.get_config()
    except InputError:
        raise
    except TypeError as error:
        raise InputError(f"the config {path} is wrong: {_mistyped(str(error))}.") from error
    except (AttributeError, SyntaxError, NameError, ImportError) as error:
        raise InputError(f"the config {path} cannot be read: {error}.") from error
    require(isinstance(config, Config), f"get_config() in {path} must return a veerjax.config.Config.")
    return config


def _mistyped(message: str) -> str:
    """The dataclass's own complaint about a keyword, with the nearest name."""
    word = message.rpartition("argument ")[2].strip("'\"")
    for group in [kind for kind in globals().values() if isinstance(kind, type) and dataclasses.is_dataclass(kind)]:
        if message.startswith(f"{group.__name__}."):
            return message + nearest(word, [f.name for f in dataclasses.fields(group)])
    return message
