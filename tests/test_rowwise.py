"""The row-wise head: its loss and its prediction against slow definitions, and what it has in common with every net."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from model_cases import (
    CONFIGS,
    Weights,
    built,
    check_eager,
    check_prediction,
    flops_over_compiled,
    gradient_sizes,
    losses,
    needs_torch,
)

from veerjax.config import LossConfig, ModelConfig, load_config_file
from veerjax.data.rendered import rendered_examples
from veerjax.errors import InputError
from veerjax.models import build_model
from veerjax.models.model import Model, Variables
from veerjax.models.rowwise import mirrored, prediction_of, rows_of, rowwise_loss
from veerjax.tracing.trace import trace
from veerjax.types import Batch, Prediction, blank

STEPS = 120
# Compiled once for all that use a batch of `truth`.
VALUE_AND_GRADIENT = jax.jit(jax.value_and_grad(rowwise_loss))


def tiny(**changes) -> ModelConfig:
    given = {"name": "rowwise", "features": (4, 8), "stem": "full", "head": "sigmoid", "dtype": "float32"}
    return ModelConfig(**{**given, **changes})


@cache
def once(config: ModelConfig) -> tuple[Model, Variables]:
    return built(config)


def truth(height: int = 8, width: int = 12, *, size: int = 3) -> Batch:
    """Random strokes and centrelines that need not fit each other; of each kind of row there are some."""
    dice = np.random.default_rng(0)
    shape = (size, 2, height)
    return replace(
        blank(jnp.asarray(dice.random((size, height, width, 1), np.float32))),
        strokes=jnp.asarray(dice.random((*shape, width)) < 0.7),
        centreline=jnp.asarray(dice.random(shape, np.float32) * width),
        presence=jnp.asarray(dice.random(shape) < 0.7),
    )


def random_maps(batch: Batch) -> jax.Array:
    return 3 * jax.random.normal(jax.random.key(0), (*batch.image.shape[:3], 8))


@pytest.mark.parametrize(
    ("stem", "norm", "size"),
    [("full", "batch", (16, 16)), ("space_to_depth", "pixel", (17, 39)), ("full", "batch", (1, 1))],
)
def test_a_prediction_of_any_size_is_made_of_probabilities(stem: str, norm: str, size: tuple[int, int]) -> None:
    model, variables = once(tiny(stem=stem, norm=norm))
    assert model.stride == {"full": 2, "space_to_depth": 4}[stem]
    batch = blank(jax.random.uniform(jax.random.key(2), (2, *size, 1)))
    check_prediction(model, variables, batch)
    presence = np.asarray(jax.jit(model.predict)(variables, batch).presence)
    assert ((presence >= 0) & (presence <= 1)).all()


@pytest.mark.slow
def test_compiling_does_not_change_a_prediction() -> None:
    check_eager(*once(tiny()), truth(16, 16))


@pytest.mark.parametrize("remat", [False, True])
def test_the_gradient_reaches_every_parameter_whatever_is_kept(remat: bool) -> None:
    sizes = gradient_sizes(*once(tiny(remat=remat)), truth(16, 16))
    assert all(np.isfinite(list(sizes.values())))
    assert not [name for name, size in sizes.items() if size == 0]


def slow_loss(maps: np.ndarray, batch: Batch) -> float:
    """The definition, row by row, in float64."""
    strokes, centreline, there, valid = (
        np.asarray(leaf) for leaf in (batch.strokes, batch.centreline, batch.presence, batch.valid)
    )
    columns = np.arange(maps.shape[2])

    def smooth_l1(difference: float) -> float:
        return difference**2 / 2 if abs(difference) < 1 else abs(difference) - 0.5

    entropy, position, left, right, presence = [], [], [], [], []
    for example, curve, row in np.ndindex(there.shape):
        if not valid[example]:
            continue
        score, present, to_left, to_right = maps[example, row].astype(np.float64).T[curve::2]
        odds = np.exp(present).sum()
        presence.append(-np.log((odds if there[example, curve, row] else 1) / (1 + odds)))
        if not there[example, curve, row]:
            continue
        x, ink = float(centreline[example, curve, row]), strokes[example, curve, row]
        probability = np.exp(score) / np.exp(score).sum()
        target = np.exp(-((columns + 0.5 - x) ** 2) / 2)
        entropy.append(-(target / target.sum() * np.log(probability)).sum())
        best = int(np.argmax(score))
        window = columns[max(best - 3, 0) : best + 4]
        share = probability[window] / probability[window].sum()
        first = last = int(x)
        while first > 0 and ink[first - 1]:
            first -= 1
        while last < len(ink) - 1 and ink[last + 1]:
            last += 1
        position.append(smooth_l1((share * (window + 0.5)).sum() - x))
        left.append(smooth_l1(np.log1p(np.exp((share * to_left[window]).sum())) - (x - first)))
        right.append(smooth_l1(np.log1p(np.exp((share * to_right[window]).sum())) - (last + 1 - x)))
    return sum(float(np.mean(term)) for term in (entropy, position, left, right, presence))


def test_the_loss_is_its_definition() -> None:
    batch = replace(truth(), valid=jnp.array([True, False, True]))
    maps = random_maps(batch)
    found = VALUE_AND_GRADIENT(maps, batch)[0]
    np.testing.assert_allclose(found, slow_loss(np.asarray(maps), batch), rtol=1e-5)


def test_invalid_examples_and_absent_rows_carry_nothing() -> None:
    batch = replace(truth(), valid=jnp.array([True, False, True]))
    maps = random_maps(batch)
    value, gradient = VALUE_AND_GRADIENT(maps, batch)
    spoilt = replace(
        batch, centreline=jnp.where(batch.presence & batch.valid[:, None, None], batch.centreline, jnp.nan)
    )
    again, same = VALUE_AND_GRADIENT(maps.at[1].set(jnp.nan), spoilt)
    np.testing.assert_allclose(again, value, rtol=1e-6)
    np.testing.assert_allclose(same, gradient, atol=1e-7)
    assert not np.asarray(same)[1].any()
    # Where a curve is absent only its presence is taught.
    example, curve, row = np.nonzero(~np.asarray(batch.presence & batch.valid[:, None, None]))
    of_absent = np.asarray(same).reshape(3, 8, 12, 4, 2)[example, row, :, :, curve]
    assert not of_absent[..., [0, 2, 3]].any()
    assert of_absent[np.asarray(batch.valid)[example]][..., 1].all()


def test_the_loss_of_no_rows_is_zero() -> None:
    nothing = replace(truth(), valid=jnp.zeros(3, bool))
    value, gradient = VALUE_AND_GRADIENT(random_maps(nothing), nothing)
    assert float(value) == 0
    assert not np.asarray(gradient).any()


def certain_maps(x: float, *, width: int, left: float, right: np.ndarray, size: int = 1) -> jax.Array:
    """Of two curves that are both at x, with the target's own distribution and a reach in px."""

    def before_softplus(length: np.ndarray | float) -> np.ndarray:
        return np.log(np.expm1(length))

    maps = np.zeros((size, len(right), width, 4, 2), np.float32)
    maps[..., 0, :] = -0.5 * (np.arange(width)[:, None] + 0.5 - x) ** 2
    maps[..., 1, :] = 5.0
    maps[..., 2, :] = before_softplus(left)
    maps[..., 3, :] = before_softplus(right)[:, None, None]
    return jnp.asarray(maps.reshape(size, len(right), width, 8))


def test_maps_that_are_right_cost_the_entropy_of_their_target() -> None:
    column = jnp.arange(12)
    batch = replace(
        truth(),
        centreline=jnp.full((3, 2, 8), 6.3),
        presence=jnp.ones((3, 2, 8), bool),
        strokes=jnp.broadcast_to((column >= 4) & (column < 9), (3, 2, 8, 12)),
    )
    maps = certain_maps(6.3, width=12, left=2.3, right=np.full(8, 2.7), size=3)
    entropy = np.log(np.sqrt(2 * np.pi * np.e))
    np.testing.assert_allclose(VALUE_AND_GRADIENT(maps, batch)[0], entropy, atol=2e-3)


def test_a_kick_of_one_row_is_inked_as_far_as_it_reaches_and_traced() -> None:
    right = np.full(24, 2.0)
    right[12] = 11.0
    prediction = jax.jit(lambda maps: prediction_of(rows_of(maps)))(certain_maps(10.3, width=32, left=2.0, right=right))
    presence = np.asarray(prediction.presence)
    inked_px = np.asarray(prediction.masks).sum(-1) / presence
    np.testing.assert_allclose(inked_px, np.broadcast_to(2 + right, inked_px.shape), rtol=2e-3)
    assert (presence > 0.99).all()
    found = trace(prediction)
    assert np.asarray(found.presence).all()
    np.testing.assert_allclose(np.asarray(found.x)[..., [0, 6, 20]], 10.3, atol=0.1)


def test_a_mirrored_model_reads_a_mirror_image_as_the_mirror_of_what_it_reads() -> None:
    model, variables = once(tiny(mirror=True))
    image = jax.random.uniform(jax.random.key(4), (1, 16, 16, 1))
    there, back = (jax.jit(model.predict)(variables, blank(i)) for i in (image, image[:, :, ::-1]))
    np.testing.assert_allclose(there.masks, back.masks[..., ::-1], atol=1e-5)
    np.testing.assert_allclose(there.row_log_prob, back.row_log_prob[..., ::-1], atol=1e-4)


def test_maps_mirrored_twice_are_the_maps() -> None:
    maps = random_maps(truth())
    np.testing.assert_array_equal(mirrored(mirrored(maps)), maps)


def test_cost_is_the_compilers_but_for_padding_and_norms() -> None:
    model = build_model(tiny(features=(16, 32)), LossConfig())
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    assert 0.8 < flops_over_compiled(model, shapes, (2, 64, 64, 1)) < 1.15


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"head": "softmax"}, "model.head is 'softmax', which rowwise does not have; write sigmoid"),
        ({"norm": "group"}, "model.norm is 'group', which rowwise does not have; write one of batch, pixel"),
        ({"dropout": 0.1}, "model.dropout is 0.1, which rowwise does not have; write 0.0"),
        ({"output_stride": 8}, "model.output_stride is 8, which rowwise does not have; write 0"),
        ({"rates": (2,)}, r"model.rates is \(2,\), which rowwise does not have"),
        ({"name": "rowise"}, "did you mean 'rowwise'"),
    ],
)
def test_what_it_does_not_have_is_refused_in_a_sentence(changes: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        build_model(tiny(**changes), LossConfig())


def test_weights_of_losses_on_pixels_are_refused() -> None:
    with pytest.raises(InputError, match=r"loss\.dice is 0\.5, and rowwise, .*, reads no loss\.\*; write 1\.0"):
        build_model(tiny(), LossConfig(dice=0.5))


@needs_torch
@pytest.mark.parametrize(("stem", "norm"), [("full", "batch"), ("space_to_depth", "pixel")])
def test_a_prediction_is_that_of_an_independent_network_in_pytorch(stem: str, norm: str) -> None:
    import torch
    import torch.nn.functional as F

    model, variables = once(tiny(stem=stem, norm=norm))
    weights, side = Weights(variables), 1 if stem == "full" else 2

    def block(x, number: int):
        inside = weights.at(f"Block_{number}")
        for layer in range(2):
            x = F.relu(inside.norm(inside.at(f"Conv_{layer}").conv(x, padding=1), norm, number=layer))
        return x

    def grown(x, layer: Weights, factor: int):
        # A transposed convolution whose stride is its kernel, which is what a dense layer with depth-to-space is.
        kernel, bias = layer.tensor("kernel"), layer.tensor("bias")
        kernel = kernel.reshape(kernel.shape[0], factor, factor, -1).permute(0, 3, 1, 2)
        bias = bias.reshape(factor, factor, -1).permute(2, 0, 1).repeat(1, x.shape[2], x.shape[3])
        return F.conv_transpose2d(x, kernel, stride=factor) + bias

    def maps_of(image):
        height, width = image.shape[2:]
        multiple = 2 * side
        x = F.pad(image - 0.5, (0, -width % multiple, 0, -height % multiple), mode="replicate")
        x = F.pixel_unshuffle(x, side)  # of one channel: the same order as a block's rows
        skip = block(x, 0)
        x = grown(block(F.max_pool2d(skip, 2), 1), weights.at("Dense_0"), 2)
        x = block(torch.cat([x, skip], dim=1), 2)
        return grown(x, weights.at("Dense_1"), side)[:, :, :height, :width]

    def prediction(image):
        score, present, left, right = maps_of(image).split(2, dim=1)
        centres = torch.arange(score.shape[-1]) + 0.5
        log_prob = score.log_softmax(-1)
        best = score.argmax(-1, keepdim=True) + 0.5
        share = log_prob.exp() * ((centres - best).abs() < 3.25)
        share = share / share.sum(-1, keepdim=True)
        odds = present.exp().sum(-1)
        presence = odds / (1 + odds)
        x = (share * centres).sum(-1)
        begin = (x - F.softplus((share * left).sum(-1)))[..., None]
        end = (x + F.softplus((share * right).sum(-1)))[..., None]
        mass = (log_prob.exp() * ((centres >= begin - 3) & (centres <= end + 3))).sum(-1)
        covered = torch.minimum(centres + 0.5 - begin, end - centres + 0.5).clamp(0, 1)
        return (presence * mass)[..., None] * covered, log_prob, presence

    image = np.random.default_rng(0).random((2, 21, 39, 1), np.float32)
    with jax.default_matmul_precision("highest"):
        ours: Prediction = jax.jit(model.predict)(variables, blank(jnp.asarray(image)))
    with torch.no_grad():
        theirs = prediction(torch.from_numpy(image).permute(0, 3, 1, 2))
    assert np.asarray(ours.masks).max() > 0.1
    for one, other in zip((ours.masks, ours.row_log_prob, ours.presence), theirs, strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=0, atol=1e-4)


@pytest.mark.slow
def test_its_config_trains_on_eight_devices() -> None:
    values = losses("rowwise", "model.features=[4,8]", "optimiser.learning_rate=1e-2")
    assert np.isfinite(values).all()
    assert values[-1] < values[0]


def test_its_config_differs_from_the_default_in_the_head_alone() -> None:
    ours, default = (load_config_file(CONFIGS / f"{name}.py") for name in ("rowwise", "unet"))
    assert replace(ours, name="unet", model=replace(ours.model, name="unet", head="softmax")) == default


@pytest.mark.slow
def test_four_logs_learnt_by_heart_are_traced_within_a_pixel() -> None:
    """Seen when written: median .16 px, 95th percentile .68 px, every present row found and no absent one."""
    batch = rendered_examples("standard", split="train", indices=jnp.arange(40, 44), height=64, width=64)
    model = build_model(tiny(features=(8, 12, 16)), LossConfig())
    tx = optax.adam(optax.cosine_decay_schedule(1e-2, STEPS))

    @jax.jit
    def step(variables, opt_state):
        def loss(params):
            return model.loss({**variables, "params": params}, batch, jax.random.key(0))

        gradient, changed = jax.grad(loss, has_aux=True)(variables["params"])
        updates, opt_state = tx.update(gradient, opt_state)
        return {"params": optax.apply_updates(variables["params"], updates), **changed}, opt_state

    variables = jax.jit(model.init)(jax.random.key(0))
    opt_state = tx.init(variables["params"])
    for _ in range(STEPS):
        variables, opt_state = step(variables, opt_state)
    found = trace(jax.jit(model.predict)(variables, batch))
    there, seen = np.asarray(batch.presence), np.asarray(found.presence)
    error_px = np.abs(np.asarray(found.x) - np.asarray(batch.centreline))[there & seen]
    assert np.median(error_px) < 0.4
    assert np.quantile(error_px, 0.95) < 1.5
    assert (there & seen).sum() > 0.95 * there.sum()
    assert (seen & ~there).sum() < 0.3 * (~there).sum()
