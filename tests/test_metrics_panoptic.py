"""Segments of background and curves: against panoptica's own counts, and laws. More stands in test_metrics_masks."""

import json
from pathlib import Path

import jax
import numpy as np
import oracles
import pytest
from panoptic_cases import COUNT, fingerprint, overlapping
from ways import every_way

from veerjax.metrics.panoptic import panoptic, panoptic_sums

summed = jax.jit(panoptic_sums)


@pytest.fixture(scope="module")
def golden():
    return json.loads(Path(__file__).with_name("golden_panoptica.json").read_text())


@pytest.fixture(scope="module")
def found():
    """The sums of all cases, cases first."""
    pairs = np.stack([overlapping(case) for case in range(COUNT)])
    return jax.device_get(jax.jit(jax.vmap(panoptic_sums))(pairs[:, 0], pairs[:, 1]))


def test_the_cases_are_those_that_panoptica_judged(golden):
    assert golden["fingerprint"] == fingerprint(), "the cases changed: run tools/make_panoptica_golden.py again"


def test_the_cases_hold_overlap_and_all_outcomes(golden):
    pairs = [overlapping(case) for case in range(COUNT)]
    assert sum((strokes[0] & strokes[1]).any() for pair in pairs for strokes in pair) > 100
    outcomes = {tuple(count) for by_class in golden["counts"] for count in by_class}
    assert outcomes == {(1, 0, 0), (0, 1, 1), (0, 1, 0), (0, 0, 1), (0, 0, 0)}


def test_counts_are_those_of_panoptica(found, golden):
    matched = found["matched"]
    ours = np.stack([matched, found["predicted"] - matched, found["true"] - matched], axis=-1)
    oracles.agree("TP, FP, FN of three classes", f"panoptica {golden['version']}", ours, golden["counts"])


def test_the_quality_of_the_background_is_that_of_panoptica(found, golden):
    figures = panoptic(found)
    ours = np.stack([figures[name][:, 0] for name in ("pq", "sq", "rq")], axis=-1)
    theirs = [np.array(case, float) for case in golden["background"]]
    oracles.agree("PQ, SQ, RQ of background", f"panoptica {golden['version']}", ours, theirs, allowed=1e-6)


def test_truth_against_itself_is_perfect_and_an_absent_class_unknown():
    for case in range(0, COUNT, 2):
        true, _ = overlapping(case)
        there = np.concatenate([~true.any(axis=0)[None], true]).any(axis=(1, 2))
        for share in panoptic(jax.device_get(summed(true, true))).values():
            np.testing.assert_array_equal(share, np.where(there, 1.0, np.nan))


def test_an_overlap_of_just_one_half_is_no_match():
    true = np.zeros((2, 16, 12), bool)
    true[:, 0, :8] = True
    half = true.copy()
    half[:, 0, 4:] = False
    more = half.copy()
    more[:, 0, 4] = True
    assert summed(true, half)["matched"].tolist() == [1, 0, 0]
    assert summed(true, more)["matched"].tolist() == [1, 1, 1]


def test_curves_that_change_names_do_not_match():
    true = np.zeros((2, 16, 12), bool)
    true[0, :, 2:4] = true[1, :, 7:9] = True
    figures = panoptic(jax.device_get(summed(true, true[::-1])))
    np.testing.assert_array_equal(figures["pq"], [1, 0, 0])


def test_exchanging_truth_and_prediction_changes_no_quality(found):
    pairs = np.stack([overlapping(case) for case in range(COUNT)])
    back = panoptic(jax.device_get(jax.jit(jax.vmap(panoptic_sums))(pairs[:, 1], pairs[:, 0])))
    for name, share in panoptic(found).items():
        np.testing.assert_array_equal(share, back[name])


def test_quality_is_the_product_of_its_factors(found):
    figures = panoptic({name: leaf.reshape(23, 10, 3).sum(axis=1) for name, leaf in found.items()})
    np.testing.assert_allclose(figures["pq"], figures["sq"] * figures["rq"], rtol=1e-12)


def test_sums_are_the_same_every_way():
    sums = every_way(panoptic_sums, *overlapping(3))
    assert {name: leaf.dtype.name for name, leaf in sums.items()} == {
        "matched": "int32",
        "true": "int32",
        "predicted": "int32",
        "iou": "float32",
    }
