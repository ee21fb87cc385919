"""The command `veerjax train`."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from veerjax.cli.arguments import SET_HELP, WEIGHTS_HELP, command
from veerjax.cli.hosts import add_hosts, check_hosts, with_others

if TYPE_CHECKING:
    from veerjax.training.signals import StopRequest


def add_train(commands: Any) -> None:
    made = command(commands, "train", train, "Train a model; an interrupted run of the same config goes on.")
    made.add_argument("--config", required=True, type=Path, help="a file with get_config(), or a run's config.json")
    made.add_argument(
        "--workdir",
        help="folder for checkpoints, log and config, local or remote; of several processes one that all see",
    )
    made.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help=SET_HELP)
    made.add_argument("--init-from", metavar="W", help=f"weights that a new run starts from: {WEIGHTS_HELP}")
    made.add_argument("--data-dir", type=Path, help="where a built dataset lies (data.setting=raster_logs/NAME)")
    made.add_argument(
        "--dry-run", action="store_true", help="shapes, parameters, memory and one step's time; writes nothing"
    )
    add_hosts(made)
    made.add_argument("--profile", type=span, metavar="START:STOP", help="steps that JAX's profiler records")


def span(text: str) -> tuple[int, int]:
    """`START:STOP`, two steps of which the first is the lesser."""
    start, _, stop = text.partition(":")
    if not (start.isdigit() and stop.isdigit() and int(start) < int(stop)):
        raise argparse.ArgumentTypeError(f"{text!r} is no span of steps; write START:STOP, such as 20:25")
    return int(start), int(stop)


def train(arguments: argparse.Namespace) -> int:
    from veerjax.config import load_config_file, require, with_overrides

    check_hosts(arguments)
    if arguments.dry_run:
        require(not arguments.distributed, "a --dry-run is of one process; leave out --distributed.")
        from veerjax.jobs.dry_run import dry_run

        config = with_overrides(load_config_file(arguments.config), arguments.overrides)
        print(dry_run(config, workdir=arguments.workdir, init_from=arguments.init_from, data_dir=arguments.data_dir))
        return 0
    require(bool(arguments.workdir), "train needs --workdir, the folder for its checkpoints; or give --dry-run.")
    if arguments.distributed:
        return with_others(arguments, lambda stop: run(arguments, stop), workdir=arguments.workdir)
    from veerjax.training.signals import StopRequest

    with StopRequest() as stop:  # before what takes seconds to import
        return run(arguments, stop)


def run(arguments: argparse.Namespace, stop: "StopRequest") -> int:
    """The training itself, in this process."""
    from veerjax.config import load_config_file, with_overrides

    config = with_overrides(load_config_file(arguments.config), arguments.overrides)
    from veerjax.training.hosts import is_first
    from veerjax.training.loop import train as run_training

    figures = run_training(
        config,
        arguments.workdir,
        init_from=arguments.init_from,
        data_dir=arguments.data_dir,
        profile=arguments.profile,
        stop=stop,
    )
    if is_first():
        print(json.dumps(figures))
    return 0
