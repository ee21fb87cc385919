"""The command line: arguments to function calls. `--help` answers without importing JAX."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from veerjax import runtime
from veerjax.errors import InputError
from veerjax.version import __version__

Command = Callable[[argparse.Namespace], int]
WEIGHTS_HELP = "release, or WORKDIR[@best|last|STEP]"


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence instead of printing the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help.\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; 0 done, 1 some inputs failed, 2 wrong use or no input succeeded."""
    arguments = parser().parse_args(argv)
    runtime.prepare()
    try:
        return arguments.run(arguments)
    except InputError as error:
        print(f"veerjax: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("veerjax: interrupted.", file=sys.stderr)
        return 130


def parser() -> Parser:
    """All commands and their arguments."""
    top = Parser(prog="veerjax", description="Scanned well logs to depth-indexed numbers.")
    top.add_argument("--version", action="version", version=f"veerjax {__version__}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in (add_demo, add_train, add_evaluate, add_benchmark, add_digitize, add_data, add_env):
        add(commands)
    return top


def command(commands: Any, name: str, run: Command, text: str) -> argparse.ArgumentParser:
    """A sub-command whose help line and description are `text`."""
    made = commands.add_parser(name, help=text, description=text)
    made.set_defaults(run=run)
    return made


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def add_demo(commands: Any) -> None:
    made = command(commands, "demo", demo, "Train a minute, evaluate, digitise a sample: the whole path.")
    made.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for what it writes (%(default)s)")
    made.add_argument("--steps", type=positive, help="training steps, instead of about a minute's worth")
    made.add_argument("--logs", type=positive, default=32, help="test logs to evaluate on (%(default)s)")


def add_train(commands: Any) -> None:
    made = command(commands, "train", train, "Train a model; an interrupted run of the same config goes on.")
    made.add_argument("--config", required=True, type=Path, help="a file with get_config(), or a run's config.json")
    made.add_argument("--workdir", required=True, type=Path, help="folder for checkpoints, log and config")
    made.add_argument("--init-from", metavar="W", help=f"weights that a new run starts from: {WEIGHTS_HELP}")
    made.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")


def add_evaluate(commands: Any) -> None:
    made = command(commands, "evaluate", evaluate, "Score weights on logs whose truth is known.")
    made.add_argument("--weights", required=True, action="append", help=WEIGHTS_HELP + "; a second one with --paired")
    made.add_argument("--paired", action="store_true", help="compare two sets of weights on the same logs")
    made.add_argument(
        "--data", default="standard", help="a rendered setting, raster_logs/CONFIG or a folder of pairs (%(default)s)"
    )
    made.add_argument("--data-dir", type=Path, help="where `veerjax data build` put the dataset")
    made.add_argument("--split", default="test", help="validation, test, or all of a built dataset (%(default)s)")
    made.add_argument("--limit", type=positive, help="logs at most (1000 rendered ones, or the whole built split)")
    made.add_argument("--batch", type=positive, default=8, help="logs at a time (%(default)s)")
    made.add_argument(
        "--metrics", choices=("default", "all"), default="default", help="how much to measure (%(default)s)"
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    made.add_argument("--report", type=Path, metavar="DIR", help="also write a page with plots here: DIR/index.html")


def add_benchmark(commands: Any) -> None:
    made = command(commands, "benchmark", benchmark, "Time a config: stages, limits of the machine, a peer.")
    made.add_argument("--config", required=True, type=Path, help="a file with get_config(), or a run's config.json")
    made.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
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
    made.add_argument("--fit-seconds", type=positive, help="also train both for as long and compare F1")
    made.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")


def add_digitize(commands: Any) -> None:
    made = command(commands, "digitize", digitize, "Read the curves of scanned strips.")
    made.add_argument("scans", nargs="+", type=Path, metavar="SCAN")
    made.add_argument("--out", required=True, type=Path, help="folder for what it writes")
    made.add_argument("--calibration", type=Path, help="TOML: depth anchors, tracks and scales; gives LAS and CSV")
    made.add_argument("--weights", default="release", help=WEIGHTS_HELP + " (%(default)s)")
    made.add_argument(
        "--tracer", choices=("learned", "classical"), default="learned", help="classical needs no weights (%(default)s)"
    )
    made.add_argument("--step", type=float, help="depth step (0.5 ft or 0.1 m)")


def add_data(commands: Any) -> None:
    group = commands.add_parser("data", help="Build datasets.", description="Build datasets.")
    made = command(group.add_subparsers(required=True, metavar="COMMAND"), "build", data_build, "Build a dataset.")
    made.add_argument("--name", required=True, help="raster_logs/standard or raster_logs/las")
    made.add_argument("--data-dir", required=True, type=Path, help="folder for the dataset")
    made.add_argument("--las-dir", type=Path, help="folder of LAS files, for raster_logs/las")
    made.add_argument("--num", type=positive, help="examples a split, for rendered settings")


def add_env(commands: Any) -> None:
    command(commands, "env", env, "Versions and devices.")


def demo(arguments: argparse.Namespace) -> int:
    from veerjax.jobs.demo import run_demo

    run_demo(arguments.out, steps=arguments.steps, logs=arguments.logs)
    return 0


def train(arguments: argparse.Namespace) -> int:
    from veerjax.config import load_config_file, with_overrides
    from veerjax.training.loop import train as run

    config = with_overrides(load_config_file(arguments.config), arguments.overrides)
    figures = run(config, arguments.workdir, init_from=arguments.init_from)
    print(json.dumps(figures))
    return 0


def evaluate(arguments: argparse.Namespace) -> int:
    from veerjax.config import require

    named, paired = len(arguments.weights), arguments.paired
    times = {1: "once", 2: "twice"}.get(named, f"{named} times")
    require(named == (2 if paired else 1), f"--weights was given {times}; give one, or two with --paired.")
    json_file, page = arguments.json, arguments.report
    check_outputs(json_file, page)
    from veerjax.jobs.evaluate import difference_of, report_of, run_evaluation
    from veerjax.logs.atomic import write_json
    from veerjax.report.paired import paired_table
    from veerjax.report.tables import text_table

    evaluation = run_evaluation(
        arguments.weights,
        arguments.data,
        data_dir=arguments.data_dir,
        split=arguments.split,
        limit=arguments.limit,
        batch=arguments.batch,
        metrics=arguments.metrics,
    )
    report = report_of(evaluation)
    print(text_table(report))
    if paired:
        report["paired"] = difference_of(evaluation)
        print(paired_table(report))
    if json_file is not None:
        write_json(json_file, report)
    if page is not None:
        from veerjax.jobs.gallery import gallery
        from veerjax.report.page import write_report

        write_report(report, gallery(evaluation), page)
        print(f"the page is {page / 'index.html'}")
    return 0


def check_outputs(json_file: Path | None, page: Path | None) -> None:
    """Refuses places that cannot be written to, before anything is computed for them."""
    from veerjax.config import require
    from veerjax.logs.atomic import check_folder

    if json_file is not None:
        require(not json_file.is_dir(), f"--json {json_file} is a folder; give a file.")
        check_folder(json_file.parent, "--json")
    if page is not None:
        require(not page.is_file(), f"--report {page} is a file; give a folder.")
        check_folder(page / "logs", "--report")


def benchmark(arguments: argparse.Namespace) -> int:
    from veerjax.config import load_config_file, require, with_overrides
    from veerjax.logs.atomic import check_folder, write_json

    sweeps, against, plot = arguments.sweep, arguments.against, arguments.plot
    asked = [bool(sweeps), bool(against), arguments.start_up]
    require(sum(asked) <= 1, "--sweep, --against and --start-up are different benchmarks; give one of them.")
    require(plot is None or bool(sweeps), "--plot draws sweeps; give --sweep too.")
    require(arguments.fit_seconds is None or bool(against), "--fit-seconds compares with a peer; give --against too.")
    check_outputs(arguments.json, None)
    if plot is not None:
        check_folder(plot.parent, "--plot")
    config = with_overrides(load_config_file(arguments.config), arguments.overrides)
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


def on_stderr(text: str) -> None:
    print(text, file=sys.stderr)


def digitize(arguments: argparse.Namespace) -> int:
    from veerjax.jobs.digitize import digitize_scans

    return digitize_scans(
        arguments.scans,
        arguments.out,
        calibration=arguments.calibration,
        weights=arguments.weights,
        tracer=arguments.tracer,
        step=arguments.step,
    )


def data_build(arguments: argparse.Namespace) -> int:
    from veerjax.data.raster_logs import build

    sizes = {} if arguments.num is None else {"num": arguments.num}
    build(arguments.name, data_dir=arguments.data_dir, las_dir=arguments.las_dir, **sizes)
    return 0


def env(arguments: argparse.Namespace) -> int:
    import importlib.metadata as metadata
    import platform

    import jax

    print(f"veerjax {__version__}, Python {platform.python_version()}")
    for name in (
        "jax",
        "jaxlib",
        "flax",
        "optax",
        "orbax-checkpoint",
        "tensorflow-datasets",
        "grain",
        "lasio",
    ):
        try:
            print(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            print(f"{name} is missing")
    print("devices: " + ", ".join(f"{device.device_kind} {device.id}" for device in jax.devices()))
    return 0
