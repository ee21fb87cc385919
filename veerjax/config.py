"""Configuration: frozen dataclasses with units and ranges, strict keys, JSON in and out. No JAX here."""

import dataclasses
import difflib
import importlib.util
import json
import math
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from veerjax.errors import InputError

T = TypeVar("T")


def require(condition: bool, sentence: str) -> None:
    """Raises `InputError(sentence)` unless the condition holds."""
    if not condition:
        raise InputError(sentence)


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
class CrfConfig:
    """The fully connected CRF behind a prediction: by default none, and kernels of the sizes that DeepLab searched."""

    iterations: int = 0  # of the mean field; 0: no CRF
    appearance_weight: float = 5.0  # [nats] for a label that all near pixels of like grey have, >= 0
    appearance_px: float = 50.0  # bandwidth over places, at least 0.5
    appearance_grey: float = 0.04  # bandwidth over grey levels 0 to 1, 0.004 to 1
    smoothness_weight: float = 3.0  # [nats] for a label that all near pixels have, >= 0
    smoothness_px: float = 3.0  # bandwidth over places, at least 0.5

    def __post_init__(self) -> None:
        for name, least in (("iterations", 0), ("appearance_weight", 0), ("smoothness_weight", 0)):
            require(getattr(self, name) >= least, f"model.crf.{name} is {getattr(self, name)}; it must be >= {least}.")
        for name in ("appearance_px", "smoothness_px"):
            require(getattr(self, name) >= 0.5, f"model.crf.{name} is {getattr(self, name)}; it must be at least 0.5.")
        grey = self.appearance_grey
        require(0.004 <= grey <= 1, f"model.crf.appearance_grey is {grey}; it must be from 0.004 to 1.")


@dataclass(frozen=True, kw_only=True)
class RcnnConfig:
    """What mask_rcnn and faster_rcnn propose and keep; of other networks nothing."""

    categories: int = 2  # of objects: each curve its own, or 1: "curve"
    anchor_scales: tuple[float, ...] = (8.0,)  # root of an anchor's area [strides of its level], each > 0
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)  # its height over its width, each > 0
    proposals: int = 64  # boxes an image that the box head judges
    samples: int = 64  # anchors, and then proposals, an image that a training step learns from; at most `proposals`
    detections: int = 8  # that are kept of an image, at least 2
    least_score: float = 0.05  # of a detection, 0 to below 1
    suppression: str = "nms"  # of detections that overlap: "nms", "soft" or "off"
    suppression_iou: float = 0.5  # above which nms drops one, 0 to 1
    head: str = "mask"  # of a box: a "mask", or "rows": where the curve is in each row of the grid
    mask_grid: tuple[int, ...] = (28, 28)  # [cells] rows and columns of a box's mask or rows, both even
    mask_threshold: float = 0.5  # above which a cell is ink, above 0 to below 1
    oracle: str = "none"  # of a prediction: true "boxes", true "masks" in the boxes found, or "both"

    def __post_init__(self) -> None:
        require(self.categories in (1, 2), f"model.rcnn.categories is {self.categories}; write 1 or 2.")
        for name in ("anchor_scales", "anchor_ratios"):
            values = getattr(self, name)
            require(
                len(values) >= 1 and min(values) > 0,
                f"model.rcnn.{name} is {values}; it needs at least one number, each above 0.",
            )
        for name, least in (("proposals", 2), ("samples", 4), ("detections", 2)):
            require(getattr(self, name) >= least, f"model.rcnn.{name} is {getattr(self, name)}; it must be >= {least}.")
        require(
            self.samples <= self.proposals,
            f"model.rcnn.samples is {self.samples}, and there are {self.proposals} model.rcnn.proposals to draw them "
            "from; write fewer samples or more proposals.",
        )
        require(
            0 <= self.least_score < 1, f"model.rcnn.least_score is {self.least_score}; it must be from 0 to below 1."
        )
        choice("model.rcnn.head", self.head, ("mask", "rows"))
        choice("model.rcnn.suppression", self.suppression, ("nms", "soft", "off"))
        require(
            0 <= self.suppression_iou <= 1,
            f"model.rcnn.suppression_iou is {self.suppression_iou}; it must be from 0 to 1.",
        )
        require(
            len(self.mask_grid) == 2 and all(side >= 2 and side % 2 == 0 for side in self.mask_grid),
            f"model.rcnn.mask_grid is {self.mask_grid}; it needs two even numbers, rows and columns, such as [28,28].",
        )
        require(
            0 < self.mask_threshold < 1,
            f"model.rcnn.mask_threshold is {self.mask_threshold}; it must be above 0 and below 1.",
        )
        choice("model.rcnn.oracle", self.oracle, ("none", "boxes", "masks", "both"))
        require(
            self.head == "mask" or self.oracle in ("none", "boxes"),
            f"model.rcnn.oracle is {self.oracle!r}, and the head 'rows' has no masks to take from the truth; write "
            "none or boxes.",
        )


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Which network, and its size."""

    name: str = "unet"
    features: tuple[int, ...] = (16, 32, 64, 96, 128)  # channel widths, finest level first; multiples of 16 are fast
    stem: str = "space_to_depth"  # "full", or blocks of 2 or 4 px a side as channels: also "space_to_depth_4"
    head: str = (
        "softmax"  # "softmax" over three classes, or "sigmoid": each curve by itself, so that both own a crossing
    )
    norm: str = "batch"  # "batch" (running statistics), "pixel" (over channels only), "group" or "none"
    padding: str = "same"  # of unet's convolutions: "same", or "valid" as published: the image is mirrored, no zeros
    output_stride: int = 0  # [px] of the scores of fcn (8, 16, 32) and deeplab (4, 8, 16); 0: the architecture's own
    rates: tuple[int, ...] = ()  # [places] between the taps of deeplab's pyramid, each >= 1; none: as published
    assignment: str = "hungarian"  # of set_prediction's queries to curves: the cheapest, or "fixed": query k is curve k
    dropout: float = 0.0  # share of the wide layers' outputs of fcn that a training step leaves out, 0 to below 1
    channels: int = 1  # of the images that it reads: 1 grey, or 3 red, green and blue
    mirror: bool = False  # predict from the left-right mirror image too and average; twice the time
    crf: CrfConfig = field(default_factory=CrfConfig)  # that a prediction passes through; training does not
    rcnn: RcnnConfig = field(default_factory=RcnnConfig)  # of mask_rcnn and faster_rcnn
    dtype: str = "auto"  # of the computation: "float32", "bfloat16", or "auto": bfloat16 on accelerators
    remat: bool = False  # in training, compute each block a second time for the gradient instead of keeping it

    def __post_init__(self) -> None:
        require(
            len(self.features) >= 1 and all(width > 0 for width in self.features),
            f"model.features is {self.features}; it needs at least one positive channel width.",
        )
        require(self.channels in (1, 3), f"model.channels is {self.channels}; write 1 for grey or 3 for RGB.")
        choice("model.head", self.head, ("softmax", "sigmoid"))
        choice("model.stem", self.stem, ("full", "space_to_depth", "space_to_depth_4"))
        choice("model.norm", self.norm, ("batch", "pixel", "group", "none"))
        choice("model.padding", self.padding, ("same", "valid"))
        choice("model.assignment", self.assignment, ("hungarian", "fixed"))
        require(min(self.rates, default=1) >= 1, f"model.rates is {self.rates}; each must be at least 1.")
        require(0 <= self.dropout < 1, f"model.dropout is {self.dropout}; it must be from 0 to below 1.")
        choice("model.dtype", self.dtype, ("auto", "float32", "bfloat16"))


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


def choice(key: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raises `InputError` naming the nearest allowed value unless `value` is one of them."""
    if value not in allowed:
        raise InputError(f"{key} is {value!r}; write one of {', '.join(allowed)}{nearest(value, allowed)}.")


def nearest(name: str, allowed: typing.Iterable[str]) -> str:
    """` (did you mean X?)` for the closest allowed name, or nothing."""
    close = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.4)
    return f" (did you mean {close[0]!r}?)" if close else ""


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
        try:
            group[leaf] = json.loads(text)
        except json.JSONDecodeError:
            group[leaf] = text
    return from_dict(Config, values)


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
