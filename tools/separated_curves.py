"""Masks in boxes on curves that stand a box's width apart, against what their grid allows: see docs/regions.md.

`python tools/separated_curves.py --weights runs/a3@last`: for strokes of 1, 3 and 5 px the IoU of 32 test logs, and of
the true masks drawn through the same grid in true boxes. Thresholds are those that are best on 32 validation logs.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

from veerjax.metrics.average_precision import mask_iou
from veerjax.models.mask_rcnn import shifted
from veerjax.synthesis.pairs import CODED, GREYS, SHIFTED, Look, draw_pair
from veerjax.training.weights import load_weights, read_with
from veerjax.types import Batch

THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
SPLITS = {"validation": 7001, "test": 7002}  # seeds; training draws by others
LOGS, HEIGHT, WIDTH = 32, 192, 96


def logs(stroke_px: float, *, split: str) -> Batch:
    """Shifted copies that do not overlap, half of them coded, half in two greys, half smooth, half spiky."""
    index = jnp.arange(LOGS)
    look = Look(
        meeting=jnp.full(LOGS, SHIFTED),
        separation=jnp.ones(LOGS),
        angle=jnp.full(LOGS, 90.0),
        stroke_px=jnp.full(LOGS, stroke_px),
        style=jnp.where(index % 2 == 0, CODED, GREYS),
        spiky=index // 2 % 2 == 0,
    )
    keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(SPLITS[split]), i))(index)
    return jax.jit(jax.vmap(lambda key, one: draw_pair(key, one, height=HEIGHT, width=WIDTH)))(keys, look)


def iou(masks: jax.Array, batch: Batch, *, threshold: float) -> np.ndarray:
    """Of both curves, the mean over logs."""
    found = jax.vmap(mask_iou)(shifted(masks, threshold=threshold) > 0.5, batch.strokes)
    return np.asarray(jnp.diagonal(found, axis1=1, axis2=2)).mean(axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--weights", required=True, help="WORKDIR[@best|last|STEP] of a mask_rcnn")
    weights = load_weights(parser.parse_args().weights)
    for stroke_px in (1.0, 3.0, 5.0):
        batches = {split: logs(stroke_px, split=split) for split in SPLITS}
        for name, oracle in (("the network", "none"), ("its grid in true boxes", "both")):
            model = read_with(weights, [f"model.rcnn.oracle={oracle}", "model.rcnn.mask_threshold=0.5"]).model
            predict = jax.jit(model.predict)
            masks = {split: predict(weights.variables, batch).masks for split, batch in batches.items()}
            best = max(
                THRESHOLDS,
                key=lambda t, masks=masks: iou(masks["validation"], batches["validation"], threshold=t).mean(),
            )
            one, two = iou(masks["test"], batches["test"], threshold=best)
            print(f"{stroke_px:g} px, {name}: IoU {one:.3f} / {two:.3f}, mean {(one + two) / 2:.3f}, cut at {best:g}")


if __name__ == "__main__":
    main()
