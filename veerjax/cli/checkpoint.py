"""The commands `veerjax checkpoint ...`."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from veerjax.cli.arguments import WEIGHTS_HELP, check_outputs, command, positive


def add_checkpoint(commands: Any) -> None:
    text = "Look at, examine and export what a training has saved."
    made = commands.add_parser("checkpoint", help=text, description=text)
    group = made.add_subparsers(required=True, metavar="COMMAND")
    for add in (add_list, add_inspect, add_export, add_verify_resume):
        add(group)


def add_list(group: Any) -> None:
    made = command(group, "list", checkpoint_list, "Check every kept step; exit code 1 if one is damaged.")
    made.add_argument("workdir", metavar="WORKDIR", help="the --workdir of a training")


def add_inspect(group: Any) -> None:
    made = command(group, "inspect", checkpoint_inspect, "Show what weights are, and the shapes of their arrays.")
    made.add_argument("weights", metavar="W", help=WEIGHTS_HELP)
    made.add_argument("--json", type=Path, metavar="FILE", help="also write it here")


def add_export(group: Any) -> None:
    made = command(group, "export", checkpoint_export, "Write a model as StableHLO, and compare it with the weights.")
    made.add_argument("weights", metavar="W", help=WEIGHTS_HELP)
    made.add_argument("--out", required=True, type=Path, metavar="FILE", help="the file to write")
    made.add_argument("--json", type=Path, metavar="FILE", help="also write the stamps and the comparison here")


def add_verify_resume(group: Any) -> None:
    made = command(
        group,
        "verify-resume",
        checkpoint_verify_resume,
        "Train twice, once killed half-way and resumed, and compare all that was saved bit for bit.",
    )
    made.add_argument("--config", required=True, type=Path, help="a file with get_config(), or a run's config.json")
    made.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    made.add_argument("--steps", type=positive, default=20, help="of each training, an even number (%(default)s)")
    made.add_argument("--data-dir", type=Path, help="where a built dataset lies (data.setting=raster_logs/NAME)")
    made.add_argument("--json", type=Path, metavar="FILE", help="also write the hashes here")


def checkpoint_list(arguments: argparse.Namespace) -> int:
    from veerjax.report.tables import MISSING, padded, ruled
    from veerjax.training.kept import BEST, inventory

    steps = inventory(arguments.workdir)
    table = [
        ["step", *(f"{step.step:,}" for step in steps)],
        ["saved", *(step.saved_at for step in steps)],
        ["MB", *(f"{step.size / 1e6:.2f}" for step in steps)],
        [BEST, *(MISSING if step.figure is None else f"{step.figure:.4f}" for step in steps)],
        ["", *(", ".join(step.marks) for step in steps)],
        ["state", *map(condition, steps)],
    ]
    print("\n".join(ruled(list(zip(*map(padded, table), strict=True)))))
    damaged = [str(step.step) for step in steps if step.defect]
    if damaged:
        print(f"veerjax: damaged steps in {arguments.workdir}: {', '.join(damaged)}.", file=sys.stderr)
    return 1 if damaged else 0


def condition(step: Any) -> str:
    """Of a `KeptStep`, in words."""
    if not step.checked:
        return "no manifest"
    return f"damaged: {step.defect}" if step.defect else "whole"


def checkpoint_inspect(arguments: argparse.Namespace) -> int:
    check_outputs(arguments.json, None)
    from veerjax.logs.atomic import write_json
    from veerjax.training.inspection import inspected

    found = inspected(arguments.weights)
    print(told(found))
    if arguments.json is not None:
        write_json(arguments.json, found)
    return 0


def told(found: Mapping[str, Any]) -> str:
    """What `inspected` has found, for the shell."""
    from veerjax.report.tables import padded, ruled

    config, manifest = found["config"], found["manifest"]
    model, data = config["model"], config["data"]
    step = "weights alone" if found["step"] is None else f"step {found['step']:,} of {config['steps']:,}"
    lines = [
        ["weights", f"{found['weights']}: {step}"],
        ["saved", f"{found['saved_at'] or 'at an unknown time'}, by {wrote(found['veerjax'])}"],
        ["validation", ", ".join(f"{name} {value:.4f}" for name, value in found["figures"].items()) or "none"],
        ["state", f"whole: {manifest['files']} files, {manifest['bytes']:,} bytes" if manifest else "no manifest"],
        ["sha256", f"{manifest['sha256']} (of the manifest)" if manifest else "none"],
        ["model", ", ".join(f"{name} {value}" for name, value in model.items()).removeprefix("name ")],
        ["data", f"{data['setting']}, {data['height']} x {data['width']} px, batch {config['batch']}"],
        ["training", f"{config['name']}, seed {config['seed']}, {config['optimiser']['name']}"],
        ["parameters", f"{found['parameters']:,} (in {found['evaluated']})"],
    ]
    rows = found["headings"]
    table = [
        ["part", *(row["name"] for row in rows)],
        ["arrays", *(f"{row['arrays']:,}" for row in rows)],
        ["values", *(f"{row['values']:,}" for row in rows)],
        ["MB", *(f"{row['bytes'] / 1e6:.3f}" for row in rows)],
    ]
    shapes = [
        [array["name"].removeprefix(found["evaluated"] + "/"), f"{array['dtype']} {array['shape']}"]
        for array in found["arrays"]
        if array["name"].startswith(found["evaluated"] + "/")
    ]
    names = padded([name for name, _ in [*lines, *shapes]])
    words = [text for _, text in [*lines, *shapes]]
    pairs = [f"{name}  {text}" for name, text in zip(names, words, strict=True)]
    return "\n".join(
        [*pairs[: len(lines)], "", *ruled(list(zip(*map(padded, table), strict=True))), "", *pairs[len(lines) :]]
    )


def wrote(version: str | None) -> str:
    """Which veerjax."""
    return f"veerjax {version}" if version else "an edition without manifests"


def checkpoint_export(arguments: argparse.Namespace) -> int:
    check_outputs(arguments.json, None)
    from veerjax.jobs.export import run_export
    from veerjax.logs.atomic import write_json

    stamps = run_export(arguments.weights, arguments.out)
    worst = stamps["parity"]["worst_masks"]
    print(f"the model is in {arguments.out}; its masks differ from the weights' by at most {worst:.1e}")
    if arguments.json is not None:
        write_json(arguments.json, stamps)
    return 0


def checkpoint_verify_resume(arguments: argparse.Namespace) -> int:
    check_outputs(arguments.json, None)
    from veerjax.config import load_config_file, with_overrides
    from veerjax.jobs.verify_resume import verify_resume
    from veerjax.logs.atomic import write_json

    config = with_overrides(load_config_file(arguments.config), arguments.overrides)
    found = verify_resume(config, steps=arguments.steps, data_dir=arguments.data_dir)
    whole, resumed = found["hashes"]["whole"], found["hashes"]["resumed"]
    for part in whole:
        verdict = "DIFFERS" if part in found["differing"] else "equal"
        print(f"{part:<10} {whole[part][:16]}  {resumed.get(part, '')[:16]}  {verdict}")
    print(
        f"{found['steps']} steps on {found['devices']} devices, data {found['data']}; {found['killed']}, gone on from "
        f"step {found['resumed_from']}; XLA_FLAGS {found['flags'] or 'none'}"
    )
    if arguments.json is not None:
        write_json(arguments.json, found)
    return 0 if found["equal"] else 1
