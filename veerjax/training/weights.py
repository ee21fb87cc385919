"""Weights by name: `release`, or `WORKDIR[@best|last|STEP]`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from etils import epath

from veerjax.config import Config, require, with_overrides
from veerjax.models import build_model
from veerjax.models.model import Model, Variables
from veerjax.training.checkpoint import checkpoint_folder, restore_variables
from veerjax.training.workdir import load_config

RELEASE = "release"
DETECTIONS = ("mask_threshold", "suppression", "suppression_iou", "detections", "least_score", "oracle")
# Keys that change how weights are read, not what they are, and groups of such keys.
FREE = ("model.mirror", "model.crf.*", *(f"model.rcnn.{key}" for key in DETECTIONS))


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A trained model: what it was trained as, its functions, and its variables in float32."""

    name: str
    config: Config
    model: Model
    variables: Variables


def release_folder() -> Path:
    """Where the shipped weights lie inside the package."""
    return Path(__file__).resolve().parents[1] / RELEASE


def load_weights(name: str) -> Weights:
    """The weights that a name stands for.

    Args:
        name: `release`, or the work directory of a training, with `@best` (the default), `@last` or `@STEP` behind it

    Raises:
        InputError: no such work directory or checkpoint.
    """
    config, tree = locate(name)
    model = build_model(config.model, config.loss)
    return Weights(name=name, config=config, model=model, variables=restore_variables(tree))


def read_with(weights: Weights, overrides: Sequence[str]) -> Weights:
    """The same weights in a model that predicts with other values of the keys `FREE`.

    Args:
        weights: with the config that they were trained with
        overrides: items of `--set`

    Raises:
        InputError: another key, or what `with_overrides` refuses.
    """
    for item in overrides:
        key = item.partition("=")[0]
        require(
            any(fnmatchcase(key, free) for free in FREE),
            f"--set was given {item!r}, but weights stay what they were trained as; set {', '.join(FREE)} alone, such "
            "as model.crf.iterations=5.",
        )
    if not overrides:
        return weights
    config = with_overrides(weights.config, overrides)
    return replace(weights, config=config, model=build_model(config.model, config.loss))


def locate(name: str) -> tuple[Config, epath.Path]:
    """The config of the weights that a name stands for, and where their arrays lie.

    Raises:
        InputError: as `load_weights`.
    """
    if name == RELEASE:
        return load_config(release_folder()), epath.Path(release_folder() / "weights")
    workdir, which = epath.Path(name), ""
    if "@" in name and not workdir.is_dir():
        path, _, which = name.rpartition("@")
        workdir = epath.Path(path)
    require(
        workdir.is_dir(),
        f"there are no weights {name!r}; write release, or the --workdir of a training, such as runs/unet@best.",
    )
    return load_config(workdir), checkpoint_folder(workdir, which or "best")
