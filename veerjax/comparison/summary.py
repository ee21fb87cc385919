"""All results of a comparison as the one JSON that is reported: DESIGN's `compare`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from veerjax.comparison.arms import ARMS, CONTROL, ORACLES
from veerjax.comparison.claims import MARGIN, findings
from veerjax.comparison.design import shifted_at, styled
from veerjax.comparison.evidence import PRIMARY, Results, load_results, with_interval
from veerjax.comparison.exhibited import INKS
from veerjax.comparison.oracles import formula
from veerjax.comparison.run import trials_of
from veerjax.jobs.evaluate import SURVEY, plain
from veerjax.metrics.contrasts import bounds, equivalent, holm, p_value

CONTRASTS = (
    ("A1", "B4"),
    ("A2", "B4"),
    ("A3", "B4"),
    ("A4", "B4"),
    ("A5", "B4"),
    ("C1", "B4"),
    ("B7", "B4"),
    ("B6", "B4"),
    ("B3", "B1"),
)
SWEPT = ("recall", "tolerance_f1_2px", "identity_accuracy", "iou")  # over separation
BASELINES = ("all_background", "random_identity", "classical")
FACTS = ("about", "parameters", "forward_flops", "train_flops", "steps", "mask_threshold", "seconds")
NOT_MEASURED = (
    "degraded scans: every picture is on plain paper",
    "sweep (ii) by distance, sweep (iv), few training logs, and sweep (v), more than two curves",
    "a comparison at equal steps, and one run four times as long",
    "average precision of the arms; tables by angle, stroke and distance from a crossing",
    "tuning trials: every arm has the same learning rate and schedule, and none was tuned but A3's mask threshold",
    "one stem for all: FCN, DeepLab and VeerNet keep the full-resolution stem that they were published with",
)


def summary(out: Path) -> dict[str, Any]:
    """What a results folder says.

    Raises:
        InputError: there is no comparison in it.
    """
    results = load_results(out)
    return rounded(
        {
            "schema": 1,
            "preset": results.name,
            "result": results.preset.result,
            "about": results.preset.about,
            "overrides": results.plan["overrides"],
            "n_logs": len(results.logs),
            "size_px": [results.preset.height, results.preset.width],
            "arms": {arm: arm_summary(results, arm) for arm in results.trials},
            "control": None if results.control is None else control_summary(results.control),
            "oracles": None if results.oracles is None else oracle_summary(results),
            "sweep": sweep(results),
            "contrasts": contrasts(results),
            "falsifiers": findings(results),
            "not_run": not_run(results),
            "survey": SURVEY,
        }
    )


def rounded(value: Any) -> Any:
    """Plain values of six decimals at most."""
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [rounded(item) for item in value]
    value = plain(value)
    return round(value, 6) if isinstance(value, float) else value


def arm_summary(results: Results, arm: str) -> dict[str, Any]:
    """The figures of an arm's first seed where curves meet, with intervals over logs, and the main ones of each."""
    trials = results.trials[arm]
    first = trials[min(trials)]
    return {
        **{name: first[name] for name in FACTS},
        "ms_per_image": results.times.get(arm),
        "seed": first["seed"],
        **with_continuity(results, arm, first["meeting"]),
        "decoder": with_continuity(results, arm, first["decoder"], reading="decoder"),
        "variants": {
            name: with_continuity(results, arm, found, reading=name) for name, found in first["variant_meeting"].items()
        },
        "diagnostics": diagnostics(results, arm, min(trials)) if ARMS[arm].boxes else None,
        "seeds": [seed_summary(results, arm, seed) for seed in trials],
    }


def with_continuity(
    results: Results, method: str, figures: Mapping[str, Any], *, reading: str = "native"
) -> dict[str, Any]:
    """The figures of an arm's first seed, or of a baseline, with the interval of the balanced continuity too."""
    seed = min(results.trials.get(method, {0: None}))
    ends = with_interval(*results.drawn(method, seed, "continuity", results.meeting, reading=reading))["interval95"]
    return {**figures, "interval95": {**figures["interval95"], "crossing_continuity.balanced": ends}}


def seed_summary(results: Results, arm: str, seed: int) -> dict[str, Any]:
    """Whether a training counts, and its primary measures."""
    trial = results.trials[arm][seed]
    measures = {}
    for figure in PRIMARY:
        measures[figure] = with_interval(*results.drawn(arm, seed, figure, results.meeting))
    for variant in trial["variants"]:
        for figure in PRIMARY:
            found = results.drawn(arm, seed, figure, results.meeting, reading=variant)
            measures.setdefault("variants", {}).setdefault(variant, {})[figure] = with_interval(*found)
    return {
        "seed": seed,
        "steps": trial["steps"],
        "learning": trial["learning"],
        "apart_f1": results.apart(arm, seed),
        "ceiling_f1": results.ceiling(arm, seed),
        "untrained": results.untrained(arm, seed),
        "iou": trial["meeting"]["iou"]["pooled"],
        **measures,
    }


def diagnostics(results: Results, arm: str, seed: int) -> list[dict[str, Any]]:
    """Of a box network at each separation: where it fails."""
    trial = results.trials[arm][seed]
    rows = []
    for separation in results.preset.separations:
        where = shifted_at(results.logs, separation)
        boxes = {
            reading: {name: np.asarray(values)[where] for name, values in found.items()}
            for reading, found in trial["boxes"].items()
            if reading != "proposals"
        }
        both = boxes["nms"]["both"].astype(bool)
        row = {
            "separation": separation,
            "formula": formula(separation),
            "true_overlap": float(boxes["nms"]["true_overlap"].mean()),
            "found_overlap": float(boxes["nms"]["overlap"][both].mean()) if both.any() else None,
            "both_found": float(both.mean()),
            "proposal_recall": float(np.asarray(trial["boxes"]["proposals"])[where].mean() / 2),
            "box_recall": {reading: float(found["found"].mean() / 2) for reading, found in boxes.items()},
        }
        readings = ("native", *trial["variants"])
        row["recall"] = {r: float(results.value(arm, seed, "recall", where, reading=r)) for r in readings}
        rows.append(row)
    return rows


def sweep(results: Results) -> dict[str, Any]:
    """By arm, ink and separation: the figures of shifted copies, with intervals over logs; of the first seed."""
    methods = {arm: min(trials) for arm, trials in results.trials.items()}
    if results.oracles is not None:
        methods |= {name: 0 for name in BASELINES if name in results.oracles["baselines"]}
    inks = {"all": None, **INKS}
    return {
        method: {
            ink: [swept(results, method, seed, style, s) for s in results.preset.separations]
            for ink, style in inks.items()
        }
        for method, seed in methods.items()
    }


def swept(results: Results, method: str, seed: int, style: str | None, separation: float) -> dict[str, Any]:
    where = shifted_at(results.logs, separation)
    where = where if style is None else where & styled(results.logs, style)
    found = {figure: with_interval(*results.drawn(method, seed, figure, where)) for figure in SWEPT}
    return {"separation": separation, "n_logs": int(where.sum()), **found}


def contrasts(results: Results) -> list[dict[str, Any]]:
    """The primary contrasts, seed by seed, with p-values that Holm adjusts over all of a seed."""
    found = []
    for pair in CONTRASTS:
        for seed in results.seeds(*pair):
            for figure in PRIMARY:
                (a, drawn), (b, other) = (results.drawn(arm, seed, figure, results.meeting) for arm in pair)
                change = drawn - other
                found.append(
                    {
                        "contrast": " - ".join(pair),
                        "measure": figure,
                        "seed": seed,
                        "difference": float(a - b),
                        "interval95": bounds(change),
                        "p": p_value(change),
                        "equivalent": equivalent(change, margin=MARGIN),
                        "untrained": [arm for arm in pair if results.untrained(arm, seed)],
                    }
                )
    for seed in {row["seed"] for row in found}:
        own = {f"{row['contrast']} {row['measure']}": row for row in found if row["seed"] == seed}
        for name, value in holm({name: row["p"] for name, row in own.items()}).items():
            own[name]["p_holm"] = value
    return found


def control_summary(control: Mapping[str, Any]) -> dict[str, Any]:
    names = ("about", "steps", "n_logs", "average_precision", "mask_ap50", "least_mask_ap50")
    return {name: control[name] for name in names}


def oracle_summary(results: Results) -> dict[str, Any]:
    """Ceilings and baselines without what is stored log by log."""
    assert results.oracles is not None
    found = {name: results.oracles[name] for name in ("ceilings", "anchors", "overlap", "label")}
    baselines = results.oracles["baselines"]
    return found | {
        "baselines": {name: with_continuity(results, name, item["meeting"]) for name, item in baselines.items()}
    }


def not_run(results: Results) -> list[str]:
    """What the protocol asks for and this folder does not have, and why."""
    done = {(arm, seed) for arm, trials in results.trials.items() for seed in trials}
    done |= {(CONTROL, 0)} if results.control is not None else set()
    done |= {(ORACLES, 0)} if results.oracles is not None else set()
    missing = [pair for pair in trials_of(results.preset, results.preset.arms, seeds=None) if pair not in done]
    told = [f"{arm}, seed {seed}: not trained in this folder" for arm, seed in missing]
    if results.name != "full":
        told.append(f"the preset full (512 x 256 px, 5 seeds of headline arms): this is {results.name}")
    return told + list(NOT_MEASURED)
