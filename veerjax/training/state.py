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
    """The number of steps done, what is trained, what only follows (running statistics), and the optimiser's state."""

    step: Int[Array, ""]
    params: PyTree
    extra: Variables
    opt_state: optax.OptState

    @property
    def variables(self) -> Variables:
        """What `Model.predict` takes."""
        return {"params": self.params, **self.extra}


def initial_state(key: PRNGKeyArray, *, model: Model, tx: optax.GradientTransformation) -> TrainState:
    """The state before the first step."""
    variables = model.init(key)
    params = variables.pop("params")
    return TrainState(step=jnp.zeros((), jnp.int32), params=params, extra=variables, opt_state=tx.init(params))
