"""What is timed: drawing, reading, the two computations alone, and the training step as it runs."""

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from veerjax.config import Config
from veerjax.data.rendered import rendered_examples
from veerjax.errors import InputError
from veerjax.metrics.parts import DEFAULT
from veerjax.metrics.scores import measure
from veerjax.models import build_model
from veerjax.models.cost import Cost
from veerjax.models.model import Model
from veerjax.performance.roofline import Work, prediction_work, training_work
from veerjax.synthesis.draw import draw_batch
from veerjax.tracing.trace import trace
from veerjax.training.memory import GIB, device_bytes, out_of_memory, peak_bytes, shapes_on
from veerjax.training.sharding import over_examples, over_rows, replicated
from veerjax.training.state import TrainState
from veerjax.training.stepper import initial, prepared, read_step
from veerjax.training.steps import eval_step
from veerjax.types import Batch, Prediction


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A compiled step, ready to be timed."""

    run: Callable[[], Any]  # one step; what it returns is waited for
    compile_s: float
    peak_bytes: int  # arguments, results and temporaries of one device
    compiler_flops: float | None  # what the compiler counts, where it says
    compiler_bytes: float | None
    work: Work | None = None  # None where no layer is computed


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A config on a mesh, and the shapes of all that its stages read; nothing is computed yet."""

    config: Config
    mesh: Mesh
    model: Model

    @classmethod
    def of(cls, config: Config, mesh: Mesh) -> "Bench":
        return cls(config=config, mesh=mesh, model=build_model(config.model, config.loss))

    @property
    def size(self) -> dict[str, int]:
        """Of an image, as drawings take it."""
        data = self.config.data
        return {"height": data.height, "width": data.width, "channels": self.config.model.channels}

    @property
    def pixels(self) -> int:
        """Of a batch."""
        return self.config.batch * self.config.data.height * self.config.data.width

    @functools.cached_property
    def batch(self) -> Batch:
        """The fixed batch that the computations read, on the device."""
        drawn = rendered_examples(
            self.config.data.setting, split="train", indices=jnp.arange(self.config.batch), **self.size
        )
        return jax.device_put(drawn, over_rows(self.mesh))

    @functools.cached_property
    def batch_shape(self) -> Batch:
        indices = jax.ShapeDtypeStruct((self.config.batch,), jnp.int32)
        shape = jax.eval_shape(self.draw, indices)
        return shapes_on(shape, over_rows(self.mesh))

    @functools.cached_property
    def state_shape(self) -> TrainState:
        return shapes_on(jax.eval_shape(self.initial, jax.random.key(0)), replicated(self.mesh))

    def initial(self, key: jax.Array) -> TrainState:
        return initial(key, config=self.config, model=self.model)

    def state(self) -> TrainState:
        """A new state on the device; a training step takes it away."""
        return jax.jit(self.initial, out_shardings=replicated(self.mesh))(jax.random.key(self.config.seed))

    def draw(self, indices: jax.Array) -> Batch:
        return draw_batch(self.config.seed, "train", indices, setting=self.config.data.setting, **self.size)

    @functools.cached_property
    def cost(self) -> Cost:
        """Of a forward pass over the batch."""
        batch, height, width, channels = self.batch_shape.image.shape
        return self.model.cost((batch, height, width, channels))

    @functools.cached_property
    def training_work(self) -> Work:
        # Every device reads and writes its own copy of the state.
        state_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(self.state_shape))
        return training_work(self.cost, state_bytes=state_bytes * physical_devices(self.mesh))

    @functools.cached_property
    def prediction_work(self) -> Work:
        passes = 2 if self.config.model.mirror else 1
        return prediction_work(self.cost, passes=passes)

    def compiled(self, jitted: Any, *shapes: Any) -> tuple[Callable[..., Stage], Callable[..., Any]]:
        """A constructor of the stage with all that the compiler says, and the compiled function.

        Raises:
            InputError: it needs more memory than the device has.
        """
        start = time.perf_counter()
        compiled = jitted.lower(*shapes).compile()
        seconds = time.perf_counter() - start
        peak = peak_bytes(compiled)
        check_memory(peak, device_bytes(self.mesh), batch=self.config.batch, devices=self.mesh.size)
        counted = compiled.cost_analysis() or {}
        stage = functools.partial(
            Stage,
            compile_s=seconds,
            peak_bytes=peak,
            compiler_flops=self.over_devices(counted.get("flops")),
            compiler_bytes=self.over_devices(counted.get("bytes accessed")),
        )
        return stage, compiled

    def over_devices(self, of_one: float | None) -> float | None:
        """What the compiler counts for one device, for all of them."""
        return None if of_one is None else of_one * self.mesh.size

    def render(self) -> Stage:
        """Drawing a batch, alone."""
        split = over_examples(self.mesh)
        indices = jax.ShapeDtypeStruct((self.config.batch,), jnp.int32, sharding=split)
        stage, compiled = self.compiled(jax.jit(self.draw, out_shardings=split), indices)
        given = jax.device_put(jnp.arange(self.config.batch), split)
        return stage(run=lambda: compiled(given))

    def train_step(self) -> Any:
        """The training step on a given batch, jitted; it takes the state away."""
        return read_step(self.config, self.model, self.mesh)

    def train(self) -> Stage:
        """The training step on a fixed batch."""
        stage, compiled = self.compiled(self.train_step(), self.state_shape, self.batch_shape)
        return stage(run=_threaded(lambda state: compiled(state, self.batch)[0], self.state), work=self.training_work)

    def predict(self) -> Stage:
        """The network's answer to a fixed batch."""
        split = over_examples(self.mesh)
        stage, compiled = self.compiled(
            jax.jit(self.model.predict, out_shardings=split), self.state_shape.variables, self.batch_shape
        )
        held = _Held(lambda: self.state().variables)
        return stage(run=lambda: compiled(held.value, self.batch), work=self.prediction_work)

    def probability(self) -> Stage:
        """The network's masks alone, which is what a peer answers: nothing for tracing."""
        split = over_examples(self.mesh)
        masks = jax.jit(lambda variables, batch: self.model.predict(variables, batch).masks, out_shardings=split)
        stage, compiled = self.compiled(masks, self.state_shape.variables, self.batch_shape)
        held = _Held(lambda: self.state().variables)
        return stage(run=lambda: compiled(held.value, self.batch), work=self.prediction_work)

    def evaluate(self) -> Stage:
        """An evaluation step on a fixed batch: predict, trace, measure."""

        def measured(prediction: Prediction, batch: Batch) -> dict[str, Any]:
            return measure(prediction, trace(prediction), batch, parts=DEFAULT)

        step = functools.partial(eval_step, model=self.model, measure=measured)
        stage, compiled = self.compiled(jax.jit(step), self.state_shape.variables, self.batch_shape)
        held = _Held(lambda: self.state().variables)
        return stage(run=lambda: compiled(held.value, self.batch), work=self.prediction_work)

    def end_to_end(self) -> Stage:
        """The step of `veerjax train`, which draws its own batch."""
        step = prepared(self.config, self.model, self.mesh)[1]
        stage, compiled = self.compiled(step, self.state_shape)
        return stage(run=_threaded(lambda state: compiled(state)[0], self.state), work=self.training_work)


STAGES: Mapping[str, Callable[[Bench], Stage]] = {
    "render": Bench.render,
    "train": Bench.train,
    "predict": Bench.predict,
    "eval": Bench.evaluate,
    "end_to_end": Bench.end_to_end,
}


@dataclass
class _Held:
    """A value that is made when it is first needed."""

    make: Callable[[], Any]

    @functools.cached_property
    def value(self) -> Any:
        return self.make()


def _threaded(step: Callable[[Any], Any], start: Callable[[], Any]) -> Callable[[], Any]:
    """A step that takes its own last result, whose buffers it may overwrite."""
    held: list[Any] = []

    def run() -> Any:
        state = held.pop() if held else start()
        held.append(step(state))
        return held[0]

    return run


def check_memory(needed: int, there: int | None, *, batch: int, devices: int) -> None:
    """Refuses a step that would not fit, before anything is allocated.

    Args:
        needed: by one device [bytes]
        there: what one device has [bytes], None if it does not say
        batch: of the step
        devices: that share the batch

    Raises:
        InputError: more bytes than there are; the largest batch that would about fit is named.
    """
    if there is None or needed <= there:
        return
    largest = int(batch * there / needed) // devices * devices
    advice = f"write --set batch={largest}" if largest else "lower data.height and data.width"
    raise InputError(
        f"a step of batch {batch} needs {needed / GIB:.1f} GiB and the device has {there / GIB:.1f}; {advice}."
    )


def physical_devices(mesh: Mesh) -> int:
    """Simulated devices share one processor, and count once."""
    return 1 if mesh.devices.flat[0].platform == "cpu" else mesh.size


@contextmanager
def memory_errors(batch: int) -> Iterator[None]:
    """What runs out of memory after all becomes a sentence.

    Raises:
        InputError: the device's memory is used up.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not out_of_memory(error):
            raise
        raise InputError(f"batch {batch} used up the memory of the device; write a smaller --set batch=N.") from error
