"""The per-pixel lineage side by side: architectures after equal operations, losses with VeerNet, and errors one by one.

`python tools/lineage.py models --out DIR`: every architecture's config, trained on `standard` until its convolutions,
dense layers and attention have taken so many operations (3 forward passes a step), then scored on test logs.
`python tools/lineage.py losses --out DIR`: VeerNet on `one_pixel` after equal steps, by each loss of its publications.
`python tools/lineage.py speed --out DIR`: what reading a log and a training step of each config take, in turns.
`python tools/lineage.py errors --out DIR`: the truth of `one_pixel` spoilt in one way at a time, and scored likewise.

Each writes a table into DIR, a line for each seed; a run that is there already goes on or is only scored again.
Intervals are 95 %, by bootstrap over the logs of one training; another seed is another line.
"""

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from veerjax.comparison.oracles import sure_of
from veerjax.config import Config, load_config_file, with_overrides
from veerjax.data.rendered import rendered_batches
from veerjax.jobs.evaluate import Evaluation, run_evaluation
from veerjax.jobs.methods import true_trace
from veerjax.metrics.bootstrap import flat, interval, pooled_sums
from veerjax.metrics.ceilings import best_strokes
from veerjax.metrics.parts import DEFAULT
from veerjax.metrics.scores import figures_of, measure
from veerjax.models import build_model
from veerjax.performance.equal_work import steps_within
from veerjax.performance.timing import timed
from veerjax.training.loop import train
from veerjax.training.memory import needed_bytes, peak_bytes
from veerjax.training.sharding import data_mesh
from veerjax.types import Batch, blank

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
MODELS = ("fcn32s", "fcn16s", "fcn8s", "deeplab", "veernet", "unet", "rowwise", "set_prediction")
CONFIGS_OF_ALL = ("unet", *(name for name in MODELS if name != "unet"), "faster_rcnn", "mask_rcnn")
LOSSES = ("dice", "tversky", "lovasz", "focal", "symmetric_cross_entropy")
FIGURES = {  # of an evaluation, by their dotted keys
    "IoU bg": "iou.pooled.0",
    "IoU 1": "iou.pooled.1",
    "IoU 2": "iou.pooled.2",
    "F1@2px 1": "tolerance_f1.2.0",
    "F1@2px 2": "tolerance_f1.2.1",
    "peaks 1": "peak_recall.0",
    "peaks 2": "peak_recall.1",
}
OF_LOSSES = {
    "IoU bg": "iou.pooled.0",
    "IoU 1": "iou.pooled.1",
    "IoU 2": "iou.pooled.2",
    "precision 1": "precision.1",
    "precision 2": "precision.2",
    "recall 1": "recall.1",
    "recall 2": "recall.2",
    "F1 1": "dice.1",
    "F1 2": "dice.2",
    "identity": "identity_accuracy",
    "median row error px 1": "row_error_px.median.0",
    "median row error px 2": "row_error_px.median.1",
    "F1@2px 1": "tolerance_f1.2.0",
    "F1@2px 2": "tolerance_f1.2.1",
}
# RASTER_LOGS' figures of the survey (Dice, other data) in the columns of `OF_LOSSES`; recall is the paper's, over all.
PUBLISHED = ("-", "0.94", "0.26", "0.21", "-", "-", "0.97", "0.97", "0.37", "0.32", "-", "-", "-", "-", "-")


def small(config: Config, *, seed: int, steps: int, size: int) -> Config:
    """A config at the study's size, with a moving average that fits so few steps."""
    overrides = [
        f"data.height={size}",
        f"data.width={size}",
        f"steps={steps}",
        f"seed={seed}",
        "batch=8",
        "optimiser.ema_decay=0.99",
        "optimiser.warmup_steps=50",
        f"validation.every={steps}",
        "validation.examples=8",
    ]
    return with_overrides(config, overrides)


def model_runs(arguments: argparse.Namespace) -> dict[str, Callable[[int], Config]]:
    """Each architecture's config at as many steps as the budget of operations allows."""

    def of(name: str) -> Callable[[int], Config]:
        config = load_config_file(CONFIGS / f"{name}.py")

        def at(seed: int) -> Config:
            once = small(config, seed=seed, steps=1, size=arguments.size)
            return small(config, seed=seed, steps=steps_within(arguments.flops, once), size=arguments.size)

        return at

    return {name: of(name) for name in arguments.only or MODELS}


def loss_runs(arguments: argparse.Namespace) -> dict[str, Callable[[int], Config]]:
    """VeerNet by one loss each, on lines 1 px wide."""

    def of(loss: str) -> Callable[[int], Config]:
        weights = ["loss.cross_entropy=0", "loss.dice=0", f"loss.{loss}=1", "data.setting=one_pixel"]
        config = with_overrides(load_config_file(CONFIGS / "veernet.py"), weights)
        return lambda seed: small(config, seed=seed, steps=arguments.steps, size=arguments.size)

    return {loss: of(loss) for loss in arguments.only or LOSSES}


def cells(found: Evaluation, keys: dict[str, str]) -> list[str]:
    """An evaluation's figures with their intervals."""
    [name] = found.weights
    figures, drawn = flat(found.figures(pooled_sums(found.sums[name]))), found.drawn(name)
    ends = {key: interval(drawn[key]) for key in keys.values()}
    return [f"{figures[key]:.3f} [{ends[key][0]:.3f}, {ends[key][1]:.3f}]" for key in keys.values()]


def examples_per_s(workdir: Path) -> float:
    """The median rate that a training logged."""
    lines = [json.loads(line) for line in (workdir / "log.jsonl").read_text().splitlines()]
    rates = [line["examples_per_s"] for line in lines if "examples_per_s" in line]
    return statistics.median(rates) if rates else float("nan")


def run(arguments: argparse.Namespace, runs: dict[str, Callable[[int], Config]], keys: dict[str, str]) -> None:
    """Trains and scores what is asked for, a line of the table at a time."""
    facts = ["parameters", "MFLOP a log", "steps", "examples/s", "MiB a step"] if arguments.study == "models" else []
    head = [{"models": "model", "losses": "loss"}[arguments.study], "seed", *facts, *keys]
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    if arguments.study == "losses":
        lines.append(f"| published, on other data | {' | '.join(PUBLISHED)} |")
    for seed in arguments.seeds:
        for name, config_at in runs.items():
            config, workdir = config_at(seed), arguments.out / f"{name}-{seed}"
            train(config, workdir, devices=jax.devices()[:1])
            found = run_evaluation(
                f"{workdir}@last", config.data.setting, limit=arguments.logs, baselines=(), devices=jax.devices()[:1]
            )
            said: list[Any] = []
            if facts:
                cost = build_model(config.model, config.loss).cost((1, arguments.size, arguments.size, 1))
                needed = needed_bytes(config, data_mesh(jax.devices()[:1])) or 0
                said = [f"{cost.parameters:,}", f"{cost.flops / 1e6:,.0f}", config.steps]
                said += [f"{examples_per_s(workdir):.0f}", f"{needed / 2**20:.0f}"]
            row = [name, seed, *said, *cells(found, keys)]
            lines.append(f"| {' | '.join(map(str, row))} |")
            print(lines[-1], flush=True)
            (arguments.out / f"{arguments.study}.md").write_text("\n".join(lines) + "\n")


def speed(arguments: argparse.Namespace) -> None:
    """Times of reading one log of 512 x 256 px, the networks taking turns, and the memory that it and training take.

    A machine that others use is slow at times: turns make it so for all, and the ratio to U-Net is what counts.
    """
    mesh, reading, said = data_mesh(jax.devices()[:1]), {}, {}
    shape = (1, 512, 256, 1)
    image = jax.random.uniform(jax.random.key(0), shape)
    for name in arguments.only or CONFIGS_OF_ALL:
        config = load_config_file(CONFIGS / f"{name}.py")
        model = build_model(config.model, config.loss)
        variables = jax.jit(model.init)(jax.random.key(0))
        predict = jax.jit(lambda variables, image, model=model: model.predict(variables, blank(image)))
        compiled = predict.lower(variables, image).compile()
        reading[name] = partial(compiled, variables, image)
        cost = model.cost(shape)
        at_study = small(config, seed=0, steps=1, size=arguments.size)
        needed = [peak_bytes(compiled), needed_bytes(at_study, mesh) or 0]
        said[name] = [f"{cost.parameters:,}", f"{cost.flops / 1e6:,.0f}", *(f"{size / 2**20:.0f}" for size in needed)]
        print(name, *said[name], flush=True)
    seconds: dict[str, list[float]] = {name: [] for name in reading}
    for turn in range(arguments.turns + 1):
        for name, read in reading.items():
            [once] = timed(read, warmup=0, steps=1).seconds
            seconds[name] += [once] if turn > 0 else []
    head = ["model", "parameters", "MFLOP a log", "MiB a log", "MiB a step", "ms a log", "of U-Net's"]
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    for name, times in seconds.items():
        ratio = statistics.median(mine / theirs for mine, theirs in zip(times, seconds["unet"], strict=True))
        row = [name, *said[name], f"{1e3 * statistics.median(times):.0f}", f"{ratio:.2f}"]
        lines.append(f"| {' | '.join(row)} |")
    print("\n".join(lines))
    (arguments.out / "speed.md").write_text("\n".join(lines) + "\n")


def spoilt() -> dict[str, Callable[[Batch], Batch]]:
    """Ways to answer almost rightly: the truth, of which one thing is wrong."""

    def strokes(change: Callable[[jax.Array], jax.Array]) -> Callable[[Batch], Batch]:
        return lambda batch: replace(batch, strokes=change(batch.strokes))

    def wider(ink: jax.Array, by: int) -> jax.Array:
        shifts = range(-(by // 2), by - by // 2)
        return jnp.stack([jnp.roll(ink, shift, axis=-1) for shift in shifts]).any(axis=0)

    def coin(batch: Batch) -> Batch:
        swap = jnp.arange(batch.size) % 2 == 1
        return replace(batch, strokes=jnp.where(swap[:, None, None, None], batch.strokes[:, ::-1], batch.strokes))

    return {
        "nothing": strokes(lambda ink: ink),
        "strokes 2 px wide": strokes(lambda ink: wider(ink, 2)),
        "strokes 3 px wide": strokes(lambda ink: wider(ink, 3)),
        "strokes 4 px wide": strokes(lambda ink: wider(ink, 4)),
        "strokes 5 px wide": strokes(lambda ink: wider(ink, 5)),
        "moved by 1 px": strokes(lambda ink: jnp.roll(ink, 1, axis=-1)),
        "moved by 2 px": strokes(lambda ink: jnp.roll(ink, 2, axis=-1)),
        "names by a coin, log by log": coin,
        "best of output stride 2": strokes(lambda ink: best_strokes(ink, stride=2)),
        "best of output stride 4": strokes(lambda ink: best_strokes(ink, stride=4)),
        "best of output stride 8": strokes(lambda ink: best_strokes(ink, stride=8)),
        "best of output stride 16": strokes(lambda ink: best_strokes(ink, stride=16)),
        "4 px wide, and names by a coin": lambda batch: coin(replace(batch, strokes=wider(batch.strokes, 4))),
    }


def errors(arguments: argparse.Namespace) -> None:
    """The table of `spoilt`; polylines are those of the truth, so only the columns of pixels say anything."""
    keys = {name: key for name, key in OF_LOSSES.items() if "error" not in name and "F1@" not in name}
    size = {"height": 512, "width": 256, "batch": 8}
    batches = list(rendered_batches("one_pixel", split="test", count=arguments.logs, **size))
    lines = [f"| one_pixel, {arguments.logs} test logs | ink | {' | '.join(keys)} |", "| --- " * (len(keys) + 2) + "|"]

    def score(found: Batch, batch: Batch) -> dict[str, Any]:
        return measure(sure_of(found.strokes), true_trace(batch, present=True), batch, parts=DEFAULT)

    scores = jax.jit(score)
    for name, change in spoilt().items():
        sums, ink = [], np.zeros(2)
        for batch in batches:
            found = jax.jit(change)(batch)
            sums.append(jax.device_get(scores(found, batch)))
            ink += [int(found.strokes.sum()), int(batch.strokes.sum())]
        together = jax.tree.map(lambda *leaves: np.concatenate(leaves), *sums)
        figures = flat(figures_of(pooled_sums(together), parts=DEFAULT))
        lines.append(
            f"| {name} | {ink[0] / ink[1]:.2f} | {' | '.join(f'{figures[key]:.3f}' for key in keys.values())} |"
        )
        print(lines[-1], flush=True)
        (arguments.out / "errors.md").write_text("\n".join(lines) + "\n")


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("study", choices=("models", "losses", "speed", "errors"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--logs", type=int, default=64, help="test logs of 512 x 256 px")
    parser.add_argument("--size", type=int, default=128, help="[px] of the square windows of training")
    parser.add_argument("--flops", type=float, default=4e12, help="models: of each training")
    parser.add_argument("--steps", type=int, default=300, help="losses: of each training")
    parser.add_argument("--turns", type=int, default=15, help="speed: of all networks")
    parser.add_argument("--only", nargs="+", help="models (speed: U-Net too) or losses to compare; all by default")
    arguments = parser.parse_args(given)
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.study == "errors":
        errors(arguments)
    elif arguments.study == "speed":
        speed(arguments)
    elif arguments.study == "models":
        run(arguments, model_runs(arguments), FIGURES)
    else:
        run(arguments, loss_runs(arguments), OF_LOSSES)


if __name__ == "__main__":
    main()
