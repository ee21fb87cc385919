"""The config beside the checkpoints: which run a work directory belongs to."""

import json
from collections.abc import Mapping
from os import PathLike
from typing import Any

from etils import epath

from veerjax.config import Config, from_dict, require, to_dict
from veerjax.errors import InputError
from veerjax.training.whole import write_whole

CONFIG_FILE = "config.json"
FREE = ("checkpoint", "devices")  # the groups of keys that may differ from start to start of one run


def adopt_workdir(workdir: str | PathLike[str], config: Config) -> None:
    """Makes the work directory this config's, or checks that it already is.

    Keys of `checkpoint` and `devices` may differ. Keys that an older edition did not know have their defaults.

    Raises:
        InputError: the directory belongs to another config (the differing keys are named), is a file or may not be
            written in; or its config is no group of keys.
    """
    workdir = epath.Path(workdir)
    require(not workdir.is_file(), f"the work directory {str(workdir)!r} is a file; give a folder.")
    if not (workdir / CONFIG_FILE).exists():
        try:
            workdir.mkdir(parents=True, exist_ok=True)
            write_config(workdir, config)
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(
                f"the work directory {str(workdir)!r} cannot be written in ({reason}); give another --workdir."
            ) from error
        return
    check_config(workdir, config)


def check_config(workdir: str | PathLike[str], config: Config) -> None:
    """Refuses a work directory of another config; keys of `checkpoint` and `devices` may differ.

    Raises:
        InputError: the differing keys are named.
    """
    differing = differences(_decisive(load_config(workdir)), _decisive(config))
    require(
        not differing,
        f"the work directory {str(workdir)!r} was made with another config ({'; '.join(differing)}); "
        f"give that config, or another --workdir, with --init-from {workdir} to go on from its weights.",
    )


def _decisive(config: Config) -> dict[str, Any]:
    return {key: value for key, value in to_dict(config).items() if key not in FREE}


def write_config(folder: str | PathLike[str], config: Config) -> None:
    """Writes the resolved config beside checkpoints, whole or not at all."""
    write_whole(epath.Path(folder) / CONFIG_FILE, (json.dumps(to_dict(config), indent=2) + "\n").encode())


def differences(old: Mapping[str, Any], new: Mapping[str, Any], *, prefix: str = "") -> list[str]:
    """The keys in which two configs differ, as sentences."""
    found = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            found += differences(before, after, prefix=f"{prefix}{key}.")
        elif before != after:
            found.append(f"{prefix}{key} was {before!r} and is now {after!r}")
    return found


def load_config(folder: str | PathLike[str]) -> Config:
    """The config beside checkpoints; keys that an older edition did not know have their defaults.

    Raises:
        InputError: there is none, or it does not fit this version.
    """
    path = epath.Path(folder) / CONFIG_FILE
    require(
        path.is_file(),
        f"{str(folder)!r} holds no {CONFIG_FILE}, so it is no work directory of veerjax train.",
    )
    values = _keys_of(path)
    try:
        return from_dict(Config, values)
    except InputError as error:
        raise InputError(f"{path} does not fit this version: {error}") from error


def _keys_of(path: epath.Path) -> dict[str, Any]:
    """What a config file holds."""
    try:
        values = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({error}).") from error
    if not isinstance(values, dict):
        raise InputError(
            f"{path} holds {json.dumps(values)[:40]}; it must be a group of keys, as veerjax train writes it."
        )
    return values
