"""The commands `veerjax compare ...`."""

import argparse
from pathlib import Path
from typing import Any

from veerjax.cli.arguments import SET_HELP, command, positive


def add_compare(commands: Any) -> None:
    text = "Boxes against pixels on identical logs: run the comparison, report it, exhibit it."
    made = commands.add_parser("compare", help=text, description=text)
    group = made.add_subparsers(required=True, metavar="COMMAND")
    for add in (add_run, add_report, add_exhibit):
        add(group)


def add_run(group: Any) -> None:
    made = command(group, "run", compare_run, "Train and measure every arm that is not done yet, then report.")
    made.add_argument("--preset", default="cpu", help="cpu, full, or smoke, which proves nothing (%(default)s)")
    made.add_argument("--out", required=True, type=Path, metavar="DIR", help="results folder; an earlier run goes on")
    made.add_argument("--arms", metavar="A1,A2", help="these alone; O is the oracles, control the positive control")
    made.add_argument("--seeds", type=positive, help="of every trained arm, instead of the preset's")
    made.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help=SET_HELP)


def add_report(group: Any) -> None:
    made = command(group, "report", compare_report, "Write results.json, report.md and its figures from what is done.")
    made.add_argument("folder", type=Path, metavar="DIR", help="the --out of a run")


def add_exhibit(group: Any) -> None:
    made = command(group, "exhibit", compare_exhibit, "Write the page that lets anyone move two curves together.")
    made.add_argument("folder", type=Path, metavar="DIR", help="the --out of a run")
    made.add_argument("--out", type=Path, default=Path("exhibit.html"), metavar="FILE", help="the page (%(default)s)")


def compare_run(arguments: argparse.Namespace) -> int:
    from veerjax.comparison.run import run_comparison

    run_comparison(
        arguments.preset,
        arguments.out,
        arms=arguments.arms,
        seeds=arguments.seeds,
        overrides=arguments.overrides,
    )
    arguments.folder = arguments.out
    return compare_report(arguments)


def compare_report(arguments: argparse.Namespace) -> int:
    from veerjax.comparison.summary import summary
    from veerjax.report.comparison import write_comparison

    write_comparison(summary(arguments.folder), arguments.folder)
    print(f"the report is {arguments.folder / 'report.md'}")
    return 0


def compare_exhibit(arguments: argparse.Namespace) -> int:
    from veerjax.comparison.exhibited import stored_steps
    from veerjax.comparison.summary import summary
    from veerjax.report.exhibit import write_exhibit

    write_exhibit(summary(arguments.folder), stored_steps(arguments.folder), arguments.out)
    print(f"the page is {arguments.out}")
    return 0
