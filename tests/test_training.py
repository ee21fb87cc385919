"""Four guards on training: one trace, one device equals eight, resuming equals not stopping, and it learns."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from veerjax.config import Config, with_overrides
from veerjax.data.rendered import rendered_examples
from veerjax.errors import InputError, NumericalFault
from veerjax.models import build_model
from veerjax.models.heads import sigmoid_from_softmax, sigmoid_prediction
from veerjax.synthesis.draw import draw_batch
from veerjax.training import checkpoint, loop, workdir
from veerjax.training.checkpoint import restore_variables
from veerjax.training.sharding import data_mesh, over_examples
from veerjax.training.state import TrainState
from veerjax.training.stepper import build_stepper, drawn_step, initial, prepared
from veerjax.training.steps import accumulated, moved_average
from veerjax.training.weights import load_weights
from veerjax.types import blank

TINY = with_overrides(
    Config(name="tiny"),
    [
        "steps=20",
        "batch=8",
        "data.setting=shifted",  # of all settings it compiles soonest
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
    state, step_fn = prepared(config, build_model(config.model, config.loss), mesh)
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
    batch = draw_batch(0, "train", jax.numpy.arange(8), height=32, width=32, setting="shifted")

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

    def stops(self: loop.Writer, **stage: Any) -> None:
        steps.append(1)
        if len(steps) == 14:
            raise Stop
        advance(self, **stage)

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
    workdir.write_config(tmp_path, TINY)
    with pytest.raises(InputError, match="holds no checkpoint yet"):
        load_weights(str(tmp_path))
    (tmp_path / "checkpoints" / "3" / "default").mkdir(parents=True)
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        load_weights(str(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        load_weights(str(tmp_path))
    with pytest.raises(InputError, match="is a file; give a folder"):
        workdir.adopt_workdir(tmp_path / "config.json", TINY)


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
    changes = ["data.setting=shifted+colour", "model.channels=3", "steps=2", "validation.every=2"]
    figures = loop.train(with_overrides(TINY, changes), tmp_path)
    assert 0 <= figures["iou_background"] <= 1
    weights = load_weights(str(tmp_path))
    kernels = [leaf for leaf in jax.tree.leaves(weights.variables["params"]) if leaf.ndim == 4]
    assert any(kernel.shape[2] == 4 * 3 for kernel in kernels)  # blocks of 2 x 2 px of three channels
    for channels in (1, 3):
        given = blank(jax.numpy.ones((2, 32, 32, channels)))
        assert jax.jit(weights.model.predict)(weights.variables, given).masks.shape == (2, 2, 32, 32)


def test_a_batch_that_no_mixture_can_share_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    config = with_overrides(TINY, ["data.setting=standard+clean+hard"])
    with pytest.raises(InputError, match="a batch of 8 does not divide among the 3 settings"):
        loop.train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def stepped(changes: list[str], *, steps: int) -> tuple[Any, list[str]]:
    """The state after some steps of TINY with changes, and the setting of each."""
    config = with_overrides(TINY, changes)
    model = build_model(config.model, config.loss)
    stepper = build_stepper(config, model, data_mesh(jax.devices()[:1]))
    state = jax.jit(lambda key: initial(key, config=config, model=model))(jax.random.key(config.seed))
    for step in range(steps):
        state, _ = stepper.advance(state, step)
    return state, [stepper.setting(step) for step in range(steps)]


def test_the_moving_average_follows_its_formula() -> None:
    values, mean = [1.0, 4.0, -2.0], {"params": {"w": jax.numpy.array(0.5)}}
    expected = 0.5
    for step, value in enumerate(values):
        mean = moved_average(mean, {"params": {"w": jax.numpy.array(value)}}, step=jax.numpy.array(step), decay=0.15)
        kept = min(0.15, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * value
    assert mean is not None
    np.testing.assert_allclose(mean["params"]["w"], expected, rtol=1e-6)
    assert moved_average(None, {"params": {}}, step=jax.numpy.array(0), decay=0.5) is None


@pytest.mark.slow
def test_what_is_evaluated_is_the_moving_average_where_one_is_kept() -> None:
    state, _ = stepped(["optimiser.ema_decay=0.9"], steps=3)
    assert state.averaged is state.ema
    moved = jax.tree.map(lambda a, b: np.abs(np.asarray(a) - np.asarray(b)).max(), state.ema, state.variables)
    assert max(jax.tree.leaves(moved)) > 1e-4
    plain, _ = stepped(["optimiser.ema_decay=0"], steps=3)
    assert plain.ema is None
    jax.tree.map(np.testing.assert_array_equal, plain.averaged, state.variables)  # it changes no step


def test_a_portion_holds_every_setting_of_a_mixture_and_a_batch_that_cannot_is_refused() -> None:
    seen: list[int] = []

    def loss(variables: Any, batch: Any, key: Any) -> Any:
        jax.debug.callback(lambda first: seen.extend(np.asarray(first).tolist()), batch.valid, ordered=True)
        return jax.numpy.sum(variables["params"]) * 0.0, {}

    model = replace(build_model(TINY.model, TINY.loss), loss=loss)
    batch = blank(jax.numpy.zeros((12, 2, 2, 1)))
    state = TrainState(step=jax.numpy.array(0), params=jax.numpy.ones(1), extra={}, opt_state=None)
    numbered = replace(batch, valid=jax.numpy.arange(12))
    accumulated(state, numbered, jax.random.key(0), model=model, portions=2, block=3)
    jax.effects_barrier()
    assert seen == [0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11]
    mixture = with_overrides(TINY, ["data.setting=standard+clean+hard", "batch=24", "optimiser.accumulate=2"])
    with pytest.raises(InputError, match=r"2 portions .* over 8 devices and 3 settings do not divide; .* is 48"):
        build_stepper(mixture, model, data_mesh())


@pytest.mark.slow
def test_portions_of_a_batch_have_the_gradient_of_the_whole() -> None:
    # The mean over pixels is a mean over portions; per-pixel norms do not look at the rest of the batch.
    config = with_overrides(TINY, ["loss.dice=0", "model.norm=pixel", "optimiser.ema_decay=0"])
    model = build_model(config.model, config.loss)
    state = initial(jax.random.key(0), config=config, model=model)
    batch = draw_batch(0, "train", jax.numpy.arange(8), height=32, width=32, setting="shifted")
    found = {
        portions: jax.jit(lambda s, b, n=portions: accumulated(s, b, jax.random.key(1), model=model, portions=n))(
            state, batch
        )
        for portions in (1, 2, 4)
    }
    for portions in (2, 4):
        np.testing.assert_allclose(found[portions][0], found[1][0], rtol=1e-5)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6, rtol=1e-4), found[portions][2], found[1][2]
        )


@pytest.mark.slow
def test_a_curriculum_changes_the_setting_at_its_step_and_nothing_before() -> None:
    changes = ['data.curriculum=["meeting:1","blobs:1"]', "data.setting=shifted"]
    _, settings = stepped(changes, steps=3)
    assert settings == ["meeting", "blobs", "shifted"]
    alone, _ = stepped(["data.setting=meeting"], steps=1)
    first, _ = stepped(changes, steps=1)
    jax.tree.map(np.testing.assert_array_equal, alone.params, first.params)
    with pytest.raises(InputError, match=r"data.curriculum has 'clean'; write SETTING:STEPS, such as clean:500"):
        with_overrides(TINY, ['data.curriculum=["clean"]'])


@pytest.mark.slow
def test_two_sigmoids_learn_and_may_both_own_a_pixel(tmp_path: Path) -> None:
    config = with_overrides(TINY, ["model.head=sigmoid", "steps=40", "validation.every=20"])
    loop.train(config, tmp_path)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    known = [line["loss"] for line in log if "loss" in line]
    assert known[-1] < known[0]
    weights = load_weights(str(tmp_path))
    prediction = jax.jit(weights.model.predict)(
        weights.variables, draw_batch(0, "test", jax.numpy.arange(2), height=32, width=32, setting="shifted")
    )
    assert prediction.masks.shape == (2, 2, 32, 32)
    assert set(np.unique(prediction.label)) <= {0, 1, 2}
    outputs = [leaf.shape[-1] for leaf in jax.tree.leaves(weights.variables["params"]) if leaf.ndim == 2]
    assert 4 * 2 in outputs  # blocks of 2 x 2 px, two channels


@pytest.mark.slow
def test_training_stops_early_where_no_validation_is_better_and_stays_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = iter([0.5, 0.6, 0.6, 0.3, 0.9, 0.9, 0.9])  # an equal one is no better
    monkeypatch.setattr(loop.Validation, "figures", lambda self, variables: {checkpoint.BEST: next(figures)})
    config = with_overrides(TINY, ["validation.every=2", "validation.patience=2"])
    assert loop.train(config, tmp_path)[checkpoint.BEST] == 0.3
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log if checkpoint.BEST in line] == [2, 4, 6, 8]
    loop.train(config, tmp_path)
    with checkpoint.Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.best() == (0.6, 4)  # step 6 was as good, not better
    assert not (tmp_path / "checkpoints" / "10").exists()


def test_the_label_of_two_sigmoids_is_ink_where_ink_is_likely_and_curve_1_where_both_are() -> None:
    pairs = [(0.1, 0.1), (0.4, 0.4), (0.4, 0.45), (0.9, 0.95), (0.2, 0.9), (0.6, 0.1), (0.3, 0.25)]
    prediction = sigmoid_prediction(jax.numpy.array(pairs)[None, None])
    assert prediction.label is not None
    assert prediction.label.ravel().tolist() == [0, 1, 2, 1, 2, 1, 0]
    np.testing.assert_allclose(prediction.masks[0, :, 0].T, pairs)


def test_a_sigmoid_head_begins_with_the_log_odds_of_a_softmax_head() -> None:
    config = with_overrides(TINY, ["model.stem=space_to_depth"])
    soft = build_model(config.model, config.loss)
    sigmoid = build_model(with_overrides(config, ["model.head=sigmoid"]).model, config.loss)
    variables = jax.jit(soft.init)(jax.random.key(3))
    batch = draw_batch(0, "train", jax.numpy.arange(1), height=32, width=32, setting="shifted")
    three = np.asarray(jax.jit(soft.predict)(variables, batch).masks, np.float64)
    converted = {**variables, "params": sigmoid_from_softmax(variables["params"])}
    two = np.asarray(jax.jit(sigmoid.predict)(converted, batch).masks, np.float64)
    background = 1 - three.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(two, three / (three + background), rtol=1e-4)


@pytest.mark.slow
def test_a_run_may_start_from_other_weights_of_its_architecture(tmp_path: Path) -> None:
    changes = ["steps=4", "validation.every=4"]
    loop.train(with_overrides(TINY, changes), tmp_path / "first")
    before = load_weights(str(tmp_path / "first")).variables
    slow = ["optimiser.learning_rate=1e-12", "optimiser.weight_decay=0", "seed=5", "model.norm=pixel"]
    with pytest.raises(InputError, match=r"model.norm was 'batch' and is now 'pixel'.*give --init-from their like"):
        loop.train(with_overrides(TINY, [*changes, *slow]), tmp_path / "other", init_from=str(tmp_path / "first"))
    assert not (tmp_path / "other").exists()
    loop.train(with_overrides(TINY, [*changes, *slow[:3]]), tmp_path / "second", init_from=str(tmp_path / "first"))
    after = load_weights(str(tmp_path / "second")).variables
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), before["params"], after["params"])


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_batch(tmp_path: Path) -> None:
    config = with_overrides(TINY, ["optimiser.learning_rate=1e30", "optimiser.warmup_steps=0", "checkpoint.every=1"])
    with pytest.raises(NumericalFault, match=r"step \d+.*optimiser.learning_rate") as caught:
        loop.train(config, tmp_path)
    step = int(re.findall(r"step (\d+)", str(caught.value))[0])
    with np.load(tmp_path / f"fault-{step}.npz") as saved:
        expected = rendered_examples(
            "shifted", split="train", indices=np.arange(8) + 8 * (step - 1), height=32, width=32
        )
        np.testing.assert_array_equal(saved["image"], expected.image)
    assert not (tmp_path / "checkpoints" / str(step)).exists()
    for folder in (tmp_path / "checkpoints").glob("*"):
        kept = restore_variables(folder / "default")
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(kept)), f"{folder} was broken by its step"


def held_arrays(program: Any) -> list[Any]:
    """The arrays that a program and those inside it hold as constants."""
    found = [value for value in getattr(program, "consts", ()) if isinstance(value, jax.Array)]
    for equation in getattr(program, "jaxpr", program).eqns:
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda leaf: hasattr(leaf, "eqns")):
            found += held_arrays(inner) if hasattr(inner, "eqns") else []
        # Constants that JAX has made arguments of the inner program.
        found += [value.val for value in equation.invars if isinstance(getattr(value, "val", None), jax.Array)]
    return found


def test_a_step_holds_no_array_that_would_have_to_come_back_from_a_device() -> None:
    config = with_overrides(TINY, ["data.setting=hard"])
    model = build_model(config.model, config.loss)
    shape = jax.eval_shape(lambda key: initial(key, config=config, model=model), jax.random.key(0))
    step = drawn_step(config, model, data_mesh(jax.devices()[:1]), setting="hard")
    assert not held_arrays(jax.make_jaxpr(step)(shape))
    array = jax.numpy.arange(3.0)
    assert held_arrays(jax.make_jaxpr(jax.jit(lambda x: x + array))(1.0))  # it would be seen
