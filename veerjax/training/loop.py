"""Training from a config to checkpoints in a work directory; an interrupted run goes on where it was."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from veerjax.config import Config, require
from veerjax.data.rendered import rendered_batches
from veerjax.metrics.bootstrap import pooled_sums
from veerjax.metrics.parts import CENTRELINE, LABEL, TOLERANCE
from veerjax.metrics.scores import figures_of, measure
from veerjax.models import build_model
from veerjax.models.model import Model, Variables
from veerjax.synthesis.draw import check_mixture, draw_batch
from veerjax.tracing.trace import trace
from veerjax.training.checkpoint import BEST, Checkpoints, adopt_workdir
from veerjax.training.optimiser import build_optimiser
from veerjax.training.sharding import check_batch, data_mesh, over_examples, replicated
from veerjax.training.state import TrainState, initial_state
from veerjax.training.steps import eval_step, train_step
from veerjax.training.weights import load_weights
from veerjax.training.writer import Writer
from veerjax.types import Batch, Prediction

LOG_EVERY = 25  # steps; each line waits for the device once
WATCHED = {"label": LABEL, "tolerance": TOLERANCE, "centreline": CENTRELINE}

Step = Callable[[TrainState], tuple[TrainState, dict[str, jax.Array]]]
Validation = Callable[[Variables], dict[str, float]]


def train(
    config: Config,
    workdir: str | Path,
    *,
    init_from: str | None = None,
    devices: Sequence[Any] | None = None,
) -> dict[str, float]:
    """Trains to `config.steps` and returns the last validation's figures.

    Args:
        config: the whole run
        workdir: where config, log and checkpoints go; an earlier run of the same config is resumed
        init_from: `release` or `WORKDIR[@best|last|STEP]`, whose weights a new run starts from
        devices: to use; all of them by default

    Raises:
        InputError: the work directory belongs to another config, the batch does not divide over the devices, or
            `init_from` is not there or another architecture.
    """
    workdir = Path(workdir)
    mesh = data_mesh(devices)
    check_batch(config.batch, mesh)
    check_mixture(config.data.setting, config.batch)
    warm = None if init_from is None else warm_start(init_from, config)
    adopt_workdir(workdir, config)
    model = build_model(config.model, config.loss)
    state, step_fn = prepared(config, model, mesh)
    if warm is not None:
        state = replace(state, **jax.device_put(warm, replicated(mesh)))
    validate = validation(config, model, mesh)
    with Checkpoints(workdir) as checkpoints:
        state = checkpoints.restore_latest(state) or state
        start = int(state.step)
        with Writer(workdir, start=start, steps=config.steps, batch=config.batch) as writer:
            return run(state, step_fn, validate, config, start=start, checkpoints=checkpoints, writer=writer)


def warm_start(name: str, config: Config) -> dict[str, Any]:
    """Parameters and running statistics of other weights of the same architecture, as fields of a `TrainState`."""
    weights = load_weights(name)
    require(
        weights.config.model == config.model,
        f"the weights {name!r} are of {weights.config.model}, not of {config.model}; give --init-from their like.",
    )
    return {
        "params": weights.variables["params"],
        "extra": {name: value for name, value in weights.variables.items() if name != "params"},
    }


def prepared(config: Config, model: Model, mesh: jax.sharding.Mesh) -> tuple[TrainState, Step]:
    """The initial state on the mesh, and the compiled step that draws its own batch from (seed, step)."""
    tx = build_optimiser(config.optimiser, steps=config.steps)
    whole, split = replicated(mesh), over_examples(mesh)

    def drawn_step(state: TrainState) -> tuple[TrainState, dict[str, jax.Array]]:
        indices = jax.lax.with_sharding_constraint(state.step * config.batch + jnp.arange(config.batch), split)
        batch = draw_batch(config.seed, "train", indices, **vars(config.data), channels=config.model.channels)
        batch = jax.lax.with_sharding_constraint(batch, split)
        return train_step(state, batch, jax.random.key(config.seed), model=model, tx=tx)

    initial = jax.jit(functools.partial(initial_state, model=model, tx=tx), out_shardings=whole)
    state = initial(jax.random.key(config.seed))
    return state, jax.jit(drawn_step, donate_argnums=0, in_shardings=whole, out_shardings=whole)


def validation(config: Config, model: Model, mesh: jax.sharding.Mesh) -> Validation:
    """A function from variables to figures on the fixed validation logs, which stay on the device."""
    split = over_examples(mesh)

    def measured(prediction: Prediction, batch: Batch) -> dict[str, Any]:
        return measure(prediction, trace(prediction), batch, parts=WATCHED)

    step_fn = jax.jit(functools.partial(eval_step, model=model, measure=measured))
    count = config.validation.examples
    stream = rendered_batches(
        split="validation",
        count=count,
        batch=config.batch,
        channels=config.model.channels,
        **vars(config.data),
    )
    batches = [jax.device_put(batch, split) for batch in stream]

    valid = np.arange(len(batches) * config.batch) < config.validation.examples

    def validate(variables: Variables) -> dict[str, float]:
        sums = [jax.device_get(step_fn(variables, batch)) for batch in batches]
        of_logs = jax.tree.map(lambda *leaves: np.concatenate(leaves)[valid], *sums)
        return watched_figures(figures_of(pooled_sums(of_logs), parts=WATCHED))

    return validate


def watched_figures(figures: dict[str, Any]) -> dict[str, float]:
    """What the log shows of a validation: the figure that chooses the best checkpoint, and those behind it."""
    background, *ious = figures["iou"]["pooled"]
    by_curve = {
        "iou": ious,
        "f1_2px": figures["tolerance_f1"]["2"],
        "coverage": figures["coverage"],
        "row_error_px": figures["row_error_px"]["median"],
    }
    named = {f"{name}_curve_{k}": float(v) for name, values in by_curve.items() for k, v in enumerate(values, 1)}
    best = float(np.nan_to_num(np.mean(figures["tolerance_f1"]["2"])))
    known = {name: value for name, value in named.items() if np.isfinite(value)}  # NaN is no JSON
    return {BEST: best, **known, "iou_background": float(background)}


def run(
    state: TrainState,
    step_fn: Step,
    validate: Validation,
    config: Config,
    *,
    start: int,
    checkpoints: Checkpoints,
    writer: Writer,
) -> dict[str, float]:
    """The loop itself. Inside it, nothing moves between host and device unasked."""
    if start >= config.steps:
        return validate(state.variables)
    figures: dict[str, float] = {}
    with jax.transfer_guard("disallow"):
        for step in range(start + 1, config.steps + 1):
            state, metrics = step_fn(state)
            writer.advance()
            if step % LOG_EVERY == 0 or step == config.steps:
                writer.log(step, {name: float(value) for name, value in jax.device_get(metrics).items()})
            if step % config.validation.every == 0 or step == config.steps:
                figures = validate(state.variables)
                writer.log(step, figures)
                checkpoints.save(state, step=step, metrics=figures)
    return figures
