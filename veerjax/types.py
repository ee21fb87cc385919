"""The two containers that every room of the house shares: what a model reads and what it answers.

Pixel coordinates are continuous: the centre of row r and column c is at (r + .5, c + .5).
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt8

from veerjax.labels import BACKGROUND, NUM_CURVES

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Batch:
    """Images of tracks with the truth about their two curves."""

    image: Float[Array, "batch height width channels"]  # grey level or red, green and blue, 0 black to 1 white
    strokes: Bool[Array, "batch 2 height width"]  # the ink each curve owns; the two may overlap
    label: UInt8[Array, "batch height width"]  # class ids, curve 1 over curve 2
    centreline: Float[Array, "batch 2 height"]  # [px] where a curve crosses the centre of each row
    presence: Bool[Array, "batch 2 height"]  # whether the curve is on the track in that row
    valid: Bool[Array, " batch"]  # False for the padding that fills up a last batch
    coding: Int[Array, "batch 2"] | None = None  # position in `labels.CODINGS` where it is known, else UNKNOWN_CODING

    @property
    def size(self) -> int:
        return self.image.shape[0]


def with_channels(image: Float[Array, "batch height width channels"], channels: int) -> Float[Array, "..."]:
    """Images with 1 channel (the luma of ITU-R BT.601) or 3 (grey repeated), whichever they have."""
    if image.shape[-1] == channels:
        return image
    return luma(image)[..., None] if channels == 1 else jnp.broadcast_to(image, (*image.shape[:-1], channels))


def luma(rgb: Float[Array, "*shape 3"]) -> Float[Array, "*shape"]:
    """What a grey scan keeps of red, green and blue along the last axis (ITU-R BT.601)."""
    return jnp.tensordot(rgb, jnp.array(LUMA), axes=1)


def blank(image: Float[Array, "batch height width channels"], *, label: Array | None = None) -> Batch:
    """A batch of which only the image is known, or the image and the label."""
    batch, height, width, _ = image.shape
    rows = jnp.zeros((batch, NUM_CURVES, height))
    return Batch(
        image=image,
        strokes=jnp.zeros((batch, NUM_CURVES, height, width), bool),
        label=jnp.zeros((batch, height, width), jnp.uint8) if label is None else label,
        centreline=rows,
        presence=rows.astype(bool),
        valid=jnp.ones(batch, bool),
    )


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What any model says of a batch; tracing, metrics and comparison see only this."""

    masks: Float[Array, "batch 2 height width"]  # probability that the pixel is ink of that curve
    row_log_prob: Float[Array, "batch 2 height width"]  # log of the curve's distribution over a row's columns
    presence: Float[Array, "batch 2 height"]  # probability that the curve is on the track in that row
    label: Int[Array, "batch height width"] | None = None  # class ids, where the model chooses one a pixel
    boxes: Float[Array, "batch 2 4"] | None = None  # (y0, x0, y1, x1) [px], where the model proposes regions
    scores: Float[Array, "batch 2"] | None = None  # probability of each box, 0 where there is none


def exclusive_label(prediction: Prediction) -> Int[Array, "batch height width"]:
    """The three-class label of a prediction; of a model that chooses none, the likelier mask above one half."""
    if prediction.label is not None:
        return prediction.label
    likelier = jnp.argmax(prediction.masks, axis=1) + 1
    return jnp.where(jnp.max(prediction.masks, axis=1) > 0.5, likelier, BACKGROUND)
