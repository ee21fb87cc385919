"""The two steps, pure functions that never see a config."""

from collections.abc import Callable
from dataclasses import replace

import jax
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from veerjax.models.model import Model, Variables
from veerjax.training.state import TrainState
from veerjax.types import Batch, Prediction

Measure = Callable[[Prediction, Batch], PyTree]  # per-example counts or values, the batch axis first


def train_step(
    state: TrainState, batch: Batch, key: PRNGKeyArray, *, model: Model, tx: optax.GradientTransformation
) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
    """The state after one batch, and what to log of it.

    Args:
        state: before the step; donate it to jit
        batch: examples, split over the devices
        key: for models that sample; folded with the step here
        model: brings its own loss
        tx: the optimiser
    """

    def loss_of(params: PyTree) -> tuple[Float[Array, ""], Variables]:
        return model.loss({"params": params, **state.extra}, batch, jax.random.fold_in(key, state.step))

    (loss, extra), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    updates, opt_state = tx.update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    metrics = {"loss": loss, "gradient_norm": optax.global_norm(gradient)}
    return replace(state, step=state.step + 1, params=params, extra=extra, opt_state=opt_state), metrics


def eval_step(variables: Variables, batch: Batch, *, model: Model, measure: Measure) -> PyTree:
    """What `measure` says of the model's predictions, example by example."""
    return measure(model.predict(variables, batch), batch)
