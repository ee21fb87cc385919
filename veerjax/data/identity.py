"""Which of two curves in identical ink is the first: the rule of `synthesis.draw.left_one_first`, for stored ones."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from veerjax.data.example import Example
from veerjax.labels import CURVE_1, label_of


def out_of_order(x: Float[np.ndarray, "2 rows"], presence: Bool[np.ndarray, "2 rows"]) -> bool:
    """Whether the second curve is the left one at the topmost row that shows both, or else the one that begins higher.

    Args:
        x: where each curve crosses the rows of the image [px]
        presence: whether it is there
    """
    both = presence.all(axis=0)
    if both.any():
        top = int(np.argmax(both))
        return bool(x[0, top] > x[1, top])
    first, second = (int(np.argmax(there)) if there.any() else len(there) for there in presence)
    return second < first


def in_order(example: Example) -> Example:
    """The example, its curves exchanged where both are of one coding and out of order."""
    first, second = example.metadata.get("coding", ("", ""))
    if not first or first != second or not out_of_order(example.centreline, example.presence):
        return example
    strokes = np.ascontiguousarray(example.strokes[::-1])
    return dataclasses.replace(
        example,
        strokes=strokes,
        label=label_of(strokes),
        centreline=np.ascontiguousarray(example.centreline[::-1]),
        presence=np.ascontiguousarray(example.presence[::-1]),
        metadata=exchanged(example.metadata),
    )


def exchanged(metadata: dict[str, Any]) -> dict[str, Any]:
    """Metadata of an example of drawn curves that have changed places."""
    found = dict(metadata)
    if "curves" in found:
        scales = reversed(found["curves"])
        found["curves"] = [{**scale, "curve_class": k} for k, scale in enumerate(scales, start=CURVE_1)]
    if change := found.get("augmentation"):
        found["augmentation"] = {**change, **{name: change[name][::-1] for name in ("gain", "offset")}}
    return found
