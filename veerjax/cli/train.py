"""The command `veerjax train`."""

import argparse
import json
from pathlib import Path
from typing import Any

from veerjax.cli.arguments import WEIGHTS_HELP, command


def add_train(commands: Any) -> None:
    made = command(commands, "train", train, "Train a model; an interrupted run of the same config goes on.")
    made.add_argument("--config", required=True, type=Path, help="a file with get_config(), or a run's config.json")
    made.add_argument("--workdir", required=True, type=Path, help="folder for checkpoints, log and config")
    made.add_argument("--init-from", metavar="W", help=f"weights that a new run starts from: {WEIGHTS_HELP}")
    made.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")


def train(arguments: argparse.Namespace) -> int:
    from veerjax.config import load_config_file, with_overrides
    from veerjax.training.loop import train as run

    config = with_overrides(load_config_file(arguments.config), arguments.overrides)
    figures = run(config, arguments.workdir, init_from=arguments.init_from)
    print(json.dumps(figures))
    return 0
