"""A training step compiled for TPU chips that are not there: what it needs of one, and what it sends to the others."""

import importlib.util
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
from jax.sharding import Mesh

from veerjax.config import Config, require
from veerjax.errors import InputError
from veerjax.models import build_model
from veerjax.models.cost import padded_flops
from veerjax.performance.chips import EXAMPLES, Chip, parsed, size
from veerjax.performance.collectives import Collective, collectives
from veerjax.performance.scaling import Load
from veerjax.training.memory import (
    batch_shape,
    described,
    fitted,
    lowered_step,
    out_of_memory,
    peak_bytes,
    unit_batch,
)
from veerjax.training.sharding import data_mesh

GIB = 2**30
# libtpu asks a cloud's metadata server and names of workers that are not there, and says so at length.
QUIET = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_MIN_LOG_LEVEL": "3",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # it locks chips, of which there are none
}
USED = re.compile(r"Used (?P<used>[\d.]+)(?P<used_unit>[KMGT]?) of (?P<there>[\d.]+)(?P<there_unit>[KMGT]?) hbm")
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": GIB, "T": 2**40}
MOST_BYTES = 100 * GIB  # no chip has more
TRIES = 5  # compilations that look for the largest batch
Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Topology:
    """Chips in a shape."""

    name: str
    chip: Chip
    shape: tuple[int, ...]
    devices: Sequence[Any]  # to compile for, not to run on
    rows: int = 1  # devices that share an image's height

    @property
    def chips(self) -> int:
        return size(self.shape)

    @property
    def mesh(self) -> Mesh:
        return data_mesh(self.devices, rows=self.rows)


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """A step as the compiler made it; all figures are of one device."""

    arguments_bytes: int
    outputs_bytes: int  # those that take an argument's place included
    temporaries_bytes: int
    code_bytes: int
    needed_bytes: int  # at once
    flops: float
    bytes: float
    collectives: Mapping[str, Collective]
    compile_s: float


class TooLarge(Exception):
    """A step does not fit into a device's memory."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        found = USED.search(message)
        # bytes, where the compiler says them
        self.used = None if found is None else float(found["used"]) * UNITS[found["used_unit"]]
        self.there = None if found is None else float(found["there"]) * UNITS[found["there_unit"]]


def topology_of(name: str, *, rows: int = 1) -> Topology:
    """A topology by its name.

    Args:
        name: such as `v5e:2x4`
        rows: devices that share an image's height

    Raises:
        InputError: the name is none, there is no such slice, or libtpu is not installed.
    """
    chip, shape = parsed(name)
    require(
        importlib.util.find_spec("libtpu") is not None,
        "--aot compiles with libtpu, which is not installed; run pip install 'veerjax[tpu]'.",
    )
    for key, value in QUIET.items():
        os.environ.setdefault(key, value)
    from jax.experimental import topologies

    try:
        described = topologies.get_topology_desc(platform="tpu", topology_name=name)
    except (jax.errors.JaxRuntimeError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        require("ABORTED" not in reason, f"libtpu could not be started ({reason}); give the command again.")
        raise InputError(f"libtpu has no topology {name!r} ({reason}); write one such as {EXAMPLES}.") from error
    return Topology(name=name, chip=chip, shape=shape, devices=described.devices, rows=rows)


def for_tpu(config: Config) -> Config:
    """The config as it would run there: `auto` is bfloat16."""
    auto = config.model.dtype == "auto"
    return replace(config, model=replace(config.model, dtype="bfloat16")) if auto else config


def check_arrays(config: Config, mesh: Mesh) -> None:
    """Raises `TooLarge`, without compiling for hours, if the batch alone is more than a device's address space.

    More than this is a step's need by far, but for no less can it be told beforehand.
    """
    batch = batch_shape(config, mesh)
    held = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(batch)) / mesh.size
    if held > MOST_BYTES:
        raise TooLarge(f"a batch of {held:.3g} bytes on each device")


def compiled_step(config: Config, mesh: Mesh) -> Compiled:
    """The step that training runs, compiled for a mesh.

    Raises:
        TooLarge: it does not fit into a device.
    """
    start = time.perf_counter()
    check_arrays(config, mesh)
    try:
        compiled = lowered_step(config, mesh).compile()
    except jax.errors.JaxRuntimeError as error:
        if not out_of_memory(error):
            raise
        raise TooLarge(str(error)) from error
    memory, counted = compiled.memory_analysis(), compiled.cost_analysis() or {}
    return Compiled(
        arguments_bytes=memory.argument_size_in_bytes,
        outputs_bytes=memory.output_size_in_bytes,
        temporaries_bytes=memory.temp_size_in_bytes,
        code_bytes=memory.generated_code_size_in_bytes,
        needed_bytes=peak_bytes(compiled) + memory.generated_code_size_in_bytes,
        flops=counted.get("flops", 0.0),
        bytes=counted.get("bytes accessed", 0.0),
        collectives=collectives(compiled.as_text()),
        compile_s=time.perf_counter() - start,
    )


def load_of(compiled: Compiled, config: Config, topology: Topology) -> Load:
    """What one chip does, for an estimate; operations by the layers' definition, where the compiler counts fewer.

    It does for accumulation, a loop whose body it counts once: its bytes are then taken as often as its operations fall
    short, and what it sends once for each portion, at most.
    """
    model = build_model(config.model, config.loss)
    batch, height, width, channels = batch_shape(config, topology.mesh).image.shape
    cost = model.cost((batch, height, width, channels))
    devices, passes = len(topology.devices), 4 if config.model.remat else 3
    flops = (passes * cost.flops - cost.first_flops) / devices
    portions = config.optimiser.accumulate
    times = max(flops / compiled.flops, 1.0) if compiled.flops and portions > 1 else 1.0
    return Load(
        examples=config.batch / devices,
        flops=max(flops, compiled.flops),
        padded_flops=max(flops, compiled.flops, passes * padded_flops(cost.layers, side=topology.chip.mxu) / devices),
        bytes=compiled.bytes * times,
        collectives={
            kind: Collective(count=sent.count * portions, bytes=sent.bytes * portions)
            for kind, sent in compiled.collectives.items()
        },
    )


def compiled_or_refused(config: Config, topology: Topology, progress: Progress) -> tuple[Config, Compiled]:
    """The compiled step, and its config: with `memory` "auto" the first of the frugal ones that a training would take.

    Raises:
        InputError: it does not fit; without "auto", the largest batch found that does, by compiling it, is named.
    """
    mesh, made = topology.mesh, []

    def compiled(tried: Config, mesh: Mesh) -> Compiled:
        progress(f"compiling batch {tried.batch} for {topology.name} with {described(tried)} ...")
        made.append(compiled_step(tried, mesh))
        return made[-1]

    def needed(tried: Config, mesh: Mesh) -> int | None:
        try:
            return compiled(tried, mesh).needed_bytes
        except TooLarge:
            return None

    if config.memory == "auto":
        chosen, line = fitted(config, mesh, there=topology.chip.hbm_bytes, needed=needed)
        progress(line)
        return chosen, made[-1]
    try:
        return config, compiled(config, mesh)
    except TooLarge as error:
        refused = error
    there = refused.there or topology.chip.hbm_bytes
    needs = "more than" if refused.used is None else f"{refused.used / GIB:.1f} GiB of"
    progress("it does not fit; looking for the largest batch that does ...")
    largest = largest_batch(config, mesh, there=there, used=refused.used, compiled=compiled)
    advice = f"write --set batch={largest}, which fits" if largest else "write smaller data.height and data.width"
    raise InputError(
        f"a step of batch {config.batch} on {topology.name} needs {needs} each device's {there / GIB:.2f} GiB; "
        f"{advice}, or let it take more time: --set memory=auto."
    ) from refused


def largest_batch(
    config: Config,
    mesh: Mesh,
    *,
    there: float,
    used: float | None,
    compiled: Callable[[Config, Mesh], Compiled],
) -> int:
    """The largest batch found that fits, below the config's, which does not; 0 if there is none.

    Memory grows nearly in a line with the batch: the least one that can be and the refused one give it, or, where
    nobody said what that needs, the least one and as many of it as would fill the memory. Where the line meets the
    memory is compiled too. Near the limit the compiler saves memory by itself, so somewhat more may fit.

    Args:
        config: of the batch that does not fit
        mesh: devices that share it
        there: memory of one device [bytes]
        used: what the batch would have needed of it [bytes]; None if nobody said
        compiled: compiles a step, or raises `TooLarge`
    """
    unit, held = unit_batch(config, mesh), dict[int, float]()  # batch -> bytes of those compiled
    line = {} if used is None else {config.batch: used}
    fits, fails, guess = 0, config.batch, unit
    for _ in range(TRIES):
        if not fits < guess < fails:
            return fits
        try:
            held[guess] = line[guess] = compiled(replace(config, batch=guess), mesh).needed_bytes
            fits = guess
        except TooLarge as error:
            fails = guess
            if error.used is not None:
                line[guess] = error.used
        if not fits or len(held) > 1 + (used is None):
            return fits  # the least one does not fit, or this one is where the line met the memory
        (least, first), (most, last) = min(line.items()), max(line.items())
        slope = (last - first) / (most - least) if most > least else first / least
        guess = max(min(least + int((there - first) / slope), fails - 1) // unit * unit, fits)
    return fits
