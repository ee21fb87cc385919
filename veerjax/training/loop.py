"""Training from a config to checkpoints in a work directory; an interrupted run goes on where it was."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
from etils import epath

from veerjax.config import Config, require, to_dict
from veerjax.errors import InputError, Interrupted, NumericalFault
from veerjax.logs.lock import held
from veerjax.models import build_model
from veerjax.models.heads import ONE_SCORE, sigmoid_from_softmax
from veerjax.models.model import Variables
from veerjax.training import hosts
from veerjax.training.asked import Asked
from veerjax.training.checkpoint import BEST, BEST_FIGURE, BEST_STEP, Checkpoints
from veerjax.training.fault import report_fault
from veerjax.training.identity import adopt_identity, identity_of
from veerjax.training.kept import FOLDER, kept_steps
from veerjax.training.memory import resolved
from veerjax.training.profiling import Profile
from veerjax.training.record import Record
from veerjax.training.same import check_config, check_shared, facts_of
from veerjax.training.sharding import check_batch, data_mesh, replicated
from veerjax.training.signals import StopRequest
from veerjax.training.state import TrainState
from veerjax.training.stepper import Metrics, Stepper, build_stepper, check_images, initial
from veerjax.training.validation import Validation, build_validation
from veerjax.training.weights import DETECTIONS, load_weights
from veerjax.training.workdir import adopt_workdir, differences
from veerjax.training.writer import NoWriter, Writer, overlays

LOG_EVERY = 25  # steps
SHOWN = 4  # validation logs in the overlays


def train(
    config: Config,
    workdir: str | Path | epath.Path,
    *,
    init_from: str | None = None,
    data_dir: Path | None = None,
    devices: Sequence[Any] | None = None,
    profile: tuple[int, int] | None = None,
    stop: StopRequest | None = None,
) -> dict[str, float]:
    """Trains to `config.steps`, or until early stopping, and returns the last validation's figures.

    Of several processes (`hosts`), each calls it alike, with a work directory that all of them see.

    Args:
        config: the whole run
        workdir: where config, log and checkpoints go, local or remote; an earlier run of the same config is resumed
        init_from: `release` or `WORKDIR[@best|last|STEP]`, whose weights a new run starts from
        data_dir: where a built dataset lies
        devices: to use; all of them by default
        profile: steps between which the profiler runs: after the first, up to the second
        stop: what a signal asks for, where it has been listened for since before this call

    Raises:
        InputError: the work directory belongs to another config, data or trainer, or cannot be written to; the batch
            or the height does not divide over the devices; `init_from` is not there or another architecture; or another
            process was started otherwise.
        Interrupted: a signal came; the state was saved, and the same call goes on from there.
        NumericalFault: loss or gradient were not finite; the batch was saved.
        PeerLost: another process of the same training says nothing.
    """
    workdir = epath.Path(workdir)
    require(
        profile is None or profile[0] < config.steps,
        f"--profile begins after step {profile and profile[0]}, and the last is {config.steps}; give earlier ones.",
    )
    begun = has_steps(workdir)
    mesh = data_mesh(devices, rows=config.devices.rows)
    hosts.check_devices(mesh.devices.flatten().tolist())
    check_batch(config.batch, mesh)
    check_images(config, build_model(config.model, config.loss), mesh)
    check_config(config)
    config = resolved(config, mesh, workdir=workdir)
    model = build_model(config.model, config.loss)
    stepper = build_stepper(config, model, mesh, data_dir=data_dir)
    warm = None if init_from is None or begun else warm_start(init_from, config)
    identity = identity_of(config, data_dir=data_dir, init_from=init_from)
    with ExitStack() as stack:
        stack.callback(stepper.close)
        if not hosts.alone():
            hosts.agree(facts_of(config, identity, workdir, warm=warm))
        if hosts.is_first():
            stack.enter_context(work_lock(workdir))
            adopt_workdir(workdir, config)
            adopt_identity(workdir, identity)
        check_shared(workdir)
        asked = Asked(stop or stack.enter_context(StopRequest()), mesh)
        checkpoints = stack.enter_context(Checkpoints(workdir, keep=config.checkpoint.keep))
        state = jax.jit(lambda key: initial(key, config=config, model=model), out_shardings=replicated(mesh))(
            jax.random.key(config.seed)
        )
        if warm is not None:
            state = jax.device_put(warmed(state, warm), replicated(mesh))
        state = checkpoints.restore_newest(state) or state
        start = int(state.step)
        with recorded(workdir, config, start=start, init_from=init_from, devices=mesh.size):
            run = Run(
                config=config,
                stepper=stepper,
                validation=build_validation(config, model, mesh, data_dir=data_dir),
                checkpoints=checkpoints,
                writer=stack.enter_context(writer_of(workdir, config, start=start)),
                asked=asked,
                profile=stack.enter_context(Profile(workdir, steps=profile if hosts.is_first() else None)),
            )
            figures = run.go_on(state)
            checkpoints.wait()
        return figures


@contextmanager
def recorded(workdir: epath.Path, config: Config, **start: Any) -> Iterator[None]:
    """Notes in `run.json` how this start went, where this process is the first."""
    if not hosts.is_first():
        yield
        return
    record = Record(workdir, config, **start)
    try:
        yield
    except Interrupted as error:
        record.end(f"stopped on {error.signal} at step {error.step}")
        raise
    except BaseException as error:
        record.end(f"{type(error).__name__}: {error}")
        raise
    record.end("done")


def writer_of(workdir: epath.Path, config: Config, *, start: int) -> AbstractContextManager[Writer | NoWriter]:
    """The one writer of the log, which the first process has."""
    if not hosts.is_first():
        return nullcontext(NoWriter())
    return Writer(workdir, start=start, steps=config.steps, batch=config.batch)


def has_steps(workdir: epath.Path) -> bool:
    """Whether a training has saved something there already.

    Raises:
        InputError: the work directory is a file, has no name, or is of a kind that cannot be opened here.
    """
    require(str(workdir) != ".", "the work directory has no name; give --workdir a folder for the run.")
    try:
        require(not workdir.is_file(), f"the work directory {str(workdir)!r} is a file; give a folder.")
        return bool(kept_steps(workdir / FOLDER))
    except ImportError as error:
        raise InputError(f"the work directory {str(workdir)!r} cannot be opened: {error}.") from error


def work_lock(workdir: epath.Path) -> AbstractContextManager[None]:
    """One trainer at a time in a work directory; of a remote one nobody can be kept out."""
    if "://" in str(workdir):
        return nullcontext()
    use = f"the work directory {str(workdir)!r} is in use"
    return held(Path(workdir) / "training.lock", use=use, instead="give another --workdir")


def warm_start(name: str, config: Config) -> Variables:
    """Variables of other weights of the same architecture.

    A sigmoid head may begin from a softmax one where a single layer makes the logits.

    Raises:
        InputError: they are not there, or of another architecture.
    """
    weights = load_weights(name)
    ours, theirs = config.model, weights.config.model
    # How they are read, not what they are.
    free = ("mirror", "crf", "dtype", "remat", "dropout", "assignment")
    like = replace(theirs, **{key: getattr(ours, key) for key in free})
    like = replace(like, rcnn=replace(like.rcnn, **{key: getattr(ours.rcnn, key) for key in DETECTIONS}))
    if (theirs.head, ours.head) == ("softmax", "sigmoid") and theirs.name in ONE_SCORE:
        like = replace(like, head="sigmoid")
    other = differences(to_dict(like), to_dict(ours), prefix="model.")
    require(
        not other,
        f"the weights {name!r} are of another architecture ({'; '.join(other)}); give --init-from their like.",
    )
    params = weights.variables["params"]
    return {**weights.variables, "params": params if theirs.head == ours.head else sigmoid_from_softmax(params)}


def warmed(state: TrainState, variables: Variables) -> TrainState:
    """The state before the first step of a training that goes on from other weights; its mean starts from them too."""
    extra = {name: value for name, value in variables.items() if name != "params"}
    ema = None if state.ema is None else jax.tree.map(lambda leaf: leaf.copy(), dict(variables))
    return replace(state, params=variables["params"], extra=extra, ema=ema)


@dataclass(kw_only=True)
class Run:
    """The loop itself, between what it reads, what it writes and what may stop it."""

    config: Config
    stepper: Stepper
    validation: Validation
    checkpoints: Checkpoints
    writer: Writer | NoWriter
    asked: Asked
    profile: Profile

    def go_on(self, state: TrainState) -> dict[str, float]:
        """From the state's step to the last; inside, nothing moves between host and device unasked.

        Raises:
            Interrupted: a signal came.
            NumericalFault: a loss or gradient was not finite.
        """
        start, best = int(state.step), self.checkpoints.best()
        if start and self.validates(start) and not hosts.from_first(lambda: BEST in self.checkpoints.metrics(start)):
            _, best = self.validate(state, start, best)  # a signal came before it
        if start >= self.config.steps or self.given_up(start, best):
            return self.validation.figures(state.averaged)
        figures: dict[str, float] = {}
        with jax.transfer_guard("disallow"):
            before: Metrics | None = None
            for step in range(start + 1, self.config.steps + 1):
                self.profile.before(step)
                state, metrics = self.stepper.advance(state, step - 1)
                # One step late, so that the device need not wait for the host.
                self.check(before, step=step - 1)
                before = metrics
                self.profile.after(step, state)
                self.writer.advance(stage=self.stage(step))
                if step % LOG_EVERY == 0 or step == self.config.steps:
                    self.check(metrics, step=step)
                    self.writer.log(step, {name: float(value) for name, value in jax.device_get(metrics).items()})
                signal = self.asked.signal()
                if self.validates(step) and not signal:
                    self.check(metrics, step=step)
                    figures, best = self.validate(state, step, best)
                    if self.given_up(step, best):
                        break
                    signal = self.asked.signal()
                elif self.saves(step):
                    self.check(metrics, step=step)
                    self.checkpoints.save(state, step=step, metrics=None)
                if signal:
                    self.check(metrics, step=step)
                    self.interrupt(state, step, signal)
        return figures

    def stage(self, step: int) -> str | None:
        """What the bar shows of where a step's examples come from: nothing where it is always the same."""
        return self.stepper.setting(step - 1) if self.config.data.curriculum else None

    def validates(self, step: int) -> bool:
        return step % self.config.validation.every == 0 or step == self.config.steps

    def saves(self, step: int) -> bool:
        every = self.config.checkpoint.every
        return every > 0 and step % every == 0

    def validate(
        self, state: TrainState, step: int, best: tuple[float, int] | None
    ) -> tuple[dict[str, float], tuple[float, int]]:
        """Measures, logs and saves; the figures, and the best one so far with its step."""
        figures = self.validation.figures(state.averaged)
        self.writer.log(step, figures)
        self.writer.picture(step, "validation", overlays(*self.validation.examples(state.averaged, SHOWN)))
        if best is None or figures[BEST] > best[0]:
            best = (figures[BEST], step)
        self.checkpoints.save(state, step=step, metrics={**figures, BEST_FIGURE: best[0], BEST_STEP: best[1]})
        return figures, best

    def given_up(self, step: int, best: tuple[float, int] | None) -> bool:
        """Whether so many validations have gone by since the best one that training stops early."""
        every, patience = self.config.validation.every, self.config.validation.patience
        return patience > 0 and best is not None and step // every - best[1] // every >= patience

    def check(self, metrics: Metrics | None, *, step: int) -> None:
        """Stops the run where the loss or the gradient of that step is not finite."""
        if metrics is None:
            return
        values = {name: float(value) for name, value in jax.device_get(metrics).items()}
        if all(math.isfinite(value) for value in values.values()):
            return
        raise NumericalFault(hosts.from_first(lambda: self.fault(step, values)))

    def fault(self, step: int, metrics: Mapping[str, float]) -> str:
        """Keeps the batch of a step that was not finite, and says so."""
        with jax.transfer_guard("allow"):
            batch = self.stepper.batch(step - 1)
        return str(
            report_fault(
                self.checkpoints.workdir,
                step=step,
                seed=self.config.seed,
                batch=batch,
                metrics=metrics,
                setting=self.stepper.setting(step - 1),
            )
        )

    def interrupt(self, state: TrainState, step: int, signal: str) -> None:
        """Saves and stops."""
        self.checkpoints.save(state, step=step, metrics=None)  # nothing, where this step was saved already
        self.checkpoints.wait()
        raise Interrupted(step=step, workdir=str(self.checkpoints.workdir), signal=signal)
