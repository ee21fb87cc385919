"""One stored example: arrays and provenance on one side, PNGs and bytes on the other."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, UInt8
from PIL import Image

PNG_LEVEL = 1  # level 6 takes five times as long


@dataclass(frozen=True, kw_only=True)
class Example:
    """A track with its truth, as a built dataset keeps it."""

    key: str  # unlike that of any other example of the dataset
    image: UInt8[np.ndarray, "height width *channels"]  # 0 black to 255 white; grey, or RGB with a third axis
    strokes: Bool[np.ndarray, "2 height width"]  # the ink each curve owns; the two may overlap
    label: UInt8[np.ndarray, "height width"]  # class ids, curve 1 over curve 2
    centreline: Float64[np.ndarray, "2 height"]  # [px] where a curve crosses the centre of each row
    presence: Bool[np.ndarray, "2 height"]  # whether the curve is on the track in that row
    metadata: dict[str, Any]  # setting, split, index; seed of what is drawn; well, curves, scales and depths if real


def features_of(example: Example) -> dict[str, Any]:
    """What the TFDS features store: 8-bit PNGs, exact arrays, JSON.

    TFDS checks neither size nor type of encoded images, so both are right by construction here.
    """
    first, second = example.strokes.astype(np.uint8) * 255
    return {
        "image": png(example.image),
        "stroke_1": png(first),
        "stroke_2": png(second),
        "label": png(example.label),
        "centreline": example.centreline,
        "presence": example.presence,
        "key": example.key,
        "metadata": json.dumps(example.metadata),
    }


def example_of(features: Mapping[str, Any]) -> Example:
    """The inverse of `features_of`, from what TFDS decodes."""
    return Example(
        key=features["key"].decode(),
        image=without_grey_axis(features["image"]),
        strokes=np.stack([features["stroke_1"][..., 0], features["stroke_2"][..., 0]]) > 0,
        label=features["label"][..., 0],
        centreline=features["centreline"],
        presence=features["presence"],
        metadata=json.loads(features["metadata"]),
    )


def without_grey_axis(image: UInt8[np.ndarray, "height width channels"]) -> UInt8[np.ndarray, "height width *channels"]:
    """A grey image as a matrix, one of three channels as it is."""
    return image[..., 0] if image.shape[-1] == 1 else image


def png(image: UInt8[np.ndarray, "height width *channels"]) -> bytes:
    """An 8-bit PNG, grey or RGB."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()
