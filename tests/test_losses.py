"""The losses against NumPy, and what they promise of padded examples."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

from veerjax.losses import cross_entropy, segmentation_loss, soft_dice

EAGER = {
    "cross_entropy": cross_entropy,
    "soft_dice": soft_dice,
    "segmentation": partial(segmentation_loss, cross_entropy_weight=0.7, dice_weight=1.3),
}
LOSSES = {name: jax.jit(loss) for name, loss in EAGER.items()}
GRADIENTS = {name: jax.jit(jax.grad(loss)) for name, loss in EAGER.items()}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
every_gradient = pytest.mark.parametrize(
    ("loss", "slope"), [(LOSSES[name], GRADIENTS[name]) for name in LOSSES], ids=LOSSES
)


@pytest.fixture(autouse=True)
def strict_dtypes():
    with jax.numpy_dtype_promotion("strict"):
        yield


def example(seed=0, *, batch=3):
    noise = np.random.default_rng(seed)
    logits = noise.normal(0, 2, (batch, 6, 5, 3)).astype(np.float32)
    return (
        jnp.asarray(logits),
        jnp.asarray(noise.integers(0, 3, (batch, 6, 5)), jnp.uint8),
        jnp.ones(batch, bool),
    )


@pytest.mark.parametrize("name", ["cross_entropy", "soft_dice"])
def test_losses_equal_their_numpy_twins(name):
    logits, label, valid = example()
    expected = getattr(reference, name)(np.asarray(logits), np.asarray(label))
    np.testing.assert_allclose(LOSSES[name](logits, label, valid), expected, rtol=1e-5)


def test_the_segmentation_loss_is_the_weighted_sum():
    arrays = example()
    expected = 0.7 * cross_entropy(*arrays) + 1.3 * soft_dice(*arrays)
    np.testing.assert_allclose(LOSSES["segmentation"](*arrays), expected, rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_a_jitted_loss_equals_the_eager_one(name):
    np.testing.assert_allclose(LOSSES[name](*example()), EAGER[name](*example()), rtol=1e-6)


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
def test_a_batch_without_valid_examples_costs_nothing(loss, slope):
    logits, label, valid = example()
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


@every_loss
def test_certain_and_right_costs_nothing(loss):
    _, label, valid = example()
    logits = 100 * jax.nn.one_hot(label, 3)
    np.testing.assert_allclose(loss(logits, label, valid), 0, atol=1e-6)


@every_loss
def test_exchanging_the_two_curves_in_truth_and_logits_changes_nothing(loss):
    logits, label, valid = example()
    exchanged = jnp.array([0, 2, 1], jnp.uint8)[label]
    np.testing.assert_allclose(
        loss(logits[..., jnp.array([0, 2, 1])], exchanged, valid), loss(logits, label, valid), rtol=1e-6
    )


def test_uniform_logits_cost_the_log_of_the_number_of_classes():
    _, label, valid = example()
    np.testing.assert_allclose(cross_entropy(jnp.zeros((3, 6, 5, 3)), label, valid), np.log(3), rtol=1e-6)


def test_dice_of_classes_that_are_nowhere_is_perfect():
    background = jnp.zeros((2, 4, 4), jnp.uint8)
    np.testing.assert_allclose(soft_dice(100 * jax.nn.one_hot(background, 3), background, jnp.ones(2, bool)), 0)


def test_dice_pools_the_batch_rather_than_averaging_its_examples():
    label = jnp.zeros((2, 4, 4), jnp.uint8).at[0].set(1).at[1, 0, 0].set(1)
    right_then_blank = 100 * jax.nn.one_hot(label.at[1].set(0), 3)
    expected = 1 - ((2 * 16 + 1) / (16 + 17 + 1) + 1) / 2
    np.testing.assert_allclose(soft_dice(right_then_blank, label, jnp.ones(2, bool)), expected, rtol=1e-5)
