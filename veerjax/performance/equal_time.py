"""Two networks that train for the same time on the same kind of logs, judged by the same measure."""

import math
import time
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from veerjax.data.rendered import rendered_batches
from veerjax.metrics.bootstrap import pooled_sums
from veerjax.metrics.parts import TOLERANCE
from veerjax.metrics.scores import figures_of, measure
from veerjax.models.model import prediction_from_probability
from veerjax.performance.peer import Peer
from veerjax.performance.stages import Bench
from veerjax.tracing.trace import trace
from veerjax.training.stepper import prepared
from veerjax.types import Batch, Prediction

TRAINING_LOGS = 2048  # drawn beforehand for the peer, whose loader cannot draw
JUDGED_LOGS = 128  # of the validation split


def drawn_logs(bench: Bench, split: str, count: int) -> list[Batch]:
    """The first logs of a split in batches of the config's."""
    config = bench.config
    stream = rendered_batches(
        config.data.setting, split=split, count=count, batch=config.batch, seed=config.seed, **bench.size
    )
    return [jax.device_get(batch) for batch in stream]


def peer_arrays(training: list[Batch], judged: list[Batch]) -> dict[str, np.ndarray]:
    """What the peer's loader reads, and the images that it is judged on; 8-bit, as a dataset stores them."""

    def grey(batches: list[Batch]) -> np.ndarray:
        return np.concatenate([np.round(batch.image[..., 0] * 255).astype(np.uint8) for batch in batches])

    labels = np.concatenate([np.asarray(batch.label) for batch in training])
    return {"images": grey(training), "labels": labels, "validation_images": grey(judged)}


def steps_within(seconds: float, step_s: float) -> int:
    """How many steps a time budget pays for, at least 1."""
    return max(math.floor(seconds / step_s), 1)


def fitted(bench: Bench, judged: list[Batch], *, steps: int) -> tuple[list[float], float]:
    """Our F1 within 2 px of each curve after training from scratch, drawing included, and the seconds that it took.

    The first step, which compiles, is left out of the seconds.
    """
    config = bench.config
    scheduled = Bench.of(replace(config, steps=steps), bench.mesh)
    state, step_fn = prepared(scheduled.config, scheduled.model, scheduled.mesh)
    state, _ = jax.block_until_ready(step_fn(state))
    start = time.perf_counter()
    for _ in range(steps - 1):
        state, _ = step_fn(state)
    jax.block_until_ready(state)
    seconds = time.perf_counter() - start
    predict = jax.jit(scheduled.model.predict)
    return f1_of([predict(state.averaged, batch) for batch in judged], judged), seconds


def fitted_peer(peer: Peer, judged: list[Batch], *, steps: int) -> tuple[list[float], float]:
    """The peer's F1 after the same, and the seconds that its training took."""
    fit = peer.ask("fit", steps=steps)
    seconds = fit["seconds"] - fit["first_step"]
    peer.ask("probability")
    probability = jnp.asarray(np.load(peer.folder / "probability.npy"))
    size = judged[0].size
    batches = [probability[start : start + size] for start in range(0, len(probability), size)]
    return f1_of([prediction_from_probability(batch) for batch in batches], judged), seconds


def f1_of(predictions: list[Prediction], judged: list[Batch]) -> list[float]:
    """Tolerance F1 at 2 px of both curves, pooled over the logs."""

    def measured(prediction: Prediction, batch: Batch) -> dict[str, Any]:
        return measure(prediction, trace(prediction), batch, parts={"tolerance": TOLERANCE})

    step = jax.jit(measured)
    sums = [jax.device_get(step(*pair)) for pair in zip(predictions, judged, strict=True)]
    valid = np.concatenate([batch.valid for batch in judged])
    together = pooled_sums(jax.tree.map(lambda *leaves: np.concatenate(leaves)[valid], *sums))
    return [float(value) for value in figures_of(together, parts={"tolerance": TOLERANCE})["tolerance_f1"]["2"]]
