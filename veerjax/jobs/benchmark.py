"""How fast a config runs here, how far that is from the machine's limits, and how it stands to a peer."""

import importlib.metadata
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import jax
from jax.experimental.compilation_cache import compilation_cache
from jax.sharding import Mesh

from veerjax.config import Config, require
from veerjax.data.stream import READ_THREADS, built_batches
from veerjax.models.blocks import compute_dtype
from veerjax.performance import sweep
from veerjax.performance.drawing import part_times
from veerjax.performance.reading import built_examples, can_build
from veerjax.performance.roofline import Ceilings, measured_ceilings, timing_error, utilisation
from veerjax.performance.stages import STAGES, Bench, Stage, physical_devices
from veerjax.performance.timing import Timing, timed
from veerjax.training.sharding import check_batch, data_mesh
from veerjax.training.stepper import check_images
from veerjax.version import __version__

ALONE = ("train", "predict")  # what a sweep is timed on
READ_BLOCK = 8 * READ_THREADS  # batches that the reading is timed by
LOG_FT, DPI, IN_PER_100_FT, TRACK_IN = 1000, 200, 5, 2.5
WINDOW_OVERLAP = 512 / (512 - 128)  # rows read over rows kept, `tracing.windows`
VERSIONS = ("jax", "jaxlib", "flax", "optax", "numpy")

Report = dict[str, Any]


def run_benchmark(
    config: Config,
    *,
    steps: int = 30,
    warmup: int = 3,
    devices: Sequence[Any] | None = None,
    progress: Callable[[str], None] = print,
) -> Report:
    """DESIGN's `benchmark` JSON for one config.

    Args:
        config: what to time
        steps: timed ones of each stage
        warmup: steps before them
        devices: to use; all of them by default
        progress: told what is being timed

    Raises:
        InputError: the batch does not divide over the devices, or a step does not fit into memory.
    """
    mesh = data_mesh(devices, rows=config.devices.rows)
    bench = checked_bench(config, mesh)
    compiled = compiled_stages(bench, progress)
    ceilings = measured_ceilings(compute_dtype(config.model.dtype), devices=physical_devices(mesh))
    stages = {}
    for name, stage in compiled.items():
        progress(f"timing {name} ...")
        stages[name] = stage_row(stage, bench, ceilings, warmup=warmup, steps=steps)
    reading = None if not can_build() else read_row(bench, warmup=warmup, steps=steps)
    drawing = part_times(config.data, mesh, batch=config.batch, warmup=warmup, steps=max(steps // 3, 1))
    return {
        **heading(config, steps=steps, devices=mesh.size),
        **summary(bench, ceilings, stages, reading),
        "stages": stages | ({} if reading is None else {"read": reading}),
        "drawing_ms": {name: part.median_s * 1e3 for name, part in drawing.items()},
    }


def checked_bench(config: Config, mesh: Mesh) -> Bench:
    """What is timed of a config.

    Raises:
        InputError: the batch or the height does not divide over the devices, or the model is too deep for the images.
    """
    bench = Bench.of(config, mesh)
    check_batch(config.batch, mesh)
    check_images(config, bench.model, mesh)
    return bench


def compiled_stages(bench: Bench, progress: Callable[[str], None]) -> dict[str, Stage]:
    """All stages, before any is run, so that what does not fit is refused at once; nothing is taken from the disk."""
    kept = cast(Any, jax.config).jax_enable_compilation_cache  # older releases do not declare it
    use_cache(False)
    try:
        compiled = {}
        for name, stage in STAGES.items():
            progress(f"compiling {name} ...")
            compiled[name] = stage(bench)
        return compiled
    finally:
        use_cache(kept)


def use_cache(wanted: bool) -> None:
    """Whether compilations are taken from the disk; without the reset JAX keeps to what it decided first."""
    jax.config.update("jax_enable_compilation_cache", wanted)
    compilation_cache.reset_cache()


def heading(config: Config, *, steps: int, devices: int | None = None) -> Report:
    """What was run, where, and with which versions and flags."""
    return {
        "schema": 1,
        "device": jax.devices()[0].device_kind,
        "devices": devices or jax.device_count(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "processor": processor(),
        "python": platform.python_version(),
        "versions": {"veerjax": __version__} | {name: importlib.metadata.version(name) for name in VERSIONS},
        "flags": os.environ.get("XLA_FLAGS", ""),
        "config": config.name,
        "model": asdict(config.model),
        "setting": config.data.setting,
        "batch": config.batch,
        "size": [config.data.height, config.data.width],
        "steps": steps,
    }


def processor() -> str:
    """The name of the CPU where the system tells it, else its architecture."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def summary(bench: Bench, ceilings: Ceilings, stages: Mapping[str, Report], reading: Report | None) -> Report:
    """The figures that are quoted; None where a row was refused."""
    train, predict = stages["train"], stages["predict"]
    rows = {**stages, **({} if reading is None else {"read": reading})}
    work = bench.training_work
    return {
        "compile_s": train["compile_s"],
        "examples_per_s": {"read": None} | {name: row["examples_per_s"] for name, row in rows.items()},
        "step_ms": {key: train[f"{key}_ms"] for key in ("median", "p10", "p90")},
        "render_share": ratio(stages["render"]["median_ms"], stages["end_to_end"]["median_ms"]),
        "model_flops_per_step": work.flops,
        "compulsory_bytes_per_step": work.bytes,
        "peak_flops": ceilings.flops_per_s,
        "peak_bytes_per_s": ceilings.bytes_per_s,
        "mfu": train["mfu"],
        "roofline_fraction": train["roofline_fraction"],
        "peak_memory_bytes": train["peak_memory_bytes"],
        "device_s_per_1000_ft": device_seconds(bench, predict["median_ms"]),
    }


def ratio(above: float | None, below: float | None) -> float | None:
    """A quotient, or None where either is unknown."""
    return None if above is None or below is None else above / below


def device_seconds(bench: Bench, predict_ms: float | None) -> float | None:
    """Device-seconds in which the network reads one 2.5 in track of 1,000 ft at 5 in per 100 ft and 200 dpi.

    The track is rescaled to the working width and read in windows of 512 rows that overlap by 128.
    """
    if predict_ms is None:
        return None
    width = bench.config.data.width
    rows = LOG_FT / 100 * IN_PER_100_FT * DPI * width / (TRACK_IN * DPI)
    per_pixel = predict_ms / 1e3 * physical_devices(bench.mesh) / bench.pixels
    return per_pixel * rows * width * WINDOW_OVERLAP


def stage_row(stage: Stage, bench: Bench, ceilings: Ceilings, *, warmup: int, steps: int) -> Report:
    """One stage, timed; refused where the time cannot be right."""
    row = timing_row(timed(stage.run, warmup=warmup, steps=steps), bench)
    row |= {"compile_s": stage.compile_s, "peak_memory_bytes": stage.peak_bytes}
    row |= {"compiler_flops": stage.compiler_flops, "compiler_bytes": stage.compiler_bytes}
    if stage.work is None:
        return row
    seconds = row["median_ms"] / 1e3
    row |= {"model_flops": stage.work.flops, "compulsory_bytes": stage.work.bytes}
    wrong = timing_error(stage.work, seconds, ceilings)
    if wrong is None:
        return row | utilisation(stage.work, seconds, ceilings)
    timings = ("median_ms", "p10_ms", "p90_ms", "examples_per_s", "mpx_per_s", "mfu", "roofline_fraction")
    return row | dict.fromkeys(timings) | {"refused": wrong}


def timing_row(timing: Timing, bench: Bench) -> Report:
    """Median, percentiles and rates of a step of the config's batch."""
    rate = bench.config.batch / timing.median_s
    return {
        "median_ms": timing.median_s * 1e3,
        "p10_ms": timing.p10_s * 1e3,
        "p90_ms": timing.p90_s * 1e3,
        "examples_per_s": rate,
        "mpx_per_s": rate * bench.config.data.height * bench.config.data.width / 1e6,
    }


def read_row(bench: Bench, *, warmup: int, steps: int) -> Report:
    """Grain's reading of a built dataset, alone."""
    with built_examples(bench.config) as split:
        stream = built_batches(split, batch=bench.config.batch, seed=bench.config.seed)
        # Threads deliver side by side, so single waits say nothing: a sample is a block of batches.
        return timing_row(timed(lambda: next(stream), warmup=warmup, steps=max(steps // 3, 1), calls=READ_BLOCK), bench)


def run_sweep(
    config: Config, text: str, *, steps: int = 30, warmup: int = 3, devices: Sequence[Any] | None = None
) -> Report:
    """The training step and the prediction, alone, at each value of one key.

    Args:
        config: what the key is changed in
        text: `key=value,value`
        steps: timed ones
        warmup: steps before them
        devices: to use; all of them by default

    Raises:
        InputError: unknown key, a value it does not take, a batch that does not divide or fit.
    """
    key, values = sweep.parsed(text)
    configs = [sweep.swept(config, key, value) for value in values]
    present = list(jax.devices() if devices is None else devices)
    most = max([value for value in values if key == sweep.DEVICES], default=1)
    require(most <= len(present), f"--sweep devices asks for {most} devices and there are {len(present)}.")
    benches = []
    for value, changed in zip(values, configs, strict=True):
        mesh = data_mesh(present[:value] if key == sweep.DEVICES else present, rows=changed.devices.rows)
        benches.append(checked_bench(changed, mesh))
    made = [{name: STAGES[name](bench) for name in ALONE} for bench in benches]  # what does not fit is refused here
    rows = []
    for value, bench, stages in zip(values, benches, made, strict=True):
        ceilings = measured_ceilings(compute_dtype(bench.config.model.dtype), devices=physical_devices(bench.mesh))
        found = {name: stage_row(stage, bench, ceilings, warmup=warmup, steps=steps) for name, stage in stages.items()}
        rows.append({"value": value, "pixels": bench.pixels, "model_flops": bench.training_work.flops, "stages": found})
    known = [row for row in rows if not any("refused" in found for found in row["stages"].values())]
    exponents = {
        by: {
            name: sweep.growth([row[by] for row in known], [row["stages"][name]["median_ms"] for row in known])
            for name in ALONE
        }
        for by in ("pixels", "model_flops")
    }
    return {"key": key, "rows": rows, "growth_exponent": exponents}
