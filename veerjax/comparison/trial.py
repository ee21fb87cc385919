"""One arm of one seed: trained by the one loop, read natively and otherwise, measured log by log."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from veerjax.comparison.arms import ARMS, Arm
from veerjax.comparison.design import Log, design, log_set, meeting, shifted_at, tuning_design
from veerjax.comparison.oracles import sure_of
from veerjax.comparison.presets import Preset, config_of
from veerjax.comparison.reading import NATIVE, PRIMARY, kept, measured, proposal_counts
from veerjax.comparison.stored import work_folder
from veerjax.comparison.summed import chosen, first, joined, with_intervals
from veerjax.config import Config, to_dict
from veerjax.data.logset import LogSet
from veerjax.jobs.evaluate import plain
from veerjax.metrics.ceilings import best_strokes
from veerjax.metrics.tolerance import f1
from veerjax.models.mask_rcnn import Detector, shifted
from veerjax.models.model import Variables, prediction_from_masks
from veerjax.performance.equal_work import step_flops
from veerjax.training.loop import train
from veerjax.training.weights import Weights, load_weights, read_with
from veerjax.training.writer import LOG_FILE
from veerjax.types import Batch, Prediction

READ_AT_ONCE = 16  # logs
LEARNING_PARTS = 40  # of a training, whose mean losses are kept
THRESHOLDS = (0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)  # of masks, tried on validation


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A network and how it answers."""

    arm: Arm
    weights: Weights

    @property
    def config(self) -> Config:
        return self.weights.config

    def how(self) -> dict[str, bool]:
        """Its reading is measured."""
        return {"joint": self.arm.joint, "anonymous": self.arm.anonymous}

    def read_with(self, *overrides: str) -> "Trained":
        """The same with other keys of how it reads."""
        return replace(self, weights=read_with(self.weights, overrides))


def run_trial(
    name: str, seed: int, preset: Preset, *, overrides: tuple[str, ...], out: Path
) -> tuple[dict[str, Any], Trained]:
    """Trains an arm, or goes on with it, and measures it: what was found, and the network.

    Args:
        name: of the arm
        seed: of parameters and data
        preset: of all arms
        overrides: items of --set, for every arm
        out: the results folder; the training's work directory lies in it

    Raises:
        InputError: what `train` refuses.
    """
    arm, logs = ARMS[name], design(preset)
    begun = time.monotonic()
    trained = trained_arm(name, seed, preset, overrides=overrides, out=out)
    told, done = trained.config, time.monotonic()
    cost = trained.weights.model.cost((1, preset.height, preset.width, told.model.channels))
    test = log_set(logs, preset)
    sums = read_all(trained, test)
    # Of arms of boxes there are many, each for a primary measure alone.
    variants = {
        variant: read_all(trained.read_with(*items), test, whole=not arm.boxes)
        for variant, items in arm.variants.items()
    }
    found = {
        "schema": 1,
        "arm": name,
        "seed": seed,
        "about": arm.about,
        "config": to_dict(told),
        "mask_threshold": told.model.rcnn.mask_threshold if arm.boxes else None,
        "parameters": cost.parameters,
        "forward_flops": cost.flops,
        "train_flops": step_flops(told) * told.steps,
        "steps": told.steps,
        "learning": learning(work_folder(out, (name, seed))),
        "seconds": {"train": done - begun, "evaluate": time.monotonic() - done},
        "meeting": with_intervals(chosen(sums["native"], meeting(logs)), NATIVE),
        "variant_meeting": {
            variant: with_intervals(chosen(found["native"], meeting(logs)), NATIVE)
            for variant, found in ({} if arm.boxes else variants).items()
        },
        "decoder": with_intervals(chosen(sums["decoder"], meeting(logs)), PRIMARY),
        "logs": kept(sums["native"]),
        "decoder_logs": kept(sums["decoder"]),
        "variants": {variant: kept(found["native"]) for variant, found in variants.items()},
        "ceiling_logs": kept(ceiling_sums(trained, logs, preset, variants)),
    }
    if arm.boxes:
        boxes = {"nms": sums["boxes"]} | {variant: found["boxes"] for variant, found in variants.items()}
        found["boxes"] = {**boxes, "proposals": proposals(trained, test)}
    return plain(found), trained


def trained_arm(
    name: str, seed: int, preset: Preset, *, overrides: tuple[str, ...], out: Path, named: str | None = None
) -> Trained:
    """The network after its budget; what a tuned arm's masks are cut at is chosen on validation.

    Args:
        name: of the arm
        seed: of parameters and data
        preset: of all arms
        overrides: items of --set
        out: the results folder
        named: what the training is kept as, by default the arm
    """
    config = config_of(name, ARMS[name], preset, seed=seed, overrides=overrides)
    workdir = work_folder(out, (named or name, seed))
    train(config, workdir, devices=jax.devices()[:1])
    trained = Trained(arm=ARMS[name], weights=load_weights(f"{workdir}@last"))
    if not trained.arm.tuned:
        return trained
    return trained.read_with(f"model.rcnn.mask_threshold={best_threshold(trained, preset)}")


def learning(workdir: Path) -> dict[str, list[float]]:
    """The loss of a training as it went: means of equal parts of it, each at the step where it ends."""
    lines = [json.loads(line) for line in (workdir / LOG_FILE).read_text().splitlines()]
    losses = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    parts = np.array_split(np.array(losses), min(LEARNING_PARTS, len(losses)))
    return {"step": [part[-1, 0] for part in parts], "loss": [part[:, 1].mean() for part in parts]}


def answers(weights: Weights, logs: LogSet) -> Iterator[tuple[Batch, int, Prediction]]:
    """Batches, how many of their logs are valid, and what a network says of them."""
    predict, on_device = jax.jit(weights.model.predict), jax.device_put(weights.variables)
    for portion in logs.portions(READ_AT_ONCE):
        yield portion.batch, len(portion.positions), predict(on_device, portion.batch)


def read_all(trained: Trained, logs: LogSet, *, whole: bool = True) -> dict[str, Any]:
    """The sums of every log."""
    parts = []
    for batch, count, prediction in answers(trained.weights, logs):
        parts.append(first(jax.device_get(measured(prediction, batch, whole=whole, **trained.how())), count))
    return joined(parts)


def best_threshold(trained: Trained, preset: Preset) -> float:
    """Of `THRESHOLDS`, the one with the best F1 on validation."""
    logs = log_set(tuning_design(preset), preset, split="validation")
    totals = {threshold: np.zeros((2, 4), int) for threshold in THRESHOLDS}
    for batch, count, prediction in answers(trained.weights, logs):
        for threshold in THRESHOLDS:
            masks = shifted(prediction.masks, threshold=threshold)
            cut = replace(prediction_from_masks(masks), boxes=prediction.boxes, scores=prediction.scores)
            sums = jax.device_get(measured(cut, batch, whole=False, **trained.how()))
            totals[threshold] = totals[threshold] + kept(sums["native"])["tolerance"][:count].sum(axis=0)
    scores = {threshold: f1_of(total) for threshold, total in totals.items()}
    return max(THRESHOLDS, key=lambda threshold: (scores[threshold], -abs(threshold - 0.5)))


def f1_of(counts: np.ndarray) -> float:
    """The mean F1 of both curves; of none found 0."""
    return float(np.nan_to_num(f1(counts)).mean())


def proposals(trained: Trained, logs: LogSet) -> np.ndarray:
    """How many true boxes of each log have a proposal."""
    detector = Detector(trained.config.model, masks=True)

    @jax.jit
    def counts(variables: Variables, batch: Batch) -> jax.Array:
        image = batch.image
        found = detector.propose(detector.read(variables, image), image)
        return proposal_counts(found.boxes, found.valid, batch)

    return np.concatenate(
        [
            np.asarray(counts(trained.weights.variables, portion.batch))[: len(portion.positions)]
            for portion in logs.portions(READ_AT_ONCE)
        ]
    )


def ceiling_sums(trained: Trained, logs: Sequence[Log], preset: Preset, variants: Mapping[str, Any]) -> dict[str, Any]:
    """Of the logs whose curves stand a width apart, what a network reaches that knows the truth: the arm's oracle.

    Of boxes with masks the true masks through the grid of true boxes, else the best scores of the arm's stride.
    """
    apart = shifted_at(logs, 1.0)
    if "oracle both" in variants:
        return chosen(variants["oracle both"]["native"], apart)
    some, parts = [log for log, there in zip(logs, apart, strict=True) if there], []
    for portion in log_set(some, preset).portions(READ_AT_ONCE):
        strokes = portion.batch.strokes
        best = strokes if trained.arm.stride == 1 else best_strokes(strokes, stride=trained.arm.stride)
        said = sure_of(best)
        if trained.config.model.head == "sigmoid":
            said = replace(said, label=None)
        sums = jax.device_get(measured(said, portion.batch, whole=False, joint=trained.arm.joint))
        parts.append(first(sums["native"], len(portion.positions)))
    return joined(parts)
