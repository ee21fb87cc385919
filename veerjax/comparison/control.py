"""The positive control: the detector on compact objects, where it must be excellent before it may fail on curves."""

import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from veerjax.comparison.arms import CONTROL
from veerjax.comparison.presets import Preset
from veerjax.comparison.reading import native_trace
from veerjax.comparison.summed import first, joined
from veerjax.comparison.trial import answers, trained_arm
from veerjax.config import to_dict
from veerjax.data.logset import rendered_set
from veerjax.jobs.evaluate import plain
from veerjax.metrics.other_parts import average_precisions, detection_sums
from veerjax.types import Batch, Prediction

OBJECTS = "blobs"  # the setting
LEAST_AP50 = 0.9  # of masks, the mean of both objects


def run_control(preset: Preset, *, overrides: tuple[str, ...], out: Path) -> dict[str, Any]:
    """Trains A1 on compact objects with every other arm's budget, and measures its average precision.

    Args:
        preset: of all arms
        overrides: items of --set, for every arm
        out: the results folder
    """
    begun = time.monotonic()
    of_blobs = (*overrides, f"data.setting={OBJECTS}")
    trained = trained_arm("A1", 0, preset, overrides=of_blobs, out=out, named=CONTROL)
    size = {"height": preset.height, "width": preset.width}
    test = rendered_set(OBJECTS, split="test", count=preset.control_logs, **size)
    parts = []
    for batch, count, prediction in answers(trained.weights, test):
        sums = jax.device_get(detected(prediction, batch))
        parts.append(first(sums, count))
    precision = average_precisions(joined(parts))
    return plain(
        {
            "schema": 1,
            "arm": CONTROL,
            "seed": 0,
            "about": "A1 on compact objects",
            "config": to_dict(trained.config),
            "steps": trained.config.steps,
            "n_logs": len(test),
            "average_precision": precision,
            "mask_ap50": float(np.mean(precision["mask"]["ap50"])),
            "least_mask_ap50": LEAST_AP50,
            "seconds": {"all": time.monotonic() - begun},
        }
    )


@jax.jit
def detected(prediction: Prediction, batch: Batch) -> dict[str, Any]:
    """Each object of each image as a detection."""
    return jax.vmap(detection_sums)(prediction, native_trace(prediction, joint=False), batch)
