"""`veerjax compare run`: every arm of every seed once, each result a file of its own, so that a killed run goes on."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from veerjax.checks import require
from veerjax.comparison.arms import ARMS, CONTROL, ORACLES, chosen_arms
from veerjax.comparison.control import run_control
from veerjax.comparison.exhibited import EXHIBITED, shown_steps
from veerjax.comparison.oracles import run_oracles
from veerjax.comparison.presets import Preset, config_of, preset_of
from veerjax.comparison.stored import PLAN, SHOWN, TIMES, Trial, read_compact, trial_file, write_compact
from veerjax.comparison.times import times_of
from veerjax.comparison.trial import run_trial
from veerjax.logs.atomic import check_folder
from veerjax.logs.lock import held


def run_comparison(
    name: str, out: Path, *, arms: str | None = None, seeds: int | None = None, overrides: Sequence[str] = ()
) -> None:
    """Does what of a preset has not been done in `out`, and says so.

    Args:
        name: of the preset
        out: the results folder; an earlier run of the same preset and overrides goes on
        arms: names joined by commas; all of the preset by default
        seeds: of every trained arm, instead of the preset's
        overrides: items of --set, for the config of every arm

    Raises:
        InputError: an unknown preset, arm or key, or a folder of another comparison.
        Interrupted: a signal came; the same call goes on.
        NumericalFault: a training broke.
    """
    preset = preset_of(name)
    chosen = chosen_arms(arms, preset.arms)
    check_folder(out, "--out")
    for arm in chosen:
        if arm in ARMS:
            config_of(arm, ARMS[arm], preset, seed=0, overrides=tuple(overrides))
    out.mkdir(parents=True, exist_ok=True)
    with held(out / "compare.lock", use=f"the results folder {str(out)!r} is in use", instead="give another --out"):
        adopt(out, name, preset, overrides)
        todo = [trial for trial in trials_of(preset, chosen, seeds=seeds) if not trial_file(out, trial).is_file()]
        print(f"{name}: {len(todo)} trainings and oracles to do in {out}", flush=True)
        for place, trial in enumerate(todo, 1):
            start = time.monotonic()
            print(f"[{place}/{len(todo)}] {trial[0]}, seed {trial[1]} ...", flush=True)
            write_compact(trial_file(out, trial), run_one(trial, preset, overrides=tuple(overrides), out=out))
            print(f"  {time.monotonic() - start:.0f} s", flush=True)
        take_times(preset, overrides=tuple(overrides), out=out)


def trials_of(preset: Preset, arms: Sequence[str], *, seeds: int | None) -> list[Trial]:
    """What there is to do: what decides whether the rest means anything first, then every arm once, then more seeds."""
    counts = {arm: 1 if arm not in ARMS else seeds or preset.seeds_of(arm) for arm in arms}
    pairs = [(arm, seed) for arm in arms for seed in range(counts[arm])]
    return sorted(pairs, key=lambda pair: (pair[0] in ARMS, pair[1]))


def run_one(trial: Trial, preset: Preset, *, overrides: tuple[str, ...], out: Path) -> dict[str, Any]:
    """The result of an arm and a seed; of the first seed of some arms, pictures for the exhibit are stored first."""
    arm, seed = trial
    if arm == CONTROL:
        return run_control(preset, overrides=overrides, out=out)
    if arm == ORACLES:
        return run_oracles(preset)
    found, trained = run_trial(arm, seed, preset, overrides=overrides, out=out)
    if arm in EXHIBITED and seed == 0:
        write_compact(out / SHOWN / f"{arm}.json", shown_steps(trained, preset))
    return found


def take_times(preset: Preset, *, overrides: tuple[str, ...], out: Path) -> None:
    """Times all arms that were trained here together, unless that was done."""
    trained = [arm for arm in ARMS if trial_file(out, (arm, 0)).is_file()]
    path = out / TIMES
    if trained and not (path.is_file() and set(read_compact(path)) >= set(trained)):
        print(f"reading time of {', '.join(trained)} ...", flush=True)
        write_compact(path, times_of(trained, preset, overrides=overrides))


def adopt(out: Path, name: str, preset: Preset, overrides: Sequence[str]) -> None:
    """Notes what the folder is of, or sees that it is of the same.

    Raises:
        InputError: it is of another preset or other overrides.
    """
    plan = json.loads(json.dumps({"preset": name, "overrides": sorted(overrides), "sizes": asdict(preset)}))
    path = out / PLAN
    if not path.is_file():
        write_compact(path, plan)
        return
    earlier = read_compact(path)
    for key, given in (("preset", f"--preset {name}"), ("overrides", f"--set {sorted(overrides)}"), ("sizes", name)):
        require(
            earlier.get(key) == plan[key],
            f"--out {out} holds a comparison of {key} {short(earlier.get(key))}, and {given} is another; give another "
            "--out.",
        )


def short(value: Any) -> str:
    return str(value) if len(str(value)) < 80 else "of other sizes"
