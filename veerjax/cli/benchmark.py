"""The command `veerjax benchmark`."""

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from veerjax.cli.arguments import SET_HELP, check_outputs, command, positive


def add_benchmark(commands: Any) -> None:
    made = command(commands, "benchmark", benchmark, "Time a config: stages, limits of the machine, a peer.")
    made.add_argument("--config", required=True, type=Path, help="a file with get_config(), or a run's config.json")
    made.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help=SET_HELP)
    made.add_argument("--steps", type=positive, default=30, help="timed steps of each stage (%(default)s)")
    made.add_argument("--warmup", type=positive, default=3, help="steps before them (%(default)s)")
    made.add_argument(
        "--sweep",
        action="append",
        default=[],
        metavar="KEY=A,B",
        help="instead, how cost grows with batch, size, rows, precision, devices, features, model or any config key",
    )
    made.add_argument("--plot", type=Path, metavar="FILE", help="a PNG of the sweeps")
    made.add_argument("--start-up", action="store_true", help="instead, what new processes take to their first answer")
    made.add_argument(
        "--against",
        choices=("torch", "smp"),
        help="instead, time a peer in turn with ours: the same net in PyTorch, or segmentation_models_pytorch's U-Net",
    )
    made.add_argument("--peer-python", default=sys.executable, help="an interpreter that has the peer (this one)")
    made.add_argument("--peer-compile", action="store_true", help="let the peer use torch.compile on a CPU too")
    made.add_argument(
        "--peer-heap", choices=("kept", "stock"), default="kept", help="freed memory, as ours or given back"
    )
    made.add_argument(
        "--aot",
        metavar="TOPOLOGY",
        help="instead, compile the training step for TPU chips that are not here (v5e:2x4, v5p:4x4x4, v6e:4x4 ...) and "
        "estimate its speed; takes minutes, and pip install 'veerjax[tpu]'",
    )
    made.add_argument("--fit-seconds", type=positive, help="also train both for as long and compare F1")
    made.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")


def benchmark(arguments: argparse.Namespace) -> int:
    from veerjax.config import load_config_file, require, with_overrides
    from veerjax.logs.atomic import check_folder, write_json

    sweeps, against, plot = arguments.sweep, arguments.against, arguments.plot
    asked = [bool(sweeps), bool(against), arguments.start_up, arguments.aot is not None]
    require(sum(asked) <= 1, "--sweep, --against, --start-up and --aot are different benchmarks; give one of them.")
    require(plot is None or bool(sweeps), "--plot draws sweeps; give --sweep too.")
    require(arguments.fit_seconds is None or bool(against), "--fit-seconds compares with a peer; give --against too.")
    check_outputs(arguments.json, None)
    if plot is not None:
        check_folder(plot.parent, "--plot")
    config = with_overrides(load_config_file(arguments.config), arguments.overrides)
    if arguments.aot is not None:
        # Where libtpu is installed and no TPU is, JAX would look for one first.
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
    from veerjax.jobs.benchmark import run_benchmark
    from veerjax.performance.stages import memory_errors
    from veerjax.report.benchmark_table import benchmark_table

    with memory_errors(config.batch):
        if against:
            report = benchmark_peer(arguments, config)
        elif sweeps:
            report = benchmark_sweeps(arguments, config)
        elif arguments.start_up:
            report = benchmark_start_up(arguments, config)
        elif arguments.aot is not None:
            report = benchmark_aot(arguments, config)
        else:
            report = run_benchmark(config, steps=arguments.steps, warmup=arguments.warmup, progress=on_stderr)
            print(benchmark_table(report))
    if arguments.json is not None:
        write_json(arguments.json, report)
    stages: dict[str, dict[str, Any]] = report.get("stages", {})
    return 1 if any("refused" in row for row in stages.values()) else 0


def benchmark_peer(arguments: argparse.Namespace, config: Any) -> dict[str, Any]:
    from veerjax.jobs.benchmark import heading
    from veerjax.jobs.benchmark_peer import comparable, run_against
    from veerjax.report.benchmark_table import peer_table

    peer = run_against(
        arguments.against,
        arguments.peer_python,
        config,
        steps=arguments.steps,
        warmup=arguments.warmup,
        fit_seconds=arguments.fit_seconds,
        compiled=True if arguments.peer_compile else None,
        kept_heap=arguments.peer_heap == "kept",
    )
    print(peer_table(peer))
    return heading(comparable(config), steps=arguments.steps, devices=1) | {"peer": peer}


def benchmark_sweeps(arguments: argparse.Namespace, config: Any) -> dict[str, Any]:
    from veerjax.jobs.benchmark import heading, run_sweep
    from veerjax.performance.sweep import parsed
    from veerjax.report.benchmark_table import sweep_table
    from veerjax.report.sweep_plot import sweep_plot

    for text in arguments.sweep:
        parsed(text)  # a mistyped one is refused before any is timed
    found = [run_sweep(config, text, steps=arguments.steps, warmup=arguments.warmup) for text in arguments.sweep]
    print("\n\n".join(sweep_table(one) for one in found))
    if arguments.plot is not None:
        from veerjax.logs.atomic import replacing

        arguments.plot.parent.mkdir(parents=True, exist_ok=True)
        with replacing(arguments.plot) as path:
            path.write_bytes(sweep_plot(found))
    return heading(config, steps=arguments.steps) | {"sweeps": found}


def benchmark_start_up(arguments: argparse.Namespace, config: Any) -> dict[str, Any]:
    from veerjax.jobs.benchmark import heading
    from veerjax.performance.startup import startup_times
    from veerjax.report.benchmark_table import startup_table

    times = startup_times(config)
    print(startup_table(times))
    return heading(config, steps=1) | {"start_up_s": times}


def benchmark_aot(arguments: argparse.Namespace, config: Any) -> dict[str, Any]:
    from veerjax.jobs.aot import run_aot
    from veerjax.performance.aot import topology_of
    from veerjax.report.aot_table import aot_table

    topology = topology_of(arguments.aot, rows=config.devices.rows)
    with signals_end_at_once():
        report = run_aot(config, topology, progress=on_stderr)
    print(aot_table(report))
    return report


@contextmanager
def signals_end_at_once() -> Iterator[None]:
    """For a compilation: in C++ Python hears no signal, and libtpu's own handler prints its stack."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: C++ had set one


def on_stderr(text: str) -> None:
    print(text, file=sys.stderr)
