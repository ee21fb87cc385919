"""What the exhibit shows, stored while the networks are at hand: pictures of one curve at every step of the slider."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from veerjax.checks import require
from veerjax.comparison.design import Log, design, log_set
from veerjax.comparison.oracles import formula
from veerjax.comparison.presets import Preset
from veerjax.comparison.reading import kept, measured
from veerjax.comparison.stored import SHOWN, read_compact
from veerjax.comparison.trial import Trained, f1_of
from veerjax.jobs.evaluate import plain
from veerjax.metrics.parts import predicted_strokes
from veerjax.models.mask_rcnn import Detector
from veerjax.models.mask_rcnn.regions import Detections
from veerjax.types import Batch, Prediction

EXHIBITED = ("A1", "A2", "A3", "B4", "B7")
INKS = {"different": "coded", "same": "identical"}  # the toggle, and the style that it shows
STROKE_PX = 3.0
SHOWN_BOXES = 12  # of the likeliest
PALETTE = (0, 0, 0, 205, 20, 20, 20, 60, 215, 125, 40, 120)  # neither curve, curve 1, curve 2, both


def shown_logs(preset: Preset) -> dict[tuple[str, float], Log]:
    """The first smooth curve of a stroke, by ink and separation."""
    stroke_px = STROKE_PX if STROKE_PX in preset.strokes_px else preset.strokes_px[-1]
    return {
        (ink, log.separation): log
        for ink, style in INKS.items()
        for log in design(preset)
        if (log.meeting, log.style, log.shape, log.number) == ("shifted", style, "smooth", 0)
        and log.stroke_px == stroke_px
    }


def shown_steps(trained: Trained, preset: Preset) -> dict[str, Any]:
    """What an arm says of each of those logs, with pictures and with all boxes that it weighed."""
    shown, weights = shown_logs(preset), trained.weights
    portion = log_set(list(shown.values()), preset).portion(np.arange(len(shown)), batch=len(shown))
    prediction = jax.jit(weights.model.predict)(weights.variables, portion.batch)
    sums = jax.device_get(measured(prediction, portion.batch, whole=False, **trained.how()))
    boxes = weighed(trained, portion.batch, prediction) if trained.arm.boxes else [[]] * len(shown)
    drawn = jax.device_get((portion.batch.image[..., 0], predicted_strokes(prediction)))
    counts = kept(sums["native"])["tolerance"]
    steps = []
    for place, ((ink, separation), log) in enumerate(shown.items()):
        step = {
            "ink": ink,
            "separation": separation,
            "log": log.name,
            "image": png(np.rint(drawn[0][place] * 255).astype(np.uint8)),
            "labels": labels_png(drawn[1][place]),
            "f1": f1_of(counts[place]),
            "formula": formula(separation),
        }
        if trained.arm.boxes:
            of_boxes = {name: values[place] for name, values in sums["boxes"].items()}
            step |= {
                "boxes": boxes[place],
                "overlap": float(of_boxes["overlap"]) if of_boxes["both"] else None,
                "true_overlap": float(of_boxes["true_overlap"]),
            }
        steps.append(step)
    arm = trained.config.name
    return plain({"arm": arm, "height": preset.height, "width": preset.width, "steps": steps})


def weighed(trained: Trained, batch: Batch, prediction: Prediction) -> list[list[Mapping[str, Any]]]:
    """Of each log the likeliest boxes: those chosen for a curve, others that are kept, and those that are dropped."""
    detector = Detector(trained.config.model, masks=True)
    _, found = jax.device_get(jax.jit(detector.look)(trained.weights.variables, batch))
    said = jax.device_get(prediction)
    return [boxes_of_log(jax.tree.map(lambda leaf, log=log: leaf[log], found), said, log) for log in range(batch.size)]


def boxes_of_log(found: Detections, said: Prediction, log: int) -> list[Mapping[str, Any]]:
    """The boxes of one log, the likeliest first."""
    assert said.boxes is not None
    survivors = set(np.asarray(found.kept.index)[np.asarray(found.kept.valid)].tolist())
    listed = []
    for place in np.argsort(-found.score, kind="stable")[:SHOWN_BOXES]:
        if not np.isfinite(found.score[place]):
            break
        box = found.boxes[place]
        # By its place among the curves; a box without a curve is not among the chosen.
        curve = [k for k in range(2) if place in survivors and np.array_equal(said.boxes[log][k], box)]
        state = "chosen" if curve else "kept" if place in survivors else "dropped"
        listed.append(
            {
                "box": [round(float(side), 2) for side in box],
                "score": round(float(found.score[place]), 4),
                "state": state,
                "curve": curve[0] + 1 if curve else None,
            }
        )
    return listed


def png(picture: UInt8[np.ndarray, "height width"]) -> str:
    """A grey picture as base64 of a PNG."""
    return encoded(Image.fromarray(picture))


def labels_png(strokes: np.ndarray) -> str:
    """Which curve a pixel is said to be ink of, as a PNG of four colours, the first one clear."""
    image = Image.fromarray((strokes[0] + 2 * strokes[1]).astype(np.uint8), mode="P")
    image.putpalette(PALETTE)
    return encoded(image, transparency=0)


def encoded(image: Image.Image, **options: Any) -> str:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True, **options)
    return base64.b64encode(file.getvalue()).decode()


def stored_steps(out: Path) -> dict[str, Any]:
    """What a run has stored, by arm.

    Raises:
        InputError: it has stored nothing.
    """
    found = {arm: path for arm in EXHIBITED if (path := out / SHOWN / f"{arm}.json").is_file()}
    require(
        len(found) > 0,
        f"{out} holds nothing to exhibit; veerjax compare run --out {out} stores it with {', '.join(EXHIBITED)}.",
    )
    return {arm: read_compact(path) for arm, path in found.items()}
