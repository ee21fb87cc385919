"""The report of `veerjax compare`: what would prove what wrong, then the results, as Markdown with figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from veerjax.logs.atomic import replacing, write_json
from veerjax.report.comparison_plots import PLOTS
from veerjax.report.tables import MISSING, look_up

Results = Mapping[str, Any]
COLUMNS = (  # of the one table: name, dotted keys of a figure where curves meet
    ("IoU background", ("iou.pooled.0",)),
    ("IoU curve 1", ("iou.pooled.1",)),
    ("IoU curve 2", ("iou.pooled.2",)),
    ("F1@2px", ("tolerance_f1_2px",)),
    ("identity accuracy", ("identity_accuracy",)),
    ("balanced continuity", ("crossing_continuity.balanced",)),
    ("PQ, curve 1 and 2", ("panoptic.pq.1", "panoptic.pq.2")),
)
MORE = (
    ("mean row error, all rows [px]", ("row_error_all_px.mean.0", "row_error_all_px.mean.1")),
    ("p95 [px]", ("row_error_all_px.p95.0", "row_error_all_px.p95.1")),
    ("coverage", ("coverage.0", "coverage.1")),
    ("clDice", ("cldice.0", "cldice.1")),
    ("foreground IoU", ("foreground_iou",)),
    ("value MAE, all rows [% of track]", ("values.mae_all.0", "values.mae_all.1")),
)
BEGINNING = """
Boxes (A) against pixels (B), sets of queries (A5) and rows (C1), on identical pictures of {size} px, after
equal operations of training. Preset `{preset}`: {about}. {logs} test logs. Figures are of an arm's own output, a row at
a time, with no decoder that would add continuity, but C1's, whose output is a path; intervals are 95 %, by bootstrap
over the logs of one training, and say nothing of other seeds. A curve that was not found scores zero.
"""
MACHINERY = "**This preset proves that the machinery runs. Its figures are of untrained networks: nothing follows.**"


def write_comparison(results: Results, folder: Path) -> None:
    """Writes `results.json`, `report.md` and the figures beside it, each whole or not at all.

    Args:
        results: DESIGN's `compare` JSON
        folder: an existing one
    """
    write_json(folder / "results.json", results)
    names = []
    for name, (draw, needs) in PLOTS.items():
        if needs(results):
            with replacing(folder / f"{name}.png") as temporary:
                temporary.write_bytes(draw(results))
            names.append(name)
    with replacing(folder / "report.md") as temporary:
        temporary.write_text(markdown(results, plots=names))


def markdown(results: Results, *, plots: Sequence[str]) -> str:
    """The report; its figures are named as files beside it."""
    size = " x ".join(map(str, results["size_px"]))
    told = {"size": size, "preset": results["preset"], "about": results["about"], "logs": results["n_logs"]}
    parts = [
        "# Boxes against pixels, on identical logs",
        BEGINNING.format(**told).strip(),
        *([] if results["result"] else [MACHINERY]),
        "## What would prove it wrong",
        "Fixed before the runs. An arm whose F1 on curves a width apart lies more than .1 below its own oracle is "
        "untrained, and what needs it stays undecided.",
        table(["claim of the survey", "falsified if"], [[f["claim"], f["criterion"]] for f in results["falsifiers"]]),
        "## The positive control",
        control(results),
        "## The arms where curves meet",
        "First seed; crossings and touches in equal number. "
        "Training took the operations named; ms an image are of one prediction of 16, all arms in turns on the machine "
        "that trained them, with the 10th and 90th percentile.",
        main_table(results),
        table(["arm", *(name for name, _ in MORE)], [[arm, *cells(of, MORE)] for arm, of in rows_of(results)]),
        "## With a common decoder",
        "The same answers, read by the joint path of `tracing.trace` instead of a row at a time.",
        decoder_table(results),
        "## The answers",
        table(
            ["claim", "verdict", "evidence"],
            [[f["claim"], f"**{f['verdict']}**", evidence(f["evidence"])] for f in results["falsifiers"]],
        ),
        "## Every seed",
        "![Both primary measures of every seed](seeds.png)" if "seeds" in plots else "",
        seeds_table(results),
        "![Loss of every training over its operations](learning.png)" if "learning" in plots else "",
        "## Primary contrasts",
        "Paired over the logs of a seed; p adjusted by Holm over all contrasts of the seed; equivalent: two one-sided "
        "tests with a margin of .02.",
        contrast_table(results),
    ]
    if "recall" in plots:
        parts += ["## Curves brought together", "![Recall over separation](recall.png)", sweep_table(results)]
    if "overlap" in plots:
        parts += ["![Overlap of boxes over separation](overlap.png)", overlap_table(results)]
    if results["oracles"] is not None:
        parts += ["## Oracles", *oracle_tables(results)]
    parts += ["## What was not run, and why", "\n".join(f"- {line}" for line in results["not_run"])]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Nothing without rows."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) if rows else ""


def number(value: Any, digits: int = 3) -> str:
    return MISSING if value is None else f"{value:.{digits}f}"


def ranged(value: Any, between: Sequence[Any] | None, digits: int = 3) -> str:
    """A figure with its interval, if there is one."""
    if value is None or between is None or None in between:
        return number(value, digits)
    return f"{number(value, digits)} [{number(between[0], digits)}, {number(between[1], digits)}]"


def cells(figures: Mapping[str, Any], columns: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    ends = figures["interval95"]
    return [", ".join(ranged(look_up(figures, key), ends.get(key)) for key in keys) for _, keys in columns]


def rows_of(results: Results) -> list[tuple[str, Mapping[str, Any]]]:
    """The arms, each with its variants, and below them what needs no training."""
    oracles, rows = results["oracles"], []
    for arm, of in results["arms"].items():
        rows.append((arm, of))
        rows += [(f"{arm}, {name}", {**v, "about": f"{of['about']}, {name}"}) for name, v in of["variants"].items()]
    baselines = {} if oracles is None else oracles["baselines"]
    return [*rows, *((name.replace("_", " "), found) for name, found in baselines.items())]


def main_table(results: Results) -> str:
    facts = ["what", *(name for name, _ in COLUMNS), "parameters", "MFLOP an image", "training TFLOP", "steps", "ms"]
    rows = []
    for arm, of in rows_of(results):
        spent = [MISSING] * 5
        if "parameters" in of:
            spent = [f"{of['parameters']:,}", f"{of['forward_flops'] / 1e6:,.0f}", f"{of['train_flops'] / 1e12:.2f}"]
            spent += [f"{of['steps']:,}", milliseconds(of["ms_per_image"])]
        rows.append([arm, of.get("about", "no training"), *cells(of, COLUMNS), *spent])
    return table(["arm", *facts], rows)


def decoder_table(results: Results) -> str:
    """Both primary measures as an arm answers, and through the decoder that all share."""
    columns = [column for column in COLUMNS if column[0] in ("F1@2px", "balanced continuity")]
    head = ["arm", *(f"{name}{how}" for how in ("", ", decoder") for name, _ in columns)]
    arms = results["arms"].items()
    return table(head, [[arm, *cells(of, columns), *cells(of["decoder"], columns)] for arm, of in arms])


def milliseconds(times: Mapping[str, float] | None) -> str:
    """The median of many rounds with the 10th and 90th percentile."""
    return MISSING if times is None else ranged(times["median"], (times["p10"], times["p90"]), 2)


def control(results: Results) -> str:
    found = results["control"]
    if found is None:
        return "Not run: claims that need an arm of boxes stay undecided."
    good = found["mask_ap50"] is not None and found["mask_ap50"] >= found["least_mask_ap50"]
    meaning = "so it can detect" if good else "too low: a failing arm of boxes would prove only that it was not trained"
    return (
        f"A1 on compact objects (`blobs`, {found['n_logs']} test pictures, {found['steps']:,} steps): mask AP50 "
        f"**{number(found['mask_ap50'])}**, and {found['least_mask_ap50']} is asked for; {meaning}."
    )


def evidence(found: Any) -> str:
    """Nested evidence as words."""
    if isinstance(found, Mapping):
        if set(found) == {"value", "interval95"}:
            return ranged(found["value"], found["interval95"])
        return "; ".join(f"{named(key)} {evidence(value)}" for key, value in found.items())
    if isinstance(found, (list, tuple)):
        return ", ".join(map(evidence, found))
    return number(found) if isinstance(found, float) else str(found)


def named(key: str) -> str:
    return f"seed {key}:" if key.isdigit() else f"{key.replace('_', ' ')}:"


def seeds_table(results: Results) -> str:
    head = ["arm", "seed", "steps", "F1@2px", "balanced continuity", "F1 a width apart", "its oracle", "trained"]
    rows = []
    for arm, of in results["arms"].items():
        for seed in of["seeds"]:
            rows.append([arm, str(seed["seed"]), f"{seed['steps']:,}", *primary(seed), *apart(seed)])
            rows += [[f"{arm}, {name}", str(seed["seed"]), "", *primary(v), "", "", ""] for name, v in variants(seed)]
    return table(head, rows)


def variants(seed: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return list(seed.get("variants", {}).items())


def primary(found: Mapping[str, Any]) -> list[str]:
    parts = [found[name] for name in ("tolerance_f1_2px", "continuity")]
    return [ranged(part["value"], part["interval95"]) for part in parts]


def apart(seed: Mapping[str, Any]) -> list[str]:
    return [number(seed["apart_f1"]), number(seed["ceiling_f1"]), "no" if seed["untrained"] else "yes"]


def contrast_table(results: Results) -> str:
    head = ["contrast", "measure", "seed", "difference", "p", "p (Holm)", "equivalent", "untrained"]
    return table(
        head,
        [
            [
                row["contrast"],
                row["measure"],
                str(row["seed"]),
                ranged(row["difference"], row["interval95"]),
                number(row["p"], 4),
                number(row["p_holm"], 4),
                "yes" if row["equivalent"] else "no",
                ", ".join(row["untrained"]),
            ]
            for row in results["contrasts"]
        ],
    )


def sweep_table(results: Results) -> str:
    """Recall within 2 px of every arm at every separation."""
    methods = results["sweep"]
    head = ["s/w", *(name.replace("_", " ") for name in methods)]
    columns = [[row["recall"] for row in of["all"]] for of in methods.values()]
    places = [row["separation"] for row in next(iter(methods.values()))["all"]]
    rows = [
        [f"{place:g}", *(ranged(column[k]["value"], column[k]["interval95"], 2) for column in columns)]
        for k, place in enumerate(places)
    ]
    return "Recall within 2 px, of all inks:\n\n" + table(head, rows)


def overlap_table(results: Results) -> str:
    """Where an arm of boxes fails, step by step."""
    head = [
        "arm",
        "s/w",
        "(w-s)/(w+s)",
        "true boxes overlap",
        "found boxes overlap",
        "both found",
        "true boxes proposed",
    ]
    head += ["boxes found: nms", "soft", "off", "recall: nms", "soft", "off", "true boxes", "true masks", "both"]
    rows = []
    for arm, of in results["arms"].items():
        for step in of["diagnostics"] or []:
            keys = ("formula", "true_overlap", "found_overlap", "both_found", "proposal_recall")
            values = [step[key] for key in keys]
            values += [step["box_recall"].get(key) for key in ("nms", "soft", "off")]
            readings = ("native", "soft", "off", "oracle boxes", "oracle masks", "oracle both")
            values += [step["recall"].get(key) for key in readings]
            rows.append([arm, f"{step['separation']:g}", *(number(value, 2) for value in values)])
    return "Boxes that answer for a true box of their own at an IoU of .5, and recall within 2 px:\n\n" + table(
        head, rows
    )


def oracle_tables(results: Results) -> list[str]:
    """Ceilings of grids and strides, anchors, overlap, label."""
    found = results["oracles"]
    strokes = list(next(iter(found["ceilings"].values())))
    rows = []
    for name, of in found["ceilings"].items():
        parts = [(of[px]["stroke_iou"], of[px]["tolerance_f1_2px"]) for px in strokes]
        rows.append([name, *(f"{number(mean(iou), 2)}, {number(f1, 2)}" for iou, f1 in parts)])
    told = "IoU, and F1 within 2 px, of who knows the truth, on curves a width apart:"
    label = ", ".join(number(value) for value in found["label"])
    fits = "; ".join(
        f"{arm} {number(of['mean_iou'], 2)} on average, {number(of['share_above_0.7'], 2)} of boxes above .7"
        for arm, of in found["anchors"].items()
    )
    away = max(abs(of["measured"] - of["formula"]) for of in found["overlap"].values())
    return [
        told,
        table(["what is given", *(f"{px} px strokes" for px in strokes)], rows),
        f"IoU of curve boxes with their best anchor: {fits}. Overlap of true boxes differs from (w-s)/(w+s) by "
        f"{away:.3f} at most. Of a label's single class a pixel, the true strokes' own IoU where curves meet: {label}.",
    ]


def mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
