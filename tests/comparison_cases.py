"""Results of a comparison that nobody trained: trials whose figures are set, so that verdicts are known."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from veerjax.comparison.arms import ARMS
from veerjax.comparison.control import LEAST_AP50
from veerjax.comparison.design import Log, design
from veerjax.comparison.exhibited import INKS, labels_png, png
from veerjax.comparison.oracles import formula
from veerjax.comparison.presets import preset_of
from veerjax.comparison.stored import TIMES, trial_file, write_compact
from veerjax.labels import label_of
from veerjax.types import Batch

PRESET = "cpu"
TRUE = 200  # pixels of a curve


def counts(found: np.ndarray) -> np.ndarray:
    """Tolerance counts of logs in which a share of either curve [n, 2] is found, and nothing else."""
    right = np.rint(TRUE * found).astype(int)
    return np.stack([right, right, right, np.full_like(right, TRUE)], axis=-1)


def kept(logs: tuple[Log, ...], found: np.ndarray, *, continuity: np.ndarray, wide: float = 1.0) -> dict[str, Any]:
    """What is stored log by log.

    Args:
        logs: of the design
        found: share of either curve [n, 2]
        continuity: whether each log's event is right [n]
        wide: ink over true ink
    """
    crossing = np.array([log.meeting == "crossing" for log in logs])
    touching = np.array([log.meeting == "touching" for log in logs])
    events = np.stack([crossing, crossing & continuity, touching, touching & continuity], axis=-1).astype(int)
    right = np.rint(TRUE * found).astype(int)
    confusion = np.zeros((len(logs), 3, 3), int)
    for curve in (1, 2):
        confusion[:, curve, curve] = right[:, curve - 1]
        confusion[:, curve, 0] = TRUE - right[:, curve - 1]
        confusion[:, 0, curve] = np.rint((wide - 1) * right[:, curve - 1])
    confusion[:, 0, 0] = 18_000
    return {
        "tolerance": counts(found).tolist(),
        "events": events.tolist(),
        "confusion": confusion.tolist(),
        "all_px": (96 * 192 * (1 - found)).tolist(),
        "rows": np.full((len(logs), 2), 192).tolist(),
    }


def boxes(logs: tuple[Log, ...], *, found: np.ndarray) -> dict[str, Any]:
    overlap = [formula(log.separation) for log in logs]
    return {"found": found.tolist(), "both": [1] * len(logs), "overlap": overlap, "true_overlap": overlap}


def trial(arm: str, seed: int, share: Mapping[str, float], *, continuity: float = 1.0, noise: float = 0.01) -> Any:
    """A trial whose readings find a share of each curve: `native`, and variants by their name.

    Args:
        arm: of the trial
        seed: of the trial
        share: by reading; `native near` is that of shifted curves below s/w = .33
        continuity: share of events that are right
        noise: of the shares, so that draws differ
    """
    logs = design(preset_of(PRESET))
    random = np.random.default_rng([*arm.encode(), seed])
    near = np.array([log.meeting == "shifted" and log.separation < 0.33 for log in logs])

    def stored(name: str) -> dict[str, Any]:
        base = share.get(name, share["native"])
        level = np.where(near, share.get(f"{name} near", base), base)
        found = np.clip(level[:, None] + noise * random.normal(size=(len(logs), 2)), 0, 1)
        return kept(logs, found, continuity=random.uniform(size=len(logs)) < continuity)

    variants = {
        name: {k: v for k, v in stored(name).items() if k in ("tolerance", "events")} for name in ARMS[arm].variants
    }
    apart = [log for log in logs if log.meeting == "shifted" and log.separation == 1.0]
    figures = {
        "iou": {"pooled": [0.99, 0.5, 0.4]},
        "tolerance_f1_2px": share["native"],
        "identity_accuracy": 0.9,
        "crossing_continuity": {"balanced": continuity},
        "panoptic": {"pq": [0.9, 0.5, 0.4]},
        "interval95": {"tolerance_f1_2px": [share["native"] - 0.01, share["native"] + 0.01]},
    }
    made = {
        "schema": 1,
        "arm": arm,
        "seed": seed,
        "about": ARMS[arm].about,
        "mask_threshold": 0.5,
        "parameters": 1000,
        "forward_flops": 10**8,
        "train_flops": 10**12,
        "steps": 10,
        "learning": {"step": [5.0, 10.0], "loss": [2.0, 1.0]},
        "seconds": {"train": 1.0, "evaluate": 1.0},
        "meeting": figures,
        "variant_meeting": {} if ARMS[arm].boxes else dict.fromkeys(ARMS[arm].variants, figures),
        "decoder": figures,
        "logs": stored("native"),
        "decoder_logs": stored("native"),
        "variants": variants,
        "ceiling_logs": {"tolerance": counts(np.full((len(apart), 2), share.get("ceiling", 1.0))).tolist()},
    }
    if ARMS[arm].boxes:
        twos = np.full(len(logs), 2)
        readings = {name: boxes(logs, found=twos) for name in ("nms", *ARMS[arm].variants)}
        made["boxes"] = {**readings, "proposals": twos.tolist()}
    return made


def control(ap50: float = 0.95) -> dict[str, Any]:
    precision = {kind: {"ap": [ap50, ap50], "ap50": [ap50, ap50]} for kind in ("mask", "box")}
    return {
        "schema": 1,
        "arm": "control",
        "seed": 0,
        "about": "A1 on compact objects",
        "steps": 10,
        "n_logs": 64,
        "average_precision": precision,
        "mask_ap50": ap50,
        "least_mask_ap50": LEAST_AP50,
    }


def oracles() -> dict[str, Any]:
    logs = design(preset_of(PRESET))
    nothing = kept(logs, np.zeros((len(logs), 2)), continuity=np.zeros(len(logs), bool))
    perfect = kept(logs, np.ones((len(logs), 2)), continuity=np.arange(len(logs)) % 2 == 0)
    figures = trial("B4", 0, {"native": 0.0})["meeting"]
    ceiling = {
        "1": {"stroke_iou": [0.2, 0.2], "tolerance_f1_2px": 0.9},
        "3": {"stroke_iou": [0.5, 0.5], "tolerance_f1_2px": 1.0},
    }
    return {
        "schema": 1,
        "arm": "O",
        "seed": 0,
        "about": "oracles and baselines",
        "baselines": {
            "all_background": {"meeting": figures, "logs": nothing},
            "random_identity": {"meeting": figures, "logs": perfect},
        },
        "ceilings": {"stride 8": ceiling, "grid 28 x 28, taught": ceiling},
        "anchors": {arm: {"mean_iou": 0.4, "share_above_0.7": 0.1} for arm in ("A1", "A3")},
        "overlap": {"1": {"measured": 0.0, "formula": 0.0}, "0.5": {"measured": 0.34, "formula": 1 / 3}},
        "label": [1.0, 0.97],
    }


def folder_of(folder: Path, *trials: dict[str, Any], preset: str = PRESET) -> Path:
    """A results folder as `compare run` leaves it."""
    (folder / "trials").mkdir(parents=True, exist_ok=True)
    plan = {"preset": preset, "overrides": [], "sizes": asdict(preset_of(preset))}
    (folder / "compare.json").write_text(json.dumps(plan))
    for made in trials:
        write_compact(trial_file(folder, (made["arm"], made["seed"])), made)
    write_compact(folder / TIMES, {made["arm"]: {"median": 3.0, "p10": 2.0, "p90": 4.0} for made in trials})
    return folder


GOOD = {
    "A1": {"native": 0.7, "oracle masks": 0.72},
    "A2": {"native": 0.9, "native near": 0.4, "off": 0.95, "off near": 0.95, "soft": 0.9},
    "A3": {"native": 0.8},
    "A4": {"native": 0.75},
    "A5": {"native": 0.6},
    "B1": {"native": 0.3, "ceiling": 0.35},
    "B2": {"native": 0.5, "ceiling": 0.55},
    "B3": {"native": 0.7, "ceiling": 0.75},
    "B4": {"native": 0.95},
    "B5": {"native": 0.7, "crf": 0.6, "ceiling": 0.75},
    "B7": {"native": 0.96},
    "C1": {"native": 0.99},
}


def whole(folder: Path, *, seeds: int = 1, **shares: Mapping[str, float]) -> Path:
    """A folder with every arm of `GOOD`, some of them otherwise."""
    arms = {**GOOD, **shares}
    made = [
        trial(arm, seed, {"ceiling": share["native"], **share}) for arm, share in arms.items() for seed in range(seeds)
    ]
    return folder_of(folder, *made, control(), oracles())


def shown(arm: str) -> dict[str, Any]:
    """What a run stores of an arm for the exhibit: two upright lines at every step, read without an error."""
    preset = preset_of(PRESET)
    height, width = preset.height, preset.width
    steps = []
    for ink in INKS:
        for separation in preset.separations:
            left, wide = 8, 40
            columns = [left + wide // 2, left + wide // 2 + round(separation * wide)]
            strokes = np.zeros((2, height, width), bool)
            for curve, column in enumerate(columns):
                strokes[curve, :, column : column + 3] = True
            image = np.where(strokes.any(axis=0), 40, 240).astype(np.uint8)
            step = {
                "ink": ink,
                "separation": separation,
                "log": f"shifted/{ink}",
                "image": png(image),
                "labels": labels_png(strokes),
                "f1": 0.5 + separation / 2,
                "formula": formula(separation),
            }
            if ARMS[arm].boxes:
                sides = [
                    [0.0, left + k * separation * wide, height, left + wide + k * separation * wide] for k in (0, 1)
                ]
                states = ["chosen", "chosen" if separation > 0.33 else "dropped"]
                step["boxes"] = [
                    {"box": side, "score": 0.9 - k / 10, "state": state, "curve": k + 1 if state == "chosen" else None}
                    for k, (side, state) in enumerate(zip(sides, states, strict=True))
                ]
                step["overlap"] = formula(separation) if separation > 0.33 else None
                step["true_overlap"] = formula(separation)
            steps.append(step)
    return {"arm": arm, "height": height, "width": width, "steps": steps}


def with_strokes(batch: Batch, strokes: np.ndarray) -> Batch:
    """A batch whose curves are these upright strokes."""
    columns = np.arange(strokes.shape[3]) + 0.5
    centreline = (strokes * columns).sum(axis=3) / np.maximum(strokes.sum(axis=3), 1)
    return replace(
        batch,
        strokes=jnp.asarray(strokes),
        label=jnp.asarray(np.stack([label_of(one) for one in strokes])),
        centreline=jnp.asarray(centreline, jnp.float32),
        presence=jnp.asarray(strokes.any(axis=3)),
    )
