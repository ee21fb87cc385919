"""The command `veerjax evaluate`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from veerjax.cli.arguments import WEIGHTS_HELP, add_reading, check_outputs, command, positive
from veerjax.cli.hosts import add_hosts, check_hosts, with_others

if TYPE_CHECKING:
    from veerjax.jobs.evaluate import Evaluation


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
    made.add_argument("--rows", type=positive, default=1, help="devices that share a log's height (%(default)s)")
    made.add_argument(
        "--metrics", choices=("default", "all"), default="default", help="how much to measure (%(default)s)"
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    made.add_argument("--report", type=Path, metavar="DIR", help="also write a page with plots here: DIR/index.html")
    add_reading(made)
    add_hosts(made)


def evaluate(arguments: argparse.Namespace) -> int:
    from veerjax.config import require

    named, paired = len(arguments.weights), arguments.paired
    times = {1: "once", 2: "twice"}.get(named, f"{named} times")
    require(named == (2 if paired else 1), f"--weights was given {times}; give one, or two with --paired.")
    check_outputs(arguments.json, arguments.report)
    check_hosts(arguments)
    return with_others(arguments, lambda _: run(arguments)) if arguments.distributed else run(arguments)


def run(arguments: argparse.Namespace) -> int:
    """The evaluation itself, in this process; of several, the first shows and writes what was found."""
    from veerjax.jobs.evaluate import run_evaluation
    from veerjax.training import hosts

    evaluation = run_evaluation(
        arguments.weights,
        arguments.data,
        data_dir=arguments.data_dir,
        split=arguments.split,
        limit=arguments.limit,
        batch=arguments.batch,
        metrics=arguments.metrics,
        rows=arguments.rows,
        overrides=arguments.overrides,
    )
    return hosts.from_first(lambda: shown(evaluation, arguments), wait_s=hosts.WORK_S)


def shown(evaluation: "Evaluation", arguments: argparse.Namespace) -> int:
    """Prints the figures, and writes what else was asked for."""
    from veerjax.jobs.evaluate import difference_of, report_of
    from veerjax.logs.atomic import write_json
    from veerjax.report.paired import paired_table
    from veerjax.report.tables import text_table

    json_file, page = arguments.json, arguments.report
    report = report_of(evaluation)
    print(text_table(report))
    if arguments.paired:
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
