"""The confusion matrix and its shares, against NumPy and scikit-learn."""

import jax
import numpy as np
import oracles
import pytest
import reference
from sklearn.metrics import confusion_matrix, jaccard_score, precision_recall_fscore_support
from ways import every_way

from veerjax.metrics.confusion import (
    class_precision,
    class_recall,
    confusion_counts,
    dice,
    foreground_iou,
    found_and_named,
    identity_accuracy,
    iou,
    per_image_iou,
    pooled_iou,
)

SHAPE = (7, 9)


def pair(kind):
    noise = np.random.default_rng(len(kind))
    label, predicted = noise.integers(0, 3, (2, *SHAPE)).astype(np.uint8)
    if kind == "class 2 absent":
        label[label == 2], predicted[predicted == 2] = 0, 1
    if kind == "class 2 only predicted":
        label[label == 2] = 0
    if kind == "both blank":
        label[:], predicted[:] = 0, 0
    if kind == "full against blank":
        label[:], predicted[:] = 2, 0
    if kind == "one pixel":
        label[:], predicted[:] = 0, 0
        label[3, 4] = predicted[3, 5] = 1
    return label, predicted


KINDS = [
    "random",
    "class 2 absent",
    "class 2 only predicted",
    "both blank",
    "full against blank",
    "one pixel",
]
every_pair = pytest.mark.parametrize("kind", KINDS)


@every_pair
def test_counts_equal_the_loop_and_scikit_learn(kind):
    label, predicted = pair(kind)
    counts = every_way(confusion_counts, label, predicted)
    assert counts.dtype == np.int32
    np.testing.assert_array_equal(counts, reference.confusion(label, predicted))
    np.testing.assert_array_equal(counts, confusion_matrix(label.ravel(), predicted.ravel(), labels=[0, 1, 2]))


@every_pair
def test_iou_equals_that_of_the_masks_and_is_nan_where_the_class_is_absent(kind):
    label, predicted = pair(kind)
    found = iou(confusion_counts(label, predicted))
    expected = [reference.iou(label == k, predicted == k) for k in range(3)]
    np.testing.assert_allclose(found, expected)
    known = [k for k in range(3) if not np.isnan(expected[k])]
    scores = jaccard_score(label.ravel(), predicted.ravel(), labels=known, average=None)
    np.testing.assert_allclose(found[known], scores)


@every_pair
def test_foreground_iou_is_that_of_ink_of_any_class(kind):
    label, predicted = pair(kind)
    expected = reference.iou(label > 0, predicted > 0)
    np.testing.assert_allclose(foreground_iou(confusion_counts(label, predicted)), expected)


@every_pair
def test_identity_accuracy_is_the_share_of_right_names_on_found_ink(kind):
    label, predicted = pair(kind)
    ink = (label > 0) & (predicted > 0)
    expected = np.mean(label[ink] == predicted[ink]) if ink.any() else np.nan
    np.testing.assert_allclose(identity_accuracy(confusion_counts(label, predicted)), expected)


def test_pixels_that_are_no_class_are_counted_nowhere():
    label, predicted = np.array([[0, 1, 255, 3]], np.uint8), np.array([[0, -1, 1, 2]], np.int32)
    np.testing.assert_array_equal(every_way(confusion_counts, label, predicted), np.diag([1, 0, 0]))


def test_relabelling_permutes_the_matrix():
    label, predicted = pair("random")
    order = np.array([2, 0, 1])
    counts, renamed = confusion_counts(label, predicted), confusion_counts(order[label], order[predicted])
    np.testing.assert_array_equal(np.asarray(renamed)[np.ix_(order, order)], counts)


def test_exchanging_truth_and_prediction_transposes_the_matrix():
    label, predicted = pair("random")
    np.testing.assert_array_equal(confusion_counts(predicted, label), confusion_counts(label, predicted).T)


def test_truth_against_itself_is_perfect():
    counts = confusion_counts(*[pair("random")[0]] * 2)
    np.testing.assert_array_equal(iou(counts), 1)
    assert foreground_iou(counts) == identity_accuracy(counts) == 1


def test_coin_flip_identity_on_perfect_ink_scores_an_iou_of_a_third():
    counts = np.array([[90, 0, 0], [0, 5, 5], [0, 5, 5]])
    np.testing.assert_allclose(iou(counts)[1:], 1 / 3)
    assert (foreground_iou(counts), identity_accuracy(counts)) == (1.0, 0.5)


def test_pooled_and_per_image_iou_differ_and_skip_absent_classes():
    counts = np.array([[[8, 0, 0], [0, 2, 0], [0, 0, 0]], [[0, 0, 0], [6, 2, 0], [0, 0, 0]]])
    np.testing.assert_allclose(pooled_iou(counts), [8 / 14, 4 / 10, np.nan])
    np.testing.assert_allclose(per_image_iou(counts), [(1 + 0) / 2, (1 + 2 / 8) / 2, np.nan])


def test_an_image_without_the_class_does_not_lower_its_mean():
    counts = np.array([np.diag([9, 1, 0]), np.diag([9, 0, 1])])
    np.testing.assert_array_equal(per_image_iou(counts), [1, 1, 1])


def test_counting_goes_on_beyond_the_float32_limit():
    blank = np.zeros((4097, 4097), np.uint8)
    assert int(jax.jit(confusion_counts)(blank, blank)[0, 0]) == 4097**2 > 2**24
    many = np.stack([np.diag([2**30, 2**30 - 1, 1]).astype(np.int32)] * 8)
    many[:, 1, 0] = 1
    assert pooled_iou(many)[1] == (2**30 - 1) / 2**30


def many():
    """250 pairs, every kind of `KINDS` among them."""
    counted = jax.jit(confusion_counts)
    for case in range(250):
        noise = np.random.default_rng(case)
        label, predicted = (
            pair(KINDS[case]) if case < len(KINDS) else noise.integers(0, 3, (2, *SHAPE)).astype(np.uint8)
        )
        if case % 5 == 4:
            label[label == case % 3] = 0
        if case % 7 == 6:
            predicted[predicted == case % 3] = 0
        yield label.ravel(), predicted.ravel(), np.asarray(counted(label, predicted))


def test_every_share_is_that_of_scikit_learn():
    ours = {name: [] for name in ("confusion", "iou", "precision", "recall", "dice")}
    theirs = {name: [] for name in ours}
    for label, predicted, counts in many():
        known = np.isin([0, 1, 2], np.concatenate([label, predicted]))
        options = {"labels": [0, 1, 2], "average": None, "zero_division": 0}
        shares = precision_recall_fscore_support(label, predicted, **options)[:3]
        shares = (jaccard_score(label, predicted, **options), *shares)
        for name, share in zip(("iou", "precision", "recall", "dice"), shares, strict=True):
            # A class in neither is NaN with us, 0 with scikit-learn.
            theirs[name].append(np.where(known, share, np.nan))
        theirs["confusion"].append(confusion_matrix(label, predicted, labels=[0, 1, 2]))
        for name, figure in {"iou": iou, "precision": class_precision, "recall": class_recall, "dice": dice}.items():
            ours[name].append(figure(counts))
        ours["confusion"].append(counts)
    for name in ours:
        oracles.agree(name, "scikit-learn", ours[name], theirs[name], allowed=0 if name == "confusion" else 1e-12)


def test_foreground_and_identity_are_those_of_the_masks():
    ours, theirs = [], []
    for label, predicted, counts in many():
        ink, both = (label > 0) | (predicted > 0), (label > 0) & (predicted > 0)
        right = np.sum(both & (label == predicted))
        theirs.append([
            both.sum() / ink.sum() if ink.any() else np.nan,
            right / both.sum() if both.any() else np.nan,
            right / np.sum(label > 0) if (label > 0).any() else np.nan,
        ])  # fmt: skip
        ours.append([foreground_iou(counts), identity_accuracy(counts), found_and_named(counts)])
    oracles.agree("foreground IoU, identity, both", "own NumPy", ours, theirs, allowed=1e-12)


def test_dice_is_that_of_the_pooled_iou_and_of_no_mean():
    counts = np.stack([counts for *_, counts in many()])
    pooled_share = iou(counts.sum(axis=0))
    np.testing.assert_allclose(dice(counts.sum(axis=0)), 2 * pooled_share / (1 + pooled_share))
    mean = np.nanmean(iou(counts), axis=0)
    assert (np.abs(np.nanmean(dice(counts), axis=0) - 2 * mean / (1 + mean)) > 1e-4).all()
