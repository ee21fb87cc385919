"""A config compiled for TPU chips that are not there: memory, work, what is sent, and an estimate of the speed."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from veerjax.config import Config
from veerjax.jobs.benchmark import heading
from veerjax.models import build_model
from veerjax.performance.aot import Topology, compiled_or_refused, for_tpu, load_of
from veerjax.performance.scaling import LEFT_OUT, bound, collective_s, examples_per_s, step_s, weak_scaling
from veerjax.performance.stages import Bench
from veerjax.training.sharding import DATA, ROWS, check_batch
from veerjax.training.stepper import BUILT, check_images, check_portions

Report = dict[str, Any]


def run_aot(config: Config, topology: Topology, *, progress: Callable[[str], None] = print) -> Report:
    """DESIGN's `benchmark` JSON with its part `aot`; nothing is run.

    Args:
        config: of a training, its batch over all chips
        topology: of chips, from `topology_of`
        progress: told what is being done

    Raises:
        InputError: a batch or a height that does not divide over the chips, or a batch that does not fit into them.
    """
    config = for_tpu(config)
    mesh, chip, shape = topology.mesh, topology.chip, topology.shape
    check_batch(config.batch, mesh)
    check_images(config, build_model(config.model, config.loss), mesh)
    check_portions(config, mesh)
    config, compiled = compiled_or_refused(config, topology, progress)
    load = load_of(compiled, config, topology)
    seconds = step_s(load, chip, shape)
    padded = step_s(load, chip, shape, padded=True)
    # A stored example is of the shapes of a drawn one.
    built = config.data.setting.startswith(BUILT)
    work = Bench.of(
        replace(config, data=replace(config.data, setting="standard")) if built else config, mesh
    ).training_work
    return {
        **heading(config, steps=0, devices=len(topology.devices)),
        "device": topology.devices[0].device_kind,
        "compile_s": compiled.compile_s,
        "model_flops_per_step": work.flops,
        "compulsory_bytes_per_step": work.bytes,
        "peak_flops": chip.flops_per_s * topology.chips,
        "peak_bytes_per_s": chip.hbm_bytes_per_s * topology.chips,
        "aot": {
            "topology": topology.name,
            "chips": topology.chips,
            "devices": len(topology.devices),
            "chip": asdict(chip),
            "accumulate": config.optimiser.accumulate,
            "batch_per_chip": config.batch / topology.chips,
            "hbm_bytes_per_chip": compiled.needed_bytes,
            "hbm_bytes_there": chip.hbm_bytes,
            "memory_bytes_per_chip": {
                "arguments": compiled.arguments_bytes,
                "outputs": compiled.outputs_bytes,
                "temporaries": compiled.temporaries_bytes,
                "code": compiled.code_bytes,
            },
            "compiler_flops_per_chip": compiled.flops,
            "padded_flops_per_chip": load.padded_flops,
            "bytes_per_chip": compiled.bytes,
            "collectives": {kind: asdict(sent) for kind, sent in compiled.collectives.items()},
            "collective_ms": collective_s(load, chip, shape) * 1e3,
            "bound": bound(load, chip),
            "estimated_step_ms": seconds * 1e3,
            "estimated_examples_per_s": examples_per_s(load, chip, shape, seconds),
            "estimated_examples_per_s_padded": examples_per_s(load, chip, shape, padded),
            "weak_scaling": weak_scaling(load, chip) if mesh.shape[DATA] > 1 and mesh.shape[ROWS] == 1 else [],
            "left_out": list(LEFT_OUT),
        },
    }
