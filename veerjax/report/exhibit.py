"""The exhibit: one page, without network, on which two curves are moved together and boxes and pixels answer."""

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from veerjax.errors import InputError
from veerjax.logs.atomic import replacing
from veerjax.report.sections import resource
from veerjax.version import __version__

Results = Mapping[str, Any]
MOST_BYTES = 6_000_000
BASELINES = ("all_background", "random_identity")
MACHINERY = (
    '<p class="warning">Made from networks that were not trained: it shows that the page works, and nothing else.</p>'
)
STEP = ("f1", "formula", "overlap", "true_overlap")  # figures of the one log on show
SWEPT = ("recall", "tolerance_f1_2px", "identity_accuracy", "iou", "n_logs")  # of all logs of a step


def write_exhibit(results: Results, shown: Mapping[str, Any], path: Path) -> None:
    """Writes the page, whole or not at all.

    Args:
        results: DESIGN's `compare` JSON
        shown: by arm, the pictures and boxes that were stored with it
        path: of the page

    Raises:
        InputError: there is no folder for it, or the page would be too large.
    """
    content = page(results, shown).encode()
    if len(content) > MOST_BYTES:
        raise InputError(f"the page would take {len(content) / 1e6:.1f} MB, and {MOST_BYTES / 1e6:.0f} are allowed.")
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def page(results: Results, shown: Mapping[str, Any]) -> str:
    """The whole page."""
    # Within a script, `</` would end it.
    data = json.dumps(data_of(results, shown), allow_nan=False, separators=(",", ":")).replace("</", "<\\/")
    told = {arm: of["about"] for arm, of in results["arms"].items() if arm in shown}
    steps = {arm: of["steps"] for arm, of in results["arms"].items() if arm in shown}
    arms = "".join(f"<dt>{arm}</dt><dd>{escape(told[arm])}; {steps[arm]:,} steps</dd>" for arm in told)
    return Template(resource("exhibit.html")).substitute(
        warning="" if results["result"] else MACHINERY,
        preset=escape(results["preset"]),
        arms=arms,
        version=escape(__version__),
        style=resource("page.css") + resource("exhibit.css"),
        script=resource("exhibit.js"),
        data=data,
    )


def data_of(results: Results, shown: Mapping[str, Any]) -> dict[str, Any]:
    """What the page draws: pictures once, then by arm and ink what there is at each step, apart first."""
    first = next(iter(shown.values()))
    inks = list(dict.fromkeys(step["ink"] for step in first["steps"]))
    return {
        "height": first["height"],
        "width": first["width"],
        "separations": [step["separation"] for step in first["steps"] if step["ink"] == inks[0]],
        "images": {ink: [step["image"] for step in first["steps"] if step["ink"] == ink] for ink in inks},
        "arms": {arm: {ink: steps_of(results, of, arm, ink) for ink in inks} for arm, of in shown.items()},
        "baselines": {
            name: {ink: [swept(row) for row in results["sweep"][name][ink]] for ink in inks}
            for name in BASELINES
            if name in results["sweep"]
        },
        "survey": results["survey"]["iou"],
    }


def steps_of(results: Results, stored: Mapping[str, Any], arm: str, ink: str) -> list[dict[str, Any]]:
    """Of one arm and ink, step by step: the log on show, and the figures of all logs of the step."""
    own = [step for step in stored["steps"] if step["ink"] == ink]
    every = {row["separation"]: row for row in results["sweep"][arm][ink]}
    return [
        {
            "labels": step["labels"],
            "boxes": step.get("boxes", []),
            **{name: step[name] for name in STEP if name in step},
            "all": swept(every[step["separation"]]),
        }
        for step in own
    ]


def swept(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in SWEPT}
