"""Four guards on training: one trace, one device equals eight, resuming equals not stopping, and it learns."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from veerjax.config import Config, with_overrides
from veerjax.data.rendered import rendered_examples
from veerjax.errors import InputError
from veerjax.models import build_model
from veerjax.synthesis.draw import draw_batch
from veerjax.training import checkpoint, loop
from veerjax.training.sharding import data_mesh, over_examples
from veerjax.training.weights import load_weights

TINY = with_overrides(
    Config(name="tiny"),
    [
        "steps=20",
        "batch=8",
        "data.height=32",
        "data.width=32",
        "model.features=[8,8]",
        "validation.every=10",
        "validation.examples=5",
        "optimiser.warmup_steps=2",
    ],
)


def losses(config: Config, devices: int) -> tuple[list[float], Any]:
    """The loss of each step on so many devices, and the compiled step."""
    mesh = data_mesh(jax.devices()[:devices])
    state, step_fn = loop.prepared(config, build_model(config.model, config.loss), mesh)
    values = []
    for _ in range(config.steps):
        state, metrics = step_fn(state)
        values.append(float(metrics["loss"]))
    return values, step_fn


@pytest.mark.slow
@pytest.mark.parametrize(("name", "rate", "tolerance"), [("sgd", "0.05", 1e-5), ("adamw", "1e-3", 1e-4)])
def test_one_device_and_eight_give_the_same_loss_with_one_compilation(name: str, rate: str, tolerance: float) -> None:
    config = with_overrides(TINY, [f"optimiser.name={name}", f"optimiser.learning_rate={rate}"])
    one, _ = losses(config, 1)
    eight, step_fn = losses(config, 8)
    print(f"\n{name}: largest difference of the loss over 20 steps {np.max(np.abs(np.subtract(one, eight))):.2e}")
    np.testing.assert_allclose(one, eight, rtol=0, atol=tolerance)
    assert step_fn._cache_size() == 1
    assert one[-1] < one[0]


@pytest.mark.slow
def test_first_gradients_of_one_device_and_eight_agree() -> None:
    model = build_model(TINY.model, TINY.loss)
    variables = jax.jit(model.init)(jax.random.key(0))
    batch = draw_batch(0, "train", jax.numpy.arange(8), height=32, width=32)

    @jax.jit
    def gradient(params: Any, batch: Any) -> Any:
        return jax.grad(lambda p: model.loss({**variables, "params": p}, batch, jax.random.key(0))[0])(params)

    sharded = jax.device_put(batch, over_examples(data_mesh()))
    one, eight = (jax.tree.leaves(gradient(variables["params"], b)) for b in (batch, sharded))
    worst = max(
        float(np.linalg.norm(np.asarray(a) - np.asarray(b)) / np.linalg.norm(np.asarray(a)))
        for a, b in zip(one, eight, strict=True)
    )
    print(f"\nlargest relative difference of a gradient {worst:.2e}")
    assert worst < 1e-5


class Stop(Exception):
    """Stands for whatever ends a run early."""


@pytest.mark.slow
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop.train(TINY, tmp_path / "whole")
    advance, steps = loop.Writer.advance, []

    def stops(self: loop.Writer) -> None:
        steps.append(1)
        if len(steps) == 14:
            raise Stop
        advance(self)

    monkeypatch.setattr(loop.Writer, "advance", stops)
    with pytest.raises(Stop):
        loop.train(TINY, tmp_path / "stopped")
    loop.train(TINY, tmp_path / "stopped")
    assert len(steps) == 14 + 10  # went on from the checkpoint of step 10
    whole, resumed = (load_weights(f"{tmp_path / name}@last").variables for name in ("whole", "stopped"))
    jax.tree.map(np.testing.assert_array_equal, whole, resumed)

    names = {p.name for p in (tmp_path / "whole" / "checkpoints").iterdir() if p.is_dir()}
    assert names == {"10", "20"}
    log = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log if "centreline_f1" in line] == [10, 20]
    best = max(
        (line for line in log if "centreline_f1" in line), key=lambda line: (line["centreline_f1"], line["step"])
    )
    assert checkpoint.checkpoint_folder(tmp_path / "whole", "best").parent.name == str(best["step"])

    with pytest.raises(InputError, match=r"has no checkpoint '7'; it has best, last and the steps \[10, 20\]"):
        load_weights(f"{tmp_path / 'whole'}@7")
    with pytest.raises(InputError, match="seed was 0 and is now 1"):
        loop.train(with_overrides(TINY, ["seed=1"]), tmp_path / "whole")


def test_a_batch_that_does_not_divide_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="batch is 9, which does not divide over 8 devices; the nearest that does is 8"
    ):
        loop.train(with_overrides(TINY, ["batch=9"]), tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are no weights 'relase'; write release, or the --workdir"):
        load_weights("relase")
    with pytest.raises(InputError, match=r"holds no config\.json"):
        load_weights(str(tmp_path))
    checkpoint.write_config(tmp_path, TINY)
    with pytest.raises(InputError, match="holds no checkpoint yet"):
        load_weights(str(tmp_path))
    (tmp_path / "checkpoints" / "3" / "default").mkdir(parents=True)
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        load_weights(str(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        load_weights(str(tmp_path))
    with pytest.raises(InputError, match="is a file; give a folder"):
        checkpoint.adopt_workdir(tmp_path / "config.json", TINY)


@pytest.mark.slow
def test_shipped_weights_are_stored_small_and_read_back_as_float32(tmp_path: Path) -> None:
    model = build_model(TINY.model, TINY.loss)
    variables = jax.device_get(jax.jit(model.init)(jax.random.key(0)))
    checkpoint.save_variables(tmp_path / "w", variables, dtype=jax.numpy.bfloat16)
    restored = checkpoint.restore_variables(tmp_path / "w")
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=4e-3), variables, restored)
    assert {leaf.dtype for leaf in jax.tree.leaves(restored)} == {np.dtype("float32")}


@pytest.mark.slow
def test_a_mixture_in_colour_is_trained_on_and_evaluated_in_colour_and_in_grey(tmp_path: Path) -> None:
    changes = ["data.setting=well_like+colour", "model.channels=3", "steps=2", "validation.every=2"]
    figures = loop.train(with_overrides(TINY, changes), tmp_path)
    assert 0 <= figures["iou_background"] <= 1
    weights = load_weights(str(tmp_path))
    kernels = [leaf for leaf in jax.tree.leaves(weights.variables["params"]) if leaf.ndim == 4]
    assert any(kernel.shape[2] == 4 * 3 for kernel in kernels)  # blocks of 2 x 2 px of three channels
    for channels in (1, 3):
        drawn = rendered_examples("colour", split="test", indices=np.arange(2), height=32, width=32, channels=channels)
        assert weights.model.predict(weights.variables, drawn).masks.shape == (2, 2, 32, 32)


def test_a_batch_that_no_mixture_can_share_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    config = with_overrides(TINY, ["data.setting=standard+clean+hard"])
    with pytest.raises(InputError, match="a batch of 8 does not divide among the 3 settings"):
        loop.train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
