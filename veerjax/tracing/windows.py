"""Strips of any height through a model that reads windows of one size, blended where they overlap."""

from collections.abc import Callable, Iterable, Iterator, Sequence

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
    parts: Iterable[Sequence[Float[np.ndarray, "2 rows *columns"]]],
    starts: Int[np.ndarray, " windows"],
    height: int,
    *,
    window: int,
    overlap: int,
) -> list[Float[np.ndarray, "2 height *columns"]]:
    """One strip from overlapping windows, each weighted by `window_weights`; rows past the strip's end are dropped.

    Args:
        parts: of each window several quantities, which are not kept
        starts: first rows of the windows
        height: of the strip [px]
        window: height of a window [px]
        overlap: of neighbouring windows [px]

    Returns:
        The quantities of the strip.
    """
    totals: list[np.ndarray] = []
    norm = np.zeros(height, np.float32)
    for part, start, weights in zip(parts, starts, window_weights(starts, window, overlap), strict=True):
        totals = totals or [np.zeros((2, height, *quantity.shape[2:]), np.float32) for quantity in part]
        rows, inside = slice(start, start + window), slice(height - start)
        for total, quantity in zip(totals, part, strict=True):
            total[:, rows] += quantity[:, inside] * along_rows(weights[inside], quantity)
        norm[rows] += weights[inside]
    for total in totals:
        total /= along_rows(norm, total)
    return totals


def along_rows(factors: Float[np.ndarray, " rows"], quantity: np.ndarray) -> Float[np.ndarray, "rows ..."]:
    """Factors shaped so that they multiply the rows of a quantity of two curves."""
    return factors.reshape(-1, *[1] * (quantity.ndim - 2))


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
    found = predicted_windows(predict, image, starts, window=window, batch=batch)
    whole = blend(found, starts, height, window=window, overlap=overlap)
    np.log(np.maximum(whole[1], TINY, out=whole[1]), out=whole[1])
    # Put there as they are: any operation, `jnp.asarray` too, would compile a program for each height. And one by one,
    # for a long strip's maps are large.
    presence, row_log_prob, masks = (jax.device_put(whole.pop()[None]) for _ in range(3))
    return Prediction(masks=masks, row_log_prob=row_log_prob, presence=presence)


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
    """Masks, row probabilities and presence of each window, of which only a batch is in memory."""
    below = len(image) - 1
    for index in range(0, len(starts), batch):
        chosen = starts[index : index + batch]
        images = np.ones((batch, window, image.shape[1]), np.float32)
        for slot, start in enumerate(chosen):
            images[slot] = image[np.minimum(np.arange(start, start + window), below)]
        found = predict(images)
        parts = np.asarray(found.masks), np.exp(np.asarray(found.row_log_prob)), np.asarray(found.presence)
        yield from zip(*(part[: len(chosen)] for part in parts), strict=True)
