"""What only a machine with an accelerator can show; `tools/gpu_session.sh` runs it there."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.config import Config
from veerjax.data.rendered import rendered_examples
from veerjax.models import build_model
from veerjax.models.blocks import compute_dtype
from veerjax.performance.stages import Bench
from veerjax.performance.timing import timed
from veerjax.training.sharding import data_mesh
from veerjax.training.weights import load_weights
from veerjax.types import exclusive_label

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(jax.default_backend() == "cpu", reason="this machine has no accelerator, or JAX_PLATFORMS=cpu"),
]
SIZE = {"height": 256, "width": 256}


def drawn_on(device: jax.Device):
    with jax.default_device(device):
        return jax.device_get(rendered_examples("standard", split="test", indices=jnp.arange(8), **SIZE))


def test_an_accelerator_draws_what_a_cpu_draws() -> None:
    ours, reference = drawn_on(jax.devices()[0]), drawn_on(jax.local_devices(backend="cpu")[0])
    assert np.mean(ours.label != reference.label) <= 1e-4
    assert np.abs(ours.centreline - reference.centreline).max() <= 1e-2
    assert np.mean(np.abs(ours.image - reference.image) > 1.5 / 255) <= 1e-3


def test_bfloat16_names_the_pixels_that_float32_names() -> None:
    weights = load_weights("release")
    batch = rendered_examples("standard", split="validation", indices=jnp.arange(16), **SIZE)
    assert compute_dtype(weights.config.model.dtype) == jnp.bfloat16

    def label(dtype: str) -> np.ndarray:
        model = build_model(changed(weights.config, dtype).model, weights.config.loss)
        return np.asarray(exclusive_label(jax.jit(model.predict)(weights.variables, batch)))

    ink = np.asarray(batch.label) > 0
    half, whole = label("bfloat16"), label("float32")
    assert np.mean(half != whole) < 2e-3
    assert np.mean((half != whole)[ink]) < 2e-2


def test_the_training_step_compiles_once_and_its_loss_falls() -> None:
    bench = Bench.of(Config(name="test", batch=16), data_mesh())
    step, state, losses = bench.train_step(), bench.state(), []
    for _ in range(30):
        state, metrics = step(state, bench.batch)
        losses.append(float(metrics["loss"]))
    assert step._cache_size() == 1
    assert losses[-1] < 0.8 * losses[0]
    assert min(timed(bench.train().run, warmup=1, steps=3).seconds) > 0


def changed(config: Config, dtype: str) -> Config:
    return replace(config, model=replace(config.model, dtype=dtype))
