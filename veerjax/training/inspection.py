"""What weights consist of, told without building the model or reading an array."""

from math import prod
from typing import Any

import numpy as np
from etils import epath

from veerjax.config import to_dict
from veerjax.training.kept import figures, saved_at
from veerjax.training.manifest import MANIFEST, read_manifest, sha256
from veerjax.training.stored import Leaf, stored_leaves
from veerjax.training.weights import RELEASE, locate

DEPTH = {"params": 2, "extra": 3, "ema": 3}  # of a heading, in the names of arrays; 1 for all else


def inspected(name: str) -> dict[str, Any]:
    """All that is known of weights, as plain values.

    Args:
        name: `release`, or `WORKDIR[@best|last|STEP]`

    Raises:
        InputError: no such weights, or they are damaged.
    """
    config, tree = locate(name)
    leaves = stored_leaves(tree)
    evaluated = "ema/params/" if any(leaf.startswith("ema/") for leaf in leaves) else "params/"
    return {
        "schema": 1,
        "weights": name,
        "config": to_dict(config),
        **_step(tree, of_training=name != RELEASE),
        "evaluated": evaluated.rstrip("/"),
        "parameters": sum(prod(shape) for leaf, (shape, _) in leaves.items() if leaf.startswith(evaluated)),
        "headings": headings(leaves),
        "arrays": [
            {"name": leaf, "shape": list(shape), "dtype": dtype} for leaf, (shape, dtype) in sorted(leaves.items())
        ],
    }


def _step(tree: epath.Path, *, of_training: bool) -> dict[str, Any]:
    """What a step's folder says of it; None for what is not known."""
    folder = tree.parent
    manifest = read_manifest(folder) if of_training else None
    return {
        "step": int(folder.name) if of_training else None,
        "saved_at": saved_at(folder) if of_training else None,
        "figures": figures(folder) if of_training else {},
        "veerjax": manifest and manifest["veerjax"],
        "manifest": manifest
        and {
            "state": "whole",  # or `locate` had not chosen it
            "files": len(manifest["files"]),
            "bytes": sum(file["size"] for file in manifest["files"].values()),
            "sha256": sha256(folder / MANIFEST),
        },
    }


def headings(leaves: dict[str, Leaf]) -> list[dict[str, Any]]:
    """How many arrays, values and bytes each module of the model has, and each other part of the state.

    Args:
        leaves: shape and dtype by name
    """
    found: dict[str, dict[str, Any]] = {}
    for name, (shape, dtype) in leaves.items():
        words = name.split("/")
        heading = "/".join(words[: DEPTH.get(words[0], 1)])
        row = found.setdefault(heading, {"name": heading, "arrays": 0, "values": 0, "bytes": 0})
        row["arrays"] += 1
        row["values"] += prod(shape)
        row["bytes"] += prod(shape) * np.dtype(dtype).itemsize
    return [found[heading] for heading in sorted(found)]
