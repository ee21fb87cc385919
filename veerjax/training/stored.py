"""The tree of arrays of one checkpoint: its shapes, its content, and the variables in it."""

import hashlib
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from typing import Any, TypeVar, cast

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from veerjax.errors import InputError
from veerjax.models.model import Variables
from veerjax.training.kept import rooted

T = TypeVar("T")
# Orbax narrates every save, and prints the trace of one that fails; what fails is raised, and told in a sentence.
logging.getLogger("absl").setLevel(logging.CRITICAL)
# What reading raises where files are missing, cut short or of another format.
UNREADABLE = (FileNotFoundError, KeyError, ValueError, AttributeError, TypeError)
Leaf = tuple[tuple[int, ...], str]  # shape, dtype


def first_line(error: BaseException) -> str:
    """Why a file operation failed, in a few words."""
    number = re.search(r"os_error_code='(\d+)'", str(error))
    if number is not None:
        return os.strerror(int(number[1]))
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).splitlines() or [type(error).__name__])[0].removesuffix(".")


def leaves_of(tree: Any) -> dict[str, Leaf]:
    """Shape and dtype of each array of a tree, by its path; a class's fields and a dict's keys are the same."""
    flat = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): (tuple(leaf.shape), str(np.dtype(leaf.dtype)))
        for path, leaf in flat
    }


def stored_leaves(folder: str | PathLike[str]) -> dict[str, Leaf]:
    """Shape and dtype of each array of a checkpoint, by its path, without reading the arrays.

    Raises:
        InputError: as `restore_variables`.
    """
    return _reading(folder, lambda path: leaves_of(_stored_tree(path)))


def mismatch(stored: Mapping[str, Leaf], like: Any) -> str:
    """The first array in which what is stored differs from a tree, in words; nothing if none does."""
    wanted = leaves_of(like)
    for name, (shape, dtype) in wanted.items():
        if name not in stored:
            return f"it holds no {name}"
        if stored[name] != (shape, dtype):
            there, there_dtype = stored[name]
            return f"{name} is {there_dtype} {list(there)} there and {dtype} {list(shape)} here"
    return next((f"it holds {name}, which is not trained here" for name in stored if name not in wanted), "")


def restore_variables(folder: str | PathLike[str]) -> Variables:
    """What is evaluated of a checkpoint, as float32, on any number of devices.

    The moving average where one was kept, else the parameters and running statistics as the last step left them.

    Raises:
        InputError: the folder is no checkpoint, or a file of it is missing or cut short.
    """
    stored = _stored(folder, _evaluated)
    floats = jax.tree.map(lambda leaf: np.asarray(leaf).astype(np.float32), stored)
    return floats["ema"] if "ema" in floats else {"params": floats["params"], **floats["extra"]}


def _evaluated(tree: dict[str, Any]) -> dict[str, Any]:
    names = ("ema",) if tree.get("ema") else ("params", "extra")
    return {name: tree[name] for name in names}


def state_hashes(folder: str | PathLike[str]) -> dict[str, str]:
    """A sha256 of the content of each part of a checkpoint: `params`, `opt_state`, `ema`, `extra`, `step`.

    Raises:
        InputError: as `restore_variables`.
    """
    stored = _stored(folder, dict)
    return {part: digest(tree) for part, tree in stored.items() if jax.tree.leaves(tree)}


def digest(tree: Any) -> str:
    """A sha256 of the content of a tree of arrays."""
    found = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        array = np.ascontiguousarray(leaf)
        found.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def _stored(folder: str | PathLike[str], choose: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """The arrays of a checkpoint that `choose` picks from its tree, as NumPy arrays."""

    def read(path: epath.Path) -> Any:
        wanted = choose(_stored_tree(path))
        arguments = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), wanted)
        return ocp.PyTreeCheckpointer().restore(path, item=wanted, restore_args=arguments, transforms={})

    return _reading(folder, read)


def _reading(folder: str | PathLike[str], read: Callable[[epath.Path], T]) -> T:
    """What `read` gets out of a checkpoint.

    Raises:
        InputError: the folder is no checkpoint, or a file of it is missing or cut short.
    """
    try:
        with quiet():
            return read(rooted(epath.Path(folder)))
    except UNREADABLE as error:
        raise InputError(f"{str(folder)!r} cannot be read as a checkpoint: {first_line(error)}.") from error


def _stored_tree(folder: epath.Path) -> dict[str, Any]:
    """The tree of a checkpoint, with what Orbax notes of each array in its place."""
    metadata = cast(Any, ocp.PyTreeCheckpointer().metadata(folder).item_metadata)
    if metadata is None:
        raise ValueError("a file in it is missing or cut short; copy it again or give another step")
    return metadata.tree


@contextmanager
def quiet() -> Iterator[None]:
    """Drops what reads still under way say of an event loop that ended when another read failed.

    They report from threads of their own, some of them after the failure: then the hook stays.
    """
    shown = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            shown(unraisable)

    sys.unraisablehook = hook
    yield  # no `finally`: see above
    sys.unraisablehook = shown


def save_variables(folder: str | PathLike[str], variables: Variables, *, dtype: Any) -> None:
    """Writes parameters and running statistics alone, stored as `dtype`; for weights that are shipped."""
    folder = rooted(epath.Path(folder))
    extra = {name: value for name, value in variables.items() if name != "params"}
    tree = jax.tree.map(lambda leaf: np.asarray(leaf).astype(dtype), {"params": variables["params"], "extra": extra})
    ocp.PyTreeCheckpointer().save(folder, tree, force=True)
    # Orbax notes the folder's path on this machine, which is nobody's business where the weights are shipped.
    (folder / "commit_success.txt").unlink(missing_ok=True)
