"""Where a step's batch comes from, joined with the step: drawn on the device, or read from a built dataset."""

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from veerjax.config import Config, require
from veerjax.data.rendered import rendered_examples
from veerjax.data.stream import Batches
from veerjax.models.model import Model
from veerjax.synthesis.draw import check_mixture, draw_batch
from veerjax.synthesis.settings import settings_in
from veerjax.training.optimiser import build_optimiser
from veerjax.training.sharding import DATA, check_height, over_examples, over_rows, replicated, sharers
from veerjax.training.shares import placed, places_here
from veerjax.training.state import TrainState, initial_state
from veerjax.training.steps import train_step
from veerjax.types import Batch

Metrics = dict[str, jax.Array]
SMALLER = {"model.features": "fewer model.features", "model.rates": "smaller model.rates"}
BUILT = "raster_logs/"  # what the names of built datasets begin with


class Stepper(Protocol):
    """One step after another, each a function of the state and the step's number alone."""

    def advance(self, state: TrainState, step: int) -> tuple[TrainState, Metrics]:
        """The state after step `step`, counted from 0, and what to log of it; the old state is given away."""
        ...

    def batch(self, step: int) -> Batch:
        """What that step reads, once more: all of it, on this process."""
        ...

    def setting(self, step: int) -> str:
        """Where its examples come from."""
        ...

    def close(self) -> None:
        """Ends what reads ahead."""
        ...


def build_stepper(config: Config, model: Model, mesh: Mesh, *, data_dir: Path | None = None) -> Stepper:
    """The steps of a config.

    Raises:
        InputError: images too small for the model, a batch that its settings or portions cannot share, or a dataset
            that is not there or of another size.
    """
    check_images(config, model, mesh)
    check_portions(config, mesh)
    if not config.data.setting.startswith(BUILT):
        return DrawnSteps(config, model, mesh)
    require(data_dir is not None, f"{config.data.setting} is a built dataset; say where it lies with --data-dir.")
    require(not config.data.curriculum, "data.curriculum is for rendered settings; leave it out with a built dataset.")
    return BuiltSteps(config, model, mesh, data_dir=Path(str(data_dir)))


def check_images(config: Config, model: Model, mesh: Mesh) -> None:
    """Refuses images of which a part of the model would see padding alone, or the devices cannot hold equal bands.

    Raises:
        InputError: a side is too short, or the height does not divide.
    """
    height, width = config.data.height, config.data.width
    require(
        min(height, width) >= model.least_px,
        f"images are {height} x {width} px, and {config.model.name} needs {model.least_px} px a side or more by its "
        f"{model.least_by}; write larger data.height and data.width, or {SMALLER[model.least_by]}.",
    )
    check_height(height, mesh, stride=model.stride)


def check_portions(config: Config, mesh: Mesh) -> None:
    """Refuses portions that do not divide a batch into what the devices can share."""
    portions, devices = config.optimiser.accumulate, mesh.shape[DATA]
    settings = settings_of(config) if portions > 1 else 1
    least = portions * math.lcm(devices, settings)
    among = f" and {settings} settings" if settings > 1 else ""
    require(
        config.batch % least == 0,
        f"batch is {config.batch}, which {portions} portions (optimiser.accumulate) over {sharers(mesh)}{among} do "
        f"not divide; the nearest that does is {max(round(config.batch / least), 1) * least}.",
    )


def initial(key: jax.Array, *, config: Config, model: Model) -> TrainState:
    """The state before a config's first step."""
    tx = build_optimiser(config.optimiser, steps=config.steps)
    return initial_state(key, model=model, tx=tx, averaging=config.optimiser.ema_decay > 0)


def step_of(config: Config, model: Model) -> Any:
    """`train_step(state, batch)` with all else that a config says."""
    bound = functools.partial(
        train_step,
        model=model,
        tx=build_optimiser(config.optimiser, steps=config.steps),
        portions=config.optimiser.accumulate,
        block=settings_of(config),
        ema_decay=config.optimiser.ema_decay,
    )
    # The key is made inside, where it is a constant of the program: one made outside would be read back from a device.
    return lambda state, batch: bound(state, batch, jax.random.key(config.seed))


def settings_of(config: Config) -> int:
    """How many settings take turns in a batch."""
    return 1 if config.data.setting.startswith(BUILT) else len(settings_in(config.data.setting))


def prepared(config: Config, model: Model, mesh: Mesh) -> tuple[TrainState, Any]:
    """The initial state on the mesh, and the compiled step that draws its own batch from (seed, step)."""
    whole = replicated(mesh)
    state = jax.jit(functools.partial(initial, config=config, model=model), out_shardings=whole)
    return state(jax.random.key(config.seed)), drawn_step(config, model, mesh, setting=config.data.setting)


def drawn_step(config: Config, model: Model, mesh: Mesh, *, setting: str) -> Any:
    """The compiled step that draws its batch of a rendered setting from (seed, step)."""
    step, whole, split = step_of(config, model), replicated(mesh), over_examples(mesh)
    size = {"height": config.data.height, "width": config.data.width, "channels": config.model.channels}

    def drawn(state: TrainState) -> tuple[TrainState, Metrics]:
        indices = jax.lax.with_sharding_constraint(state.step * config.batch + jnp.arange(config.batch), split)
        batch = draw_batch(config.seed, "train", indices, setting=setting, **size)
        return step(state, jax.lax.with_sharding_constraint(batch, over_rows(mesh)))

    return jax.jit(drawn, donate_argnums=0, in_shardings=whole, out_shardings=whole)


def read_step(config: Config, model: Model, mesh: Mesh) -> Any:
    """The compiled step on a batch that is given to it."""
    whole, split = replicated(mesh), over_rows(mesh)
    return jax.jit(step_of(config, model), donate_argnums=0, in_shardings=(whole, split), out_shardings=whole)


class DrawnSteps:
    """Steps that draw their own batches, each stage of the curriculum compiled when it is reached."""

    def __init__(self, config: Config, model: Model, mesh: Mesh) -> None:
        self._config = config
        self._ends, end = [], 0  # (first step after the stage, its setting)
        for item in config.data.curriculum:
            name, _, steps = item.rpartition(":")
            end += int(steps)
            self._ends.append((end, name))
        settings = {*(name for _, name in self._ends), config.data.setting}
        for name in settings:
            check_mixture(name, config.batch)
        self._steps = {name: drawn_step(config, model, mesh, setting=name) for name in settings}

    def advance(self, state: TrainState, step: int) -> tuple[TrainState, Metrics]:
        return self._steps[self.setting(step)](state)

    def batch(self, step: int) -> Batch:
        config = self._config
        return rendered_examples(
            self.setting(step),
            split="train",
            indices=step * config.batch + jnp.arange(config.batch),
            height=config.data.height,
            width=config.data.width,
            seed=config.seed,
            channels=config.model.channels,
        )

    def setting(self, step: int) -> str:
        return next((name for end, name in self._ends if step < end), self._config.data.setting)

    def close(self) -> None:
        """Nothing reads ahead."""


class BuiltSteps:
    """Steps on the batches of a built dataset, of which threads read this process's share ahead."""

    def __init__(self, config: Config, model: Model, mesh: Mesh, *, data_dir: Path) -> None:
        from veerjax.data.built import load_built

        self._config = config
        self._source = load_built(config.data.setting, data_dir=data_dir, split="train")
        require(len(self._source) > 0, f"{config.data.setting} in {data_dir} has no training example.")
        height, width = self._source[0].label.shape
        require(
            (height, width) == (config.data.height, config.data.width),
            f"{config.data.setting} in {data_dir} holds examples of {height} x {width} px, and data.height and "
            f"data.width are {config.data.height} x {config.data.width}; write --set data.height={height} "
            f"--set data.width={width}.",
        )
        self._split = over_rows(mesh)
        self._places = places_here(mesh, config.batch)
        self._step = read_step(config, model, mesh)
        self._stream: Batches | None = None
        self._next = -1

    def advance(self, state: TrainState, step: int) -> tuple[TrainState, Metrics]:
        if self._stream is None or step != self._next:
            self.close()
            self._stream = self._from(step, places=self._places)
        self._next = step + 1
        return self._step(state, placed(next(self._stream), self._split, batch=self._config.batch))

    def batch(self, step: int) -> Batch:
        stream = self._from(step)
        try:
            return next(stream)
        finally:
            stream.close()

    def setting(self, step: int) -> str:
        return self._config.data.setting

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def _from(self, step: int, *, places: Sequence[int] | None = None) -> Batches:
        from veerjax.data.augment import Augmentation
        from veerjax.data.stream import built_batches

        augment = Augmentation() if self._config.data.augment else None
        where = {"batch": self._config.batch, "seed": self._config.seed, "step": step, "places": places}
        return built_batches(self._source, augment=augment, **where)
