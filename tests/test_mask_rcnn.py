"""Faster and Mask R-CNN: what they have in common with every network, losses, choices, oracles, refusals."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_cases import built, gradient_sizes, losses

from veerjax.config import Config, LossConfig, ModelConfig, RcnnConfig, with_overrides
from veerjax.data.rendered import rendered_examples
from veerjax.errors import InputError
from veerjax.jobs import reader
from veerjax.metrics.average_precision import boxes_of, mask_iou
from veerjax.models import build_model
from veerjax.models.mask_rcnn import detector_of, filled, named_by_place, shifted, true_objects
from veerjax.models.mask_rcnn.losses import BETA, box_loss, mask_loss, proposal_loss, smooth_l1
from veerjax.models.mask_rcnn.regions import Detections, Proposals, Truth, chosen, detect, propose, region_targets
from veerjax.models.mask_rcnn.suppression import Kept
from veerjax.models.model import Model, Variables
from veerjax.training.weights import Weights
from veerjax.types import Batch, blank

SMALL = RcnnConfig(proposals=16, samples=8, detections=4, mask_grid=(8, 8))
KINDS = {"mask_rcnn": SMALL, "rows": replace(SMALL, head="rows"), "faster_rcnn": replace(SMALL, mask_grid=(28, 28))}


def tiny(kind: str = "mask_rcnn", *, rcnn: RcnnConfig | None = None, **changes) -> ModelConfig:
    rcnn = KINDS[kind] if rcnn is None else rcnn
    given = {
        "name": "faster_rcnn" if kind == "faster_rcnn" else "mask_rcnn",
        "features": (4, 8, 8),
        "stem": "full",
        "head": "sigmoid",
        "dtype": "float32",
    }
    return ModelConfig(**{**given, "rcnn": rcnn, **changes})


def blobs(size: int = 2, *, side: int = 32) -> Batch:
    return rendered_examples("blobs", split="train", indices=jnp.arange(size), height=side, width=side)


@pytest.fixture(scope="module")
def small() -> tuple[Model, Variables]:
    return built(tiny())


def test_a_prediction_has_masks_boxes_and_scores(small: tuple[Model, Variables]) -> None:
    model, variables = small
    for batch in (blobs(), blank(jax.random.uniform(jax.random.key(2), (1, 50, 23, 1)))):
        found = jax.jit(model.predict)(variables, batch)
        height, width = batch.image.shape[1:3]
        masks = np.asarray(found.masks)
        assert masks.shape == (batch.size, 2, height, width)
        assert ((masks >= 0) & (masks <= 1)).all()
        assert found.boxes is not None
        assert found.scores is not None
        assert ((found.scores >= 0) & (found.scores <= 1)).all()
        border = np.array([height, width, height, width])
        assert ((np.asarray(found.boxes) >= 0) & (np.asarray(found.boxes) <= border)).all()
        np.testing.assert_allclose(np.exp(np.asarray(found.row_log_prob)).sum(-1), 1, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_reaches_every_parameter(kind: str) -> None:
    model, variables = built(tiny(kind))
    sizes = gradient_sizes(model, variables, blobs())
    assert all(np.isfinite(list(sizes.values())))
    assert not [path for path, size in sizes.items() if size == 0]


def test_an_image_without_a_curve_has_a_finite_loss_and_an_example_that_does_not_count_none(
    small: tuple[Model, Variables],
) -> None:
    model, variables = small
    batch = blobs(3)
    loss = jax.jit(lambda batch: model.loss(variables, batch, jax.random.key(0))[0])
    empty = replace(batch, strokes=jnp.zeros_like(batch.strokes))
    assert np.isfinite(loss(empty))
    assert float(loss(replace(batch, valid=jnp.zeros(3, bool)))) == 0


@pytest.mark.slow
def test_compiling_does_not_change_a_prediction(small: tuple[Model, Variables]) -> None:
    model, variables = small
    eager, compiled = (predict(variables, blobs()).masks for predict in (model.predict, jax.jit(model.predict)))
    np.testing.assert_allclose(eager, compiled, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mask_rcnn", "faster_rcnn"])
def test_it_trains_on_eight_devices(kind: str) -> None:
    assert len(jax.devices()) == 8
    given = ["data.setting=blobs", "model.features=[4,8,8]", "model.rcnn.proposals=16", "model.rcnn.samples=16"]
    found = losses(kind, *given, "optimiser.learning_rate=1e-2", steps=20)
    assert np.mean(found[-5:]) < np.mean(found[:5])


def test_smooth_l1_is_a_parabola_and_then_a_line() -> None:
    zero = jnp.zeros((1, 4))
    np.testing.assert_allclose(smooth_l1(zero + 0.05, zero), 4 * 0.5 * 0.05**2 / BETA, rtol=1e-5)
    np.testing.assert_allclose(smooth_l1(zero - 2.0, zero), 4 * (2 - BETA / 2), rtol=1e-5)


def test_losses_count_what_was_drawn() -> None:
    odds = jnp.array([[2.0, -1.0, 5.0]])
    code, target = jnp.ones((1, 3, 4)), jnp.zeros((1, 3, 4))
    positive, negative = jnp.array([[True, False, False]]), jnp.array([[False, True, False]])
    entropy = (np.log1p(np.exp(-2.0)) + np.log1p(np.exp(-1.0))) / 2
    line = 4 * (1 - BETA / 2) / 2
    np.testing.assert_allclose(proposal_loss(odds, code, target, positive, negative), entropy + line, rtol=1e-5)
    scores = jnp.zeros((1, 3, 3))
    found = box_loss(scores, code, target, jnp.array([[1, 0, 2]]), jnp.array([[True, True, False]]))
    np.testing.assert_allclose(found, np.log(3) + line, rtol=1e-5)
    masks = mask_loss(jnp.zeros((1, 2, 2, 2)), jnp.ones((1, 2, 2, 2)), jnp.array([[True, False]]))
    np.testing.assert_allclose(masks, np.log(2), rtol=1e-5)
    assert float(mask_loss(jnp.zeros((1, 2, 2, 2)), jnp.ones((1, 2, 2, 2)), jnp.zeros((1, 2), bool))) == 0


def found_boxes(boxes, score, category) -> Detections:
    score = jnp.asarray(score)
    kept = Kept(index=jnp.arange(len(score)), score=score, valid=score > -jnp.inf)
    return Detections(boxes=jnp.asarray(boxes, jnp.float32), score=score, category=jnp.asarray(category), kept=kept)


def test_of_each_category_the_likeliest_is_chosen() -> None:
    found = found_boxes(
        [[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3], [0, 0, 9, 9]], [0.9, 0.8, 0.7, -jnp.inf], [2, 2, 1, 1]
    )
    boxes, score = chosen(found, categories=2)
    np.testing.assert_allclose(score, [0.7, 0.9], rtol=1e-6)
    np.testing.assert_array_equal(boxes[:, 2], [3, 1])


def test_what_was_not_found_has_no_score_and_no_box() -> None:
    found = found_boxes([[0, 0, 5, 5], [0, 0, 9, 9]], [0.6, -jnp.inf], [2, 1])
    boxes, score = chosen(found, categories=2)
    np.testing.assert_allclose(score, [0, 0.6], rtol=1e-6)
    np.testing.assert_array_equal(boxes[0], [0, 0, 0, 0])


def test_of_one_category_the_left_one_of_the_two_likeliest_is_curve_1() -> None:
    found = found_boxes([[0, 8, 4, 9], [0, 2, 4, 3], [0, 0, 4, 1]], [0.9, 0.8, 0.7], [1, 1, 1])
    boxes, score = chosen(found, categories=1)
    np.testing.assert_allclose(score, [0.8, 0.9], rtol=1e-6)
    np.testing.assert_array_equal(boxes[:, 1], [2, 8])


def test_proposals_come_from_every_level_and_lie_in_the_image() -> None:
    anchors = [jnp.array([[0.0, 0, 8, 8], [0, 0, 8, 9]]), jnp.array([[10.0, 10, 90, 90]])]
    odds, code = [jnp.array([1.0, 0.5]), jnp.array([0.0])], [jnp.zeros((2, 4)), jnp.zeros((1, 4))]
    found = propose(odds, code, anchors, size=(32, 40), keep=4)
    # The second overlaps the first by 8 / 9.
    np.testing.assert_array_equal(found.valid, [True, True, False, False])
    np.testing.assert_allclose(found.boxes[:2], [[0, 0, 8, 8], [10, 10, 32, 40]])


def test_detections_are_above_the_least_score_and_of_proposals_that_are_there() -> None:
    proposals = Proposals(
        boxes=jnp.array([[0.0, 0, 8, 8], [20, 20, 28, 28], [10, 10, 19, 19]]), valid=jnp.array([True, True, False])
    )
    scores = jnp.log(jnp.array([[0.3, 0.66, 0.04], [0.1, 0.2, 0.7], [0.0, 0.5, 0.5]]))
    found = detect(
        scores,
        jnp.zeros((3, 3, 4)),
        proposals,
        size=(32, 32),
        suppression="nms",
        threshold=0.5,
        least_score=0.05,
        keep=8,
    )
    kept = found.kept
    np.testing.assert_allclose(kept.score[kept.valid], [0.7, 0.66, 0.2], rtol=1e-5)
    np.testing.assert_array_equal(found.category[kept.index[kept.valid]], [2, 1, 1])


def test_the_heads_learn_from_true_boxes_too_and_those_come_first() -> None:
    truth = Truth(
        boxes=jnp.array([[2.0, 2, 10, 10], [0, 0, 0, 0]]), present=jnp.array([True, False]), category=jnp.array([1, 2])
    )
    far = Proposals(boxes=jnp.broadcast_to(jnp.array([[20.0, 20, 30, 30]]), (8, 4)), valid=jnp.ones(8, bool))
    drawn = region_targets(jax.random.key(0), truth, far, samples=8)
    np.testing.assert_array_equal(drawn.category, [1] + [0] * 7)
    np.testing.assert_array_equal(drawn.boxes[0], truth.boxes[0])
    np.testing.assert_allclose(drawn.target[0], 0, atol=1e-6)
    assert bool(drawn.counted.all())


def test_more_objects_than_slots_fill_the_slots() -> None:
    proposals = Proposals(boxes=jnp.array([[8.0 * k, 0, 8.0 * k + 8, 8] for k in range(6)]), valid=jnp.ones(6, bool))
    scores = jnp.broadcast_to(jnp.array([[0.0, 5.0, 0.0]]), (6, 3))
    found = detect(
        scores,
        jnp.zeros((6, 3, 4)),
        proposals,
        size=(64, 64),
        suppression="nms",
        threshold=0.5,
        least_score=0.05,
        keep=3,
    )
    assert bool(found.kept.valid.all())
    assert found.kept.index.shape == (3,)


def test_objects_are_the_strokes_that_have_ink() -> None:
    strokes = jnp.zeros((2, 2, 8, 8), bool).at[0, 1, 2:4, 3:7].set(True).at[1].set(True)
    batch = replace(blank(jnp.zeros((2, 8, 8, 1))), strokes=strokes, valid=jnp.array([True, False]))
    for categories, names in ((2, [1, 2]), (1, [1, 1])):
        truth = true_objects(batch, categories=categories)
        np.testing.assert_array_equal(truth.present, [[False, True], [False, False]])
        np.testing.assert_array_equal(truth.boxes[0, 1], [2, 3, 4, 7])
        np.testing.assert_array_equal(truth.category[0], names)


def test_a_box_as_a_mask_holds_the_pixels_whose_centres_it_holds() -> None:
    mask = filled(jnp.ones((1, 1, 1)), jnp.array([[1.0, 0.6, 3, 2.6]]), 4, 4)[0]
    np.testing.assert_array_equal(np.argwhere(mask), [[1, 1], [1, 2], [2, 1], [2, 2]])


def test_a_threshold_is_moved_to_one_half() -> None:
    masks = jnp.array([0.0, 0.2, 0.3, 0.31, 1.0])
    np.testing.assert_array_equal(shifted(masks, threshold=0.3) > 0.5, [False, False, False, True, True])
    assert bool((jnp.diff(shifted(masks, threshold=0.3)) > 0).all())


@pytest.mark.parametrize(("oracle", "least"), [("both", 0.85), ("boxes", 0.0)])
def test_an_oracle_takes_the_truths_place(oracle: str, least: float, small: tuple[Model, Variables]) -> None:
    _, variables = small
    model = build_model(tiny(rcnn=replace(SMALL, oracle=oracle, mask_grid=(8, 8))), LossConfig())
    batch = blobs(4, side=64)
    found = jax.jit(model.predict)(variables, batch)
    np.testing.assert_array_equal(found.boxes, boxes_of(batch.strokes))
    present = np.asarray(batch.strokes).any(axis=(2, 3))
    np.testing.assert_array_equal(found.scores, present)
    iou = np.asarray(jax.vmap(mask_iou)(found.masks > 0.5, batch.strokes))[:, [0, 1], [0, 1]]
    assert iou[present].mean() >= least
    assert not np.asarray(found.masks)[~present].any()


def test_with_one_category_true_masks_go_to_the_boxes_that_hold_them() -> None:
    strokes = jnp.zeros((2, 2, 8, 8), bool).at[:, 0, :, 5].set(True).at[:, 1, :, 2].set(True)
    boxes = jnp.array([[[0.0, 1, 8, 4], [0, 4, 8, 7]], [[0, 4, 8, 7], [0, 1, 8, 4]]])
    found = named_by_place(strokes, boxes)
    np.testing.assert_array_equal(boxes_of(found)[..., 1], [[2, 5], [5, 2]])


def test_a_scan_has_no_truth_for_an_oracle(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(name="x", model=tiny(rcnn=replace(SMALL, oracle="boxes")))
    weights = Weights(name="x", config=config, model=build_model(config.model, LossConfig()), variables={})
    monkeypatch.setattr("veerjax.jobs.reader.load_weights", lambda name: weights)
    with pytest.raises(
        InputError, match=r"oracle is 'boxes', and a scan has no truth .* --set model\.rcnn\.oracle=none"
    ):
        reader.load("x")


def test_clipped_anchors_end_at_the_image() -> None:
    rcnn = replace(SMALL, anchor_ratios=(16.0,))
    free, cut = (
        jnp.concatenate(
            detector_of(tiny(rcnn=replace(rcnn, clip_anchors=clip)), LossConfig(), masks=True).anchors((32, 24))
        )
        for clip in (False, True)
    )
    assert float(free[:, 2].max()) > 32
    np.testing.assert_allclose(cut, jnp.clip(free, 0, jnp.array([[32, 24, 32, 24]])))


def test_what_was_proposed_and_dropped_can_be_looked_at(small: tuple[Model, Variables]) -> None:
    _, variables = small
    detector = detector_of(tiny(), LossConfig(), masks=True)
    proposals, found = jax.jit(detector.look)(variables, blobs())
    assert proposals.boxes.shape == (2, 16, 4)
    assert found.boxes.shape == (2, 32, 4)
    kept = np.asarray(found.kept.index)[np.asarray(found.kept.valid)]
    assert kept.max() < 32
    assert (np.asarray(found.score) > -np.inf).sum() >= len(kept)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("model.rcnn.categories=3", r"categories is 3; write 1 or 2\."),
        ("model.rcnn.mask_grid=[28,27]", r"mask_grid is \(28, 27\); it needs two even numbers"),
        ("model.rcnn.suppression=hard", r"suppression is 'hard'; write one of nms, soft, off"),
        ("model.rcnn.oracle=box", r"did you mean 'boxes'"),
        ("model.rcnn.head=row", r"did you mean 'rows'"),
        ("model.rcnn.samples=99", r"samples is 99, and there are 64 model\.rcnn\.proposals"),
        ("model.rcnn.anchor_ratios=[]", r"anchor_ratios is \(\); it needs at least one number"),
        ("model.rcnn.mask_threshold=1.0", r"it must be above 0 and below 1"),
        ("model.features=[8,8]", r"has 2 widths; mask_rcnn needs 3 or more"),
        ("model.head=softmax", r"model\.head is 'softmax', which mask_rcnn does not have; write sigmoid\."),
        ("model.crf.iterations=5", r"has no CRF; write 0"),
        ("model.mirror=true", r"write false"),
        ("loss.dice=2.0", r"reads no loss\.\*; write 1\.0"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(override: str, sentence: str) -> None:
    start = Config(name="x", model=ModelConfig(name="mask_rcnn", head="sigmoid"))

    def build() -> Model:
        config = with_overrides(start, [override])
        return build_model(config.model, config.loss)

    with pytest.raises(InputError, match=sentence):
        build()


@pytest.mark.parametrize(
    ("rcnn", "sentence"),
    [
        (
            replace(SMALL, mask_grid=(28, 28), mask_threshold=0.3),
            r"mask_threshold is 0\.3, and faster_rcnn has no masks",
        ),
        (SMALL, r"mask_grid is \(8, 8\), and faster_rcnn has no masks; write \(28, 28\)"),
        (
            replace(SMALL, mask_grid=(28, 28), head="rows"),
            r"head is 'rows', and faster_rcnn has no masks; write 'mask'",
        ),
    ],
)
def test_boxes_alone_read_nothing_of_masks(rcnn: RcnnConfig, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        build_model(tiny("faster_rcnn", rcnn=rcnn), LossConfig())


def test_other_networks_refuse_what_they_do_not_read() -> None:
    config = with_overrides(Config(name="x"), ["model.rcnn.categories=1"])
    with pytest.raises(InputError, match=r"model\.rcnn\.categories is 1, which unet does not have; write 2\."):
        build_model(config.model, config.loss)
