"""The command `veerjax digitize`."""

import argparse
from pathlib import Path
from typing import Any

from veerjax.cli.arguments import WEIGHTS_HELP, add_reading, command, positive
from veerjax.cli.hosts import add_hosts, check_hosts, with_others


def add_digitize(commands: Any) -> None:
    made = command(commands, "digitize", digitize, "Read the curves of scanned strips.")
    made.add_argument("scans", nargs="+", type=Path, metavar="SCAN")
    made.add_argument("--out", required=True, type=Path, help="folder for what it writes")
    made.add_argument("--calibration", type=Path, help="TOML: sections, depth anchors, tracks and scales; gives LAS")
    made.add_argument("--weights", default="release", help=WEIGHTS_HELP + " (%(default)s)")
    made.add_argument(
        "--tracer", choices=("learned", "classical"), default="learned", help="classical needs no weights (%(default)s)"
    )
    made.add_argument("--rows", type=positive, default=1, help="devices that share a strip's height (%(default)s)")
    made.add_argument("--step", type=float, help="depth step (0.5 ft or 0.1 m)")
    made.add_argument("--extras", default="", help="more curves of each: lo,hi,conf,wrap,clip,occ, or all")
    add_reading(made)
    add_hosts(made)


def digitize(arguments: argparse.Namespace) -> int:
    check_hosts(arguments)
    return with_others(arguments, lambda _: run(arguments)) if arguments.distributed else run(arguments)


def run(arguments: argparse.Namespace) -> int:
    """The reading itself, in this process."""
    from veerjax.jobs.digitize import digitize_scans

    return digitize_scans(
        arguments.scans,
        arguments.out,
        calibration=arguments.calibration,
        weights=arguments.weights,
        tracer=arguments.tracer,
        step=arguments.step,
        rows=arguments.rows,
        overrides=arguments.overrides,
        extras=arguments.extras,
    )
