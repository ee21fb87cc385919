"""COCO's average precision of masks and boxes, against pycocotools and a NumPy twin."""

import contextlib
import io

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
import reference_average_precision as reference
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from ways import every_way

from veerjax.metrics.average_precision import THRESHOLDS, average_precision, box_iou, boxes_of, mask_iou
from veerjax.metrics.raster import rasterise

HEIGHT, WIDTH, MOST, TRUTHS, CURVES = 16, 20, 4, 2, 2
DATASETS = 220


@jax.jit
@jax.vmap
def overlaps(detected, true):
    return {"segm": mask_iou(detected, true), "bbox": box_iou(boxes_of(detected), boxes_of(true))}


def image(noise, *, kind):
    """Detected masks, their scores and true masks of one category in one image."""
    true = np.zeros((noise.integers(TRUTHS + 1), HEIGHT, WIDTH), bool)
    detected = np.zeros((noise.integers(MOST + 1), HEIGHT, WIDTH), bool)
    for mask in true:
        row, start = noise.integers(HEIGHT), noise.integers(5)
        if kind == "thresholds":
            mask[row] = True  # 20 px, so that parts of it overlap by whole twentieths
        else:
            mask[row : row + noise.integers(1, 9), start : start + noise.integers(3, 15)] = True
    for mask in detected:
        if kind == "thresholds" and len(true):
            mask[:] = true[noise.integers(len(true))] & (np.arange(WIDTH) < noise.integers(9, 21))
        elif len(true) and noise.random() < 0.8:
            mask[:] = np.roll(true[noise.integers(len(true))], noise.integers(-2, 3, 2), axis=(0, 1))
        else:
            mask[:] = noise.random(mask.shape) < 0.3
    if kind == "empty masks":
        detected[::2], true[::2] = False, False
    steps = 3 if kind == "ties" else 1000
    return detected, np.float32(noise.integers(steps, size=len(detected)) / steps), true


def dataset(seed):
    """Images with a list of their categories."""
    noise = np.random.default_rng(seed)
    kind = ("random", "thresholds", "ties", "empty masks")[seed % 4]
    return [[image(noise, kind=kind) for _ in range(CURVES)] for _ in range(noise.choice([1, 4]))]


def padded(masks, size):
    return np.concatenate([masks, np.zeros((size - len(masks), HEIGHT, WIDTH), bool)])


def own_overlaps(images):
    """By image and category: the IoU of masks and of boxes."""
    flat = [(padded(detected, MOST), padded(true, TRUTHS)) for cases in images for detected, _, true in cases]
    found = jax.device_get(overlaps(*(jnp.asarray(np.stack(part)) for part in zip(*flat, strict=True))))
    sizes = [(len(detected), len(true)) for cases in images for detected, _, true in cases]
    return {kind: [iou[:d, :t] for iou, (d, t) in zip(found[kind], sizes, strict=True)] for kind in found}


def own_figures(images):
    """AP by kind, category and threshold."""
    ious, figures = own_overlaps(images), []
    for kind in ("segm", "bbox"):
        for k in range(CURVES):
            figures.append(average_precision(ious[kind][k::CURVES], [cases[k][1] for cases in images]))
    return np.stack(figures)


def annotations(images, *, part):
    found = []
    for name, cases in enumerate(images):
        for category, case in enumerate(cases):
            for i, mask in enumerate(case[part]):
                y0, x0, y1, x1 = (int(edge) for edge in reference.box(mask))
                found.append(
                    {
                        "id": len(found) + 1,
                        "image_id": name,
                        "category_id": category,
                        "segmentation": rle.encode(np.asfortranarray(mask.astype(np.uint8))),
                        "bbox": [x0, y0, x1 - x0, y1 - y0],
                        "area": int(mask.sum()),
                        "iscrowd": 0,
                        "score": float(case[1][i]) if part == 0 else 1.0,
                    }
                )
    return found


def coco(images, *, part):
    library = COCO()
    names = [{"id": i, "height": HEIGHT, "width": WIDTH} for i in range(len(images))]
    categories = [{"id": i, "name": str(i)} for i in range(CURVES)]
    library.dataset = {"images": names, "categories": categories, "annotations": annotations(images, part=part)}
    library.createIndex()
    return library


def coco_figures(images):
    figures = []
    with contextlib.redirect_stdout(io.StringIO()):
        true, detected = coco(images, part=2), coco(images, part=0)
        for kind in ("segm", "bbox"):
            judge = COCOeval(true, detected, kind)
            judge.params.areaRng, judge.params.areaRngLbl, judge.params.maxDets = [[0, 1e10]], ["all"], [100]
            judge.evaluate()
            judge.accumulate()
            mean = judge.eval["precision"][..., 0, 0].mean(axis=1)  # by threshold and category
            figures.extend(np.where(mean < 0, np.nan, mean).T)
    return np.stack(figures)


def test_average_precision_is_that_of_pycocotools():
    images = [dataset(seed) for seed in range(DATASETS)]
    ours = [own_figures(each) for each in images]
    theirs = [coco_figures(each) for each in images]
    assert np.ptp(np.nan_to_num(ours)) == 1
    oracles.agree("mask AP, box AP by threshold", "pycocotools", ours, theirs, allowed=1e-12)


def test_average_precision_is_that_of_the_definition():
    for seed in range(0, DATASETS, 4):
        noise = np.random.default_rng([1, seed])
        images = []
        for _ in range(noise.integers(1, 6)):
            truths, found = noise.integers(3), noise.integers(4)
            iou = noise.integers(8, 21, (found, truths)) / 20
            images.append((iou, noise.integers(5, size=found) / 5, truths))
        ours = average_precision([np.float32(iou) for iou, *_ in images], [scores for _, scores, _ in images])
        theirs = [reference.average_precision(images, threshold=t) for t in reference.THRESHOLDS]
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_overlaps_are_those_of_the_definition(seed):
    images = dataset(seed)
    found = own_overlaps(images)
    for k in range(CURVES):
        detected, _, true = images[0][k]
        masks, framed = found["segm"][k], found["bbox"][k]
        assert masks.shape == framed.shape == (len(detected), len(true))
        for d, t in np.ndindex(masks.shape):
            np.testing.assert_allclose(masks[d, t], reference.mask_iou(detected[d], true[t]), rtol=1e-6)
            expected = reference.box_iou(reference.box(detected[d]), reference.box(true[t]))
            np.testing.assert_allclose(framed[d, t], expected, rtol=1e-6)


def test_overlaps_are_the_same_every_way():
    noise = np.random.default_rng(5)
    detected, true = noise.random((3, HEIGHT, WIDTH)) < 0.5, noise.random((2, HEIGHT, WIDTH)) < 0.5
    assert every_way(mask_iou, detected, true).dtype == np.float32
    boxes = every_way(boxes_of, detected), every_way(boxes_of, true)
    assert every_way(box_iou, *boxes).dtype == np.float32


def test_the_box_of_a_mask_is_as_tight_as_can_be():
    mask = np.zeros((3, HEIGHT, WIDTH), bool)
    mask[0, 3:7, 5:6] = mask[1, 0, 0] = mask[1, -1, -1] = True
    np.testing.assert_array_equal(boxes_of(mask), [[3, 5, 7, 6], [0, 0, HEIGHT, WIDTH], [0, 0, 0, 0]])


def test_an_overlap_of_just_a_threshold_is_a_match_at_it():
    for step, threshold in enumerate(THRESHOLDS):
        true, part = np.ones((1, 1, 20), bool), np.arange(20)[None, None] < 10 + step
        found = average_precision([np.asarray(mask_iou(part, true))], [np.ones(1)])
        np.testing.assert_array_equal(found, [t <= threshold for t in THRESHOLDS])


def test_truth_against_itself_is_perfect():
    ious, scores = [np.eye(2, dtype=np.float32)] * 3, [np.array([0.3, 0.9])] * 3
    np.testing.assert_array_equal(average_precision(ious, scores), 1)


def test_a_surer_false_detection_halves_the_precision_and_a_less_sure_one_does_not():
    iou = np.array([[1.0], [0.0]], np.float32)
    np.testing.assert_allclose(average_precision([iou], [np.array([0.2, 0.9])]), 0.5)
    np.testing.assert_allclose(average_precision([iou], [np.array([0.9, 0.2])]), 1)


def test_a_truth_is_found_once_only():
    iou = np.ones((2, 1), np.float32)
    np.testing.assert_allclose(
        average_precision([iou, iou], [np.array([0.9, 0.8]), np.array([0.7, 0.6])]), [(51 + 50 * 2 / 3) / 101] * 10
    )


def test_what_is_empty_has_a_defined_precision():
    nothing, one = np.zeros((0, 0), np.float32), np.zeros((0, 1), np.float32)
    assert np.isnan(average_precision([], [])).all()
    assert np.isnan(average_precision([nothing, np.zeros((1, 0), np.float32)], [np.zeros(0), np.ones(1)])).all()
    np.testing.assert_array_equal(average_precision([nothing, one], [np.zeros(0)] * 2), 0)


def test_a_perfect_detector_half_a_pixel_off_scores_next_to_nothing_on_thin_curves():
    """The figure of METRICS.md, .07, made again: 100 curves of 512 rows, drawn 1 px wide, read .5 px to the right.

    A row of a curve fills n columns, where n - 1 is about |dx| from row to row; moved by half a pixel it keeps n - .5
    of them on average and the union has n + .5. So the IoU is 1/3 where the curve stands straight, and above 1/2 only
    where it moves by half a pixel a row. At steps of .8 px (standard deviation) most curves just reach .5 and none
    .55. Smoother ones score 0, rougher ones more, and all of them are read within 1 px everywhere.
    """
    height, width = 512, 256

    @jax.jit
    @jax.vmap
    def half_off(x):
        here = jnp.ones(height, bool)
        true, read = (rasterise(x + shift, here, width=width) for shift in (0.0, 0.5))
        return mask_iou(read[None], true[None])

    noise, scores, found = np.random.default_rng(0), [], []
    steps, scores = noise.normal(0, 1, (100, height)), list(noise.random((100, 1)))
    for step_px in (0.2, 0.8, 2.0):
        x = 60 + np.abs((68 + np.cumsum(step_px * steps, axis=1)) % 260 - 130)  # reflected, to stay on the track
        found.append(average_precision(list(jax.device_get(half_off(np.float32(x)))), scores))
    np.testing.assert_allclose(np.mean(found, axis=1), [0, 0.07, 0.32], atol=0.02)
    np.testing.assert_array_equal(found[1][1:], 0)
