"""The stored results of a comparison, and the figures of any of their logs with bootstrap draws that are paired."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from veerjax.checks import require
from veerjax.comparison.arms import ARMS, CONTROL, ORACLES
from veerjax.comparison.design import Log, design, meeting, shifted_at
from veerjax.comparison.presets import Preset, preset_of
from veerjax.comparison.stored import PLAN, TIMES, read_compact, stored_trials
from veerjax.metrics.bootstrap import draw_weights, interval
from veerjax.metrics.confusion import identity_accuracy, iou
from veerjax.metrics.crossings import crossing_continuity
from veerjax.metrics.ratio import quotient
from veerjax.metrics.tolerance import f1, recall

UNTRAINED = 0.1  # of F1 that an arm may stay below its own oracle on curves a width apart
Sums = Mapping[str, np.ndarray]  # of logs, or of draws
Draws = Float[np.ndarray, "draws ..."]
Figure = Callable[[Sums], np.ndarray]  # from sums with any leading axes


def mean_of_curves(values: np.ndarray) -> np.ndarray:
    """Over the last axis; what was not found has no precision and scores 0."""
    return np.nan_to_num(values).mean(axis=-1)


# By name: the sums that a figure needs, and how it follows from them. A curve that is not there scores 0.
FIGURES: Mapping[str, tuple[tuple[str, ...], Figure]] = {
    "tolerance_f1_2px": (("tolerance",), lambda sums: mean_of_curves(f1(sums["tolerance"]))),
    "recall": (("tolerance",), lambda sums: mean_of_curves(recall(sums["tolerance"]))),
    "f1_of_curves": (("tolerance",), lambda sums: np.nan_to_num(f1(sums["tolerance"]))),
    "continuity": (("events",), lambda sums: np.asarray(crossing_continuity(sums["events"])["balanced"])),
    "row_error_all_px": (("all_px", "rows"), lambda sums: quotient(sums["all_px"], sums["rows"]).mean(axis=-1)),
    "iou": (("confusion",), lambda sums: iou(sums["confusion"])),
    "identity_accuracy": (("confusion",), lambda sums: identity_accuracy(sums["confusion"])),
}
PRIMARY = ("tolerance_f1_2px", "continuity")


@dataclass(frozen=True, kw_only=True)
class Results:
    """Trials by arm and seed, on the logs of a preset."""

    name: str  # of the preset
    preset: Preset
    logs: tuple[Log, ...]
    trials: Mapping[str, Mapping[int, Mapping[str, Any]]]
    control: Mapping[str, Any] | None
    oracles: Mapping[str, Any] | None
    plan: Mapping[str, Any]
    times: Mapping[str, Mapping[str, float]]  # [ms] an image, by arm

    def seeds(self, *arms: str) -> list[int]:
        """Those that all of these arms were trained with."""
        return sorted(set.intersection(*(set(self.trials.get(arm, {})) for arm in arms)))

    def sums(self, arm: str, seed: int, *, reading: str = "native") -> Sums:
        """Log by log.

        Args:
            arm: trained, or a baseline of the oracles by its name
            seed: of the training
            reading: `native`, `decoder`, or a variant of the arm
        """
        if self.oracles is not None and arm in self.oracles["baselines"]:
            return self.oracles["baselines"][arm]["logs"]
        trial = self.trials[arm][seed]
        return {"native": trial["logs"], "decoder": trial["decoder_logs"], **trial["variants"]}[reading]

    def shortfall(self, arm: str, seed: int) -> float:
        """How far F1 on curves a width apart stays below the arm's own oracle."""
        return self.ceiling(arm, seed) - self.apart(arm, seed)

    def ceiling(self, arm: str, seed: int) -> float:
        return float(figure_of("tolerance_f1_2px", self.trials[arm][seed]["ceiling_logs"]))

    def apart(self, arm: str, seed: int) -> float:
        """F1 on curves a width apart."""
        return float(self.value(arm, seed, "tolerance_f1_2px", shifted_at(self.logs, 1.0)))

    def untrained(self, arm: str, seed: int) -> bool:
        """Whether nothing may be concluded from the arm."""
        return not self.shortfall(arm, seed) <= UNTRAINED

    def drawn(
        self, arm: str, seed: int, figure: str, where: np.ndarray, *, reading: str = "native"
    ) -> tuple[np.ndarray, Draws]:
        """A figure of some logs, and of each draw of them; draws of the same logs are paired."""
        return figure_and_draws(figure, chosen_sums(self.sums(arm, seed, reading=reading), where))

    def value(self, arm: str, seed: int, figure: str, where: np.ndarray, *, reading: str = "native") -> np.ndarray:
        """A figure of some logs alone."""
        return figure_of(figure, chosen_sums(self.sums(arm, seed, reading=reading), where))

    @property
    def meeting(self) -> np.ndarray:
        """Which logs show curves that cross, or touch and part."""
        return meeting(self.logs)


def chosen_sums(sums: Sums, where: np.ndarray) -> Sums:
    return {name: np.asarray(values)[where] for name, values in sums.items()}


@functools.cache
def weights_of(units: int) -> Float[np.ndarray, "draws units"]:
    return draw_weights(units)


def figure_of(figure: str, sums: Sums) -> np.ndarray:
    """A figure of the sums of logs."""
    needs, made = FIGURES[figure]
    return np.asarray(made({name: np.asarray(sums[name], np.float64).sum(axis=0) for name in needs}))


def figure_and_draws(figure: str, sums: Sums) -> tuple[np.ndarray, Draws]:
    """Of the sums of units that are drawn again."""
    needs, made = FIGURES[figure]
    some = {name: np.asarray(sums[name], np.float64) for name in needs}
    units = len(some[needs[0]])
    weights = weights_of(units)
    drawn = {name: (weights @ v.reshape(units, -1)).reshape(-1, *v.shape[1:]) for name, v in some.items()}
    return figure_of(figure, some), np.asarray(made(drawn))


def by_curve(sums: Sums, logs: Sequence[Log], where: np.ndarray) -> Sums:
    """The sums of the chosen logs, those of one curve at several separations together; curves in a fixed order."""
    names = [replace(log, separation=0.0).name if log.meeting == "shifted" else None for log in logs]
    first = {name: place for place, name in enumerate(sorted({name for name in names if name is not None}))}
    places = np.array([first.get(str(name), 0) for name in names])
    found = {}
    for name, values in sums.items():
        total = np.zeros((len(first), *values.shape[1:]))
        np.add.at(total, places[where], values[where])
        found[name] = total
    return found


def with_interval(value: np.ndarray, draws: Draws) -> dict[str, Any]:
    """A figure beside its 95 % interval."""
    if np.ndim(value) == 0:
        return {"value": float(value), "interval95": interval(draws)}
    return {
        "value": [float(v) for v in value],
        "interval95": [interval(draws[:, k]) for k in range(len(value))],
    }


def load_results(out: Path) -> Results:
    """All that `compare run` has stored.

    Raises:
        InputError: no comparison is there, or it is of another edition.
    """
    plan_file = out / PLAN
    require(plan_file.is_file(), f"{out} holds no comparison; make one with veerjax compare run --out {out}.")
    plan, times = read_compact(plan_file), out / TIMES
    preset = preset_of(plan["preset"])
    logs = design(preset)
    stored = stored_trials(out)
    trials: dict[str, dict[int, Any]] = {}
    for trial in stored:
        if trial["arm"] in ARMS:
            count = len(trial["logs"]["tolerance"])
            require(
                count == len(logs),
                f"{trial['arm']} of {out} was measured on {count} logs, and the preset {plan['preset']} now has "
                f"{len(logs)}; run it again into another folder.",
            )
            trials.setdefault(trial["arm"], {})[trial["seed"]] = with_arrays(trial)
    single = {trial["arm"]: with_arrays(trial) for trial in stored if trial["arm"] in (CONTROL, ORACLES)}
    return Results(
        name=plan["preset"],
        preset=preset,
        logs=logs,
        trials={arm: trials[arm] for arm in ARMS if arm in trials},
        control=single.get(CONTROL),
        oracles=single.get(ORACLES),
        plan=plan,
        times=read_compact(times) if times.is_file() else {},
    )


def with_arrays(found: Any) -> Any:
    """Stored values, of which lists of lists, such as what is kept log by log, are arrays."""
    if isinstance(found, Mapping):
        return {name: with_arrays(item) for name, item in found.items()}
    return np.asarray(found) if isinstance(found, list) and found and isinstance(found[0], list) else found
