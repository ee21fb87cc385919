"""The losses against NumPy and PyTorch, and what they promise of padded examples."""

import doctest
import importlib
import pkgutil
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_losses
from ways import every_way

import veerjax.losses
from veerjax.config import LossConfig
from veerjax.losses import (
    cross_entropy,
    focal,
    lovasz_softmax,
    segmentation_loss,
    soft_cldice,
    soft_dice,
    soft_skeleton,
    symmetric_cross_entropy,
    tversky,
)
from veerjax.losses.segmentation import loss_terms

TERMS = {
    "cross_entropy": cross_entropy,
    "soft_dice": soft_dice,
    "tversky": tversky,
    "lovasz_softmax": lovasz_softmax,
    "focal": focal,
    "symmetric_cross_entropy": symmetric_cross_entropy,
    "soft_cldice": soft_cldice,
}
WEIGHTED = LossConfig(
    cross_entropy=0.7,
    dice=1.3,
    tversky=0.4,
    lovasz=0.5,
    focal=2.0,
    symmetric_cross_entropy=0.3,
    cldice=0.6,
    tversky_beta=0.8,
    focal_gamma=1.5,
)
EAGER = TERMS | {"segmentation": partial(segmentation_loss, config=WEIGHTED)}
LOSSES = {name: jax.jit(loss) for name, loss in EAGER.items()}
GRADIENTS = {name: jax.jit(jax.grad(loss)) for name, loss in EAGER.items()}
MODULES = [module.name for module in pkgutil.iter_modules(veerjax.losses.__path__)]
every_term = pytest.mark.parametrize("name", TERMS)
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
every_gradient = pytest.mark.parametrize(
    ("loss", "slope"), [(LOSSES[name], GRADIENTS[name]) for name in LOSSES], ids=LOSSES
)


@pytest.fixture(autouse=True)
def strict_dtypes():
    with jax.numpy_dtype_promotion("strict"):
        yield


def example(seed=0, *, batch=3, classes=3):
    noise = np.random.default_rng(seed)
    logits = noise.normal(0, 2, (batch, 6, 5, classes)).astype(np.float32)
    return (
        jnp.asarray(logits),
        jnp.asarray(noise.integers(0, classes, (batch, 6, 5)), jnp.uint8),
        jnp.ones(batch, bool),
    )


def certain(label, *, classes=3):
    """Logits that leave no doubt of a label."""
    return 100 * jax.nn.one_hot(jnp.asarray(label), classes)


@every_term
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_losses_equal_their_numpy_twins(name, classes):
    logits, label, valid = example(classes=classes)
    expected = getattr(reference_losses, name)(np.asarray(logits), np.asarray(label))
    np.testing.assert_allclose(LOSSES[name](logits, label, valid), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("tversky", {"beta": 0.25}),
        ("focal", {"gamma": 0.5}),
        ("focal", {"gamma": 3.0}),
        ("symmetric_cross_entropy", {"alpha": 6.0, "beta": 0.1}),
        ("soft_cldice", {"iterations": 0}),
        ("soft_cldice", {"iterations": 1}),
    ],
)
def test_their_parameters_mean_what_the_twins_mean(name, parameters):
    logits, label, valid = example()
    expected = getattr(reference_losses, name)(np.asarray(logits), np.asarray(label), **parameters)
    np.testing.assert_allclose(TERMS[name](logits, label, valid, **parameters), expected, rtol=1e-5)


@every_term
def test_gradients_equal_the_central_differences_of_the_twins(name):
    # In float64 and with steps far below the distances between errors or probabilities, so that those two which have
    # kinks, the Lovasz extension and the skeletons, are smooth there too.
    logits, label, valid = example(batch=2)
    gradient, twin = np.asarray(GRADIENTS[name](logits, label, valid), np.float64), getattr(reference_losses, name)
    for seed in range(3):
        step = 1e-6 * np.random.default_rng(seed).normal(size=logits.shape)
        ahead, behind = (twin(np.asarray(logits) + sign * step, np.asarray(label)) for sign in (1.0, -1.0))
        np.testing.assert_allclose(np.sum(gradient * step) * 2, ahead - behind, rtol=1e-4, atol=1e-11)


@pytest.mark.parametrize("name", EAGER)
def test_a_loss_is_the_same_eager_jitted_and_vmapped(name):
    every_way(EAGER[name], *example(), rtol=1e-5)


def test_cross_entropies_equal_those_of_torch():
    torch = pytest.importorskip("torch")
    logits, label, valid = example()
    scores = torch.tensor(np.moveaxis(np.asarray(logits), -1, 1), requires_grad=True)
    each = torch.nn.functional.cross_entropy(
        scores, torch.tensor(np.asarray(label), dtype=torch.long), reduction="none"
    )
    miss = 1 - torch.exp(-each)
    theirs = {
        "cross_entropy": each.mean(),
        "focal": (miss**2 * each).mean(),
        "symmetric_cross_entropy": (0.1 * each + 4 * miss).mean(),
    }
    for name, value in theirs.items():
        np.testing.assert_allclose(LOSSES[name](logits, label, valid), value.item(), rtol=1e-5)
        (slope,) = torch.autograd.grad(value, scores, retain_graph=True)
        ours = np.moveaxis(np.asarray(GRADIENTS[name](logits, label, valid)), -1, 1)
        np.testing.assert_allclose(ours, slope.numpy(), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("iterations", [0, 3])
def test_the_soft_skeleton_and_its_gradient_equal_those_of_pooling_in_torch(iterations):
    torch = pytest.importorskip("torch")
    pool = torch.nn.functional.max_pool2d
    mask, weights = np.random.default_rng(0).random((2, 2, 3, 12, 11)).astype(np.float32)
    plane = torch.tensor(mask, requires_grad=True)

    def eroded(image):
        return torch.minimum(-pool(-image, (3, 1), 1, (1, 0)), -pool(-image, (1, 3), 1, (0, 1)))

    skeleton, image = torch.zeros_like(plane), plane
    for _ in range(iterations + 1):
        residue = torch.relu(image - pool(eroded(image), 3, 1, 1))
        skeleton, image = skeleton + torch.relu(residue - skeleton * residue), eroded(image)
    np.testing.assert_allclose(soft_skeleton(jnp.asarray(mask), iterations=iterations), skeleton.detach(), atol=1e-6)
    (theirs,) = torch.autograd.grad((skeleton * torch.tensor(weights)).sum(), plane)
    ours = jax.grad(lambda m: jnp.sum(soft_skeleton(m, iterations=iterations) * weights))(jnp.asarray(mask))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_the_segmentation_loss_is_the_weighted_sum():
    arrays = example()
    expected = (
        0.7 * cross_entropy(*arrays)
        + 1.3 * soft_dice(*arrays)
        + 0.4 * tversky(*arrays, beta=0.8)
        + 0.5 * lovasz_softmax(*arrays)
        + 2.0 * focal(*arrays, gamma=1.5)
        + 0.3 * symmetric_cross_entropy(*arrays)
        + 0.6 * soft_cldice(*arrays)
    )
    np.testing.assert_allclose(LOSSES["segmentation"](*arrays), expected, rtol=1e-6)


def test_a_term_of_no_weight_is_not_traced():
    def primitives(**weights):
        config = LossConfig(**{"dice": 0.0} | weights)
        return str(jax.make_jaxpr(partial(segmentation_loss, config=config))(*example()))

    assert "sort" not in primitives(cldice=1.0)
    assert "sort" in primitives(lovasz=1.0)
    assert "scan" not in primitives(lovasz=1.0)
    assert "scan" in primitives(cldice=1.0)


def test_every_weight_of_the_config_has_its_loss():
    assert loss_terms(WEIGHTED).keys() == WEIGHTED.weights.keys()


@every_loss
@pytest.mark.parametrize("padding", [0.0, 50.0, np.inf, np.nan])
def test_masking_an_example_equals_removing_it(loss, padding):
    logits, label, valid = example()
    masked = loss(logits.at[1].set(padding), label, valid.at[1].set(False))
    kept = jnp.array([0, 2])
    np.testing.assert_allclose(masked, loss(logits[kept], label[kept], valid[kept]), rtol=1e-6)


@every_gradient
@pytest.mark.parametrize("padding", [0.0, np.inf, np.nan])
def test_a_masked_example_has_no_gradient(loss, slope, padding):
    logits, label, valid = example()
    gradient = slope(logits.at[1].set(padding), label, valid.at[1].set(False))
    np.testing.assert_array_equal(gradient[1], 0)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient[0]).max() > 0
    assert np.isfinite(loss(logits.at[1].set(padding), label, valid.at[1].set(False)))


@every_gradient
@pytest.mark.parametrize("padding", [0.0, np.nan])
def test_a_batch_without_valid_examples_costs_nothing(loss, slope, padding):
    logits, label, valid = example()
    logits = logits.at[1].set(padding)
    assert float(loss(logits, label, ~valid)) == 0
    np.testing.assert_array_equal(slope(logits, label, ~valid), 0)


@every_loss
def test_bfloat16_logits_are_reckoned_in_float32(loss):
    logits, label, valid = example()
    half = logits.astype(jnp.bfloat16)
    assert loss(half, label, valid).dtype == jnp.float32
    np.testing.assert_allclose(loss(half, label, valid), loss(half.astype(jnp.float32), label, valid), rtol=1e-6)


@every_gradient
def test_the_gradient_points_downhill(loss, slope):
    logits, label, valid = example()
    gradient = slope(logits, label, valid)
    assert loss(logits - 0.1 * gradient, label, valid) < loss(logits, label, valid)


@every_gradient
def test_certain_and_right_costs_nothing(loss, slope):
    _, label, valid = example()
    np.testing.assert_allclose(loss(certain(label), label, valid), 0, atol=1e-6)
    np.testing.assert_allclose(slope(certain(label), label, valid), 0, atol=1e-6)


@every_gradient
def test_certain_and_wrong_costs_something_finite(loss, slope):
    _, label, valid = example()
    wrong = certain((label + 1) % 3)
    assert 0.5 < float(loss(wrong, label, valid)) < np.inf
    assert np.isfinite(slope(wrong, label, valid)).all()


@every_loss
def test_exchanging_the_two_curves_in_truth_and_logits_changes_nothing(loss):
    logits, label, valid = example()
    exchanged = jnp.array([0, 2, 1], jnp.uint8)[label]
    np.testing.assert_allclose(
        loss(logits[..., jnp.array([0, 2, 1])], exchanged, valid), loss(logits, label, valid), rtol=1e-6
    )


@every_loss
def test_only_differences_of_logits_count(loss):
    # So a sigmoid is a softmax of two classes whose background logit is 0.
    logits, label, valid = example(classes=2)
    against_background = logits - logits[..., :1]
    np.testing.assert_allclose(loss(against_background, label, valid), loss(logits, label, valid), rtol=1e-5)


def test_two_classes_are_a_sigmoid():
    logits, label, valid = example(classes=2)
    score, ink = np.float64(logits[..., 1] - logits[..., 0]), np.asarray(label)
    binary = np.mean(np.log1p(np.exp(score)) - ink * score)
    np.testing.assert_allclose(cross_entropy(logits, label, valid), binary, rtol=1e-5)


@pytest.mark.parametrize("name", ["soft_dice", "tversky", "lovasz_softmax", "soft_cldice"])
def test_a_curve_that_is_nowhere_and_nowhere_seen_costs_nothing(name):
    background = jnp.zeros((2, 4, 4), jnp.uint8)
    np.testing.assert_allclose(LOSSES[name](certain(background), background, jnp.ones(2, bool)), 0)


def test_false_ink_of_an_absent_curve_is_seen_by_all_but_lovasz():
    # Its Jaccard index would be 0 whatever the number of false pixels: Berman's "present" classes leave it out.
    background = jnp.zeros((1, 6, 6), jnp.uint8)
    false = certain(background.at[0, 2:4].set(2))
    costs = {name: float(LOSSES[name](false, background, jnp.ones(1, bool))) for name in TERMS}
    assert costs.pop("lovasz_softmax") == 0
    assert min(costs.values()) > 0.1


def test_uniform_logits_cost_the_log_of_the_number_of_classes():
    _, label, valid = example()
    np.testing.assert_allclose(cross_entropy(jnp.zeros((3, 6, 5, 3)), label, valid), np.log(3), rtol=1e-6)


def test_dice_pools_the_batch_rather_than_averaging_its_examples():
    label = jnp.zeros((2, 4, 4), jnp.uint8).at[0].set(1).at[1, 0, 0].set(1)
    right_then_blank = certain(label.at[1].set(0))
    expected = 1 - ((2 * 16 + 1) / (16 + 17 + 1) + 1) / 2
    np.testing.assert_allclose(soft_dice(right_then_blank, label, jnp.ones(2, bool)), expected, rtol=1e-5)


def test_tversky_at_one_half_is_dice_on_hard_masks():
    logits, label, valid = example()
    hard = certain(jnp.argmax(logits, axis=-1))
    np.testing.assert_allclose(tversky(hard, label, valid, beta=0.5), soft_dice(hard, label, valid), rtol=1e-6)


def test_tversky_counts_a_missed_pixel_more_than_a_false_one():
    label = np.zeros((1, 8, 8), np.uint8)
    label[0, :, 3:5] = 1
    missed, false = label.copy(), label.copy()
    missed[0, :4, 3] = 0
    false[0, :4, 2] = 1
    valid = jnp.ones(1, bool)
    assert tversky(certain(missed), label, valid) > 1.5 * tversky(certain(false), label, valid)


def test_focal_at_gamma_0_is_the_cross_entropy():
    arrays = example()
    np.testing.assert_allclose(focal(*arrays, gamma=0.0), cross_entropy(*arrays), rtol=1e-6)


def test_focal_below_gamma_1_has_a_finite_gradient_where_pixels_are_certain():
    _, label, valid = example()
    slope = jax.grad(partial(focal, gamma=0.5))(certain(label), label, valid)
    np.testing.assert_array_equal(slope, 0)


def test_the_reverse_cross_entropy_is_bounded_where_the_ordinary_one_is_not():
    _, label, valid = example()
    wrong = 10 * certain((label + 1) % 3)
    reverse = symmetric_cross_entropy(wrong, label, valid, alpha=0.0)
    np.testing.assert_allclose(reverse, 4, rtol=1e-6)
    assert cross_entropy(wrong, label, valid) > 900


def test_lovasz_of_hard_predictions_is_one_minus_the_mean_jaccard_index():
    logits, label, valid = example()
    predicted = np.asarray(jnp.argmax(logits, axis=-1))
    true = np.asarray(label)
    indices = [np.sum((predicted == k) & (true == k)) / np.sum((predicted == k) | (true == k)) for k in (1, 2)]
    np.testing.assert_allclose(lovasz_softmax(certain(predicted), label, valid), 1 - np.mean(indices), rtol=1e-6)


def test_lovasz_keeps_the_weights_of_the_last_of_many_pixels():
    # Differences of quotients near 1 in float32 would make most of these weights 0 or twice what they are.
    truth = np.zeros(300_000, np.float32)
    truth[::100] = 1
    weights = veerjax.losses.lovasz.lovasz_weights(jnp.linspace(0.9, 0.1, truth.size), jnp.asarray(truth))
    found, union = truth.sum() - np.cumsum(np.float64(truth)), truth.sum() + np.cumsum(1 - np.float64(truth))
    expected = np.diff(1 - found / union, prepend=0.0)
    np.testing.assert_allclose(weights, expected, rtol=1e-4)


@pytest.mark.parametrize("width", range(1, 7))
def test_a_stroke_has_a_thin_skeleton_from_end_to_end(width):
    mask = np.zeros((20, 15), np.float32)
    mask[:, 4 : 4 + width] = 1
    skeleton = np.asarray(soft_skeleton(jnp.asarray(mask)))
    assert ((skeleton == 0) | (skeleton == 1)).all()
    np.testing.assert_array_equal(skeleton.sum(axis=1), 1 if width % 2 else 2)
    assert (skeleton <= mask).all()


def test_a_gap_costs_more_than_a_frayed_border_in_cldice_and_as_much_in_dice():
    label = np.zeros((1, 40, 16), np.uint8)
    label[0, :, 6:9] = 1
    broken, frayed = label.copy(), label.copy()
    broken[0, 18:22] = 0
    frayed[0, 4:36:3, 6] = 0
    frayed[0, 10, 8] = 0
    assert np.sum(label != broken) == np.sum(label != frayed) == 12
    valid = jnp.ones(1, bool)
    cldice, dice = (
        [loss(certain(seen), label, valid) for seen in (broken, frayed)] for loss in (soft_cldice, soft_dice)
    )
    np.testing.assert_allclose(dice[0], dice[1], rtol=1e-5)
    assert cldice[0] > 2 * cldice[1]


@pytest.mark.parametrize("name", MODULES)
def test_every_example_gives_what_it_says(name):
    with jax.numpy_dtype_promotion("standard"):
        assert doctest.testmod(importlib.import_module(f"veerjax.losses.{name}")).failed == 0


def test_there_are_examples():
    modules = [importlib.import_module(f"veerjax.losses.{name}") for name in MODULES]
    assert sum(len(found.examples) for module in modules for found in doctest.DocTestFinder().find(module)) >= 5
