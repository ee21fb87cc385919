"""Thinning, clDice, outline distances, boundary IoU and panoptic quality, against their libraries and NumPy twins."""

import json
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
import reference
import reference_masks
from mask_cases import KINDS, mask, pairs
from scipy import ndimage
from skimage import morphology
from ways import every_way

from veerjax.errors import InputError
from veerjax.metrics.boundary import boundary_counts, boundary_iou
from veerjax.metrics.cldice import cldice, cldice_counts
from veerjax.metrics.distance import distance_squared
from veerjax.metrics.panoptic import panoptic, panoptic_sums
from veerjax.metrics.surface import surface_distances
from veerjax.metrics.thinning import thin

GOLDEN = Path(__file__).with_name("golden_panoptica.json")
thinned, distance = jax.jit(thin), jax.jit(distance_squared)


@pytest.fixture(scope="module")
def surface_distance():
    """DeepMind's library, which still speaks to SciPy and NumPy by names that they have dropped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "Inf", np.inf, raising=False)
        names = {"filters": {"correlate": ndimage.correlate}}
        names["morphology"] = {"distance_transform_edt": ndimage.distance_transform_edt}
        for name, functions in names.items():
            patch.setattr(ndimage, name, types.SimpleNamespace(**functions), raising=False)
        yield pytest.importorskip("surface_distance")


def test_distances_are_those_of_scipy_at_any_distance():
    masks = [m for pair in pairs() for m in pair if m.any()]
    theirs = [np.round(ndimage.distance_transform_edt(~m) ** 2) for m in masks]
    oracles.agree("squared distance transform", "scipy", [distance(m) for m in masks], theirs)
    assert (np.asarray(distance(np.zeros((4, 6), bool))) == 100).all()


@pytest.mark.parametrize("kind", ["one pixel", "specks", "frame"])
def test_distances_are_those_of_all_pairs_of_pixels(kind):
    found = every_way(distance_squared, mask(kind))
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, reference.distance_squared(mask(kind)))


def test_skeletons_are_those_of_scikit_image():
    masks = [m for pair in pairs() for m in pair]
    oracles.agree("Guo-Hall thinning", "skimage.morphology.thin", [thinned(m) for m in masks], map_thin(masks))


def map_thin(masks):
    return [morphology.thin(m) for m in masks]


@pytest.mark.parametrize("kind", KINDS)
def test_skeletons_are_those_of_the_definition(kind):
    np.testing.assert_array_equal(every_way(thin, mask(kind)), reference_masks.thin(mask(kind)))


def test_thinning_a_skeleton_changes_nothing_and_keeps_pieces_in_one_piece():
    for kind in KINDS:
        skeleton = np.asarray(thinned(mask(kind)))
        np.testing.assert_array_equal(thinned(skeleton), skeleton)
        eight = np.ones((3, 3))
        assert ndimage.label(skeleton, eight)[1] == ndimage.label(mask(kind), eight)[1]


def test_cldice_is_that_of_its_authors_formula():
    counted = jax.jit(cldice_counts)
    ours = [cldice(np.asarray(counted(a[None], b[None]))) for a, b in pairs()]
    theirs = [[reference_masks.cldice(a, b, morphology.thin)] for a, b in pairs()]
    oracles.agree("clDice", "formula on skimage skeletons", ours, theirs, allowed=1e-12)


def test_a_mask_against_itself_has_cldice_one_and_an_empty_one_none():
    line, none = np.stack([mask("line")] * 2), np.zeros((2, 24, 20), bool)
    counts = every_way(cldice_counts, line, line)
    assert counts.dtype == np.int32
    np.testing.assert_array_equal(cldice(counts), 1)
    np.testing.assert_array_equal(cldice(cldice_counts(line, none)), 0)
    assert np.isnan(cldice(cldice_counts(none, none))).all()


def test_outline_distances_are_those_of_surface_distance(surface_distance):
    between, ours, theirs = jax.jit(surface_distances), [], []
    for a, b in pairs(300):
        hd95, assd, tie = reference_masks.surface(a, b)
        found = between(a[None], b[None])
        np.testing.assert_allclose([found["hd95"][0], found["assd"][0]], [hd95, assd], rtol=1e-5)
        # The library sums lengths in floating point: a share of just 95 % falls on either side. Empty masks it leaves
        # to the caller: infinite or no lists.
        if tie or not (a.any() and b.any()):
            continue
        parts = surface_distance.compute_surface_distances(a, b, [1, 1])
        weights = parts["surfel_areas_gt"].sum(), parts["surfel_areas_pred"].sum()
        means = surface_distance.compute_average_surface_distance(parts)
        ours.append([found["hd95"][0], found["assd"][0]])
        theirs.append([surface_distance.compute_robust_hausdorff(parts, 95), np.average(means, weights=weights)])
    # Sums in float32, in whatever order the compiler adds: 1 part in a million of lengths up to 30 px.
    oracles.agree("HD95, ASSD (px)", "surface-distance", ours, theirs, allowed=3e-5)


def test_outline_distances_of_empty_masks_are_defined():
    line, none = np.stack([mask("line")] * 2), np.zeros((2, 24, 20), bool)
    assert np.isinf(surface_distances(line, none)["hd95"]).all()
    assert np.isnan(surface_distances(none, none)["assd"]).all()
    found = every_way(surface_distances, line, line, rtol=1e-6)
    np.testing.assert_array_equal([found["hd95"], found["assd"]], 0)


@pytest.mark.parametrize("shift_px", [1, 3])
def test_outline_distances_of_a_shifted_line_are_its_shift_in_whole_pixels(shift_px):
    line = np.zeros((1, 40, 30), bool)
    line[:, :, 10:13] = True
    found = surface_distances(line, np.roll(line, shift_px, axis=2))
    assert found["hd95"] == shift_px


def test_boundary_counts_are_those_of_the_definition():
    for ratio, width_px in ((0.02, 1), (0.1, 3)):
        counted = jax.jit(lambda a, b, ratio=ratio: boundary_counts(a, b, dilation_ratio=ratio))
        ours = [counted(a[None], b[None])[0] for a, b in pairs()]
        theirs = [reference_masks.boundary(a, b, width_px) for a, b in pairs()]
        oracles.agree(f"boundary counts, {width_px} px", "own NumPy", ours, theirs)


def test_with_the_usual_width_the_boundary_iou_of_thin_lines_is_their_mask_iou():
    a = np.zeros((1, 512, 256), bool)
    a[:, :, 100:105] = True
    b = np.roll(a, 2, axis=2)
    assert boundary_iou(every_way(boundary_counts, a, b)) == reference.iou(a, b) == 3 / 7


def test_a_width_that_is_not_positive_is_refused():
    with pytest.raises(InputError, match=r"the dilation ratio is 0; it must be above 0, for example 0\.02"):
        boundary_counts(np.ones((1, 4, 4), bool), np.ones((1, 4, 4), bool), dilation_ratio=0)


def overlapping(case):
    """Two strokes in truth and prediction; they may overlap."""
    noise = np.random.default_rng(case)
    found = np.stack([np.stack([mask(kind, case) for kind in noise.choice(KINDS, 2)]) for _ in range(2)])
    if case % 2:
        found[1] = np.roll(found[0], case % 3, axis=2)
    return found


def test_panoptic_sums_are_those_of_the_definition():
    summed = jax.jit(panoptic_sums)
    ours, theirs = [], []
    for case in range(220):
        found = summed(*overlapping(case))
        ours.append(np.stack([found[name] for name in ("matched", "true", "predicted", "iou")]))
        theirs.append(reference_masks.panoptic(*overlapping(case)))
    oracles.agree("panoptic sums", "own NumPy", ours, theirs, allowed=1e-6)


def test_panoptic_quality_is_that_of_panoptica():
    if not GOLDEN.is_file():
        pytest.skip("no golden file: tools/make_panoptica_golden.py makes it")
    golden = json.loads(GOLDEN.read_text())
    ours, theirs = [], []
    for case, by_class in enumerate(golden["cases"]):
        sums = jax.device_get(panoptic_sums(*overlapping(case)))
        figures = panoptic(sums)
        ours.append(np.stack([figures[name] for name in ("pq", "sq", "rq")])[:, 1:])
        theirs.append(np.array(by_class, float).T)
    oracles.agree("PQ, SQ, RQ of things", f"panoptica {golden['version']}", ours, theirs, allowed=1e-6)


def test_panoptic_quality_of_a_pool_counts_what_is_missed_and_invented():
    sums = {"matched": np.array([2]), "true": np.array([4]), "predicted": np.array([3]), "iou": np.array([1.5])}
    figures = panoptic(sums)
    np.testing.assert_allclose([figures["pq"], figures["sq"], figures["rq"]], [[1.5 / 3.5], [0.75], [2 / 3.5]])
    nothing = {name: np.zeros(3) for name in sums}
    assert np.isnan(panoptic(nothing)["pq"]).all()
    every_way(panoptic_sums, jnp.asarray(overlapping(0)[0]), jnp.asarray(overlapping(0)[1]))
