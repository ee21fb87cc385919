"""The command `veerjax demo`."""

import argparse
from pathlib import Path
from typing import Any

from veerjax.cli.arguments import command, positive


def add_demo(commands: Any) -> None:
    made = command(commands, "demo", demo, "Train a minute, evaluate, digitise a sample: the whole path.")
    made.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for what it writes (%(default)s)")
    made.add_argument("--steps", type=positive, help="training steps, instead of about a minute's worth")
    made.add_argument("--logs", type=positive, default=32, help="test logs to evaluate on (%(default)s)")


def demo(arguments: argparse.Namespace) -> int:
    from veerjax.jobs.demo import run_demo

    run_demo(arguments.out, steps=arguments.steps, logs=arguments.logs)
    return 0
