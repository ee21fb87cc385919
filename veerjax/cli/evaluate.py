"""The command `veerjax evaluate`."""

import argparse
from pathlib import Path
from typing import Any

from veerjax.cli.arguments import WEIGHTS_HELP, check_outputs, command, positive


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
        rows=arguments.rows,
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
