"""The cheapest path of one curve down a strip, exact, with absence as a state of its own."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

ABSENT = -1


def viterbi(
    cost: Float[Array, "height width"],
    absent_cost: Float[Array, " height"],
    *,
    slope_cost: float,
    jump_cap: float,
    switch_cost: float,
    rows: Int[Array, ""] | None = None,
) -> Int[Array, " height"]:
    """The column of the cheapest path in each row, or `ABSENT`.

    The path pays `cost` or `absent_cost` in every row, `min(slope_cost * |i - j|, jump_cap)` from column i to column
    j of the next row, and `switch_cost` for each change between present and absent.

    Args:
        cost: of being in each column
        absent_cost: of being absent
        slope_cost: of each column moved, >= 0; the cap keeps kicks that cross the track within a row affordable
        jump_cap: the most that a move costs, >= 0
        switch_cost: of appearing or vanishing, >= 0
        rows: of the strip, where padding lies below it; there the path costs nothing and stays as it is
    """
    height, width = cost.shape
    inside = jnp.arange(1, height) < (height if rows is None else rows)
    start = jnp.append(cost[0], absent_cost[0])

    def down(scores: Float[Array, " states"], row: tuple[Array, ...]) -> tuple[Array, Array]:
        present, absent = scores[:-1], scores[-1]
        moved = jnp.minimum(cheapest_move(present, slope_cost, jump_cap), absent + switch_cost)
        stays_absent = jnp.minimum(absent, jnp.min(present) + switch_cost)
        total = jnp.append(row[0] + moved, row[1] + stays_absent)
        # Without this a strip of many thousand rows outgrows float32 and small differences are lost.
        total = total - jnp.min(total)
        return jnp.where(row[2], total, scores), scores

    last, before = jax.lax.scan(down, start, (cost[1:], absent_cost[1:], inside))
    columns = jnp.arange(width)

    def up(state: Int[Array, ""], row: tuple[Array, Array]) -> tuple[Array, Array]:
        scores, there = row
        # Finding the predecessor again, on the path alone, is cheaper than a pointer from every column.
        move = jnp.minimum(slope_cost * jnp.abs(columns - state), jump_cap)
        from_absent = jnp.where(state == width, 0.0, switch_cost)
        move = jnp.append(jnp.where(state == width, switch_cost, move), from_absent)
        return jnp.where(there, jnp.argmin(scores + move), state), state

    first, below = jax.lax.scan(up, jnp.argmin(last), (before, inside), reverse=True)
    states = jnp.concatenate([first[None], below])
    return jnp.where(states == width, ABSENT, states).astype(jnp.int32)


def cheapest_move(scores: Float[Array, " width"], slope_cost: float, jump_cap: float) -> Float[Array, " width"]:
    """`min_i scores[i] + min(slope_cost * |i - j|, jump_cap)` for each j, in O(width) by cumulative minima."""
    ramp = slope_cost * jnp.arange(scores.shape[0])
    rightwards = jax.lax.cummin(scores - ramp) + ramp
    leftwards = jax.lax.cummin(scores + ramp, reverse=True) - ramp
    return jnp.minimum(jnp.minimum(rightwards, leftwards), jnp.min(scores) + jump_cap)
