"""The two steps, pure functions that never see a config."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from veerjax.models.model import Model, Variables
from veerjax.training.state import TrainState
from veerjax.types import Batch, Prediction

Measure = Callable[[Prediction, Batch], PyTree]  # per-example counts or values, the batch axis first
LossAndGradient = tuple[Float[Array, ""], Variables, PyTree]  # the loss, the running statistics after it, the gradient


def train_step(
    state: TrainState,
    batch: Batch,
    key: PRNGKeyArray,
    *,
    model: Model,
    tx: optax.GradientTransformation,
    portions: int = 1,
    block: int = 1,
    ema_decay: float = 0.0,
) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
    """The state after one batch, and what to log of it.

    Args:
        state: before the step; donate it to jit
        batch: examples, split over the devices
        key: for models that sample; folded with the step here
        model: brings its own loss
        tx: the optimiser
        portions: of the batch, whose gradients are computed one after another and averaged
        block: examples that stay together in a portion, one of each setting of a mixture
        ema_decay: of the moving average, where the state keeps one
    """
    step_key = jax.random.fold_in(key, state.step)
    loss, extra, gradient = accumulated(state, batch, step_key, model=model, portions=portions, block=block)
    updates, opt_state = tx.update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    ema = moved_average(state.ema, {"params": params, **extra}, step=state.step, decay=ema_decay)
    metrics = {
        "loss": loss,
        "gradient_norm": optax.tree.norm(gradient),
        # Of what the step made, so that no state which it broke passes for a good one.
        "parameter_norm": optax.tree.norm((params, extra)),
    }
    return TrainState(step=state.step + 1, params=params, extra=extra, opt_state=opt_state, ema=ema), metrics


def accumulated(
    state: TrainState, batch: Batch, key: PRNGKeyArray, *, model: Model, portions: int, block: int = 1
) -> LossAndGradient:
    """The mean loss and gradient over the portions of a batch, one in memory at a time.

    Portion i of n is made of the blocks i, i + n, i + 2 n and so on, so that each device keeps its own. A loss that is
    a mean over examples is what it would be on the whole batch; one that pools its sums, such as Dice, is not quite. A
    norm over the batch is over a portion.
    """

    def one(extra: Variables, part: Batch, part_key: PRNGKeyArray) -> LossAndGradient:
        def loss_of(params: PyTree) -> tuple[Float[Array, ""], Variables]:
            return model.loss({"params": params, **extra}, part, part_key)

        (loss, changed), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        return loss, changed, gradient

    if portions == 1:
        return one(state.extra, batch, key)

    def add(total: LossAndGradient, part: tuple[Batch, PRNGKeyArray]) -> tuple[LossAndGradient, None]:
        loss, extra, gradient = one(total[1], *part)
        return (total[0] + loss, extra, jax.tree.map(jnp.add, total[2], gradient)), None

    def in_portions(leaf: Array) -> Array:
        blocks = leaf.reshape(leaf.shape[0] // (portions * block), portions, block, *leaf.shape[1:])
        return jnp.moveaxis(blocks, 1, 0).reshape(portions, leaf.shape[0] // portions, *leaf.shape[1:])

    parts = jax.tree.map(in_portions, batch)
    start = (jnp.zeros(()), state.extra, jax.tree.map(jnp.zeros_like, state.params))
    (loss, extra, gradient), _ = jax.lax.scan(add, start, (parts, jax.random.split(key, portions)))
    return loss / portions, extra, jax.tree.map(lambda leaf: leaf / portions, gradient)


def moved_average(
    ema: Variables | None, variables: Variables, *, step: Int[Array, ""], decay: float
) -> Variables | None:
    """The exponential moving average after one more step; its decay grows from .1 to `decay`, as TensorFlow's does.

    Definition: `ema + (1 - d) (variables - ema)` with `d = min(decay, (1 + step) / (10 + step))`, so that the first
    parameters are soon forgotten. Running statistics are averaged like parameters.
    """
    if ema is None:
        return None
    kept = jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    return jax.tree.map(lambda mean, new: mean + (1 - kept) * (new - mean), ema, variables)


def eval_step(variables: Variables, batch: Batch, *, model: Model, measure: Measure) -> PyTree:
    """What `measure` says of the model's predictions, example by example."""
    return measure(model.predict(variables, batch), batch)
