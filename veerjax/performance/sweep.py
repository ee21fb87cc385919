"""One key of a config over several values: how the cost grows."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from veerjax.config import Config, nearest, require, to_dict, with_overrides
from veerjax.errors import InputError

KEYS = {
    "batch": ("batch",),
    "size": ("data.height", "data.width"),
    "rows": ("data.height",),
    "precision": ("model.dtype",),
    "model": ("model.name",),
}
FEATURES, DEVICES = "features", "devices"  # a factor on every channel width; how many of the devices here
NAMES = (*KEYS, FEATURES, DEVICES)


def parsed(text: str) -> tuple[str, list[Any]]:
    """The key and the values of `key=a,b,c`.

    Raises:
        InputError: no `=`, fewer than two values, or an unknown key.
    """
    key, _, values = text.partition("=")
    listed = [_plain(value) for value in values.split(",") if value]
    require(len(listed) >= 2, f"--sweep was given {text!r}; write it as key=value,value, such as batch=4,8,16.")
    paths = scalar_paths(to_dict(Config(name="")))
    known = (*NAMES, *paths)
    if key not in known:
        raise InputError(f"--sweep does not know {key!r}; write one of {', '.join(NAMES)}{nearest(key, known)}.")
    return key, listed


def scalar_paths(values: dict[str, Any], *, prefix: str = "") -> list[str]:
    """The dotted keys of a config that hold one value each."""
    found = []
    for key, value in values.items():
        if isinstance(value, dict):
            found += scalar_paths(value, prefix=f"{prefix}{key}.")
        elif not isinstance(value, list):
            found.append(prefix + key)
    return found


def swept(config: Config, key: str, value: Any) -> Config:
    """The config with a key of `NAMES`, or any dotted key, set to a value; devices are no part of a config.

    Raises:
        InputError: a value that the key does not take.
    """
    if key == DEVICES:
        require(isinstance(value, int) and value >= 1, f"--sweep devices was given {value!r}; give whole numbers.")
        return config
    if key == FEATURES:
        require(isinstance(value, (int, float)) and value > 0, f"--sweep features was given {value!r}; give factors.")
        widths = tuple(max(round(width * value), 1) for width in config.model.features)
        return replace(config, model=replace(config.model, features=widths))
    return with_overrides(config, [f"{path}={json.dumps(value)}" for path in KEYS.get(key, (key,))])


def growth(cost: Sequence[float], seconds: Sequence[float]) -> float | None:
    """The exponent p of `seconds ~ cost**p`, by least squares on logarithms; 1 is linear, None with one cost."""
    if len(set(cost)) < 2:
        return None
    return float(np.polyfit(np.log(cost), np.log(seconds), 1)[0])


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
