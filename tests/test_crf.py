"""The fully connected CRF: its exact form against loops from the definition, and the grid against the exact form."""

import re
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from model_cases import built, labelled

from veerjax.config import Config, CrfConfig, LossConfig, ModelConfig, from_dict, to_dict, with_overrides
from veerjax.errors import InputError
from veerjax.labels import NUM_CLASSES
from veerjax.models import build_model
from veerjax.models.crf import exact_sums, grid_sums, mean_field, refined
from veerjax.training.sharding import data_mesh, over_rows
from veerjax.training.weights import Weights, read_with

CRF = CrfConfig(
    iterations=5,
    appearance_weight=4.0,
    appearance_px=9.0,
    appearance_grey=0.1,
    smoothness_weight=2.0,
    smoothness_px=2.0,
)


def crossing(height: int = 32, width: int = 32, *, size: int = 1, noise: float = 0.04) -> jax.Array:
    """Two dark lines that cross on light paper: grey levels."""
    make = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width]
    page = np.full((size, height, width), 0.9)
    page[:, np.abs(columns - rows * width / height) < 1.5] = 0.2
    page[:, np.abs(width - 1 - columns - rows * width / height) < 1.5] = 0.5
    return jnp.asarray((page + noise * make.standard_normal(page.shape)).clip(0, 1), jnp.float32)


def scores(height: int = 32, width: int = 32, *, size: int = 1, problems: int = 1) -> jax.Array:
    """Random probabilities of three classes."""
    logits = np.random.default_rng(1).normal(size=(size, problems, NUM_CLASSES, height, width))
    return jax.nn.softmax(jnp.asarray(2 * logits, jnp.float32), axis=2)


def by_loops(probability: np.ndarray, grey: np.ndarray, crf: CrfConfig) -> np.ndarray:
    """The mean field of one image [classes, H, W], written from its definition: pixel by pixel, class by class."""
    classes, height, width = probability.shape
    rows, columns = np.mgrid[:height, :width]
    q = probability.astype(np.float64)
    for _ in range(crf.iterations):
        new = np.empty_like(q)
        for r in range(height):
            for c in range(width):
                apart = (rows - r) ** 2.0 + (columns - c) ** 2.0
                alike = (grey - float(grey[r, c])) ** 2.0
                appearance = np.exp(-apart / (2 * crf.appearance_px**2) - alike / (2 * crf.appearance_grey**2))
                smoothness = np.exp(-apart / (2 * crf.smoothness_px**2))
                others = np.ones((height, width))
                others[r, c] = 0
                energy = np.empty(classes)
                for label in range(classes):
                    # Potts: what all others give to any other label counts against this one.
                    against = sum(q[other] for other in range(classes) if other != label)
                    energy[label] = -np.log(probability[label, r, c])
                    for weight, kernel in (
                        (crf.appearance_weight, appearance),
                        (crf.smoothness_weight, smoothness),
                    ):
                        energy[label] += weight * (kernel * others * against).sum() / kernel.sum()
                likely = np.exp(-(energy - energy.min()))
                new[:, r, c] = likely / likely.sum()
        q = new
    return q


@pytest.mark.parametrize("iterations", [1, 5])
def test_the_exact_form_is_the_definition(iterations: int) -> None:
    crf, grey, given = replace(CRF, iterations=iterations), crossing(), scores()
    found = np.asarray(jax.jit(partial(mean_field, crf=crf, exact=True))(given, grey))
    expected = by_loops(np.asarray(given[0, 0]), np.asarray(grey[0], np.float64), crf)
    print(f"\nafter {iterations}: within {np.abs(found[0, 0] - expected).max():.1e}")
    assert np.abs(expected - given[0, 0]).max() > 0.2
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-4)


@pytest.mark.parametrize(("px", "grey_bandwidth"), [((3.0, 1.0), 0.1), ((9.0, 2.0), 0.04), ((50.0, 7.0), 0.3)])
def test_the_grid_is_near_the_exact_form(px: tuple[float, float], grey_bandwidth: float) -> None:
    crf = replace(CRF, appearance_px=px[0], smoothness_px=px[1], appearance_grey=grey_bandwidth)
    grey, given = crossing(45, 40), scores(45, 40)

    @jax.jit
    def both(given: jax.Array, grey: jax.Array) -> list[jax.Array]:
        sums = [form(grey, crf)(given) for form in (exact_sums, grid_sums)]
        return [*sums, *(mean_field(given, grey, crf, exact=exact) for exact in (True, False))]

    exact, grid, field, other = map(np.asarray, both(given, grey))
    apart, moved = np.abs(exact - grid), np.abs(field - other)
    print(f"\nsums within {apart.max():.4f}, probabilities {moved.max():.4f}, of them the mean {moved.mean():.5f}")
    assert np.abs(field - given).mean() > 0.03
    assert apart.max() < 0.02  # of weights of 4 and 2
    assert moved.max() < 0.01
    assert moved.mean() < 0.001


@pytest.mark.parametrize("exact", [True, False])
def test_without_iterations_nothing_changes_and_without_weights_the_network_speaks(exact: bool) -> None:
    grey, given = crossing(), scores()
    none = mean_field(given, grey, replace(CRF, iterations=0), exact=exact)
    np.testing.assert_array_equal(none, given)
    mute = replace(CRF, appearance_weight=0.0, smoothness_weight=0.0)
    np.testing.assert_allclose(jax.jit(partial(mean_field, crf=mute, exact=exact))(given, grey), given, atol=1e-6)


@pytest.mark.parametrize("exact", [True, False])
def test_a_pixel_alone_hears_nobody(exact: bool) -> None:
    given = scores(1, 1)
    found = jax.jit(partial(mean_field, crf=CRF, exact=exact))(given, np.full((1, 1, 1), 0.37, np.float32))
    np.testing.assert_allclose(found, given, atol=1e-5)


def test_compiled_eager_one_by_one_and_in_batches_are_the_same() -> None:
    crf = replace(CRF, iterations=2)
    grey, given = crossing(9, 11, size=2), scores(9, 11, size=2, problems=2)
    eager, compiled = mean_field(given, grey, crf), jax.jit(partial(mean_field, crf=crf))
    np.testing.assert_allclose(compiled(given, grey), eager, atol=1e-6)
    np.testing.assert_allclose(np.sum(eager, axis=2), 1, atol=1e-5)
    for one in (slice(0, 1), slice(1, 2)):
        np.testing.assert_allclose(compiled(given[one], grey[one]), eager[one], atol=1e-5)


@pytest.mark.parametrize("exact", [True, False])
def test_the_gradient_is_finite_where_probabilities_are_0_or_1(exact: bool) -> None:
    given = np.zeros((1, 1, NUM_CLASSES, 16, 16), np.float32)
    given[:, :, 0] = 1

    def total(given: jax.Array, grey: jax.Array) -> jax.Array:
        return jnp.sum(mean_field(given, grey, replace(CRF, iterations=2), exact=exact)[:, :, 1] ** 2)

    by_given, by_grey = jax.jit(jax.grad(total, argnums=(0, 1)))(given, crossing(16, 16))
    assert np.isfinite(by_given).all()
    assert np.isfinite(by_grey).all()
    assert np.abs(by_given).max() > 0


def test_it_cleans_a_noisy_labelling_of_a_bar() -> None:
    """What it is for: of labels of which a fifth is wrong, it leaves few where the image shows the bar."""
    make = np.random.default_rng(0)
    truth = np.zeros((48, 48), int)
    truth[:, 16:28] = 1
    seen = np.where(make.random(truth.shape) < 0.2, make.integers(0, NUM_CLASSES, truth.shape), truth)
    given = np.moveaxis(0.2 + 0.4 * np.eye(NUM_CLASSES, dtype=np.float32)[seen], -1, 0)[None, None]
    grey = np.where(truth == 1, 0.2, 0.9).astype(np.float32)[None]
    found = np.asarray(jax.jit(partial(mean_field, crf=CRF))(given, grey)).argmax(2)[0, 0]
    assert np.mean(seen != truth) > 0.1
    assert np.mean(found != truth) < 0.005


def test_curves_that_may_overlap_are_two_labellings() -> None:
    """One of them alone, as a curve beside an empty one, has the probability of the second of two classes."""
    grey = crossing()
    ink = np.asarray(scores()[:, 0, :2].transpose(0, 2, 3, 1))
    found = jax.jit(partial(refined, crf=CRF, exclusive=False))(ink, grey[..., None])
    field = jax.jit(partial(mean_field, crf=CRF))
    for curve in range(2):
        alone = np.stack([1 - ink[..., curve], ink[..., curve]], axis=1)[:, None]
        np.testing.assert_allclose(found[..., curve], field(alone, grey)[:, 0, 1], atol=1e-5)


def test_it_is_exported_for_any_size() -> None:
    batch, height, width = export.symbolic_shape("b, 8*h, 8*w")
    shapes = (batch, 1, NUM_CLASSES, height, width), (batch, height, width)
    field = jax.jit(partial(mean_field, crf=replace(CRF, iterations=1)))
    program = export.export(field)(*(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes))
    grey, given = crossing(16, 24), scores(16, 24)
    np.testing.assert_allclose(program.call(given, grey), field(given, grey), atol=1e-6)


def test_all_pairs_of_a_large_image_are_refused() -> None:
    with pytest.raises(InputError, match=r"65 x 64 px, and all pairs are for at most 4096 px; leave out exact=True"):
        mean_field(scores(65, 64), crossing(65, 64), CRF, exact=True)


def test_devices_that_share_an_image_sum_over_all_of_it() -> None:
    mesh = data_mesh(jax.devices()[:4], rows=4)
    grey, given = crossing(64, 16), scores(64, 16)

    def read(given: jax.Array, grey: jax.Array) -> jax.Array:
        return mean_field(jnp.moveaxis(given, 2, 1)[:, None], grey, replace(CRF, iterations=2))

    rows = jnp.moveaxis(given[:, 0], 1, 2)  # height second, as in a batch
    split = jax.jit(read, in_shardings=(over_rows(mesh).label, over_rows(mesh).label))
    np.testing.assert_allclose(split(rows, grey), jax.jit(read)(rows, grey), atol=1e-5)


@pytest.mark.parametrize(("head", "channels"), [("softmax", 1), ("sigmoid", 3)])
def test_a_prediction_passes_through_it_and_a_loss_does_not(head: str, channels: int) -> None:
    config = ModelConfig(features=(4, 4), stem="full", head=head, channels=channels, mirror=True, dtype="float32")
    model, variables = built(config)
    with_crf = build_model(replace(config, crf=CRF), LossConfig())
    batch = labelled(32, 24)
    plain, found = (jax.jit(each.predict)(variables, batch) for each in (model, with_crf))
    maps = jnp.moveaxis(plain.masks, 1, -1)
    if head == "softmax":
        maps = jnp.concatenate([1 - jnp.sum(maps, axis=-1, keepdims=True), maps], axis=-1)
    expected = jax.jit(partial(refined, crf=CRF, exclusive=head == "softmax"))(maps, batch.image)[..., -2:]
    assert np.abs(plain.masks - found.masks).max() > 0.01
    np.testing.assert_allclose(jnp.moveaxis(found.masks, 1, -1), expected, atol=1e-4)
    losses = [jax.make_jaxpr(each.loss)(variables, batch, jax.random.key(0)) for each in (model, with_crf)]
    assert str(losses[0]) == str(losses[1])


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        ("iterations=-1", r"model.crf.iterations is -1; it must be >= 0\."),
        ("appearance_weight=-1", r"model.crf.appearance_weight is -1.0; it must be >= 0\."),
        ("smoothness_px=0.1", r"model.crf.smoothness_px is 0.1; it must be at least 0.5\."),
        ("appearance_grey=2", r"model.crf.appearance_grey is 2.0; it must be from 0.004 to 1\."),
        ("iteration=5", "no key 'model.crf.iteration' .did you mean 'iterations'"),
    ],
)
def test_a_wrong_key_is_one_sentence(item: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        with_overrides(Config(name="x"), [f"model.crf.{item}"])


def test_a_config_that_was_written_before_it_has_none() -> None:
    values = to_dict(Config(name="x"))
    del values["model"]["crf"]
    assert from_dict(Config, values).model.crf == CrfConfig()


def test_weights_are_read_with_it_and_stay_what_they_are() -> None:
    config = Config(name="x", model=ModelConfig(features=(4,), stem="full"))
    weights = Weights(name="x", config=config, model=build_model(config.model, config.loss), variables={})
    assert read_with(weights, ()) is weights
    changed = read_with(weights, ["model.crf.iterations=5", "model.mirror=true"])
    assert changed.config.model == replace(config.model, crf=replace(config.model.crf, iterations=5), mirror=True)
    assert changed.model is not weights.model
    for item in ("model.norm=pixel", "model.crf=3", "seed=1", "model.mirrors=true", "model.rcnn.mask_grid=[8,8]"):
        with pytest.raises(
            InputError, match=f"--set was given '{re.escape(item)}', but weights stay what they were .* such as"
        ):
            read_with(weights, [item])
