"""DeepLab v3: what it has in common with every network, and with an independent one in PyTorch."""

import jax.numpy as jnp
import numpy as np
import pytest
from model_cases import (
    CONFIGS,
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

from veerjax.config import LossConfig, ModelConfig, load_config_file, with_overrides
from veerjax.errors import InputError
from veerjax.models import build_model
from veerjax.models.deeplab import DeepLab
from veerjax.training.sharding import data_mesh
from veerjax.training.stepper import check_images

WIDTHS = (4, 4, 6, 6, 8)


def tiny(**changes) -> ModelConfig:
    given = {"name": "deeplab", "features": WIDTHS, "stem": "full", "output_stride": 8, "rates": (1, 2)}
    return ModelConfig(**{**given, "dtype": "float32", **changes})


@pytest.mark.parametrize(
    ("head", "norm", "size"),
    [("softmax", "batch", (32, 32)), ("sigmoid", "pixel", (17, 39)), ("softmax", "batch", (1, 1))],
)
def test_a_prediction_of_any_size_is_made_of_probabilities(head: str, norm: str, size: tuple[int, int]) -> None:
    model, variables = built(tiny(head=head, norm=norm))
    assert model.stride == 8
    check_prediction(model, variables, labelled(*size))


@pytest.mark.slow
def test_compiling_does_not_change_a_prediction() -> None:
    check_eager(*built(tiny()), labelled())


@pytest.mark.parametrize("remat", [False, True])
def test_the_gradient_reaches_every_parameter_whatever_is_kept(remat: bool) -> None:
    model, variables = built(tiny(remat=remat))
    sizes = gradient_sizes(model, variables, labelled())
    assert all(np.isfinite(list(sizes.values())))
    assert not [name for name, size in sizes.items() if size == 0]


def test_cost_is_the_compilers_but_for_padding_and_norms() -> None:
    model, variables = built(tiny(features=(16, 16, 16, 32), rates=(1,)))
    assert 0.75 < flops_over_compiled(model, variables, (2, 64, 64, 1)) < 1.2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"features": (8, 8)}, "model.features has 2 widths; deeplab of output stride 8 needs 3 or more"),
        ({"output_stride": 32}, "model.output_stride is 32, which deeplab does not have; write one of 0, 4, 8, 16"),
        ({"norm": "none"}, "model.norm is 'none', which deeplab does not have; write one of batch, pixel"),
        ({"rates": (0, 2)}, r"model.rates is \(0, 2\); each must be at least 1"),
        ({"name": "unet", "output_stride": 0}, r"model.rates is \(1, 2\), which unet does not have"),
        ({"name": "deplab"}, "did you mean 'deeplab'"),
    ],
)
def test_what_it_does_not_have_is_refused_in_a_sentence(changes: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        build_model(tiny(**changes), LossConfig())


def test_rates_beyond_the_feature_map_are_refused() -> None:
    config = load_config_file(CONFIGS / "deeplab.py")
    check_images(config, build_model(config.model, config.loss), data_mesh())
    small = with_overrides(config, ["data.height=96"])
    with pytest.raises(InputError, match=r"images are 96 x 256 px, and deeplab needs 97 px .* its model\.rates"):
        check_images(small, build_model(small.model, small.loss), data_mesh())


@needs_torch
@pytest.mark.parametrize(("stride", "norm"), [(4, "batch"), (8, "pixel"), (16, "batch")])
def test_logits_are_those_of_an_independent_network_in_pytorch(stride: int, norm: str) -> None:
    import torch
    import torch.nn.functional as F

    _, variables = built(tiny(output_stride=stride, norm=norm))
    weights = Weights(variables)

    def residual(x, inside: Weights, *, step: int, rate: int):
        y = F.relu(inside.norm(inside.at("Conv_0").conv(x, stride=step, padding=rate, dilation=rate), norm))
        y = inside.norm(inside.at("Conv_1").conv(y, padding=rate, dilation=rate), norm, number=1)
        if y.shape != x.shape:
            x = inside.norm(inside.at("Conv_2").conv(x, stride=step), norm, number=2)
        return F.relu(x + y)

    def pyramid(x, inside: Weights):
        def branch(x, number: int, **how):
            return F.relu(inside.norm(inside.at(f"Conv_{number}").conv(x, **how), norm, number=number))

        reaches = [branch(x, 0), *(branch(x, rate, padding=rate, dilation=rate) for rate in (1, 2))]
        mean = branch(x.mean((2, 3), keepdim=True), 3).expand(-1, -1, *x.shape[2:])
        return branch(torch.cat([*reaches, mean], dim=1), 4)

    def deeplab(image):
        height, width = image.shape[2:]
        x = F.pad(image - 0.5, (0, -width % stride, 0, -height % stride), mode="replicate")
        for index, rate in enumerate({4: (1, 1, 2, 4, 8), 8: (1, 1, 1, 2, 4), 16: (1, 1, 1, 1, 2)}[stride]):
            x = residual(x, weights.at(f"Residual_{index}"), step=2 if 2 ** (index + 1) <= stride else 1, rate=rate)
        logits = weights.at("Dense_0").conv(pyramid(x, weights.at("Pyramid_0")))
        grown = F.interpolate(logits, scale_factor=stride, mode="bilinear", align_corners=False)
        return grown[:, :, :height, :width]

    net = DeepLab(features=WIDTHS, output_stride=stride, rates=(1, 2), norm=norm, dtype=jnp.dtype("float32"))
    check_parity(net, variables, deeplab, np.random.default_rng(0).random((2, 50, 71, 1), np.float32))


@pytest.mark.slow
def test_its_config_trains_on_eight_devices() -> None:
    changes = ["model.features=[4,4,6,6,8]", "model.rates=[1,2]", "optimiser.learning_rate=1e-2"]
    values = losses("deeplab", *changes)
    assert np.isfinite(values).all()
    assert values[-1] < values[0]
