import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.config import LossConfig, ModelConfig
from veerjax.errors import InputError
from veerjax.models import build_model
from veerjax.models.blocks import depth_to_space, pool, space_to_depth
from veerjax.models.model import Model, Variables, prediction_from_logits
from veerjax.models.unet import UNet
from veerjax.types import Batch, blank

SIZES = {"full": (4, 8), "space_to_depth": (8, 12)}


def trained_a_little(stem: str, norm: str) -> tuple[UNet, Variables]:
    """A net whose running statistics are not those it started with."""
    net = UNet(features=SIZES[stem], stem=stem, norm=norm, dtype=jnp.dtype("float32"))
    variables = dict(net.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)), train=False))
    image = jax.random.uniform(jax.random.key(1), (2, 16, 16, 1))
    for _ in range(3):
        _, changed = net.apply(variables, image, train=True, mutable=["batch_stats"])
        variables = {**variables, **changed}
    return net, variables


@pytest.mark.parametrize("norm", ["batch", "pixel"])
@pytest.mark.parametrize("stem", ["full", "space_to_depth"])
def test_a_windows_interior_logits_equal_the_strips(stem: str, norm: str) -> None:
    net, variables = trained_a_little(stem, norm)
    strip = jax.random.uniform(jax.random.key(2), (1, 128, 32, 1))
    whole = net.apply(variables, strip, train=False)
    window = net.apply(variables, strip[:, 32:96], train=False)
    margin = 24  # beyond the receptive field of these small nets
    np.testing.assert_allclose(window[:, margin:-margin], whole[:, 32 + margin : 96 - margin], atol=1e-5)


@pytest.mark.parametrize("size", [(17, 23), (16, 16), (1, 1), (50, 31)])
def test_any_size_is_padded_and_cropped_back(size: tuple[int, int]) -> None:
    net, variables = trained_a_little("space_to_depth", "batch")
    assert net.apply(variables, jnp.ones((2, *size, 1)), train=False).shape == (2, *size, 3)


def test_space_to_depth_is_undone_by_depth_to_space() -> None:
    x = jax.random.normal(jax.random.key(0), (2, 6, 8, 3))
    np.testing.assert_array_equal(depth_to_space(space_to_depth(x)), x)


def test_pooling_is_the_maximum_of_each_block() -> None:
    x = jax.random.normal(jax.random.key(0), (1, 4, 6, 2))
    blocks = np.asarray(x).reshape(1, 2, 2, 3, 2, 2)
    np.testing.assert_array_equal(pool(x), blocks.max(axis=(2, 4)))


@pytest.fixture(scope="module")
def small() -> tuple[Model, Variables, Batch]:
    model = build_model(ModelConfig(features=(8, 8)), LossConfig())
    label = jax.random.randint(jax.random.key(1), (2, 32, 32), 0, 3).astype(jnp.uint8)
    batch = blank(jax.random.uniform(jax.random.key(2), (2, 32, 32, 1)), label=label)
    return model, jax.jit(model.init)(jax.random.key(0)), batch


def test_a_prediction_is_made_of_probabilities(small: tuple[Model, Variables, Batch]) -> None:
    model, variables, batch = small
    prediction = jax.jit(model.predict)(variables, batch)
    masks = np.asarray(prediction.masks)
    assert masks.shape == (2, 2, 32, 32)
    assert ((masks >= 0) & (masks <= 1)).all()
    np.testing.assert_allclose(np.exp(np.asarray(prediction.row_log_prob)).sum(-1), 1, rtol=1e-4)
    np.testing.assert_allclose(prediction.presence, masks.max(-1), rtol=1e-6)


def test_the_loss_is_finite_and_its_gradient_reaches_every_parameter(
    small: tuple[Model, Variables, Batch],
) -> None:
    model, variables, batch = small
    gradient = jax.grad(lambda p: model.loss({**variables, "params": p}, batch, jax.random.key(0))[0])(
        variables["params"]
    )
    sizes = [float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradient)]
    assert all(np.isfinite(sizes))
    assert min(sizes) > 0


def test_a_mirrored_model_reads_a_mirror_image_as_the_mirror_of_what_it_reads() -> None:
    model = build_model(ModelConfig(features=(8, 8), mirror=True), LossConfig())
    variables = jax.jit(model.init)(jax.random.key(3))
    image = jax.random.uniform(jax.random.key(4), (1, 16, 16, 1))
    there, back = (jax.jit(model.predict)(variables, blank(i)).masks for i in (image, image[:, :, ::-1]))
    np.testing.assert_allclose(there, back[..., ::-1], atol=1e-5)


def test_row_probability_follows_the_logits() -> None:
    logits = jnp.zeros((1, 4, 8, 3)).at[0, 2, 5, 1].set(9.0)
    prediction = prediction_from_logits(logits)
    assert int(jnp.argmax(prediction.row_log_prob[0, 0, 2])) == 5
    assert prediction.label is not None
    assert int(prediction.label[0, 2, 5]) == 1


def test_an_unknown_model_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match=r"model\.name is 'unett'; write one of unet, .* .did you mean 'unet'"):
        build_model(ModelConfig(name="unett"), LossConfig())
