from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_cases import Weights, built, check_parity, needs_torch

from veerjax.config import Config, LossConfig, ModelConfig, with_overrides
from veerjax.errors import InputError
from veerjax.models import build_model
from veerjax.models.blocks import depth_to_space, pool, space_to_depth
from veerjax.models.model import Model, Variables, prediction_from_logits
from veerjax.models.unet import UNet
from veerjax.training.sharding import data_mesh
from veerjax.training.stepper import check_images
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


def valid_net(features: tuple[int, ...], stem: str, padding: str = "valid") -> UNet:
    return UNet(features=features, stem=stem, norm="batch", dtype=jnp.dtype("float32"), padding=padding)


@pytest.mark.parametrize(
    ("levels", "stem", "size"), [(1, "full", (3, 9)), (2, "space_to_depth", (17, 1)), (3, "full", (26, 31))]
)
def test_valid_convolutions_label_every_pixel_of_any_size(levels: int, stem: str, size: tuple[int, int]) -> None:
    net = valid_net((4,) * levels, stem)
    image = jnp.ones((2, *size, 1))
    logits, _ = jax.eval_shape(lambda key: net.init_with_output(key, image, train=False), jax.random.key(0))
    assert logits.shape == (2, *size, 3)


def test_of_five_levels_valid_convolutions_read_92_px_beyond_each_border_as_published() -> None:
    around = valid_net((64, 128, 256, 512, 1024), "full").surrounded(jnp.zeros((1, 388, 388, 1)))
    assert around.shape == (1, 572, 572, 1)


def test_far_from_the_border_padding_makes_no_difference() -> None:
    valid, same = (valid_net((4, 8), "full", padding) for padding in ("valid", "same"))
    image = jax.random.uniform(jax.random.key(1), (1, 48, 48, 1))
    variables = jax.jit(partial(valid.init, train=False))(jax.random.key(0), image)
    others = jax.eval_shape(partial(same.init, train=False), jax.random.key(0), image)
    assert jax.tree.structure(variables) == jax.tree.structure(others)
    ours, other = (np.asarray(jax.jit(partial(net.apply, train=False))(variables, image)) for net in (valid, same))
    np.testing.assert_allclose(ours[:, 16:-16, 16:-16], other[:, 16:-16, 16:-16], atol=1e-5)
    assert np.abs(ours - other).max() > 1e-3


@needs_torch
@pytest.mark.parametrize(("padding", "stem"), [("valid", "full"), ("same", "full"), ("valid", "space_to_depth")])
def test_logits_are_those_of_an_independent_network_in_pytorch(padding: str, stem: str) -> None:
    import torch
    import torch.nn.functional as F

    widths, side = (4, 6, 8), {"full": 1, "space_to_depth": 2}[stem]
    _, variables = built(ModelConfig(features=widths, stem=stem, padding=padding, dtype="float32"))
    weights = Weights(variables)
    beyond = 0 if padding == "valid" else 1

    def block(x, index: int):
        inside = weights.at(f"Block_{index}")
        for number in range(2):
            x = F.relu(inside.norm(inside.at(f"Conv_{number}").conv(x, padding=beyond), "batch", number=number))
        return x

    def grown(x, layer: Weights, factor: int):
        # A transposed convolution as wide as its stride, which is what a dense layer with depth-to-space is.
        kernel, bias = layer.tensor("kernel"), layer.tensor("bias")
        kernel = kernel.reshape(kernel.shape[0], factor, factor, -1).permute(0, 3, 1, 2)
        bias = bias.reshape(factor, factor, -1).permute(2, 0, 1).repeat(1, x.shape[2], x.shape[3])
        return F.conv_transpose2d(x, kernel, stride=factor) + bias

    def mirrored(image: np.ndarray):
        # 3 levels: 4 + 2 (4 + 2 (4)) places are eaten from each end of the finest level, made up of whole fours.
        sizes = [-(-size // side) for size in (50, 71)]
        to = [
            (20 * side, (20 + -(-(size - 4) // 4) * 4 + 4) * side - px)
            for size, px in zip(sizes, (50, 71), strict=True)
        ]
        return np.pad(image, [(0, 0), *to, (0, 0)], mode="symmetric")

    def unet(image):
        height, width = image.shape[2:]
        if padding == "valid":
            x = torch.from_numpy(mirrored(image.permute(0, 2, 3, 1).numpy())).permute(0, 3, 1, 2) - 0.5
        else:
            x = F.pad(image - 0.5, (0, -width % 4, 0, -height % 4), mode="replicate")
        if side == 2:
            x = F.conv2d(x, torch.eye(4).reshape(4, 1, 2, 2), stride=2)
        skips = []
        for index in range(2):
            skips.append(block(x, index))
            x = F.max_pool2d(skips[-1], 2)
        x = block(x, 2)
        for index in range(2):
            x, skip = grown(x, weights.at(f"Dense_{index}"), 2), skips.pop()
            cut = [(have - want) // 2 for have, want in zip(skip.shape[2:], x.shape[2:], strict=True)]
            skip = skip[:, :, cut[0] : cut[0] + x.shape[2], cut[1] : cut[1] + x.shape[3]]
            x = block(torch.cat([x, skip], dim=1), 3 + index)
        return grown(x, weights.at("Dense_2"), side)[:, :, :height, :width]

    net = UNet(features=widths, stem=stem, norm="batch", dtype=jnp.dtype("float32"), padding=padding)
    check_parity(net, variables, unet, np.random.default_rng(0).random((2, 50, 71, 1), np.float32))


def test_more_levels_than_the_images_have_places_for_are_refused() -> None:
    config = with_overrides(Config(name="deep"), ["model.features=[4,4,4,4,4,4]", "data.height=32"])
    with pytest.raises(InputError, match=r"images are 32 x 256 px, and unet needs 64 px .* fewer model\.features"):
        check_images(config, build_model(config.model, config.loss), data_mesh())


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
    with pytest.raises(InputError, match=r"model\.name is 'unett'; write one of .*\bunet.* .did you mean 'unet'"):
        build_model(ModelConfig(name="unett"), LossConfig())
