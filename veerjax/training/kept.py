"""The steps that a work directory keeps: which of them are whole, which is the best, and what is moved aside."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike

from etils import epath

from veerjax.config import require
from veerjax.errors import InputError
from veerjax.training.manifest import MANIFEST, defect, files_below, read_manifest, size

FOLDER = "checkpoints"
DAMAGED = "checkpoints.damaged"  # where steps go that are not whole
TREE = "default"  # Orbax's name of the state inside a step
REMOVED = "removed"  # inside `FOLDER`: where old steps are moved, whole, before they are deleted
UNFINISHED = ".orbax-checkpoint-tmp"  # in the name of what Orbax has not committed
BEST = "centreline_f1"  # the validation figure by which the best checkpoint is chosen: F1 within 2 px, both curves
BEST_FIGURE, BEST_STEP = "best_so_far", "best_step"  # noted with each validated step, for early stopping
BEST_BEFORE = "foreground_iou"  # of runs made before 0.2
UNMEASURED = -2.0  # the rank of a step that was saved between validations


@dataclass(frozen=True, kw_only=True)
class KeptStep:
    """One step of a work directory, as `veerjax checkpoint list` shows it."""

    step: int
    saved_at: str  # UTC
    size: int  # [bytes]
    figure: float | None  # of the validation, by `BEST`
    checked: bool  # against its manifest; in the work directory of an older edition there is none
    defect: str  # empty if the step is whole, or not checked
    marks: tuple[str, ...]  # `best`, `last`


def rank(metrics: Mapping[str, float]) -> float:
    """The higher the better; a checkpoint that was saved before `BEST` was measured stands below all that have it."""
    return float(metrics[BEST]) if BEST in metrics else float(metrics.get(BEST_BEFORE, 0.0)) - 1.0


def figures(folder: epath.Path) -> dict[str, float]:
    """The validation's figures of a step; empty if it was saved between validations, or they cannot be read."""
    try:
        found = json.loads((folder / "metrics" / "metrics").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def kept_steps(folder: epath.Path) -> list[int]:
    """The numbers of the steps in a folder of checkpoints, in order."""
    names = (path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else ()
    return sorted(int(name) for name in names if name.isdecimal() and name == str(int(name)))


def with_manifests(folder: epath.Path, steps: Sequence[int]) -> bool:
    """Whether any step has a manifest; in the work directory of an older edition none has."""
    return any((folder / str(step) / MANIFEST).exists() for step in steps)


def by_rank(folder: epath.Path, steps: Sequence[int]) -> list[int]:
    """The steps from the best to the worst, of equals the newest first."""
    measured = {step: figures(folder / str(step)) for step in steps}
    ranks = {step: rank(found) if found else UNMEASURED for step, found in measured.items()}
    return sorted(steps, key=lambda step: (ranks[step], step), reverse=True)


def clear_leftovers(folder: epath.Path) -> None:
    """Removes what saves that were killed or failed have left; nothing where that cannot be done."""
    with suppress(OSError):
        for path in list(folder.iterdir()) if folder.is_dir() else ():
            if (UNFINISHED in path.name or path.name == REMOVED) and path.is_dir():
                path.rmtree()
            elif path.name.isdecimal() and path.is_dir():
                for file in [file for file in path.iterdir() if file.suffix == ".tmp"]:
                    file.unlink()


def clear_removed(folder: epath.Path) -> None:
    """Deletes the old steps that were moved out of the way."""
    with suppress(OSError):
        (folder / REMOVED).rmtree(missing_ok=True)


def set_aside(folder: epath.Path, step: int) -> None:
    """Moves a step that is not whole out of the way, so that it can be saved again, and keeps it.

    Raises:
        InputError: it cannot be moved.
    """
    aside = folder.parent / DAMAGED
    try:
        aside.mkdir(parents=True, exist_ok=True)
        names = [str(step), *(f"{step}-{number}" for number in range(1, 1 + len(list(aside.iterdir()))))]
        free = next(aside / name for name in names if not (aside / name).exists())
        (folder / str(step)).rename(free)
    except OSError as error:
        raise InputError(
            f"step {step} in {folder.parent} is not whole and cannot be moved to {aside} ({error.strerror or error}); "
            "move it away, and give the same command again."
        ) from error


def said(step: int, folder: epath.Path, reason: str, *, instead: str) -> None:
    """One line on stderr that names a step that is not whole."""
    print(f"veerjax: step {step} in {folder.parent} is not whole ({reason}); {instead}.", file=sys.stderr)


def checkpoint_folder(workdir: str | PathLike[str], which: str) -> epath.Path:
    """Where the tree of a checkpoint lies.

    Of `best` and `last`, steps that are not whole are passed over, with a line on stderr that names them.

    Args:
        workdir: of the training
        which: `best`, `last` or a step's number

    Raises:
        InputError: no checkpoint there, not that one, or it is not whole.
    """
    folder = epath.Path(workdir) / FOLDER
    steps = kept_steps(folder)
    checked = with_manifests(folder, steps)
    if not checked:
        steps = [step for step in steps if (folder / str(step) / TREE).is_dir()]
    require(bool(steps), f"{str(workdir)!r} holds no checkpoint yet.")
    ordered = {"best": by_rank(folder, steps), "last": steps[::-1]}.get(which)
    if ordered is None:
        step = int(which) if which.isdecimal() else -1
        require(
            step in steps,
            f"{str(workdir)!r} has no checkpoint {which!r}; it has best, last and the steps {steps}.",
        )
        ordered = [step]
    step = _first_whole(folder, ordered) if checked else ordered[0]
    return folder / str(step) / TREE


def _first_whole(folder: epath.Path, steps: Sequence[int]) -> int:
    """The first of the steps that is whole; those before it are named on stderr."""
    reasons: dict[int, str] = {}
    for step in steps:
        if not (reason := defect(folder / str(step))):
            for bad, why in reasons.items():
                said(bad, folder, why, instead=f"reading step {step}")
            return step
        reasons[step] = reason
    told = "; ".join(f"step {step}: {reason}" for step, reason in reasons.items())
    raise InputError(f"{str(folder.parent)!r} has no whole checkpoint of that name ({told}); give another step.")


def inventory(workdir: str | PathLike[str]) -> list[KeptStep]:
    """All steps of a work directory, in order; the marks are those that `checkpoint_folder` would follow.

    Raises:
        InputError: there is no such folder, or no checkpoint in it.
    """
    workdir = epath.Path(workdir)
    require(workdir.is_dir(), f"there is no work directory {str(workdir)!r}; give the --workdir of a training.")
    folder = workdir / FOLDER
    steps = kept_steps(folder)
    require(bool(steps), f"{str(workdir)!r} holds no checkpoint yet.")
    checked = with_manifests(folder, steps)
    defects = {step: defect(folder / str(step)) if checked else "" for step in steps}
    whole = [step for step in steps if not defects[step]]
    marks = {"best": by_rank(folder, whole)[:1], "last": whole[-1:]}
    return [
        KeptStep(
            step=step,
            saved_at=saved_at(folder / str(step)),
            size=sum(size(folder / str(step) / name) for name in files_below(folder / str(step))),
            figure=figures(folder / str(step)).get(BEST),
            checked=checked,
            defect=defects[step],
            marks=tuple(mark for mark, marked in marks.items() if step in marked),
        )
        for step in steps
    ]


def saved_at(folder: epath.Path) -> str:
    """When a step was saved (UTC): as its manifest says, or its folder."""
    noted = (read_manifest(folder) or {}).get("saved_at")
    return str(noted or datetime.fromtimestamp(folder.stat().mtime, UTC).isoformat(timespec="seconds"))


def rooted(path: epath.Path) -> epath.Path:
    """The path from the root, as Orbax needs it; a remote one is."""
    return path if "://" in os.fspath(path) else path.absolute()
