"""What the tests of every per-pixel network need: weights off their start, copies of them for PyTorch, a short run."""

import importlib.util
import math
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.config import LossConfig, ModelConfig, load_config_file, with_overrides
from veerjax.models import build_model
from veerjax.models.model import Model, Variables
from veerjax.training.sharding import data_mesh
from veerjax.training.stepper import prepared
from veerjax.types import Batch, blank

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed here")


def built(config: ModelConfig) -> tuple[Model, Variables]:
    """A model and variables none of which is what it starts with: neither zeros nor unit statistics."""
    model = build_model(config, LossConfig())
    leaves, tree = jax.tree.flatten(jax.jit(model.init)(jax.random.key(0)))
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [leaf + 0.05 * jax.random.uniform(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
    return model, jax.tree.unflatten(tree, moved)


def labelled(height: int = 32, width: int = 32, *, size: int = 2) -> Batch:
    label = jax.random.randint(jax.random.key(1), (size, height, width), 0, 3).astype(jnp.uint8)
    return blank(jax.random.uniform(jax.random.key(2), (size, height, width, 1)), label=label)


def gradient_sizes(model: Model, variables: Variables, batch: Batch) -> dict[str, float]:
    """The largest entry of the gradient of the loss, by parameter."""

    def loss(params: Any) -> jax.Array:
        return model.loss({**variables, "params": params}, batch, jax.random.key(0))[0]

    gradient = jax.jit(jax.grad(loss))(variables["params"])
    return {
        jax.tree_util.keystr(path): float(jnp.abs(leaf).max()) for path, leaf in jax.tree.leaves_with_path(gradient)
    }


def check_prediction(model: Model, variables: Variables, batch: Batch) -> None:
    """It is made of probabilities and has the size of the images."""
    prediction = jax.jit(model.predict)(variables, batch)
    height, width = batch.image.shape[1:3]
    masks = np.asarray(prediction.masks)
    assert masks.shape == (batch.size, 2, height, width)
    assert ((masks >= 0) & (masks <= 1)).all()
    assert np.asarray(prediction.label).shape == (batch.size, height, width)
    np.testing.assert_allclose(np.exp(np.asarray(prediction.row_log_prob)).sum(-1), 1, rtol=1e-4)


def check_eager(model: Model, variables: Variables, batch: Batch) -> None:
    """Compiling does not change a prediction."""
    eager, compiled = (predict(variables, batch).masks for predict in (model.predict, jax.jit(model.predict)))
    np.testing.assert_allclose(eager, compiled, atol=1e-5)


def flops_over_compiled(model: Model, variables: Variables, shape: tuple[int, int, int, int]) -> float:
    """The operations that `Model.cost` counts over those that the compiler counts."""
    compiled = jax.jit(model.predict).lower(variables, blank(jnp.zeros(shape))).compile()
    return model.cost(shape).flops / (compiled.cost_analysis() or {})["flops"]


def losses(name: str, *overrides: str, steps: int = 12) -> list[float]:
    """Of the first steps of a config of configs/, at a small size on all devices, compiled once."""
    size = ["data.setting=shifted", "data.height=32", "data.width=32"]
    small = [f"steps={steps}", "batch=8", *size, "optimiser.warmup_steps=2"]
    config = with_overrides(load_config_file(CONFIGS / f"{name}.py"), [*small, *overrides])
    state, step = prepared(config, build_model(config.model, config.loss), data_mesh(jax.devices()))
    values = []
    for _ in range(steps):
        state, metrics = step(state)
        values.append(float(metrics["loss"]))
    assert step._cache_size() == 1
    return values


class Weights:
    """The parameters and running statistics below a path, as PyTorch wants them."""

    def __init__(self, variables: Variables, *path: str) -> None:
        self.groups = {name: group for name, group in variables.items()}
        for part in path:
            self.groups = {name: group[part] for name, group in self.groups.items() if part in group}

    def at(self, *path: str) -> "Weights":
        return Weights(self.groups, *path)

    def tensor(self, name: str, group: str = "params") -> Any:
        import torch

        return torch.from_numpy(np.array(self.groups[group][name]))

    def has(self, name: str) -> bool:
        return name in self.groups["params"]

    def conv(self, x: Any, **how: Any) -> Any:
        """A convolution, or a dense layer as one of 1 x 1."""
        import torch

        kernel = self.tensor("kernel")
        kernel = kernel.T[:, :, None, None] if kernel.ndim == 2 else kernel.permute(3, 2, 0, 1)
        return torch.nn.functional.conv2d(x, kernel, self.tensor("bias") if self.has("bias") else None, **how)

    def norm(self, x: Any, kind: str, *, number: int = 0) -> Any:
        """The layer that `norm_layer` makes, as PyTorch computes it at inference."""
        import torch.nn.functional as F

        if kind == "none":
            return x
        layer = self.at({"batch": "BatchNorm", "pixel": "LayerNorm", "group": "GroupNorm"}[kind] + f"_{number}")
        scale, bias = layer.tensor("scale"), layer.tensor("bias")
        if kind == "batch":
            mean, variance = (layer.tensor(name, "batch_stats") for name in ("mean", "var"))
            return F.batch_norm(x, mean, variance, scale, bias, eps=1e-5)
        if kind == "pixel":
            return F.layer_norm(x.movedim(1, -1), x.shape[1:2], scale, bias, eps=1e-6).movedim(-1, 1)
        return F.group_norm(x, math.gcd(8, x.shape[1]), scale, bias, eps=1e-6)


def check_parity(net: Any, variables: Variables, theirs: Any, image: np.ndarray) -> None:
    """The logits of a Flax net and of a function in PyTorch differ by less than 1e-4, and are not small."""
    import torch

    with jax.default_matmul_precision("highest"):
        ours = np.asarray(jax.jit(partial(net.apply, train=False))(variables, image))
    with torch.no_grad():
        other = theirs(torch.from_numpy(image).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
    assert np.abs(ours).max() > 0.1
    np.testing.assert_allclose(ours, other, rtol=0, atol=1e-4)
