"""The confusion matrix and its shares, against NumPy and scikit-learn."""

import jax
import numpy as np
import pytest
import reference
from sklearn.metrics import confusion_matrix, jaccard_score
from ways import every_way

from veerjax.metrics.confusion import (
    confusion_counts,
    foreground_iou,
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
