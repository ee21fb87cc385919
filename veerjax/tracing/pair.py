"""The cheapest pair of paths of two curves down a strip, exact, over the few stretches of ink of each row.

A curve's state in a row is the stretch that it is on, or absence, and how often it has wrapped around the track; the
pair's state is both. A path pays for weak evidence, for blank paper between one row's stretch and the next one's, for
appearing, vanishing and wrapping; the pair pays for being on one stretch, and for ink of its class that neither is on.
"""

from dataclasses import dataclass
from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from veerjax.tracing.stretches import Stretches

BLOCK_ROWS = 512  # rows whose scores are kept at once; those of all others are found again
NEVER = 1e5  # the cost of what cannot be
SAME_PX = 1.5  # between the middles of stretches of two maps that show the same ink
HOP_PX = 2  # of blank paper between the stretches of neighbouring rows that are one stroke
MOST_WRAPS = 3  # to each side


@dataclass(frozen=True, kw_only=True)
class PairCosts:
    """Prices [nats] of a pair of paths."""

    epsilon: float = 0.01  # probability below which all evidence is alike
    hop_cost: float = 2.0  # of crossing any blank paper but a pixel or two, where the ink may be another such curve's
    slope_cost: float = 0.15  # of each column of blank paper crossed
    lean_cost: float = 0.01  # of each column that the middle of the stretch moves
    jump_cap: float = 30.0  # the most that a move between two rows costs
    switch_cost: float = 6.0  # of appearing or vanishing
    other_class: float = 0.05  # how much of the other class's evidence counts
    shared_cost: float = 0.1  # of each row in which two curves of one class are on the same ink
    # A map shows the other class's ink as strongly in a true gap as where two curves coincide: a choice between harms.
    # Of six plotted curves that nearly coincide with another, .71 of the rows are read at .1, .60 at .3, .41 at .8; of
    # the 1,292 rows without a curve of 48 validation logs of `standard`, 231, 190 and 110 are read.
    covered_cost: float = 0.3  # likewise of two classes
    unread_share: float = 1.5  # of what missing ink costs an absent curve, that it costs two that are on other ink
    # Of 41 plotted strips that wrap, .9724 of the rows have the right count at 3 a passage, .9732 at 1.5, .9636 at .7.
    wrap_cost: float = 1.5  # of each passage from edge to edge
    wrapped_cost: float = 0.01  # of each row and track width that a curve is off its scale
    seed_cost: float = 50.0  # of not being where a seed says
    seed_px: float = 5.0  # from a seed on; nearer to it costs less, so that of two stretches each takes its own


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two curves, and what is known of them. All rows have `count` stretches, and a last state, absence."""

    found: Stretches
    own: Float[
        Array | np.ndarray, "2 count"
    ]  # 1 for stretches of the curve's own class, `other_class` for others, 0 for none
    presence: Float[Array, "rows 2"]  # probability that ink of the curve's class is in the row
    taken: Float[Array | np.ndarray, "rows count"]  # cost of stretches that curves outside the pair are on
    seed: Float[Array | np.ndarray, "rows 2"]  # [px] where a seed puts each curve, NaN without one


@partial(jax.jit, static_argnames=("costs", "same_class"))
def row_costs(pair: Pair, *, costs: PairCosts, same_class: bool) -> Float[Array, "rows states states"]:
    """The cost of each pair of states in each row, but for how it came there."""
    found, eps = pair.found, costs.epsilon
    there = found.strength > 0
    evidence = found.strength[:, None] * pair.own[None]  # [rows 2 count]
    single = jnp.where(there[:, None] & (pair.own > 0)[None], -jnp.log(evidence + eps) + pair.taken[:, None], NEVER)
    single = jnp.concatenate([single, jnp.zeros((*single.shape[:2], 1))], axis=2)
    beside = jnp.maximum(found.first[:, None] - pair.seed[:, :, None], pair.seed[:, :, None] - found.last[:, None] - 1)
    off = jnp.clip(beside / costs.seed_px, 0.0, 1.0)
    off = jnp.concatenate([off, jnp.ones((*off.shape[:2], 1))], axis=2)
    single = single + jnp.where(jnp.isfinite(pair.seed)[:, :, None], costs.seed_cost * off, 0.0)
    both = single[:, 0, :, None] + single[:, 1, None, :]
    count = found.strength.shape[1]
    middle = (found.first + found.last) / 2
    shared = there[:, :, None] & there[:, None] & (jnp.abs(middle[:, :, None] - middle[:, None]) <= SAME_PX)
    sharing = costs.shared_cost if same_class else costs.covered_cost
    both = both.at[:, :-1, :-1].add(jnp.where(shared, sharing, 0.0))
    missed = -jnp.log(1 - jnp.minimum(pair.presence, 1.0) + eps)
    if not same_class:
        return both.at[:, -1, :].add(missed[:, :1]).at[:, :, -1].add(missed[:, 1:])
    # Ink that the other curve is on excuses the absence of this one.
    unread = jnp.where((pair.taken == 0)[:, :, None], found.strength[:, :, None], 0.0)
    unread = jnp.max(jnp.where(jnp.eye(count, count + 1, dtype=bool)[None], 0.0, unread), axis=1)
    absent = -jnp.log(1 - jnp.minimum(unread, 1.0) + eps)
    both = both.at[:, -1, :].add(absent).at[:, :, -1].add(absent)
    alone = costs.unread_share * absent[:, :-1, None] * jnp.eye(count)[None]
    return both.at[:, :-1, :-1].add(alone)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Moves:
    """The cost of each move between the states of a row and those of the next."""

    within: Float[Array, "rows states states"]
    over_right: Float[Array, "rows states states"]  # off the right edge and in at the left one
    over_left: Float[Array, "rows states states"]


@partial(jax.jit, static_argnames=("costs", "same_class"))
def move_costs(
    above: Stretches, below: Stretches, edges_px: Float[Array, " 2"], *, costs: PairCosts, same_class: bool
) -> Moves:
    """The cost of each move from a stretch of a row to one of the row below."""
    first, last = above.first[:, :, None], above.last[:, :, None] + 1
    to_first, to_last = below.first[:, None], below.last[:, None] + 1
    blank = jnp.maximum(jnp.maximum(to_first - last, first - to_last), 0)
    lean = jnp.abs((first + last) - (to_first + to_last)) / 2
    hop = jnp.where(blank > HOP_PX, costs.hop_cost if same_class else 0.0, 0.0)
    within = jnp.minimum(hop + costs.slope_cost * blank + costs.lean_cost * lean, costs.jump_cap)

    def over(leaving: Array, entering: Array) -> Array:
        paper = jnp.maximum(leaving, 0) + jnp.maximum(entering, 0)
        return costs.wrap_cost + costs.slope_cost * paper

    def with_absence(between: Array, switch: float, stay: float) -> Array:
        padded = jnp.pad(between, ((0, 0), (0, 1), (0, 1)), constant_values=switch)
        return padded.at[:, -1, -1].set(stay)

    left, right = edges_px
    wrapped = costs.switch_cost + costs.wrap_cost
    return Moves(
        within=with_absence(within, costs.switch_cost, 0.0),
        over_right=with_absence(over(right - last, to_first - left), wrapped, wrapped),
        over_left=with_absence(over(first - left, right - to_last), wrapped, wrapped),
    )


def moved(scores: Float[Array, "states wraps rest"], moves: Moves) -> Float[Array, "states wraps rest"]:
    """The least score of coming to each state of the next row, of one curve of the pair."""

    def least(move: Float[Array, "states states"], scores: Float[Array, "states wraps rest"]) -> Array:
        # Unrolled, it is one pass over the states that XLA makes vectors of; a reduction takes four times as long.
        return reduce(jnp.minimum, [scores[i][None] + move[i][:, None, None] for i in range(len(scores))])

    stay = least(moves.within, scores)
    if scores.shape[1] == 1:
        return stay
    beyond = jnp.full_like(scores[:, :1], NEVER)
    from_left = least(moves.over_right, jnp.concatenate([beyond, scores[:, :-1]], axis=1))
    from_right = least(moves.over_left, jnp.concatenate([scores[:, 1:], beyond], axis=1))
    return jnp.minimum(stay, jnp.minimum(from_left, from_right))


def way_to(state: Int[Array, " 2"], moves: Moves, *, wraps: int) -> Float[Array, "states wraps"]:
    """The cost of one curve's coming to a state (stretch or absence, wraps) from each state of the row above."""
    away = state[1] - jnp.arange(wraps)
    ways = jnp.stack([moves.over_left[:, state[0]], moves.within[:, state[0]], moves.over_right[:, state[0]]], axis=1)
    return jnp.where(jnp.abs(away)[None] <= 1, ways[:, jnp.clip(away + 1, 0, 2)], NEVER)


@jax.jit
def forward(
    start: Float[Array, "a wraps_a b wraps_b"],
    cost: Float[Array, "rows states states"],
    moves: Moves,
    *,
    inside: Bool[Array, " rows"],
    standing: tuple[Float[Array, " wraps_a"], Float[Array, " wraps_b"]],
) -> tuple[Array, Float[Array, "rows a wraps_a b wraps_b"]]:
    """The scores after a block of rows, and before each of them."""
    states_a, wraps_a, states_b, wraps_b = start.shape
    standing_cost = standing[0][None, :, None, None] + standing[1][None, None, None, :]

    def down(scores: Array, row: tuple[Array, Moves, Array]) -> tuple[Array, Array]:
        cost, moves, inside = row
        by_a = partial(moved, moves=of_states(moves, states_a))
        first = scores.reshape(states_a, wraps_a, -1)
        # As a loop, of one turn or in padding none: else XLA finds each of these scores again for each one below.
        first = jax.lax.fori_loop(0, inside.astype(jnp.int32), lambda _, scores: by_a(scores), first)
        turned = jnp.moveaxis(first.reshape(scores.shape), (2, 3), (0, 1)).reshape(states_b, wraps_b, -1)
        after = moved(turned, of_states(moves, states_b)).reshape(states_b, wraps_b, states_a, wraps_a)
        total = jnp.moveaxis(after, (0, 1), (2, 3)) + cost[-states_a:, None, -states_b:, None] + standing_cost
        # Without this a strip of many thousand rows outgrows float32 and small differences are lost.
        return jnp.where(inside, total - jnp.min(total), scores), scores

    return jax.lax.scan(down, start, (cost, moves, inside))


@jax.jit
def backward(
    end: Int[Array, " 4"],
    before: Float[Array, "rows a wraps_a b wraps_b"],
    moves: Moves,
    *,
    inside: Bool[Array, " rows"],
) -> tuple[Int[Array, " 4"], Int[Array, "rows 4"]]:
    """The best state above a block of rows, and that of each of them, from the state of its last row."""
    _, states_a, wraps_a, states_b, wraps_b = before.shape

    def up(state: Int[Array, " 4"], row: tuple[Array, Moves, Array]) -> tuple[Array, Array]:
        scores, moves, inside = row
        ways = (
            way_to(state[:2], of_states(moves, states_a), wraps=wraps_a)[:, :, None, None]
            + way_to(state[2:], of_states(moves, states_b), wraps=wraps_b)[None, None]
        )
        best = jnp.stack(jnp.unravel_index(jnp.argmin(scores + ways), scores.shape)).astype(state.dtype)
        return jnp.where(inside, best, state), state

    return jax.lax.scan(up, end, (before, moves, inside), reverse=True)


def of_states(moves: Moves, states: int) -> Moves:
    """The moves of a curve that has but the last so many states: all, or absence alone."""
    return jax.tree.map(lambda leaf: leaf[-states:, -states:], moves)


def rows_of(pair: Pair, rows: Int[np.ndarray, " rows"]) -> Pair:
    """Some rows of a pair on the host."""
    found, presence, taken, seed = jax.tree.map(
        lambda leaf: leaf[rows], (pair.found, pair.presence, pair.taken, pair.seed)
    )
    return Pair(found=found, own=pair.own, presence=presence, taken=taken, seed=seed)


@dataclass(frozen=True, kw_only=True)
class PairPath:
    """The states of both curves in each row."""

    stretch: Int[np.ndarray, "2 height"]  # position among the row's stretches, -1 where absent
    wrap: Int[np.ndarray, "2 height"]  # track widths off the scale, positive beyond the right edge


def cheapest_pair(
    pair: Pair,
    *,
    edges_px: tuple[float, float],
    wraps: tuple[bool, bool],
    same_class: bool,
    costs: PairCosts = PairCosts(),
) -> PairPath:
    """The cheapest pair of paths, on the host: compiled for blocks of rows, so for strips of any height at once.

    A curve that `pair.own` gives no stretches is absent throughout.

    Args:
        pair: on the host, of a strip of any height
        edges_px: of the track, which a curve that wraps goes over [px]
        wraps: which of the curves do
        same_class: whether both are read from one map, where each stretch of ink is one curve's
        costs: prices
    """
    height, count = pair.found.strength.shape
    shape = tuple(
        size
        for curve in (0, 1)
        for size in (count + 1 if np.any(pair.own[curve] > 0) else 1, 2 * MOST_WRAPS + 1 if wraps[curve] else 1)
    )
    edges = np.asarray(edges_px, np.float32)

    def block(start: int) -> tuple[Array, Moves, np.ndarray]:
        """Of rows `start` to `start + BLOCK_ROWS`: their costs, the moves into them, and which are in the strip."""
        rows = np.arange(start, start + BLOCK_ROWS)
        here, above = np.minimum(rows, height - 1), np.clip(rows - 1, 0, height - 1)
        part = rows_of(pair, here)
        before = jax.tree.map(lambda leaf: leaf[above], pair.found)
        cost = row_costs(part, costs=costs, same_class=same_class)
        moves = move_costs(before, part.found, edges, costs=costs, same_class=same_class)
        return cost, moves, (rows < height) & (rows > 0)

    away = [np.abs(np.arange(n) - n // 2).astype(np.float32) for n in shape[1::2]]
    standing = tuple(costs.wrapped_cost * turns for turns in away)
    top = row_costs(rows_of(pair, np.arange(BLOCK_ROWS) % height), costs=costs, same_class=same_class)[0]
    # A strip may begin off the scale: only the rows there tell in which of its tracks a curve is at home.
    above = standing[0][None, :, None, None] + standing[1][None, None, None, :]
    scores = np.asarray(top)[-shape[0] :, None, -shape[2] :, None] + above
    starts, entering = range(0, height, BLOCK_ROWS), []
    scores = jax.device_put(scores)
    for start in starts:
        entering.append(scores)
        cost, moves, inside = block(start)
        scores, _ = forward(scores, cost, moves, inside=inside, standing=standing)
    state = np.array(np.unravel_index(np.argmin(scores), shape), np.int32)
    parts = []
    for start, scores in zip(reversed(starts), reversed(entering), strict=True):
        cost, moves, inside = block(start)
        _, before = forward(scores, cost, moves, inside=inside, standing=standing)
        state, states = backward(state, before, moves, inside=inside)
        parts.append(np.asarray(states))
    states = np.concatenate(parts[::-1])[:height].T
    place = np.stack([np.where(states[2 * k] == shape[2 * k] - 1, -1, states[2 * k]) for k in (0, 1)])
    return PairPath(stretch=place, wrap=np.stack([states[1] - shape[1] // 2, states[3] - shape[3] // 2]))
