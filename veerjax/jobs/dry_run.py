"""What a training would be, before it is one: shapes, parameters, memory, and the time of a compiled step."""

import time
from dataclasses import replace
from pathlib import Path

import jax
from etils import epath

from veerjax.config import Config
from veerjax.models import build_model
from veerjax.performance.stages import Bench, memory_errors
from veerjax.training.loop import warm_start
from veerjax.training.memory import described, resolved
from veerjax.training.sharding import DATA, ROWS, check_batch, data_mesh
from veerjax.training.stepper import BUILT, build_stepper, check_images
from veerjax.training.workdir import CONFIG_FILE, check_config

TIMED = 3  # steps
MIB = 2**20


def dry_run(
    config: Config, *, workdir: str | None = None, init_from: str | None = None, data_dir: Path | None = None
) -> str:
    """A table of what the config asks for, after its step was compiled and run a few times; nothing is written.

    Args:
        config: of a training
        workdir: where it would be, if that is known; an earlier run there must be of this config
        init_from: weights that it would begin with
        data_dir: where its built dataset lies

    Raises:
        InputError: as `train` would raise it, or a step needs more memory than the device has.
    """
    mesh = data_mesh(rows=config.devices.rows)
    check_batch(config.batch, mesh)
    check_images(config, build_model(config.model, config.loss), mesh)
    config = resolved(config, mesh, workdir=workdir)
    if workdir and (epath.Path(workdir) / CONFIG_FILE).exists():
        check_config(workdir, config)
    if init_from is not None:
        warm_start(init_from, config)
    stepper = build_stepper(config, build_model(config.model, config.loss), mesh, data_dir=data_dir)
    stepper.close()
    built = config.data.setting.startswith(BUILT)
    # A stored example costs a step what a drawn one of its size does, but for the drawing.
    timed = replace(config, data=replace(config.data, setting="standard")) if built else config
    bench = Bench.of(timed, mesh)
    with memory_errors(config.batch):
        stage = bench.train() if built else bench.end_to_end()
        jax.block_until_ready(stage.run())
        start = time.perf_counter()
        for _ in range(TIMED):
            jax.block_until_ready(stage.run())
        step_s = (time.perf_counter() - start) / TIMED
    state = bench.state_shape
    parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    state_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    shapes = {name: getattr(bench.batch_shape, name).shape for name in ("image", "label", "strokes", "centreline")}
    hours = step_s * config.steps / 3600
    examples, shared = config.batch // mesh.shape[DATA], f" in {mesh.shape[ROWS]} bands" if mesh.shape[ROWS] > 1 else ""
    lines = [
        f"config      {config.name}: {config.model.name}, {config.data.setting}, seed {config.seed}",
        f"devices     {mesh.size} x {mesh.devices.flat[0].device_kind}, {examples} examples each{shared}",
        *(f"{name:<12}{list(shape)}" for name, shape in shapes.items()),
        f"parameters  {parameters:,}; state of {state_bytes / MIB:.1f} MiB on each device",
        f"memory      {stage.peak_bytes / MIB:,.0f} MiB on each device; {config.memory}: {described(config)}",
        f"compiled    in {stage.compile_s:.1f} s",
        f"step        {step_s * 1000:,.0f} ms; {config.steps:,} steps in {hours:.1f} h, validations not counted",
    ]
    return "\n".join(lines)
