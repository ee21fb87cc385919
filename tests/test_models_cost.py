"""The cost of a forward pass against counts by hand and against the compiler's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.config import LossConfig, ModelConfig
from veerjax.models import build_model
from veerjax.types import blank


def model(**changes):
    return build_model(ModelConfig(**{"features": (4,), "stem": "full", **changes}), LossConfig())


def test_one_level_costs_what_its_three_layers_cost() -> None:
    pixels = 2 * 8 * 16
    cost = model().cost((2, 8, 16, 1))
    assert cost.flops == 2 * pixels * (9 * 1 * 4 + 9 * 4 * 4 + 4 * 3)
    assert cost.first_flops == 2 * pixels * 9 * 1 * 4
    assert cost.image_bytes == 4 * pixels
    assert cost.activation_bytes == 4 * pixels * (4 + 4 + 3)
    assert cost.parameters == 9 * 1 * 4 + 9 * 4 * 4 + 4 * 3 + 3 + 2 * 2 * 4


def test_cost_grows_with_the_batch_and_the_pixels() -> None:
    net = model(features=(4, 8), stem="space_to_depth")
    one, two, tall = (net.cost(shape).flops for shape in ((1, 16, 16, 1), (2, 16, 16, 1), (1, 48, 16, 1)))
    assert two == 2 * one
    assert tall == 3 * one


@pytest.mark.parametrize("stem", ["full", "space_to_depth", "space_to_depth_4"])
def test_cost_is_the_compilers_but_for_padding_and_norms(stem: str) -> None:
    net = model(features=(16, 32), stem=stem)
    image = jnp.zeros((2, 64, 64, 1))
    compiled = jax.jit(net.predict).lower(net.init(jax.random.key(0)), blank(image)).compile()
    counted = compiled.cost_analysis()["flops"]
    assert 0.85 < net.cost(image.shape).flops / counted < 1.1


def test_bfloat16_activations_take_half_the_bytes() -> None:
    half, whole = (model(dtype=dtype).cost((1, 8, 8, 1)).activation_bytes for dtype in ("bfloat16", "float32"))
    logits = 4 * 64 * 3
    assert np.isclose((whole - logits) / (half - logits), 2)
