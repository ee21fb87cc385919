"""Strips of any height through a model that reads windows of one size, blended where they overlap."""

from collections.abc import Callable, Iterator

import jax
import numpy as np
from jaxtyping import Float, Int

from veerjax.config import require
from veerjax.tracing.buckets import bucket
from veerjax.types import Prediction

Images = Float[np.ndarray, "batch height width"]
BUCKETS = 8  # heights in an octave that a whole strip is padded to: an eighth of the work is lost at most, or one unit
TINY = 1e-30  # keeps the logarithm of a blended probability finite


def window_starts(height: int, window: int, overlap: int, *, stride: int = 32) -> Int[np.ndarray, " windows"]:
    """First rows of windows that cover a strip, each a multiple of `stride`; the last may reach past the strip's end.

    Neighbours overlap by at least `overlap` rows; a strip no taller than a window has one.

    Args:
        height: of the strip [px]
        window: height of a window [px]
        overlap: of neighbouring windows [px]
        stride: a model's predictions repeat under shifts of this many rows

    Raises:
        InputError: the overlap leaves no room to advance.
    """
    step = (window - overlap) // stride * stride
    require(
        step > 0 and overlap >= 0,
        f"windows of {window} px overlap by {overlap} px; an overlap of 0 to {window - stride} px is needed.",
    )
    last = -(-max(height - window, 0) // stride) * stride
    return np.unique(np.minimum(np.arange(0, last + step, step), last))


def window_weights(starts: Int[np.ndarray, " windows"], window: int, overlap: int) -> Float[np.ndarray, "windows rows"]:
    """What each window's rows count: 1 inside, and falling linearly to its ends over the overlap.

    The first row of the first window and the last row of the last one are ends of the strip, and nothing falls there.

    Args:
        starts: first rows
        window: height of a window [px]
        overlap: length of the ramps [px]
    """
    centre = np.arange(window, dtype=np.float32) + 0.5
    ramp = np.minimum(centre / max(overlap, 1), 1.0)
    weights = np.tile(np.minimum(ramp, ramp[::-1]), (len(starts), 1))
    half = window // 2
    weights[0, :half], weights[-1, half:] = ramp[::-1][:half], ramp[half:]
    if len(starts) == 1:
        weights[:] = 1.0
    return weights


def blend(
    parts: Float[np.ndarray, "windows 2 rows *columns"],
    starts: Int[np.ndarray, " windows"],
    height: int,
    *,
    overlap: int,
) -> Float[np.ndarray, "2 height *columns"]:
    """One strip from overlapping windows, each weighted by `window_weights`; rows past the strip's end are dropped."""
    window = parts.shape[2]
    weights = window_weights(starts, window, overlap)
    total = np.zeros((2, starts[-1] + window, *parts.shape[3:]), np.float32)
    norm = np.zeros(starts[-1] + window, np.float32)
    for part, start, weight in zip(parts, starts, weights, strict=True):
        rows = slice(start, start + window)
        total[:, rows] += part * weight.reshape(-1, *[1] * (parts.ndim - 3))
        norm[rows] += weight
    total /= norm.reshape(-1, *[1] * (parts.ndim - 3))
    return total[:, :height]


def predict_strip(
    predict: Callable[[Images], Prediction],
    image: Float[np.ndarray, "height width"],
    *,
    window: int = 512,
    overlap: int = 128,
    stride: int = 32,
    batch: int = 4,
) -> Prediction:
    """What a model says of a whole strip, as a batch of one.

    All calls of `predict` have the same shape, so that it compiles once: short strips and last windows are padded with
    their last row, last batches with blank paper.

    Args:
        predict: from grey images to predictions
        image: grey levels, 0 black to 1 white, at the model's working width
        window: height of a window [px]
        overlap: of neighbouring windows [px]
        stride: windows start at multiples of this [px]
        batch: windows read at once

    Raises:
        InputError: the overlap leaves no room to advance.
    """
    height = image.shape[0]
    starts = window_starts(height, window, overlap, stride=stride)
    missing = max(int(starts[-1]) + window - height, 0)
    padded = np.pad(image, ((0, missing), (0, 0)), mode="edge")
    found = list(predicted_windows(predict, padded, starts, window=window, batch=batch))
    masks, probabilities, presence = (np.concatenate(part)[: len(starts)] for part in zip(*found, strict=True))
    probability = blend(probabilities, starts, height, overlap=overlap)
    # Put there as they are: any operation, `jnp.asarray` too, would compile a program for each height.
    return Prediction(
        masks=jax.device_put(blend(masks, starts, height, overlap=overlap)[None]),
        row_log_prob=jax.device_put(np.log(np.maximum(probability, TINY))[None]),
        presence=jax.device_put(blend(presence, starts, height, overlap=overlap)[None]),
    )


def predict_whole(
    predict: Callable[[Images], Prediction], image: Float[np.ndarray, "height width"], *, unit: int
) -> Prediction:
    """What a model says of a whole strip in one forward pass, as a batch of one.

    The strip is padded with its last row to one of few heights, so that few programs are compiled.

    Args:
        predict: from grey images to predictions
        image: grey levels, 0 black to 1 white, at the model's working width
        unit: heights that `predict` takes are multiples of this [px]
    """
    height = image.shape[0]
    more = bucket(height, unit=unit, steps=BUCKETS) - height
    found = predict(np.pad(image, ((0, more), (0, 0)), mode="edge")[None])
    masks, row_log_prob, presence = (
        jax.device_put(np.asarray(part)[:, :, :height]) for part in (found.masks, found.row_log_prob, found.presence)
    )
    return Prediction(masks=masks, row_log_prob=row_log_prob, presence=presence)


def predicted_windows(
    predict: Callable[[Images], Prediction],
    image: Float[np.ndarray, "height width"],
    starts: Int[np.ndarray, " windows"],
    *,
    window: int,
    batch: int,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Masks, row probabilities and presence of batches of windows."""
    for index in range(0, len(starts), batch):
        chosen = starts[index : index + batch]
        images = np.ones((batch, window, image.shape[1]), np.float32)
        for slot, start in enumerate(chosen):
            images[slot] = image[start : start + window]
        found = predict(images)
        yield np.asarray(found.masks), np.exp(np.asarray(found.row_log_prob)), np.asarray(found.presence)
