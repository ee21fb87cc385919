"""All that a training step reads and replaces."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from veerjax.models.model import Model, Variables


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class TrainState:
    """The number of steps done, what is trained, what only follows, the optimiser's state, and the mean over steps."""

    step: Int[Array, ""]
    params: PyTree
    extra: Variables  # running statistics
    opt_state: optax.OptState
    ema: Variables | None = None  # exponential moving average of `variables`; None where none is kept

    @property
    def variables(self) -> Variables:
        """What `Model.loss` takes, as the last step left it."""
        return {"params": self.params, **self.extra}

    @property
    def averaged(self) -> Variables:
        """What is evaluated and shipped: the moving average where one is kept."""
        return self.variables if self.ema is None else self.ema


def initial_state(
    key: PRNGKeyArray, *, model: Model, tx: optax.GradientTransformation, averaging: bool = False
) -> TrainState:
    """The state before the first step.

    Args:
        key: of the initial parameters
        model: to train
        tx: its optimiser
        averaging: whether a moving average is kept
    """
    return state_of(model.init(key), tx=tx, averaging=averaging)


def state_of(variables: Variables, *, tx: optax.GradientTransformation, averaging: bool) -> TrainState:
    """The state before the first step of a training that starts from these variables."""
    extra = {name: value for name, value in variables.items() if name != "params"}
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=variables["params"],
        extra=extra,
        opt_state=tx.init(variables["params"]),
        # Copies: the step gives its input's buffers away, and one buffer cannot be given twice.
        ema=jax.tree.map(jnp.copy, dict(variables)) if averaging else None,
    )
