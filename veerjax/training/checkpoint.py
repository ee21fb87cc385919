"""Checkpoints on disk. The only module that knows Orbax; its API moves."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from veerjax.config import Config, from_dict, require, to_dict
from veerjax.errors import InputError
from veerjax.models.model import Variables
from veerjax.training.state import TrainState

logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax narrates every save at warning level
CONFIG_FILE = "config.json"
FOLDER = "checkpoints"
BEST = "centreline_f1"  # the validation figure by which the best checkpoint is chosen: F1 within 2 px, both curves
BEST_BEFORE = "foreground_iou"  # of runs made before 0.2


class Checkpoints:
    """The last two checkpoints of a work directory and the best one; saves run in the background."""

    def __init__(self, workdir: Path) -> None:
        best = BestN(get_metric_fn=rank, n=1)
        policy = AnyPreservationPolicy([LatestN(2), best])
        options = ocp.CheckpointManagerOptions(preservation_policy=policy, cleanup_tmp_directories=True)
        self._manager = ocp.CheckpointManager((workdir / FOLDER).absolute(), options=options)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exc: object) -> None:
        self._manager.wait_until_finished()
        self._manager.close()

    def save(self, state: TrainState, *, step: int, metrics: dict[str, float]) -> None:
        """Writes the state of a step; nothing if that step is already there."""
        if step not in self._manager.all_steps():
            self._manager.save(step, args=ocp.args.StandardSave(state), metrics=metrics)

    def restore_latest(self, like: TrainState) -> TrainState | None:
        """The newest state in the structure and shardings of `like`, or None if there is none."""
        step = self._manager.latest_step()
        if step is None:
            return None
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        return cast(TrainState, self._manager.restore(step, args=ocp.args.StandardRestore(abstract)))


def adopt_workdir(workdir: Path, config: Config) -> None:
    """Makes the work directory this config's, or checks that it already is.

    Raises:
        InputError: the directory belongs to another config (the first differing key is named), or is a file; or its
            config is no group of keys.
    """
    require(not workdir.is_file(), f"the work directory {str(workdir)!r} is a file; give a folder.")
    workdir.mkdir(parents=True, exist_ok=True)
    path = workdir / CONFIG_FILE
    if path.exists():
        differing = differences(_keys_of(path), to_dict(config))
        require(
            not differing,
            f"the work directory {str(workdir)!r} was made with another config ({'; '.join(differing)}); "
            "give that config or another --workdir.",
        )
    else:
        write_config(workdir, config)


def write_config(folder: Path, config: Config) -> None:
    """Writes the resolved config beside checkpoints, whole or not at all."""
    temporary = folder / (CONFIG_FILE + ".tmp")
    temporary.write_text(json.dumps(to_dict(config), indent=2) + "\n")
    temporary.replace(folder / CONFIG_FILE)


def differences(old: dict[str, Any], new: dict[str, Any], *, prefix: str = "") -> list[str]:
    """The keys in which two configs differ, as sentences."""
    found = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            found += differences(before, after, prefix=f"{prefix}{key}.")
        elif before != after:
            found.append(f"{prefix}{key} was {before!r} and is now {after!r}")
    return found


def load_config(folder: Path) -> Config:
    """The config beside checkpoints.

    Raises:
        InputError: there is none, or it does not fit this version.
    """
    path = folder / CONFIG_FILE
    require(
        path.is_file(),
        f"{str(folder)!r} holds no {CONFIG_FILE}, so it is no work directory of veerjax train.",
    )
    values = _keys_of(path)
    try:
        return from_dict(Config, values)
    except InputError as error:
        raise InputError(f"{path} does not fit this version: {error}") from error


def _keys_of(path: Path) -> dict[str, Any]:
    """What a config file holds."""
    try:
        values = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not valid JSON ({error}).") from error
    if not isinstance(values, dict):
        raise InputError(
            f"{path} holds {json.dumps(values)[:40]}; it must be a group of keys, as veerjax train writes it."
        )
    return values


def checkpoint_folder(workdir: Path, which: str) -> Path:
    """Where the tree of a checkpoint lies.

    Args:
        workdir: of the training
        which: `best`, `last` or a step's number

    Raises:
        InputError: no checkpoint there, or not that one.
    """
    folder = workdir / FOLDER
    steps = sorted(int(p.name) for p in folder.glob("*") if p.name.isdigit() and (p / "default").is_dir())
    require(bool(steps), f"{str(workdir)!r} holds no checkpoint yet.")
    if which == "best":
        scores = {step: _score(folder / str(step)) for step in steps}
        step = max(steps, key=lambda s: (scores[s], s))
    else:
        step = steps[-1] if which == "last" else int(which) if which.isdigit() else -1
    require(
        step in steps,
        f"{str(workdir)!r} has no checkpoint {which!r}; it has best, last and the steps {steps}.",
    )
    return folder / str(step) / "default"


def _score(step_folder: Path) -> float:
    path = step_folder / "metrics" / "metrics"
    return rank(json.loads(path.read_text())) if path.is_file() else -2.0


def rank(metrics: dict[str, float]) -> float:
    """The higher the better; a checkpoint that was saved before `BEST` was measured stands below all that have it."""
    return float(metrics[BEST]) if BEST in metrics else float(metrics.get(BEST_BEFORE, 0.0)) - 1.0


def restore_variables(folder: Path) -> Variables:
    """Parameters and running statistics of a checkpoint as float32, on any number of devices.

    Raises:
        InputError: the folder is no checkpoint, or a file of it is missing or cut short.
    """
    try:
        with _quiet():
            stored = _stored(folder.absolute())
    except (FileNotFoundError, KeyError, ValueError, AttributeError, TypeError) as error:
        reason = str(error).splitlines()[0].removesuffix(".")
        raise InputError(f"{str(folder)!r} cannot be read as a checkpoint: {reason}.") from error
    floats = jax.tree.map(lambda leaf: np.asarray(leaf).astype(np.float32), stored)
    return {"params": floats["params"], **floats["extra"]}


def _stored(folder: Path) -> Any:
    checkpointer = ocp.PyTreeCheckpointer()
    metadata = cast(Any, checkpointer.metadata(folder).item_metadata)
    if metadata is None:
        raise ValueError("a file in it is missing or cut short; copy it again or give another step")
    wanted = {name: metadata.tree[name] for name in ("params", "extra")}
    arguments = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), wanted)
    return checkpointer.restore(folder, item=wanted, restore_args=arguments, transforms={})


@contextmanager
def _quiet() -> Iterator[None]:
    """Drops what reads still under way say of an event loop that ended when another read failed.

    They report from threads of their own, some of them after the failure: then the hook stays.
    """
    shown = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            shown(unraisable)

    sys.unraisablehook = hook
    yield
    sys.unraisablehook = shown


def save_variables(folder: Path, variables: Variables, *, dtype: Any) -> None:
    """Writes parameters and running statistics alone, stored as `dtype`; for weights that are shipped."""
    extra = {name: value for name, value in variables.items() if name != "params"}
    tree = jax.tree.map(lambda leaf: np.asarray(leaf).astype(dtype), {"params": variables["params"], "extra": extra})
    ocp.PyTreeCheckpointer().save(folder.absolute(), tree, force=True)
    # Orbax notes the folder's path on this machine, which is nobody's business where the weights are shipped.
    (folder / "commit_success.txt").unlink(missing_ok=True)
