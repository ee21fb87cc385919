"""What is judged: trained weights, and the baselines that every table carries. All answer a batch alike."""

import hashlib
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool

from veerjax.labels import BACKGROUND, NUM_CURVES
from veerjax.models.model import Variables, prediction_from_probability
from veerjax.tracing.trace import Trace, trace
from veerjax.training.sharding import check_height, over_examples, over_rows, replicated
from veerjax.training.weights import Weights
from veerjax.types import Batch, Prediction, with_channels

Answer = tuple[Prediction, Trace]
Method = Callable[[Batch, Sequence[str]], Answer]  # a batch, split over the devices, and the names of its valid logs


@dataclass
class Clock:
    """Seconds by what they were spent on."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Adds the time spent inside; what runs there must have ended (`jax.block_until_ready`)."""
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def learned(weights: Weights, mesh: Mesh, clock: Clock) -> Method:
    """Trained weights and the learned tracer.

    Where devices share the height of a log, only the network is split: a path is traced from the first row to the last.
    """
    variables = jax.device_put(weights.variables, replicated(mesh))

    @partial(jax.jit, out_shardings=over_examples(mesh))
    def predict(variables: Variables, batch: Batch) -> Prediction:
        return weights.model.predict(variables, jax.lax.with_sharding_constraint(batch, over_rows(mesh)))

    traced = jax.jit(trace, out_shardings=over_examples(mesh))

    def answer(batch: Batch, names: Sequence[str]) -> Answer:
        del names
        check_height(batch.label.shape[1], mesh, stride=weights.model.stride)
        with clock.of("predict"):
            prediction = jax.block_until_ready(predict(variables, batch))
        with clock.of("trace"):
            return prediction, jax.block_until_ready(traced(prediction))

    return answer


def all_background(mesh: Mesh, clock: Clock) -> Method:
    """A blank page: what any method gets for nothing."""

    def blank_page(batch: Batch, names: Sequence[str]) -> Answer:
        del names
        # Not under jit: XLA would take half a minute to fold a page of constants.
        paper = jnp.zeros((*batch.label.shape, 1 + NUM_CURVES)).at[..., BACKGROUND].set(1.0)
        answer = prediction_from_probability(paper), true_trace(batch, present=False)
        return jax.device_put(answer, over_examples(mesh))

    return _timed("all_background", blank_page, clock)


def random_identity(mesh: Mesh, clock: Clock) -> Method:
    """Perfect ink and perfect polylines, their names tossed once for each log: pooled IoU near 1/3."""

    @partial(jax.jit, out_shardings=over_examples(mesh))
    def tossed(batch: Batch, swap: Bool[Array, " batch"]) -> Answer:
        label = batch.label.astype(jnp.int32)
        swapped_label = jnp.where((label != BACKGROUND) & swap[:, None, None], NUM_CURVES + 1 - label, label)
        found = true_trace(batch, present=True)
        swapped = jax.tree.map(lambda leaf: jnp.where(swap[:, None, None], leaf[:, ::-1], leaf), found)
        return prediction_from_probability(jax.nn.one_hot(swapped_label, NUM_CURVES + 1)), swapped

    def answer(batch: Batch, names: Sequence[str]) -> Answer:
        swap = np.zeros(batch.size, bool)
        swap[: len(names)] = [hashlib.sha256(name.encode()).digest()[0] % 2 == 1 for name in names]
        return tossed(batch, jax.device_put(swap, over_examples(mesh)))

    return _timed("random_identity", answer, clock)


def classical(mesh: Mesh, clock: Clock) -> Method:
    """No learning: grid removal, a threshold, the cheapest path down the rows (`tracing.classical`)."""

    from veerjax.tracing.classical import classical_batch

    def answer(batch: Batch, names: Sequence[str]) -> Answer:
        del names
        return jax.device_put(classical_batch(np.asarray(with_channels(batch.image, 1)[..., 0])), over_examples(mesh))

    return _timed("classical", answer, clock)


BASELINES = {"all_background": all_background, "random_identity": random_identity, "classical": classical}


def installed_baselines() -> tuple[str, ...]:
    """The baselines that can run here; one whose library is missing is left out with a line that says so."""
    if importlib.util.find_spec("skimage") is not None:
        return tuple(BASELINES)
    print("veerjax: the classical baseline is left out; it needs pip install scikit-image.", file=sys.stderr)
    return tuple(name for name in BASELINES if name != "classical")


def true_trace(batch: Batch, *, present: bool) -> Trace:
    """The truth as a trace, or one of no curve."""
    x = jnp.where(jnp.isfinite(batch.centreline), batch.centreline, 0.0)
    presence = batch.presence & jnp.isfinite(batch.centreline) & present
    return Trace(
        x=x, lo=x, hi=x, presence=presence, confidence=presence.astype(jnp.float32), occluded=jnp.zeros_like(presence)
    )


def _timed(name: str, method: Method, clock: Clock) -> Method:
    def answer(batch: Batch, names: Sequence[str]) -> Answer:
        with clock.of(name):
            return jax.block_until_ready(method(batch, names))

    return answer
