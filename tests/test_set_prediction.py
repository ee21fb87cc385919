"""Set prediction: what it has in common with every network, its assignment and loss, and a network in PyTorch."""

import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import reference_losses
from jax import export
from model_cases import (
    Weights,
    built,
    check_eager,
    check_prediction,
    flops_over_compiled,
    gradient_sizes,
    losses,
    needs_torch,
)
from reference import softmax
from scipy.optimize import linear_sum_assignment

from veerjax.config import LossConfig, ModelConfig
from veerjax.errors import InputError
from veerjax.models import build_model
from veerjax.models.residual import Mixing
from veerjax.models.set_prediction import (
    Likeness,
    Said,
    SetPrediction,
    is_exchanged,
    pair_costs,
    position_code,
    semantic_probability,
    set_loss,
)
from veerjax.synthesis.draw import draw_batch
from veerjax.types import Batch, blank

# Not those which sort pixels and thin masks: they take long to compile, and tests/test_losses.py has them.
WEIGHTED = LossConfig(cross_entropy=0.7, dice=1.3, tversky=0.4, focal=2.0)
TWINS = {
    "cross_entropy": reference_losses.cross_entropy,
    "dice": reference_losses.soft_dice,
    "tversky": reference_losses.tversky,
    "focal": reference_losses.focal,
}
COSTS = jax.jit(pair_costs, static_argnames="config")
LOSS = jax.jit(set_loss, static_argnames=("config", "assignment"))


def tiny(**changes) -> ModelConfig:
    given = {"name": "set_prediction", "features": (4, 8), "stem": "full", "head": "sigmoid", "dtype": "float32"}
    return ModelConfig(**{**given, **changes})


def with_strokes(height: int = 32, width: int = 32, *, size: int = 2) -> Batch:
    """Noise with strokes that may overlap; the last example has no second curve, if it is not the only one."""
    strokes = jax.random.bernoulli(jax.random.key(1), 0.3, (size, 2, height, width))
    strokes = strokes.at[size - 1, 1].set(size == 1)
    return replace(blank(jax.random.uniform(jax.random.key(2), (size, height, width, 1))), strokes=strokes)


@pytest.fixture(scope="module")
def answers() -> tuple[Said, Batch]:
    """Queries that say anything of five logs: the second has no curve 2, the third none, the fourth is not valid."""
    noise = np.random.default_rng(0)
    strokes = noise.random((5, 2, 6, 5)) < 0.4
    strokes[1, 1] = strokes[2] = False
    classes, masks = (noise.normal(0, 2, (5, 2, *shape)).astype(np.float32) for shape in ((3,), (6, 5)))
    # One that the two assignments cost differently in class and in mask.
    masks[4] = np.where(strokes[4, ::-1], 1.5, -1.5)
    classes[3], masks[3] = np.nan, np.nan
    valid = jnp.array([True, True, True, False, True])
    batch = replace(blank(jnp.zeros((5, 6, 5, 1))), strokes=jnp.asarray(strokes), valid=valid)
    return Said(classes=jnp.asarray(classes), masks=jnp.asarray(masks)), batch


def exchanged(said: Said) -> Said:
    return jax.tree.map(lambda leaf: leaf[:, ::-1], said)


@pytest.mark.parametrize(
    ("stem", "norm", "size"),
    [("space_to_depth", "batch", (32, 32)), ("full", "pixel", (17, 39)), ("full", "batch", (1, 1))],
)
def test_a_prediction_of_any_size_is_made_of_probabilities(stem: str, norm: str, size: tuple[int, int]) -> None:
    model, variables = built(tiny(stem=stem, norm=norm))
    assert model.stride == (2 if stem == "full" else 4)
    check_prediction(model, variables, with_strokes(*size))


@pytest.mark.slow
def test_compiling_does_not_change_a_prediction() -> None:
    check_eager(*built(tiny()), with_strokes())


def test_a_mirrored_model_reads_a_mirror_image_as_the_mirror_of_what_it_reads() -> None:
    model, variables = built(tiny(mirror=True))
    image, predict = with_strokes(16, 16).image, jax.jit(model.predict)
    there, back = (predict(variables, blank(i)).masks for i in (image, image[:, :, ::-1]))
    np.testing.assert_allclose(there, back[..., ::-1], atol=1e-5)


@pytest.mark.parametrize("remat", [False, True])
def test_the_gradient_reaches_every_parameter_whatever_is_kept(remat: bool) -> None:
    model, variables = built(tiny(remat=remat))
    sizes = gradient_sizes(model, variables, with_strokes())
    assert all(np.isfinite(list(sizes.values())))
    assert not [name for name, size in sizes.items() if size == 0]


def test_a_pixel_is_a_curves_as_far_as_queries_of_its_class_have_it() -> None:
    classes = np.log([[[0.6, 0.3, 0.1], [0.2, 0.5, 0.3]], [[0.9, 0.05, 0.05], [0.8, 0.1, 0.1]]])
    masks = np.array([[2.0, -1.0], [9.0, 9.0]])
    said = Said(classes=jnp.asarray(classes), masks=jnp.asarray(masks)[:, :, None, None])
    first, second = 1 / (1 + np.exp(-2)), 1 / (1 + np.exp(1))
    probability = np.asarray(semantic_probability(said))[:, 0, 0]
    np.testing.assert_allclose(probability[0], [0.6 * first + 0.2 * second, 0.3 * first + 0.5 * second], rtol=1e-5)
    assert probability[1, 0] == 1


def test_the_assignment_is_the_cheapest_of_all() -> None:
    costs = np.random.default_rng(0).normal(size=(50, 2, 2)).astype(np.float32)
    cheapest = [linear_sum_assignment(cost)[1][0] == 1 for cost in costs]
    assert 5 < sum(cheapest) < 45
    np.testing.assert_array_equal(is_exchanged(jnp.asarray(costs)), cheapest)


def twin_of_mask_loss(logits: np.ndarray, masks: np.ndarray) -> float:
    two, label = np.stack([np.zeros_like(logits), logits], axis=-1), masks.astype(np.uint8)
    return sum(getattr(WEIGHTED, name) * twin(two, label) for name, twin in TWINS.items())


def twin_of_pair_cost(said: Said, batch: Batch, example: int, query: int, curve: int) -> float:
    mask = np.asarray(batch.strokes)[[example], curve]
    probability = softmax(np.asarray(said.classes)[example, query])[curve]
    return twin_of_mask_loss(np.asarray(said.masks)[[example], query], mask) - 0.4 * probability if mask.any() else 0.0


def twin_of_set_loss(said: Said, batch: Batch, *, assignment: str) -> float:
    """Over examples, permutations and pixels, one after another."""
    found, entropies, weights = ([], []), [], []
    for example in np.flatnonzero(batch.valid).tolist():
        orders = [(0, 1)] if assignment == "fixed" else list(itertools.permutations(range(2)))  # query of each curve
        order = min(orders, key=lambda o: sum(twin_of_pair_cost(said, batch, example, o[k], k) for k in range(2)))
        for curve, query in enumerate(order):
            mask = np.asarray(batch.strokes)[example, curve]
            if mask.any():
                found[curve].append((np.asarray(said.masks)[example, query], mask))
            weights.append(1.0 if mask.any() else 0.1)
            probability = softmax(np.asarray(said.classes)[example, query])[curve if mask.any() else 2]
            entropies.append(-np.log(probability))
    of_curves = [twin_of_mask_loss(*(np.stack(part) for part in zip(*pairs, strict=True))) for pairs in found]
    return 0.4 * np.average(entropies, weights=weights) + np.mean(of_curves)


def test_costs_of_pairs_equal_their_numpy_twins(answers: tuple[Said, Batch]) -> None:
    costs = np.asarray(COSTS(*answers, config=WEIGHTED))
    for example, query, curve in itertools.product((0, 1, 2, 4), range(2), range(2)):
        expected = twin_of_pair_cost(*answers, example, query, curve)
        np.testing.assert_allclose(costs[example, query, curve], expected, rtol=1e-5)


def test_every_loss_costs_each_pair_by_itself(answers: tuple[Said, Batch]) -> None:
    every = LossConfig(**dict.fromkeys(WEIGHTED.weights, 1.0))
    assert jax.eval_shape(lambda: pair_costs(*answers, config=every)).shape == (5, 2, 2)


@pytest.mark.parametrize("assignment", ["hungarian", "fixed"])
def test_the_loss_equals_its_numpy_twin(answers: tuple[Said, Batch], assignment: str) -> None:
    ours = LOSS(*answers, config=WEIGHTED, assignment=assignment)
    np.testing.assert_allclose(ours, twin_of_set_loss(*answers, assignment=assignment), rtol=1e-5)


def test_which_query_says_it_does_not_matter_unless_the_assignment_is_fixed(answers: tuple[Said, Batch]) -> None:
    said, batch = answers

    def both(assignment: str) -> list[float]:
        return [float(LOSS(who, batch, config=WEIGHTED, assignment=assignment)) for who in (said, exchanged(said))]

    assert both("hungarian")[0] == pytest.approx(both("hungarian")[1], rel=1e-6)
    assert abs(both("fixed")[0] - both("fixed")[1]) > 0.1


@pytest.mark.parametrize("assignment", ["hungarian", "fixed"])
def test_neither_an_invalid_example_nor_the_mask_of_an_absent_curve_has_a_gradient(
    answers: tuple[Said, Batch], assignment: str
) -> None:
    gradient = jax.grad(LOSS)(*answers, config=LossConfig(), assignment=assignment)
    classes, masks = np.asarray(gradient.classes), np.asarray(gradient.masks)
    assert np.isfinite(classes).all()
    assert np.isfinite(masks).all()
    assert (np.abs(classes).max(axis=(1, 2)) > 0).tolist() == [True, True, True, False, True]
    assert (np.abs(masks).max(axis=(2, 3)) > 0).sum(axis=1).tolist() == [2, 1, 0, 0, 2]


def test_a_batch_without_a_valid_example_costs_nothing(answers: tuple[Said, Batch]) -> None:
    said, batch = answers
    assert LOSS(said, replace(batch, valid=jnp.zeros(5, bool)), config=WEIGHTED, assignment="hungarian") == 0


def test_the_code_of_a_place_is_its_own_whatever_the_size() -> None:
    small, large = (position_code(*size, channels=8).reshape(*size, 8) for size in ((3, 4), (7, 9)))
    np.testing.assert_allclose(small, large[:3, :4], atol=1e-6)
    places = np.asarray(large).reshape(-1, 8)
    apart = np.abs(places[:, None] - places[None]).max(-1) + np.eye(len(places))
    assert apart.min() > 0.01


def test_products_of_queries_with_places_and_pixels_are_counted() -> None:
    query, places = jnp.zeros((2, 2, 4, 3)), jnp.zeros((2, 6, 4, 3))
    assert Mixing().operations(query, places, places).flops == 2 * (2 * 2 * 4 * 2 * 6 * 3)
    pixels, embeddings = jnp.zeros((2, 5, 7, 4 * 3)), jnp.zeros((2, 2, 3))
    assert Likeness().operations(pixels, embeddings).flops == 2 * (2 * 5 * 7 * 4) * 2 * 3


def test_cost_is_the_compilers_but_for_padding_and_norms() -> None:
    model = build_model(tiny(features=(16, 32)), LossConfig())
    variables = jax.eval_shape(model.init, jax.random.key(0))  # the initialisers alone take longest to compile
    assert 0.85 < flops_over_compiled(model, variables, (2, 64, 64, 1)) < 1.15


def test_an_export_may_leave_the_size_open() -> None:
    model = build_model(tiny(), LossConfig())
    image = jax.ShapeDtypeStruct(export.symbolic_shape("b, 2*k, 2*m, 1"), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0))
    masks = jax.eval_shape(lambda v, i: model.predict(v, blank(i)).masks, variables, image)
    assert [str(size) for size in masks.shape] == ["b", "2", "2*k", "2*m"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"assignment": "hungarien"}, "model.assignment is 'hungarien'; .* .did you mean 'hungarian'"),
        ({"name": "unet", "assignment": "fixed"}, "model.assignment is 'fixed', which unet does not have; write hung"),
        ({"head": "softmax"}, "model.head is 'softmax', which set_prediction does not have; write sigmoid"),
        ({"norm": "group"}, "model.norm is 'group', which set_prediction does not have; write one of batch, pixel"),
        ({"dropout": 0.5}, "model.dropout is 0.5, which set_prediction does not have; write 0.0"),
        ({"features": (8, 9)}, "features ends in 9, which .* 4 heads of attention; the nearest that does is 8"),
        ({"name": "set_predicton"}, "did you mean 'set_prediction'"),
    ],
)
def test_what_it_does_not_have_is_refused_in_a_sentence(changes: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        build_model(tiny(**changes), LossConfig())


@needs_torch
@pytest.mark.parametrize(("side", "norm"), [(1, "batch"), pytest.param(2, "pixel", marks=pytest.mark.slow)])
def test_classes_and_masks_are_those_of_an_independent_network_in_pytorch(side: int, norm: str) -> None:
    import torch
    import torch.nn.functional as F

    stem = {1: "full", 2: "space_to_depth"}[side]
    _, variables = built(tiny(features=(4, 8), stem=stem, norm=norm))
    weights = Weights(variables)

    def block(x, inside: Weights):
        for number in range(2):
            x = F.relu(inside.norm(inside.at(f"Conv_{number}").conv(x, padding=1), norm, number=number))
        return x

    def grown(x, layer: Weights):
        # A transposed convolution of 2 x 2, which is what a dense layer with depth-to-space is.
        kernel, bias = layer.tensor("kernel"), layer.tensor("bias")
        kernel = kernel.reshape(kernel.shape[0], 2, 2, -1).permute(0, 3, 1, 2)
        bias = bias.reshape(2, 2, -1).permute(2, 0, 1).repeat(1, x.shape[2], x.shape[3])
        return F.conv_transpose2d(x, kernel, stride=2) + bias

    def dense(x, layer: Weights):
        return F.linear(x, layer.tensor("kernel").T, layer.tensor("bias") if layer.has("bias") else None)

    def normed(x, layer: Weights):
        return F.layer_norm(x, x.shape[-1:], layer.tensor("scale"), layer.tensor("bias"), eps=1e-6)

    def attention(query, key, value, inside: Weights):
        parts = [dense(x, inside.at(name)) for name, x in (("query", query), ("key", key), ("value", value))]
        q, k, v = (part.unflatten(2, (4, -1)).transpose(1, 2) for part in parts)
        return dense(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2), inside.at("out"))

    def code(height: int, width: int, channels: int):
        table = torch.zeros(height, width, channels)
        quarter = channels // 4
        for row, column, wave in itertools.product(range(height), range(width), range(quarter)):
            for axis, place in enumerate((row, column)):
                angle = torch.tensor(place / 10_000 ** (wave / quarter))
                table[row, column, 2 * axis * quarter + wave] = torch.sin(angle)
                table[row, column, (2 * axis + 1) * quarter + wave] = torch.cos(angle)
        return table.flatten(0, 1)

    def layer(x, memory, places, inside: Weights):
        y = normed(x, inside.at("LayerNorm_0"))
        x = x + attention(y, y, y, inside.at("Attention_0"))
        x = x + attention(normed(x, inside.at("LayerNorm_1")), memory + places, memory, inside.at("Attention_1"))
        y = F.relu(dense(normed(x, inside.at("LayerNorm_2")), inside.at("Dense_0")))
        return x + dense(y, inside.at("Dense_1"))

    def network(image):
        height, width = image.shape[2:]
        x = F.pad(image - 0.5, (0, -width % (2 * side), 0, -height % (2 * side)), mode="replicate")
        skip = block(F.pixel_unshuffle(x, side), weights.at("Block_0"))
        coarse = block(F.max_pool2d(skip, 2), weights.at("Block_1"))
        x = block(torch.cat([grown(coarse, weights.at("Dense_0")), skip], dim=1), weights.at("Block_2"))
        memory, places = coarse.flatten(2).transpose(1, 2), code(coarse.shape[2], coarse.shape[3], coarse.shape[1])
        queries = weights.tensor("queries").expand(len(image), -1, -1)
        for number in range(3):
            queries = layer(queries, memory, places, weights.at(f"DecoderLayer_{number}"))
        queries = normed(queries, weights.at("norm"))
        y = F.relu(dense(F.relu(dense(queries, weights.at("embedding_0"))), weights.at("embedding_1")))
        pixels = weights.at("pixels").conv(x).unflatten(1, (side**2, 4)).transpose(1, 2).flatten(1, 2)
        masks = torch.einsum("bqc,bchw->bqhw", dense(y, weights.at("embedding_2")) / 2, F.pixel_shuffle(pixels, side))
        return dense(queries, weights.at("classes")), masks[:, :, :height, :width]

    image = np.random.default_rng(0).random((2, 13, 22, 1), np.float32)
    net = SetPrediction(features=(4, 8), stem=stem, norm=norm, dtype=jnp.dtype("float32"))
    with jax.default_matmul_precision("highest"):
        said = jax.jit(lambda image: net.apply(variables, image, train=False))(image)
    with torch.no_grad():
        theirs = network(torch.from_numpy(image).permute(0, 3, 1, 2))
    assert isinstance(said, Said)
    for ours, other in zip((said.classes, said.masks), theirs, strict=True):
        assert np.abs(ours).max() > 0.1
        np.testing.assert_allclose(ours, other.numpy(), rtol=0, atol=1e-4)


@pytest.mark.slow
def test_its_config_trains_on_eight_devices() -> None:
    values = losses("set_prediction", "model.features=[4,8]", "optimiser.learning_rate=1e-2")
    assert np.isfinite(values).all()
    assert values[-1] < values[0]


@pytest.mark.slow
def test_it_learns_four_logs_by_heart() -> None:
    """Seen: an IoU of .893 to 1 over the eight masks, .979 on average; after 300 steps all were 1."""
    model = build_model(tiny(features=(8, 16, 16)), LossConfig())
    batch = jax.jit(lambda: draw_batch(0, "train", jnp.arange(4), height=64, width=64))()
    variables, steps = jax.jit(model.init)(jax.random.key(0)), 200
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(optax.cosine_decay_schedule(1e-2, steps)))

    @jax.jit
    def step(variables, opt_state, batch):
        def loss(params):
            return model.loss({**variables, "params": params}, batch, jax.random.key(0))

        gradient, changed = jax.grad(loss, has_aux=True)(variables["params"])
        updates, opt_state = tx.update(gradient, opt_state, variables["params"])
        return {**changed, "params": optax.apply_updates(variables["params"], updates)}, opt_state

    opt_state = tx.init(variables["params"])
    for _ in range(steps):
        variables, opt_state = step(variables, opt_state, batch)
    masks, truth = np.asarray(jax.jit(model.predict)(variables, batch).masks) > 0.5, np.asarray(batch.strokes)
    iou = (masks & truth).sum((2, 3)) / (masks | truth).sum((2, 3))
    assert iou.min() > 0.7
    assert iou.mean() > 0.9
