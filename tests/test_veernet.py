"""VeerNet: what it has in common with every network, and with an independent one in PyTorch."""

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
from veerjax.models.residual import Mixing
from veerjax.models.veernet import VeerNet

WIDTHS = (4, 4, 6, 6, 8)


def tiny(**changes) -> ModelConfig:
    given = {"name": "veernet", "features": WIDTHS, "stem": "full", "norm": "group", "dtype": "float32"}
    return ModelConfig(**{**given, **changes})


@pytest.mark.parametrize(
    ("head", "norm", "size"),
    [("softmax", "group", (32, 32)), ("sigmoid", "batch", (17, 39)), ("softmax", "pixel", (1, 1))],
)
def test_a_prediction_of_any_size_is_made_of_probabilities(head: str, norm: str, size: tuple[int, int]) -> None:
    model, variables = built(tiny(head=head, norm=norm))
    assert model.stride == 32
    check_prediction(model, variables, labelled(*size))


@pytest.mark.slow
def test_compiling_does_not_change_a_prediction() -> None:
    check_eager(*built(tiny()), labelled())


@pytest.mark.parametrize("remat", [False, True])
def test_the_gradient_reaches_every_parameter_whatever_is_kept(remat: bool) -> None:
    # Of one place attention has no choice, and of two a norm of one channel has but a sign: hence four.
    model, variables = built(tiny(remat=remat))
    sizes = gradient_sizes(model, variables, labelled(64, 64))
    assert all(np.isfinite(list(sizes.values())))
    assert not [name for name, size in sizes.items() if size == 0]


def test_its_bottleneck_mixes_places_as_the_definition_says() -> None:
    query, key, value = jax.random.normal(jax.random.key(0), (3, 2, 5, 4, 3))
    mixed = np.asarray(Mixing().apply({}, query, key, value))
    for head in range(4):
        q, k, v = (np.asarray(part)[1, :, head] for part in (query, key, value))
        weights = np.exp(q @ k.T / np.sqrt(3))
        np.testing.assert_allclose(mixed[1, :, head], weights / weights.sum(1, keepdims=True) @ v, atol=1e-5)


def test_products_of_attention_are_counted() -> None:
    query = jnp.zeros((2, 6, 4, 3))
    assert Mixing().operations(query, query, query).flops == 2 * (2 * 2 * 4 * 6 * 6 * 3)


def test_cost_is_the_compilers_but_for_padding_and_norms() -> None:
    model, variables = built(tiny(features=(16, 16, 16, 16, 32)))
    assert 0.8 < flops_over_compiled(model, variables, (2, 64, 64, 1)) < 1.15


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"features": (8, 8)}, "model.features has 2 widths; veernet needs 5, one a stage"),
        (
            {"features": (8, 8, 8, 8, 9)},
            "features ends in 9, which .* 4 heads of attention; the nearest that does is 8",
        ),
        ({"norm": "none"}, "model.norm is 'none', which veernet does not have; write one of group, batch, pixel"),
        ({"stem": "space_to_depth"}, "model.stem is 'space_to_depth', which veernet does not have; write full"),
        ({"output_stride": 8}, "model.output_stride is 8, which veernet does not have; write 0"),
        ({"name": "vernet"}, "did you mean 'veernet'"),
    ],
)
def test_what_it_does_not_have_is_refused_in_a_sentence(changes: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        build_model(tiny(**changes), LossConfig())


@needs_torch
@pytest.mark.parametrize("norm", ["group", "batch"])
def test_logits_are_those_of_an_independent_network_in_pytorch(norm: str) -> None:
    import torch
    import torch.nn.functional as F

    _, variables = built(tiny(norm=norm))
    weights = Weights(variables)

    def cbam(x, inside: Weights):
        def shared(pooled):
            return inside.at("Dense_1").conv(F.relu(inside.at("Dense_0").conv(pooled)))

        x = x * torch.sigmoid(shared(F.adaptive_avg_pool2d(x, 1)) + shared(F.adaptive_max_pool2d(x, 1)))
        both = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], dim=1)
        return x * torch.sigmoid(inside.at("Conv_0").conv(both, padding=3))

    def residual(x, inside: Weights):
        y = F.relu(inside.norm(inside.at("Conv_0").conv(x, stride=2, padding=1), norm))
        y = inside.norm(inside.at("Conv_1").conv(y, padding=1), norm, number=1)
        y = cbam(y, inside.at("CBAM_0"))
        return F.relu(y + inside.norm(inside.at("Conv_2").conv(x, stride=2), norm, number=2))

    def attention(x, inside: Weights):
        batch, channels, height, width = x.shape
        parts = inside.at("Dense_0").conv(inside.norm(x, norm)).flatten(2).split(channels, dim=1)
        q, k, v = (part.unflatten(1, (4, channels // 4)).transpose(2, 3) for part in parts)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(2, 3).reshape(batch, channels, height, width)
        return x + inside.at("Dense_1").conv(mixed)

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

    def veernet(image):
        height, width = image.shape[2:]
        x = F.pad(image - 0.5, (0, -width % 32, 0, -height % 32), mode="replicate")
        skips = []
        for stage in range(5):
            skips.append(x)
            x = residual(x, weights.at(f"Residual_{stage}"))
        for layer in range(2):
            x = attention(x, weights.at(f"SelfAttention_{layer}"))
        for stage in range(5):
            x = grown(x, weights.at(f"Dense_{stage}"))
            x = block(torch.cat([x, skips.pop()], dim=1), weights.at(f"Block_{stage}"))
        return weights.at("Dense_5").conv(x)[:, :, :height, :width]

    net = VeerNet(features=WIDTHS, norm=norm, dtype=jnp.dtype("float32"))
    image = np.random.default_rng(0).random((2, 50, 71, 1), np.float32)
    check_parity(net, variables, veernet, image)


@pytest.mark.slow
def test_its_config_trains_on_eight_devices() -> None:
    values = losses("veernet", "model.features=[4,4,6,6,8]", "optimiser.learning_rate=1e-2")
    assert np.isfinite(values).all()
    assert values[-1] < values[0]
