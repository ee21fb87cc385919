"""What each part of the recipe is worth: short trainings that differ in one thing, judged on the same validation logs.

`python tools/ablation.py --out DIR [--steps 400] [--logs 128]`

Every arm is the small net of `veerjax demo` on windows of 128 x 128 px, trained from scratch from one seed, and scored
on validation logs of 512 x 256 px of `standard` and `hard`; differences from `base` have a paired 95 % interval
over the logs. One seed: a difference between two trainings of one arm is not in the interval.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

from veerjax.config import Config, with_overrides
from veerjax.jobs.demo import small_config
from veerjax.jobs.evaluate import Evaluation, run_evaluation
from veerjax.metrics.bootstrap import flat, interval, pooled_sums
from veerjax.training.loop import train

ARMS = {
    "base": [],
    "no EMA": ["optimiser.ema_decay=0"],
    "two sigmoids": ["model.head=sigmoid"],
    "standard + hard": ["data.setting=standard+hard"],
    "cross-entropy alone": ["loss.dice=0"],
    "cross-entropy + Lovasz": ["loss.dice=0", "loss.lovasz=1"],
    "cross-entropy + Tversky .7": ["loss.dice=0", "loss.tversky=1"],
    "focal + Dice": ["loss.cross_entropy=0", "loss.focal=1"],
    "base + clDice": ["loss.cldice=0.5"],
}
JUDGED = ("standard", "hard")
COLUMNS = {
    "IoU curve 1": "iou.pooled.1",
    "IoU curve 2": "iou.pooled.2",
    "F1@2px curve 1": "tolerance_f1.2.0",
    "F1@2px curve 2": "tolerance_f1.2.1",
}


def config_of(arm: str, *, steps: int) -> Config:
    """The small net, with a moving average that fits so few steps, and the arm's changes."""
    base = replace(small_config(), name="ablation", steps=steps)
    return with_overrides(base, ["optimiser.ema_decay=0.99", f"validation.every={steps}", *ARMS[arm]])


def cells(found: Evaluation, base: Evaluation) -> list[str]:
    """An arm's figures; from the base they differ by so much, with the 95 % interval over the same drawn logs."""
    [name], [other] = found.weights, base.weights
    figures, drawn = flat(found.figures(pooled_sums(found.sums[name]))), found.drawn(name)
    reference, drawn_reference = flat(base.figures(pooled_sums(base.sums[other]))), base.drawn(other)
    made = []
    for key in COLUMNS.values():
        low, high = interval(drawn[key] - drawn_reference[key])
        change = "" if found is base else f" ({figures[key] - reference[key]:+.3f} [{low:+.3f}, {high:+.3f}])"
        made.append(f"{figures[key]:.3f}{change}")
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--logs", type=int, default=128)
    arguments = parser.parse_args()
    lines = {setting: [f"| {setting} | " + " | ".join(COLUMNS) + " |", "| --- " * 5 + "|"] for setting in JUDGED}
    bases: dict[str, Evaluation] = {}
    for arm in ARMS:
        start = time.monotonic()
        workdir = arguments.out / arm.replace(" ", "_")
        train(config_of(arm, steps=arguments.steps), workdir)
        for setting in JUDGED:
            found = run_evaluation(f"{workdir}@last", setting, split="validation", limit=arguments.logs, baselines=())
            lines[setting].append(f"| {arm} | " + " | ".join(cells(found, bases.setdefault(setting, found))) + " |")
        print(f"{arm}: {time.monotonic() - start:.0f} s", flush=True)
        (arguments.out / "ablation.md").write_text("\n\n".join("\n".join(table) for table in lines.values()) + "\n")


if __name__ == "__main__":
    main()
