"""What a training step needs of a device's memory, by compiling it, and how it is made to fit."""

import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from etils import epath
from jax.sharding import Mesh

from veerjax.config import Config
from veerjax.errors import InputError
from veerjax.models import build_model
from veerjax.synthesis.draw import draw_batch
from veerjax.training.sharding import DATA, over_rows, replicated
from veerjax.training.stepper import BUILT, check_portions, drawn_step, initial, read_step, settings_of
from veerjax.training.workdir import CONFIG_FILE, load_config

GIB = 2**30
HEADROOM = 0.1  # of a device's memory, for validation logs and what the runtime keeps


def lowered_step(config: Config, mesh: Mesh, *, setting: str | None = None) -> Any:
    """The step that a training of this config compiles, not yet compiled.

    Args:
        config: of the training
        mesh: devices, which need not be there: those of a described topology do
        setting: of a stage of the curriculum; that of most steps by default
    """
    model = build_model(config.model, config.loss)
    state = shapes_on(
        jax.eval_shape(lambda key: initial(key, config=config, model=model), jax.random.key(0)), replicated(mesh)
    )
    if config.data.setting.startswith(BUILT):
        return read_step(config, model, mesh).lower(state, batch_shape(config, mesh))
    return drawn_step(config, model, mesh, setting=setting or config.data.setting).lower(state)


def batch_shape(config: Config, mesh: Mesh) -> Any:
    """The shapes of a batch, on the mesh; a stored example is of the shapes of a drawn one."""
    built = config.data.setting.startswith(BUILT)

    def drawn(indices: jax.Array) -> Any:
        return draw_batch(
            config.seed,
            "train",
            indices,
            setting="standard" if built else config.data.setting,
            height=config.data.height,
            width=config.data.width,
            channels=config.model.channels,
        )

    shapes = jax.eval_shape(drawn, jax.ShapeDtypeStruct((config.batch,), jnp.int32))
    return shapes_on(shapes, over_rows(mesh))


def shapes_on(shapes: Any, sharding: Any) -> Any:
    """Shapes, with the sharding of what will have them: one for all, or one for each field."""
    each = jax.tree.broadcast(sharding, shapes)
    return jax.tree.map(lambda leaf, at: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=at), shapes, each)


def peak_bytes(compiled: Any) -> int:
    """What a compiled step holds at once on one device: arguments, results and temporaries."""
    memory = compiled.memory_analysis()
    held = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
    return held - memory.alias_size_in_bytes


def device_bytes(mesh: Mesh) -> int | None:
    """The memory of one device of a mesh, or None where it does not say; simulated devices share the machine's."""
    device = mesh.local_devices[0]  # another process's device does not say
    if device.platform == "cpu":
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // mesh.size
    return (device.memory_stats() or {}).get("bytes_limit")


def out_of_memory(error: BaseException) -> bool:
    """Whether a compiler or a device said that its memory does not suffice."""
    return "RESOURCE_EXHAUSTED" in str(error)


def needed_bytes(config: Config, mesh: Mesh) -> int | None:
    """What the largest of a training's steps holds at once on one device; None where the compiler finds no room."""
    stages = [item.rpartition(":")[0] for item in config.data.curriculum]
    try:
        return max(
            peak_bytes(lowered_step(config, mesh, setting=setting).compile())
            for setting in dict.fromkeys([*stages, config.data.setting])
        )
    except jax.errors.JaxRuntimeError as error:
        if not out_of_memory(error):
            raise
        return None


def unit_batch(config: Config, mesh: Mesh) -> int:
    """What a batch must be a multiple of: its portions are shared by the devices, and by the settings of a mixture."""
    return config.optimiser.accumulate * math.lcm(mesh.shape[DATA], settings_of(config))


def frugal(config: Config, mesh: Mesh) -> Iterator[Config]:
    """The config itself, then what needs less memory and more time: remat, and then twice as many portions each."""
    yield config
    if not config.model.remat:
        config = replace(config, model=replace(config.model, remat=True))
        yield config
    while True:
        config = replace(config, optimiser=replace(config.optimiser, accumulate=2 * config.optimiser.accumulate))
        if config.batch % unit_batch(config, mesh):
            return
        yield config


def fitted(
    config: Config, mesh: Mesh, *, there: int | None = None, needed: Callable[[Config, Mesh], int | None] = needed_bytes
) -> tuple[Config, str]:
    """The first of `frugal` configs whose step fits into a device, and a line that says so.

    Args:
        config: with `memory` "auto"
        mesh: devices in use
        there: memory of one device [bytes]; by default what it says itself
        needed: what a config's step holds [bytes]; None where it cannot be compiled for want of memory

    Raises:
        InputError: none of them fits.
    """
    there = device_bytes(mesh) if there is None else there
    if there is None:
        return config, "memory = auto: this device does not say how much memory it has; the config is taken as given."
    room, chosen, least = there * (1 - HEADROOM), config, None
    for chosen in frugal(config, mesh):
        least = needed(chosen, mesh)
        if least is not None and least <= room:
            return (
                chosen,
                f"memory = auto: {described(chosen)} needs {least / GIB:.2f} of {there / GIB:.2f} GiB on each device.",
            )
    needs = "more than there is" if least is None else f"{least / GIB:.2f} GiB"
    raise InputError(
        f"memory = auto finds nothing that fits: with {described(chosen)} a step of batch {config.batch} needs "
        f"{needs}, and a device has {there / GIB:.2f} GiB, less a tenth; write a smaller batch or data.height."
    )


def described(config: Config) -> str:
    """What was chosen, in words."""
    remat = "remat" if config.model.remat else "no remat"
    portions = config.optimiser.accumulate
    return f"{remat}, {portions} portion{'s' if portions > 1 else ''} (model.remat, optimiser.accumulate)"


def resolved(config: Config, mesh: Mesh, *, workdir: Any = None) -> Config:
    """The config that is run: with `memory` "auto", remat and portions as its run began, or as they fit now.

    A run keeps to what it began with, wherever it goes on: other portions are other numbers.

    Raises:
        InputError: nothing fits, or the work directory's config cannot be read.
    """
    if config.memory != "auto":
        return config
    if workdir is not None and (epath.Path(workdir) / CONFIG_FILE).exists():
        begun = load_config(workdir)
        if begun.memory == "auto":
            return with_choice(config, begun)
    check_portions(config, mesh)
    chosen, line = fitted(config, mesh)
    if jax.process_index() == 0:
        print(f"veerjax: {line}", file=sys.stderr)
    return chosen


def with_choice(config: Config, begun: Config) -> Config:
    """A config with another's remat and portions."""
    return replace(
        config,
        model=replace(config.model, remat=begun.model.remat),
        optimiser=replace(config.optimiser, accumulate=begun.optimiser.accumulate),
    )
