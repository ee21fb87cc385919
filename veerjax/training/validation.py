"""How good the parameters are on the fixed validation logs, which stay on the devices of all processes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Bool

from veerjax.config import Config
from veerjax.data.logset import open_logs
from veerjax.data.rendered import rendered_batches
from veerjax.metrics.bootstrap import pooled_sums
from veerjax.metrics.parts import CENTRELINE, LABEL, TOLERANCE
from veerjax.metrics.scores import figures_of, measure
from veerjax.models.model import Model, Variables
from veerjax.tracing.trace import trace
from veerjax.training.checkpoint import BEST
from veerjax.training.sharding import over_examples, over_rows, replicated
from veerjax.training.shares import placed, places_here
from veerjax.training.stepper import BUILT
from veerjax.types import Batch, Prediction

WATCHED = {"label": LABEL, "tolerance": TOLERANCE, "centreline": CENTRELINE}


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The logs, and the compiled function that measures them; every log counts once."""

    batches: tuple[Batch, ...]
    valid: Bool[np.ndarray, " logs"]
    predict: Any  # (variables, batch) -> prediction
    measured: Any  # (prediction, batch) -> sums by log
    shown: Any  # (images or masks, how many) -> the first of them

    def figures(self, variables: Variables) -> dict[str, float]:
        """What the log shows of these variables."""
        sums = [jax.device_get(self.measured(self.predict(variables, batch), batch)) for batch in self.batches]
        of_logs = jax.tree.map(lambda *leaves: np.concatenate(leaves)[self.valid], *sums)
        return watched_figures(figures_of(pooled_sums(of_logs), parts=WATCHED))

    def examples(self, variables: Variables, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The first images [count, H, W, C] and the masks [count, 2, H, W] that the variables see there."""
        first = self.batches[0]
        return jax.device_get((self.shown(first.image, count), self.shown(self.predict(variables, first).masks, count)))


def build_validation(config: Config, model: Model, mesh: Mesh, *, data_dir: Path | None = None) -> Validation:
    """The validation of a config: the first logs of the validation split of what it trains on.

    Raises:
        InputError: a built dataset that is not there or has no validation split.
    """
    split, examples, whole = over_rows(mesh), over_examples(mesh), replicated(mesh)
    places = np.asarray(places_here(mesh, config.batch))

    def measured(prediction: Prediction, batch: Batch) -> dict[str, Any]:
        batch = jax.lax.with_sharding_constraint(batch, examples)
        return measure(prediction, trace(prediction), batch, parts=WATCHED)

    # Each process makes all of the few logs and keeps its share of each batch.
    drawn = jax.device_get(list(validation_batches(config, data_dir=data_dir)))
    shares = [jax.tree.map(lambda leaf: leaf[places], batch) for batch in drawn]
    return Validation(
        batches=tuple(placed(share, split, batch=config.batch) for share in shares),
        valid=np.concatenate([np.asarray(batch.valid) for batch in drawn]),
        # Two programs: the second is the same for all networks, so the cache on disk has it from the first training on.
        # A path is traced from the first row to the last, so every device of a log takes the whole of it.
        predict=jax.jit(model.predict, out_shardings=examples),
        # Whole on each device, so that every process can read it.
        measured=jax.jit(measured, out_shardings=whole),
        shown=jax.jit(lambda array, count: array[:count], static_argnums=1, out_shardings=whole),
    )


def validation_batches(config: Config, *, data_dir: Path | None) -> Iterator[Batch]:
    """The validation logs, the last batch filled up with invalid ones."""
    data, count = config.data, config.validation.examples
    if data.setting.startswith(BUILT):
        logs = open_logs(data.setting, split="validation", data_dir=data_dir, limit=count)
        return (portion.batch for portion in logs.portions(config.batch))
    return rendered_batches(
        data.setting,
        split="validation",
        count=count,
        batch=config.batch,
        height=data.height,
        width=data.width,
        channels=config.model.channels,
    )


def watched_figures(figures: dict[str, Any]) -> dict[str, float]:
    """What the log shows of a validation: the figure that chooses the best checkpoint, and those behind it."""
    background, *ious = figures["iou"]["pooled"]
    by_curve = {
        "iou": ious,
        "f1_2px": figures["tolerance_f1"]["2"],
        "coverage": figures["coverage"],
        "row_error_px": figures["row_error_px"]["median"],
    }
    named = {f"{name}_curve_{k}": float(v) for name, values in by_curve.items() for k, v in enumerate(values, 1)}
    best = float(np.nan_to_num(np.mean(figures["tolerance_f1"]["2"])))
    known = {name: value for name, value in named.items() if np.isfinite(value)}  # NaN is no JSON
    return {BEST: best, **known, "iou_background": float(background)}
