"""The geometry of region proposals against torchvision's own code, by the file that tools/make_torchvision_golden.py
wrote."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torchvision_cases as given

from veerjax.models.mask_rcnn.anchors import anchors
from veerjax.models.mask_rcnn.boxes import decode, encode
from veerjax.models.mask_rcnn.matching import match
from veerjax.models.mask_rcnn.pasting import pasted
from veerjax.models.mask_rcnn.roi_align import levels, pyramid_align, roi_align


@pytest.fixture(scope="module")
def golden():
    return json.loads(Path(__file__).with_name("golden_torchvision.json").read_text())


@pytest.fixture(scope="module")
def case():
    return given.cases()


def test_the_cases_are_those_that_torchvision_judged(golden):
    assert golden["fingerprint"] == given.fingerprint(), "the cases changed: run tools/make_torchvision_golden.py again"


def test_anchors_on_corners_with_whole_sides_are_those_of_torchvision(golden):
    how = {"ratios": given.LEVELS["ratios"], "centre": 0, "whole": True}
    ours = [
        anchors(shape, stride=stride, scales=scales, **how)
        for shape, stride, scales in zip(*(given.LEVELS[name] for name in ("shapes", "strides", "scales")), strict=True)
    ]
    np.testing.assert_array_equal(np.concatenate(ours), golden["anchors"])


def test_the_code_of_boxes_is_that_of_torchvision_both_ways(case, golden):
    ours = encode(case["boxes"], case["anchors"], weights=given.WEIGHTS)
    np.testing.assert_allclose(ours, golden["encoded"], atol=1e-5)
    ours = decode(case["code"], case["anchors"], weights=given.WEIGHTS)
    np.testing.assert_allclose(ours, golden["decoded"], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", given.MATCHERS)
def test_matches_are_those_of_torchvision(case, golden, name):
    low, high, low_quality = given.MATCHERS[name]
    there = jnp.ones(case["iou"].shape[1], bool)
    ours = [match(iou, there, low=low, high=high, low_quality=low_quality) for iou in jnp.asarray(case["iou"])]
    np.testing.assert_array_equal(ours, golden[f"matched_{name}"])


@pytest.mark.parametrize("aligned", [False, True])
def test_features_are_cut_out_as_by_torchvision(case, golden, aligned):
    ours = roi_align(case["features"], case["regions"], size=given.GRID, aligned=aligned, **given.ALIGN)
    np.testing.assert_allclose(ours, golden[f"aligned_{aligned}"], atol=1e-5)


def test_boxes_are_read_from_the_levels_of_torchvision(case, golden):
    ours = levels(case["levels"], strides=given.PYRAMID_STRIDES)
    assert set(golden["levels"]) == {0, 1, 2}
    np.testing.assert_array_equal(ours, golden["levels"])


def test_features_of_a_pyramid_are_cut_out_as_by_torchvision(case, golden):
    levels_of = {"strides": given.PYRAMID_STRIDES, "canonical_px": given.CANONICAL_PX}
    ours = pyramid_align(case["pyramid"], case["regions"], size=given.GRID, aligned=False, **levels_of)
    np.testing.assert_allclose(ours, golden["pyramid"], atol=1e-5)


def test_a_mask_cut_by_roi_align_is_that_of_torchvision(case, golden):
    """Where a cell is 1 to 2 px wide, of which torchvision then takes 2 samples a side."""
    how = {"size": (given.MASK_GRID, given.MASK_GRID), "scale": 1.0, "samples": 2, "aligned": False}
    masks = jnp.asarray(case["masks"], jnp.float32)[..., None]
    ours = jax.vmap(lambda mask, box: roi_align(mask, box[None], **how)[0, ..., 0])(masks, case["mask_boxes"])
    np.testing.assert_allclose(ours, golden["projected"], atol=1e-5)


def test_masks_are_pasted_as_by_torchvision_to_the_pixel(case, golden):
    ours = np.asarray(pasted(jnp.asarray(case["grids"]), case["pasted_boxes"], *given.PASTED_SIZE))
    np.testing.assert_allclose(ours, golden["pasted"], atol=1e-5)
    np.testing.assert_array_equal(ours > 0.5, np.array(golden["pasted"]) > 0.5)
