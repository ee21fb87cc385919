"""How fast a config runs here, how far that is from the machine's limits, and how it stands to a peer."""

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from veerjax.config import Config, require
from veerjax.data.stream import built_batches
from veerjax.models.unet import compute_dtype
from veerjax.performance import equal_time, sweep
from veerjax.performance.drawing import part_times
from veerjax.performance.peer import Peer, check_interpreter, check_parity, running_peer
from veerjax.performance.reading import built_examples, can_build
from veerjax.performance.roofline import Ceilings, measured_ceilings, timing_error, utilisation
from veerjax.performance.stages import STAGES, Bench, Stage
from veerjax.performance.timing import Timing, timed
from veerjax.training.sharding import check_batch, data_mesh, over_examples
from veerjax.version import __version__

ALONE = ("train", "predict")  # what a sweep and a peer are timed on
ROUNDS = 3  # ours, the peer's, ours, the peer's, ..: the machine's mood falls on both
SETTLE_S = 0.3  # until the other process's threads have stopped waiting busily
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
    mesh = data_mesh(devices)
    check_batch(config.batch, mesh)
    bench = Bench.of(config, mesh)
    compiled = compiled_stages(bench, progress)
    ceilings = measured_ceilings(compute_dtype(config.model.dtype), devices=mesh.size)
    stages = {}
    for name, stage in compiled.items():
        progress(f"timing {name} ...")
        stages[name] = stage_row(stage, bench, ceilings, warmup=warmup, steps=steps)
    reading = None if not can_build() else read_row(bench, warmup=warmup, steps=steps)
    drawing = part_times(config.data, batch=config.batch, warmup=warmup, steps=max(steps // 3, 1))
    return {
        **heading(config, steps=steps, devices=mesh.size),
        **summary(bench, ceilings, stages, reading),
        "stages": stages | ({} if reading is None else {"read": reading}),
        "drawing_ms": {name: part.median_s * 1e3 for name, part in drawing.items()},
    }


def compiled_stages(bench: Bench, progress: Callable[[str], None]) -> dict[str, Stage]:
    """All stages, before any is run, so that what does not fit is refused at once; nothing is taken from the disk."""
    kept = jax.config.read("jax_enable_compilation_cache")
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        compiled = {}
        for name, stage in STAGES.items():
            progress(f"compiling {name} ...")
            compiled[name] = stage(bench)
        return compiled
    finally:
        jax.config.update("jax_enable_compilation_cache", kept)


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
    height, width = bench.config.data.height, bench.config.data.width
    rows = LOG_FT / 100 * IN_PER_100_FT * DPI * width / (TRACK_IN * DPI)
    per_pixel = predict_ms / 1e3 * bench.mesh.size / (bench.config.batch * height * width)
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
        return timing_row(timed(lambda: next(stream), warmup=warmup, steps=steps), bench)


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
    configs = [sweep.swept(config, key, value) for value in values]  # all are checked before any is timed
    present = list(jax.devices() if devices is None else devices)
    most = max([value for value in values if key == sweep.DEVICES], default=1)
    require(most <= len(present), f"--sweep devices asks for {most} devices and there are {len(present)}.")
    rows = []
    for value, changed in zip(values, configs, strict=True):
        mesh = data_mesh(present[:value] if key == sweep.DEVICES else present)
        check_batch(changed.batch, mesh)
        bench = Bench.of(changed, mesh)
        times = {name: timed(STAGES[name](bench).run, warmup=warmup, steps=steps).median_s * 1e3 for name in ALONE}
        pixels = changed.batch * changed.data.height * changed.data.width
        rows.append({"value": value, "pixels": pixels, "model_flops": bench.training_work.flops, "ms": times})
    exponents = {
        by: {name: sweep.growth([row[by] for row in rows], [row["ms"][name] for row in rows]) for name in ALONE}
        for by in ("pixels", "model_flops")
    }
    return {"key": key, "rows": rows, "growth_exponent": exponents}


def run_against(
    name: str,
    python: str,
    config: Config,
    *,
    steps: int = 30,
    warmup: int = 3,
    fit_seconds: float | None = None,
    compiled: bool | None = None,
) -> Report:
    """Ours and a peer's times in one run, in turn.

    `torch` is the same network, whose forward pass must equal ours first; `smp` is what a user would pick instead, a
    U-Net with a ResNet-34 encoder at its defaults, which can also be trained for the same time as ours.

    Args:
        name: of `peer.PEERS`
        python: the peer's interpreter
        config: ours
        steps: timed ones
        warmup: before each round
        fit_seconds: train both from scratch for as long and compare F1; not at all if None
        compiled: whether the peer uses its compiler; on a GPU only if None

    Raises:
        InputError: see `performance.peer`, or the two forward passes differ.
    """
    check_interpreter(name, python)
    config = replace(config, model=replace(config.model, mirror=False))
    bench = Bench.of(config, data_mesh())
    judged = [] if fit_seconds is None else equal_time.drawn_logs(bench, "validation", equal_time.JUDGED_LOGS)
    training = equal_time.drawn_logs(bench, "train", equal_time.TRAINING_LOGS if judged else config.batch * 2)
    variables = jax.device_get(bench.state().variables)
    arrays = equal_time.peer_arrays(training, judged or training)
    given = {"variables": variables, "arrays": arrays, "compiled": compiled}
    with running_peer(name, python, config, batch=bench.batch, **given) as peer:
        about = {key: value for key, value in peer.about.items() if key != "ready"}
        found: Report = {"name": name, "compiled": compiled, **about}
        if name == "torch":
            found["parity"] = check_parity(log_odds_of(bench, variables), relative(peer.logits()))
        found |= turns(bench, peer, steps=steps, warmup=warmup)
        if fit_seconds is not None:
            found |= equal_times(bench, peer, judged, fit_seconds, found)
    return found


def turns(bench: Bench, peer: Peer, *, steps: int, warmup: int) -> Report:
    """Medians of both sides and ours over theirs, from rounds in turn."""
    stages = {name: STAGES[name](bench).run for name in (*ALONE, "end_to_end")}
    theirs = {"train": "train", "predict": "predict", "end_to_end": "train_built"}
    seconds: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in stages}
    share = -(-steps // ROUNDS)
    for _ in range(ROUNDS):
        for name, run in stages.items():
            time.sleep(SETTLE_S)
            seconds[name][0].extend(timed(run, warmup=warmup, steps=share).seconds)
            time.sleep(SETTLE_S)
            seconds[name][1].extend(peer.timed(theirs[name], warmup=warmup, steps=share).seconds)
    ours, other = ({name: float(np.median(pair[side])) for name, pair in seconds.items()} for side in (0, 1))
    return {
        "ours_ms": {name: value * 1e3 for name, value in ours.items()},
        "theirs_ms": {name: value * 1e3 for name, value in other.items()},
        "time_ratio_train": ours["train"] / other["train"],
        "time_ratio_eval": ours["predict"] / other["predict"],
        "throughput_ratio_rendered": other["end_to_end"] / ours["end_to_end"],
        "throughput_ratio_built_data": built_ratio(bench, other["end_to_end"], steps=steps, warmup=warmup),
    }


def built_ratio(bench: Bench, their_step_s: float, *, steps: int, warmup: int) -> float | None:
    """Our examples/s over theirs where both read stored examples; None where TFDS or Grain is missing."""
    if not can_build():
        return None
    compiled = bench.train_step()
    state = bench.state()
    with built_examples(bench.config) as split:
        stream = built_batches(split, batch=bench.config.batch, seed=bench.config.seed)

        def step() -> Any:
            nonlocal state
            state, metrics = compiled(state, jax.device_put(next(stream), over_examples(bench.mesh)))
            return state, metrics

        return their_step_s / timed(step, warmup=warmup, steps=steps).median_s


def equal_times(bench: Bench, peer: Peer, judged: list[Any], seconds: float, found: Report) -> Report:
    """F1 of both after training for the same time, and the steps that it paid for."""
    ours = equal_time.steps_within(seconds, found["ours_ms"]["end_to_end"] / 1e3)
    theirs = equal_time.steps_within(seconds, found["theirs_ms"]["end_to_end"] / 1e3)
    f1 = equal_time.fitted(bench, judged, steps=ours)
    their_f1, took = equal_time.fitted_peer(peer, judged, steps=theirs)
    return {
        "fit_seconds": seconds,
        "fit_steps": {"ours": ours, "theirs": theirs},
        "fit_seconds_theirs": took,
        "tolerance_f1_2px": {"ours": f1, "theirs": their_f1},
        "judged_logs": equal_time.JUDGED_LOGS,
    }


def log_odds_of(bench: Bench, variables: Any) -> np.ndarray:
    """Our logits of the curves over the background's, in float32 at the highest precision."""
    plain = replace(bench.config, model=replace(bench.config.model, dtype="float32"))
    with jax.default_matmul_precision("highest"):
        found = jax.jit(Bench.of(plain, bench.mesh).model.predict)(variables, bench.batch)
    masks = np.asarray(found.masks, np.float64)
    return np.moveaxis(np.log(masks) - np.log(1 - masks.sum(axis=1, keepdims=True)), 1, -1)


def relative(logits: np.ndarray) -> np.ndarray:
    """Logits of the curves over the background's."""
    return logits[..., 1:].astype(np.float64) - logits[..., :1]
