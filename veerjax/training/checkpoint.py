"""Checkpoints of a training on disk. Only this module and `stored` know Orbax; its API moves."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from types import TracebackType
from typing import cast

import jax
import orbax.checkpoint as ocp
from etils import epath
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from veerjax.config import require
from veerjax.errors import InputError, Interrupted, NumericalFault
from veerjax.training import hosts
from veerjax.training.kept import (
    BEST,
    BEST_FIGURE,
    BEST_STEP,
    DAMAGED,
    FOLDER,
    REMOVED,
    TREE,
    UNFINISHED,
    checkpoint_folder,
    clear_leftovers,
    clear_removed,
    figures,
    kept_steps,
    rank,
    rooted,
    said,
    set_aside,
    with_manifests,
)
from veerjax.training.manifest import defect, write_manifest
from veerjax.training.state import TrainState
from veerjax.training.stored import (
    UNREADABLE,
    first_line,
    mismatch,
    quiet,
    restore_variables,
    save_variables,
    state_hashes,
    stored_leaves,
)

# All that others need of checkpoints.
__all__ = [
    "BEST",
    "BEST_FIGURE",
    "BEST_STEP",
    "Checkpoints",
    "checkpoint_folder",
    "rank",
    "restore_variables",
    "save_variables",
    "state_hashes",
]


class Checkpoints:
    """The newest checkpoints of a work directory and the best one; saves run in the background.

    A step is there with its manifest or not at all: the manifest is written into Orbax's temporary folder, and comes
    to light with the rest when Orbax renames that. An old step is removed once the new one is there.
    """

    def __init__(self, workdir: str | PathLike[str], *, keep: int = 2) -> None:
        """Clears what killed saves have left.

        Args:
            workdir: of the training, local or remote
            keep: newest steps, besides the best
        """
        self.workdir = epath.Path(workdir)
        self._folder = rooted(self.workdir) / FOLDER
        self._keep = keep
        self._saving = (0, 0)  # step, arrays
        self._opened: ocp.CheckpointManager | None = None
        self._cleared()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if not (hosts.alone() or error is None or isinstance(error, (Interrupted, NumericalFault))):
            return  # what ends this process alone: the others are elsewhere, and nothing is to be waited for
        try:
            self.wait()
        except InputError as failure:
            if error is None:
                raise
            print(f"veerjax: {failure}", file=sys.stderr)
        finally:
            if self._opened is not None:
                self._opened.close()

    @property
    def _manager(self) -> ocp.CheckpointManager:
        """Opened when it is first needed: it reads the steps' figures, so the damaged ones must be gone by then."""
        if self._opened is None:
            newest, best = LatestN(self._keep), BestN(get_metric_fn=rank, n=1, keep_checkpoints_without_metrics=False)
            options = ocp.CheckpointManagerOptions(
                preservation_policy=AnyPreservationPolicy([newest, best]),
                best_fn=rank,  # without it the figures are not written
                todelete_subdir=REMOVED,  # a kill in the middle of a deletion would leave half a step
                async_options=ocp.options.AsyncOptions(post_finalization_callback=self._seal),
            )
            self._opened = ocp.CheckpointManager(self._folder, options=options)
        return self._opened

    def _seal(self) -> None:
        """Writes the manifest of the step that is being saved.

        Orbax calls this in the first process, when the files of all of them are there.
        """
        step, leaves = self._saving
        unfinished = [path for path in self._folder.iterdir() if path.name.startswith(f"{step}{UNFINISHED}")]
        write_manifest(next(iter(unfinished), self._folder / str(step)), leaves=leaves)

    def save(self, state: TrainState, *, step: int, metrics: Mapping[str, float] | None) -> None:
        """Begins to write the state of a step; nothing if that step is already there.

        Args:
            state: copied before this returns
            step: its number
            metrics: of its validation, or None between validations: such a step is never the best

        Raises:
            InputError: this save or the one before it failed; the last good step stands.
        """
        self.wait()
        with self._told():
            self._saving = (step, len(jax.tree.leaves(state)))
            if step not in self._manager.all_steps():
                measured = None if metrics is None else dict(metrics)
                self._manager.save(step, args=ocp.args.StandardSave(state), metrics=measured)

    def wait(self) -> None:
        """Returns when all that was saved is on disk.

        Raises:
            InputError: the last save failed; the last good step stands.
        """
        if self._opened is not None:
            with self._told():
                self._opened.wait_until_finished()
            if hosts.is_first():
                clear_removed(self._folder)

    def _cleared(self) -> None:
        """The first process clears what killed or failed saves have left; the others need not know of it."""
        if hosts.is_first():
            clear_leftovers(self._folder)

    def restore_newest(self, like: TrainState) -> TrainState | None:
        """The newest whole state, or None if nothing was saved.

        Steps that are not whole are named on stderr, and moved to `checkpoints.damaged`.

        Args:
            like: its structure, shapes, dtypes and shardings

        Raises:
            InputError: no step is whole, they are of an older edition, or the newest one is not like `like` or cannot
                be read although it is whole.
        """
        newest, found = hosts.from_first(self._looked_through)
        reasons = {int(step): reason for step, reason in found.items()}
        state = None if newest is None else self._read(newest, like)
        hosts.from_first(lambda: [set_aside(self._folder, step) for step in reasons])
        if self._opened is not None:
            self._opened.reload()
        if state is None:
            self._refuse_to_start_over(reasons)
        elif hosts.is_first():
            for step, reason in reasons.items():
                said(step, self._folder, reason, instead=f"going on from step {int(state.step)}")
        return state

    def _looked_through(self) -> tuple[int | None, dict[str, str]]:
        """The newest whole step, and why the others that are not whole are not, the newest first; as JSON."""
        steps = kept_steps(self._folder)
        require(
            not steps or with_manifests(self._folder, steps),
            f"the steps in {self._folder} have no manifest.json, as in runs of an older edition, and cannot be gone on "
            f"with; give another --workdir, with --init-from {self.workdir} to start from their weights.",
        )
        reasons = {str(step): reason for step in reversed(steps) if (reason := defect(self._folder / str(step)))}
        return max((step for step in steps if str(step) not in reasons), default=None), reasons

    def _read(self, step: int, like: TrainState) -> TrainState:
        """The state of a step whose files are as its manifest says; an error is not the files' fault."""
        folder = self._folder / str(step) / TREE
        try:
            differing = mismatch(stored_leaves(folder), like)
            if not differing:
                abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
                with quiet(), ocp.StandardCheckpointer() as checkpointer:
                    return cast(TrainState, checkpointer.restore(folder, abstract))
        except UNREADABLE as error:
            raise InputError(
                f"step {step} in {self.workdir} is whole on disk and cannot be read: {first_line(error)}; mend that, "
                "and give the same command again: nothing was moved."
            ) from error
        raise InputError(
            f"step {step} in {self.workdir} does not fit this training: {differing}; give what it was trained with, or "
            "another --workdir."
        )

    def _refuse_to_start_over(self, reasons: Mapping[int, str]) -> None:
        """Raises if nothing is left of what was there."""
        aside = self._folder.parent / DAMAGED
        count = len(list(aside.iterdir())) if aside.is_dir() else 0
        told = "; ".join(f"step {step}: {reason}" for step, reason in reasons.items())
        told = f" ({told})" if told else ""
        which, verb, lie = ("the one step", "is", "lies") if count == 1 else (f"all {count} steps", "are", "lie")
        require(
            count == 0,
            f"{which} in {self.workdir} {verb} damaged and {lie} in {aside}{told}; give another --workdir, or "
            "remove that folder to start anew.",
        )

    def metrics(self, step: int) -> dict[str, float]:
        """The validation's figures of a kept step; empty if it has none."""
        return figures(self._folder / str(step))

    def best(self) -> tuple[float, int] | None:
        """The best figure that the run has had and the step that first had it, or None before a validation.

        Each validated step carries both, as they were known then. The first process reads them for all.
        """
        found = hosts.from_first(self._best)
        return None if found is None else (found[0], found[1])

    def _best(self) -> tuple[float, int] | None:
        measured = {step: self.metrics(step) for step in kept_steps(self._folder)}
        known = [
            (found.get(BEST_FIGURE, found[BEST]), int(found.get(BEST_STEP, step)))
            for step, found in measured.items()
            if BEST in found
        ]
        return max(known, default=None)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What goes wrong in a save, as a sentence; the half-written step is cleared, and the good ones stand."""
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:
            if hosts.lost(error):
                raise
            self._cleared()
            if self._opened is not None:
                self._opened.reload()
            steps = kept_steps(self._folder)
            stands = f"step {steps[-1]}, the last good one, stands" if steps else "there is no earlier one"
            raise InputError(
                f"step {self._saving[0]} could not be saved in {self._folder}: {first_line(error)}; {stands}. Mend "
                "that, and give the same command again."
            ) from error
