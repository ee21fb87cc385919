"""The confusion matrix of class ids, `confusion[true, predicted]`, and the shares drawn from it.

`confusion_counts` runs per example inside jit. The rest runs on the host and takes one matrix or any number
of them, classes last, so that per-image, pooled and resampled figures come from the same functions.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Integer

from veerjax.labels import BACKGROUND, NUM_CLASSES
from veerjax.metrics.ratio import HostOrDevice, mean_of_known, pooled, quotient

FOREGROUND = slice(BACKGROUND + 1, None)


def confusion_counts(
    label: Integer[Array, "height width"],
    predicted: Integer[Array, "height width"],
    *,
    num_classes: int = NUM_CLASSES,
) -> Int[Array, "classes classes"]:
    """The pixels of each true class by predicted class, `confusion[true, predicted]`.

    A pixel whose label or prediction is no class id is counted nowhere.

    Args:
        label: true class ids
        predicted: predicted class ids
        num_classes: ids run from 0 to one below this

    Returns:
        Counts in int32.

    Example:
        >>> confusion_counts(jnp.array([[0, 1, 2]]), jnp.array([[0, 1, 1]])).tolist()
        [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
    """
    true, found = (ids.reshape(-1).astype(jnp.int32) for ids in (label, predicted))
    known = (true >= 0) & (true < num_classes) & (found >= 0) & (found < num_classes)
    cell = jnp.where(known, true * num_classes + found, num_classes**2)
    # A scatter: under vmap on XLA CPU it is ten times as fast as sums of comparisons and six times as fast as
    # a product of one-hot arrays, which in float32 would also stop counting at 2**24.
    counts = jnp.zeros(num_classes**2, jnp.int32).at[cell].add(1, mode="drop")
    return counts.reshape(num_classes, num_classes)


def iou(confusion: Int[HostOrDevice, "*n classes classes"]) -> Float[np.ndarray, "*n classes"]:
    """Intersection over union of each class, TP / (TP + FP + FN).

    Args:
        confusion: counts, true class before predicted class

    Returns:
        The share, from 0 to 1; NaN for a class absent from both truth and prediction.

    Example:
        >>> iou(np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0]])).tolist()
        [0.5, 0.5, nan]
    """
    both, true, predicted = _margins(confusion)
    return quotient(both, true + predicted - both)


def pooled_iou(counts: Int[HostOrDevice, "n classes classes"]) -> Float[np.ndarray, " classes"]:
    """The IoU of each class over the pixels of all images together; NaN for a class absent from all.

    Args:
        counts: one confusion matrix for each image

    Returns:
        The share, from 0 to 1.
    """
    return iou(pooled(counts))


def per_image_iou(counts: Int[HostOrDevice, "n classes classes"]) -> Float[np.ndarray, " classes"]:
    """The mean over images of each image's IoU, images without the class left out; NaN where all are.

    Args:
        counts: one confusion matrix for each image

    Returns:
        The mean share, from 0 to 1.
    """
    return mean_of_known(iou(counts))


def foreground_iou(confusion: Int[HostOrDevice, "*n classes classes"]) -> Float[np.ndarray, "*n"]:
    """The IoU of ink of any class against ink of any class; NaN where neither has ink.

    Args:
        confusion: counts, true class before predicted class

    Returns:
        The share, from 0 to 1.

    Example:
        >>> foreground_iou(np.array([[5, 0, 1], [0, 1, 1], [0, 0, 1]])).item()
        0.75
    """
    confusion = np.asarray(confusion)
    both = confusion[..., FOREGROUND, FOREGROUND].sum(axis=(-2, -1))
    either = confusion.sum(axis=(-2, -1)) - confusion[..., BACKGROUND, BACKGROUND]
    return quotient(both, either)


def identity_accuracy(confusion: Int[HostOrDevice, "*n classes classes"]) -> Float[np.ndarray, "*n"]:
    """The share of the right class among the pixels that are ink in truth and prediction.

    Args:
        confusion: counts, true class before predicted class

    Returns:
        The share, from 0 to 1; NaN where no true ink was found.

    Example:
        >>> identity_accuracy(np.array([[5, 0, 1], [0, 2, 1], [0, 0, 1]])).item()
        0.75
    """
    found = np.asarray(confusion)[..., FOREGROUND, FOREGROUND]
    return quotient(np.trace(found, axis1=-2, axis2=-1), found.sum(axis=(-2, -1)))


def class_precision(confusion: Int[HostOrDevice, "*n classes classes"]) -> Float[np.ndarray, "*n classes"]:
    """The share of the pixels called a class that are of it, TP / (TP + FP).

    Args:
        confusion: counts, true class before predicted class

    Returns:
        The share, from 0 to 1; 0 for a class of the truth that is never predicted, NaN for one in neither.
    """
    both, true, predicted = _margins(confusion)
    return np.where((predicted == 0) & (true > 0), 0.0, quotient(both, predicted))


def class_recall(confusion: Int[HostOrDevice, "*n classes classes"]) -> Float[np.ndarray, "*n classes"]:
    """The share of the pixels of a class that are called it, TP / (TP + FN).

    Args:
        confusion: counts, true class before predicted class

    Returns:
        The share, from 0 to 1; 0 for a class that is only predicted, NaN for one in neither.
    """
    both, true, predicted = _margins(confusion)
    return np.where((true == 0) & (predicted > 0), 0.0, quotient(both, true))


def dice(confusion: Int[HostOrDevice, "*n classes classes"]) -> Float[np.ndarray, "*n classes"]:
    """Dice's coefficient, the F1 of a class's pixels: 2 TP / (2 TP + FP + FN).

    It is 2 I / (1 + I) of the IoU of the same counts, and of no mean of IoUs.

    Args:
        confusion: counts, true class before predicted class

    Returns:
        The share, from 0 to 1; NaN for a class absent from both truth and prediction.
    """
    both, true, predicted = _margins(confusion)
    return quotient(2 * both, true + predicted)


def _margins(confusion: HostOrDevice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each class: right pixels, true pixels, predicted pixels. Resampled counts are floats, and stay so."""
    confusion = np.asarray(confusion)
    confusion = confusion.astype(np.int64) if confusion.dtype.kind in "iu" else confusion
    return np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(axis=-1), confusion.sum(axis=-2)


def found_and_named(confusion: Int[HostOrDevice, "*n classes classes"]) -> Float[np.ndarray, "*n"]:
    """The share of true ink that is found and given its right class: recall of ink times `identity_accuracy`.

    Identity alone is judged on found ink only, so that a method that finds little may name it well.

    Args:
        confusion: counts, true class before predicted class

    Returns:
        The share, from 0 to 1; NaN without true ink.
    """
    true = np.asarray(confusion)[..., FOREGROUND, :]
    named = np.trace(true[..., FOREGROUND], axis1=-2, axis2=-1)
    return quotient(named, true.sum(axis=(-2, -1)))
