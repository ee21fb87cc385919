"""The few places of each row where a curve may be: stretches of ink around the strongest columns of a class's map."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from veerjax.tracing.refine import run_through

FAINTEST = 0.02  # evidence below which nothing is ink
VALLEY = 0.8  # of the lower of two ridges, below which the column between them parts them
RIDGE_PX = 4  # how far from a valley its ridges are looked for


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Stretches:
    """Stretches of ink of each row, the strongest first; of strength 0 where a row has no more."""

    first: Int[Array, "rows count"]
    last: Int[Array, "rows count"]
    peak: Int[Array, "rows count"]  # column of the greatest evidence
    strength: Float[Array, "rows count"]  # evidence there


@partial(jax.jit, static_argnames="count")
def stretches(evidence: Float[Array, "rows width"], *, count: int) -> Stretches:
    """The stretches of ink of each row.

    A stretch reaches to both sides of a local maximum of the evidence as far as it is at least half as great, and not
    over a valley. So a stroke is one stretch however steeply it runs, and two strokes are two until they merge.

    Args:
        evidence: from 0 to 1
        count: stretches at most
    """
    near = [jnp.pad(evidence, ((0, 0), (RIDGE_PX, RIDGE_PX)))[:, s : s + evidence.shape[1]] for s in range(9)]
    left, right = (jnp.max(jnp.stack(side), axis=0) for side in (near[:RIDGE_PX], near[RIDGE_PX + 1 :]))
    valley = evidence < VALLEY * jnp.minimum(left, right)
    ridge = (evidence >= near[RIDGE_PX - 1]) & (evidence >= near[RIDGE_PX + 1]) & (evidence >= FAINTEST) & ~valley
    columns = jnp.arange(evidence.shape[1])[None]

    def next_one(free: Bool[Array, "rows width"], _: None) -> tuple[Array, Stretches]:
        height = jnp.where(free, evidence, 0.0)
        peak, strength = jnp.argmax(height, axis=1), jnp.max(height, axis=1)
        passable = (evidence >= strength[:, None] / 2) & ~valley
        first, last = run_through(peak, passable)
        free = free & ((columns < first[:, None]) | (columns > last[:, None]))
        return free, Stretches(first=first, last=last, peak=peak, strength=strength)

    _, found = jax.lax.scan(next_one, ridge, length=count)
    return jax.tree.map(jnp.transpose, found)
