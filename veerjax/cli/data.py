"""The commands `veerjax data ...`."""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from veerjax.cli.arguments import check_outputs, command, positive

DATA_HELP = "a rendered setting such as standard, a built dataset with --data-dir, or a folder of pairs"
DATA_DIR_HELP = "where `veerjax data build` put the dataset"


def add_data(commands: Any) -> None:
    text = "Build, look at and examine datasets."
    group = commands.add_parser("data", help=text, description=text).add_subparsers(required=True, metavar="COMMAND")
    for add in (add_build, add_preview, add_doctor):
        add(group)


def add_build(group: Any) -> None:
    made = command(group, "build", data_build, "Build a dataset.")
    made.add_argument("--name", required=True, help="raster_logs/CONFIG: a rendered setting, las, folder or kgs")
    made.add_argument("--data-dir", required=True, type=Path, help="folder for the dataset")
    made.add_argument("--num", type=positive, help="examples a split, of a rendered setting (500)")
    made.add_argument("--las-dir", type=Path, help="folder of LAS files, for las")
    made.add_argument("--look", metavar="SETTING", help="what the curves of las are drawn as (standard)")
    made.add_argument("--augment", type=int, metavar="N", help="changed copies of each training window of las (0)")
    made.add_argument("--folder", type=Path, help="folder of scans, for folder and kgs")
    made.add_argument("--manifest", type=Path, metavar="CSV", help="for kgs (manifest.csv in the folder)")
    made.add_argument(
        "--stroke-px", type=float, help="of strokes drawn on scans, in pixels of the scan (measured on each)"
    )
    made.add_argument("--height", type=positive, default=512, help="of an example, in pixels (%(default)s)")
    made.add_argument("--width", type=positive, default=256, help="of an example, in pixels (%(default)s)")
    made.add_argument("--seed", type=int, default=0, help="of a training split that is rendered, and of looks (0)")
    made.add_argument("--num-shards", type=positive, help="files a split (by its size)")
    made.add_argument("--keep-going", action="store_true", help="leave out files that cannot be used; exit code 1 then")
    made.add_argument("--engine", default="local", help="local, or beam for Apache Beam (%(default)s)")
    made.add_argument("--beam-args", default="", metavar="OPTIONS", help="Beam's pipeline options, as one word")


def add_preview(group: Any) -> None:
    made = command(group, "preview", data_preview, "Draw a contact sheet: images, labels and centrelines.")
    made.add_argument("--name", required=True, help=DATA_HELP)
    made.add_argument("--out", required=True, type=Path, help="the PNG to write")
    made.add_argument("--split", default="train", help="train, validation, test or all (%(default)s)")
    made.add_argument("--count", type=positive, default=8, help="samples at most (%(default)s)")
    made.add_argument("--seed", type=int, help="other samples: of a rendered training split, or a random pick")
    made.add_argument("--data-dir", type=Path, help=DATA_DIR_HELP)
    made.add_argument("--height", type=positive, help="of a rendered setting's samples, in pixels (512)")
    made.add_argument("--width", type=positive, help="of a rendered setting's samples, in pixels (256)")
    made.add_argument("--channels", type=int, choices=(1, 3), help="of a rendered setting: grey or colour (1)")


def add_doctor(group: Any) -> None:
    made = command(group, "doctor", data_doctor, "Examine a dataset; exit code 1 if something is wrong with it.")
    made.add_argument("--data", required=True, help=DATA_HELP)
    made.add_argument("--data-dir", type=Path, help=DATA_DIR_HELP)
    made.add_argument("--split", default="all", help="train, validation, test or all (%(default)s)")
    made.add_argument("--limit", type=positive, help="examples of each split at most (200 rendered ones, or all)")
    made.add_argument("--json", type=Path, metavar="FILE", help="also write the figures and every defect here")


def data_build(arguments: argparse.Namespace) -> int:
    from veerjax.data.build.raster_logs import build_from, config_of
    from veerjax.data.build.recipe import Recipe, left_out

    config = config_of(arguments.name)
    fields = {field.name for field in dataclasses.fields(Recipe)} - {"config"}
    source = Recipe(config=config, **{name: getattr(arguments, name) for name in fields}).source()
    folder = build_from(
        source,
        config=config,
        data_dir=arguments.data_dir,
        num_shards=arguments.num_shards,
        engine=arguments.engine,
        beam_args=arguments.beam_args,
    )
    print(f"the dataset is in {folder}")
    for sentence in (refused := left_out(source)):
        print(f"veerjax: left out: {sentence}", file=sys.stderr)
    return 1 if refused else 0


def data_preview(arguments: argparse.Namespace) -> int:
    from veerjax.data.checks.samples import Look
    from veerjax.jobs.preview import run_preview

    look = Look(height=arguments.height, width=arguments.width, channels=arguments.channels)
    shown = run_preview(
        arguments.name,
        arguments.out,
        split=arguments.split,
        count=arguments.count,
        seed=arguments.seed,
        data_dir=arguments.data_dir,
        look=look,
    )
    print(f"{shown} samples are in {arguments.out}")
    return 0


def data_doctor(arguments: argparse.Namespace) -> int:
    check_outputs(arguments.json, None)
    from veerjax.jobs.doctor import run_doctor
    from veerjax.logs.atomic import write_json
    from veerjax.report.health_table import health_table

    report = run_doctor(arguments.data, data_dir=arguments.data_dir, split=arguments.split, limit=arguments.limit)
    print(health_table(report))
    if arguments.json is not None:
        write_json(arguments.json, report)
    return 1 if report["defects"] else 0
