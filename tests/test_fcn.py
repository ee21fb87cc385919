"""FCN-32s, 16s and 8s: what they have in common with every network, and with an independent one in PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_cases import (
    Weights,
    built,
    check_eager,
    check_parity,
    check_prediction,
    flops_over_compiled,
    gradient_sizes,
    labelled,
    losses,
    needs_torch,
)

from veerjax.config import LossConfig, ModelConfig
from veerjax.errors import InputError
from veerjax.models import build_model
from veerjax.models.blocks import LearnedUpsampling, bilinear_kernel, bilinear_upsampling
from veerjax.models.fcn import FCN

WIDTHS = (4, 4, 6, 6, 8, 8)


def tiny(**changes) -> ModelConfig:
    return ModelConfig(**{"name": "fcn", "features": WIDTHS, "stem": "full", "dtype": "float32", **changes})


def network(stride: int, norm: str) -> FCN:
    return FCN(features=WIDTHS, output_stride=stride, norm=norm, dtype=jnp.dtype("float32"))


@pytest.mark.parametrize(
    ("head", "norm", "size", "changes"),
    [
        ("softmax", "batch", (32, 32), {}),
        ("sigmoid", "none", (17, 23), {"output_stride": 32}),
        ("softmax", "pixel", (1, 1), {"output_stride": 16, "mirror": True}),
    ],
)
def test_a_prediction_of_any_size_is_made_of_probabilities(
    head: str, norm: str, size: tuple[int, int], changes: dict
) -> None:
    model, variables = built(tiny(head=head, norm=norm, **changes))
    assert model.stride == 32
    check_prediction(model, variables, labelled(*size))


@pytest.mark.parametrize("changes", [{}, {"remat": True, "dropout": 0.5, "norm": "none"}])
def test_the_gradient_reaches_every_parameter(changes: dict) -> None:
    model, variables = built(tiny(**changes))
    sizes = gradient_sizes(model, variables, labelled())
    assert all(np.isfinite(list(sizes.values())))
    assert not [name for name, size in sizes.items() if size == 0]


@pytest.mark.slow
def test_compiling_does_not_change_a_prediction() -> None:
    check_eager(*built(tiny()), labelled())


def test_dropout_depends_on_the_key_and_only_in_training() -> None:
    model, variables = built(tiny(dropout=0.5, norm="none"))
    batch, loss = labelled(), jax.jit(model.loss)
    first, again, other = (float(loss(variables, batch, jax.random.key(key))[0]) for key in (0, 0, 1))
    assert first == again != other
    whole, _ = built(tiny(norm="none"))
    masks = [jax.jit(which.predict)(variables, batch).masks for which in (model, whole)]
    np.testing.assert_array_equal(*masks)


def test_scores_start_from_zero_so_that_every_class_is_as_likely() -> None:
    model = build_model(tiny(), LossConfig())
    masks = jax.jit(model.predict)(jax.jit(model.init)(jax.random.key(0)), labelled()).masks
    np.testing.assert_allclose(masks, 1 / 3, rtol=1e-6)


@pytest.mark.parametrize("factor", [2, 8, 16])
def test_fixed_upsampling_is_bilinear_interpolation(factor: int) -> None:
    x = jax.random.normal(jax.random.key(0), (2, 3, 5, 4))
    shape = (2, 3 * factor, 5 * factor, 4)
    np.testing.assert_allclose(bilinear_upsampling(x, factor=factor), jax.image.resize(x, shape, "bilinear"), atol=1e-5)


def test_learned_upsampling_starts_as_the_fixed_one() -> None:
    x = jax.random.normal(jax.random.key(0), (2, 3, 5, 4))
    layer = LearnedUpsampling(jnp.dtype("float32"))
    grown, variables = layer.init_with_output(jax.random.key(1), x)
    np.testing.assert_allclose(grown, bilinear_upsampling(x, factor=2), atol=1e-6)
    assert variables["params"]["ConvTranspose_0"]["kernel"].shape == (4, 4, 4, 4)


def test_a_bilinear_kernel_is_the_published_one() -> None:
    kernel = np.asarray(bilinear_kernel(jax.random.key(0), (4, 4, 2, 2)))
    row = np.array([0.25, 0.75, 0.75, 0.25])
    np.testing.assert_allclose(kernel[:, :, 0, 0], row[:, None] * row)
    np.testing.assert_array_equal(kernel[:, :, 0, 1], 0)


def test_cost_is_the_compilers_but_for_padding_and_norms() -> None:
    model, variables = built(tiny(features=(16, 16, 16, 16, 32, 32)))
    assert 0.8 < flops_over_compiled(model, variables, (2, 64, 64, 1)) < 1.15


def test_finer_scores_cost_a_dense_layer_and_a_transposed_convolution() -> None:
    at_32, at_16 = (build_model(tiny(output_stride=stride), LossConfig()).cost((1, 64, 64, 1)) for stride in (32, 16))
    grown = (2 * 2 + 6) ** 2  # with the border, which is cut off
    assert at_16.flops - at_32.flops == 2 * 16 * 6 * 3 + 2 * grown * 4 * 3 * 3
    assert at_16.parameters - at_32.parameters == 6 * 3 + 3 + 16 * 3 * 3


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"features": (8, 8)}, "model.features has 2 widths; fcn needs 6, of its five stages"),
        ({"output_stride": 12}, "model.output_stride is 12, which fcn does not have; write one of 0, 8, 16, 32"),
        ({"norm": "group"}, "model.norm is 'group', which fcn does not have; write one of none, batch, pixel"),
        ({"stem": "space_to_depth"}, "model.stem is 'space_to_depth', which fcn does not have; write full"),
        ({"dropout": 1.0}, "model.dropout is 1.0; it must be from 0 to below 1"),
        ({"name": "unet", "dropout": 0.5}, "model.dropout is 0.5, which unet does not have; write 0.0"),
        ({"name": "unet", "norm": "none"}, "model.norm is 'none', which unet does not have; write one of batch, pixel"),
        ({"name": "fnc"}, r"model.name is 'fnc'; write one of .* .did you mean 'fcn'"),
    ],
)
def test_what_it_does_not_have_is_refused_in_a_sentence(changes: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        build_model(tiny(**changes), LossConfig())


@needs_torch
@pytest.mark.parametrize(("stride", "norm"), [(32, "none"), (16, "batch"), (8, "batch"), (8, "pixel")])
def test_logits_are_those_of_an_independent_network_in_pytorch(stride: int, norm: str) -> None:
    import torch.nn.functional as F

    _, variables = built(tiny(output_stride=stride, norm=norm))
    weights = Weights(variables)

    def upsampled(x, factor: int):
        # Transposed convolution of the image with its border repeated, which is then cut off.
        import torch

        row = 1 - (torch.arange(2 * factor) + 0.5 - factor).abs() / factor
        kernel = (row[:, None] * row).expand(x.shape[1], 1, -1, -1)
        return F.conv_transpose2d(
            F.pad(x, (1, 1, 1, 1), mode="replicate"),
            kernel,
            stride=factor,
            padding=factor // 2 + factor,
            groups=x.shape[1],
        )

    def learned(x, layer: Weights):
        kernel = layer.at("ConvTranspose_0").tensor("kernel").permute(2, 3, 0, 1).flip(2, 3)
        return F.conv_transpose2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, stride=2, padding=3)

    def block(x, index: int, layers: int, *, padding: int = 1):
        inside = weights.at(f"Block_{index}")
        for number in range(layers):
            x = inside.at(f"Conv_{number}").conv(x, padding=padding)
            x = F.relu(inside.norm(x, norm, number=number))
        return x

    def fcn(image):
        height, width = image.shape[2:]
        x = F.pad(image - 0.5, (0, -width % 32, 0, -height % 32), mode="replicate")
        pooled = []
        for index, layers in enumerate((2, 2, 3, 3, 3)):
            x = F.max_pool2d(block(x, index, layers), 2)
            pooled.append(x)
        x = block(block(x, 5, 1, padding=3), 6, 1, padding=0)
        scores = weights.at("score_32").conv(x)
        for number, level in enumerate((16, 8)):
            if level >= stride:
                skip = weights.at(f"score_{level}").conv(pooled[3 - number])
                scores = learned(scores, weights.at(f"LearnedUpsampling_{number}")) + skip
        return upsampled(scores, stride)[:, :, :height, :width]

    image = np.random.default_rng(0).random((2, 50, 71, 1), np.float32)
    check_parity(network(stride, norm), variables, fcn, image)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fcn32s", "fcn16s", "fcn8s"])
def test_its_config_trains_on_eight_devices(name: str) -> None:
    values = losses(name, "model.features=[4,4,6,6,8,8]", "optimiser.learning_rate=1e-2")
    assert np.isfinite(values).all()
    assert values[-1] < values[0]
