"""Where each wanted curve of a track is in each row: the stretches of ink that its cheapest path goes through."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from veerjax.labels import CURVE_1, NUM_CURVES
from veerjax.tracing.pair import BLOCK_ROWS, Pair, PairCosts, cheapest_pair
from veerjax.tracing.stretches import Stretches, stretches
from veerjax.tracing.wanted import WantedCurve
from veerjax.types import Prediction

EACH = 5  # stretches of each class, where one curve is read from each
ALONE = 8  # stretches of a class whose curves are traced by themselves
SEED_ROWS = 8  # how far the nearest ink may be from a seed
ROUNDS = 2  # in which the classes are traced in turn, where each is traced by itself


@dataclass(frozen=True, kw_only=True)
class Places:
    """The stretch of ink that each curve is on in each row; what is of no stretch means nothing where it is absent."""

    first: Int[np.ndarray, "curves height"]  # column
    last: Int[np.ndarray, "curves height"]
    peak: Int[np.ndarray, "curves height"]  # column of the greatest evidence
    strength: Float[np.ndarray, "curves height"]  # evidence there
    source: Int[np.ndarray, "curves height"]  # position of the class whose map shows it
    presence: Bool[np.ndarray, "curves height"]
    wrap: Int[np.ndarray, "curves height"]  # track widths off the scale
    rival: Float[np.ndarray, "curves height"]  # evidence of the strongest ink of the curve's class that no curve is on


def find_places(
    prediction: Prediction, wanted: Sequence[WantedCurve], *, edges_px: tuple[float, float], costs: PairCosts
) -> Places:
    """The cheapest places of all wanted curves.

    One curve of each class: both at once, over the stretches of both classes. Else class by class, two of a class at
    once, more of them pair by pair, twice round, each pair in the light of the others of its class.

    Args:
        prediction: of one strip
        wanted: the curves
        edges_px: of the track [px]
        costs: prices
    """
    classes = [curve.curve_class - CURVE_1 for curve in wanted]
    # Two that both wrap have too many states together, and unlike classes tell each other little.
    if sorted(classes) == list(range(NUM_CURVES)) and not all(curve.wraps for curve in wanted):
        groups = {tuple(range(NUM_CURVES)): list(range(NUM_CURVES))}
    else:
        groups = {(one,): [k for k, own in enumerate(classes) if own == one] for one in sorted(set(classes))}
    height = prediction.presence.shape[-1]
    places = blank_places(len(wanted), height)
    shown = {one: class_stretches(prediction, one, count=EACH if len(one) > 1 else ALONE) for one in groups}
    # What one class is on is known to the other the second time round only. One curve of each may lie on one stretch.
    for of_classes, members in [*groups.items()] * (ROUNDS if len(groups) > 1 and len(wanted) > NUM_CURVES else 1):
        found = shown[of_classes]
        count = found.strength.shape[1] // len(of_classes)
        source = np.repeat(np.asarray(of_classes), count)
        stretch = np.full((len(wanted), height), -1)
        strange = [k for k in range(len(wanted)) if k not in members and len(wanted) > NUM_CURVES]
        claimed = costs.covered_cost * surer_elsewhere(found, places, strange)
        for a, b in pairs_of(members):
            two = [a, b] if b is not None else [a]
            others = [k for k in members if k not in two]
            pair = Pair(
                found=found,
                own=owned(source, [classes[k] for k in two], costs=costs),
                presence=np.asarray(prediction.presence)[0][[classes[a], classes[two[-1]]]].T,
                taken=claimed + costs.shared_cost * on_stretch(stretch[others], len(source)),
                seed=np.stack([seed_rows(wanted[k], found, costs=costs) for k in two] + [nowhere(height)], axis=1)[
                    :, :2
                ],
            )
            path = cheapest_pair(
                pair,
                edges_px=edges_px,
                wraps=(wanted[a].wraps, b is not None and wanted[b].wraps),
                same_class=len(of_classes) == 1 and len(members) > 1,
                costs=costs,
            )
            stretch[two], places.wrap[two] = path.stretch[: len(two)], path.wrap[: len(two)]
        write_places(places, members, found, stretch=stretch[members], source=source, classes=classes)
    return places


def surer_elsewhere(found: Stretches, places: Places, curves: Sequence[int]) -> Float[np.ndarray, "height count"]:
    """Which stretches of one class are ink that curves of the other class are on, and that is surer in its map."""
    claimed = np.zeros(np.shape(found.strength), bool)
    for k in curves:
        there = (places.peak[k][:, None] >= found.first) & (places.peak[k][:, None] <= found.last)
        claimed |= places.presence[k][:, None] & there & (places.strength[k][:, None] > found.strength)
    return claimed.astype(np.float32)


def pairs_of(members: Sequence[int]) -> list[tuple[int, int | None]]:
    """Whom to trace together, in turn: a pair once; of more curves neighbours, and then other neighbours."""
    if len(members) <= 2:
        return [(members[0], members[1] if len(members) == 2 else None)]
    turned = [*members[1:], members[0]]
    return [(a, b) for order in (members, turned) for a, b in zip(order[::2], [*order[1::2], None], strict=False)]


def owned(source: Int[np.ndarray, " count"], classes: Sequence[int], *, costs: PairCosts) -> np.ndarray:
    """How much of each stretch's evidence counts for each curve of a pair; a missing second curve has none."""
    own = np.zeros((2, len(source)), np.float32)
    for k, one in enumerate(classes):
        own[k] = np.where(source == one, 1.0, costs.other_class)
    return own


def on_stretch(stretch: Int[np.ndarray, "curves height"], count: int) -> Float[np.ndarray, "height count"]:
    """How many of the curves are on each stretch."""
    return np.sum(stretch[:, :, None] == np.arange(count), axis=0).astype(np.float32)


def nowhere(height: int) -> Float[np.ndarray, " height"]:
    return np.full(height, np.nan, np.float32)


def seed_rows(curve: WantedCurve, found: Stretches, *, costs: PairCosts) -> Float[np.ndarray, " height"]:
    """Where the curve's seeds put it [px], NaN in rows without one.

    A seed counts in the nearest row that has ink there: between two dashes it would tell nothing.
    """
    x = nowhere(len(found.strength))
    for row, at in curve.seeds:
        near = np.arange(max(int(row) - SEED_ROWS, 0), min(int(row) + SEED_ROWS + 1, len(x)))
        beside = np.maximum(found.first[near] - at, at - found.last[near] - 1)
        inked = near[((found.strength[near] > 0) & (beside < costs.seed_px)).any(axis=1)]
        x[inked[np.argmin(np.abs(inked - int(row)))] if len(inked) else int(row)] = at
    return x


def blank_places(curves: int, height: int) -> Places:
    def rows(kind: type) -> np.ndarray:
        return np.zeros((curves, height), kind)

    return Places(
        first=rows(int),
        last=rows(int),
        peak=rows(int),
        strength=rows(np.float32),
        source=rows(int),
        presence=rows(bool),
        wrap=rows(int),
        rival=rows(np.float32),
    )


def write_places(
    places: Places,
    members: Sequence[int],
    found: Stretches,
    *,
    stretch: Int[np.ndarray, "members height"],
    source: Int[np.ndarray, " count"],
    classes: Sequence[int],
) -> None:
    """Writes the places of the curves of one group."""
    free = np.where(on_stretch(stretch, len(source)) > 0, 0.0, found.strength)
    for k, path in zip(members, stretch, strict=True):
        chosen = np.maximum(path, 0)[:, None]
        for name in ("first", "last", "peak", "strength"):
            getattr(places, name)[k] = np.take_along_axis(getattr(found, name), chosen, axis=1)[:, 0]
        places.source[k], places.presence[k] = source[chosen[:, 0]], path >= 0
        places.rival[k] = np.max(np.where(source == classes[k], free, 0.0), axis=1)


def class_stretches(prediction: Prediction, classes: Sequence[int], *, count: int) -> Stretches:
    """The stretches of each row in the maps of some classes, one class after the other, on the host."""
    height = prediction.presence.shape[-1]
    row_log_prob, presence = np.asarray(prediction.row_log_prob)[0], np.asarray(prediction.presence)[0]
    blocks = []
    for start in range(0, height, BLOCK_ROWS):
        rows = np.minimum(np.arange(start, start + BLOCK_ROWS), height - 1)
        parts = [evident_stretches(row_log_prob[k, rows], presence[k, rows], count=count) for k in classes]
        blocks.append(jax.tree.map(lambda *of_class: np.concatenate(of_class, axis=1), *parts))
    return jax.tree.map(lambda *rows: np.concatenate(rows)[:height], *blocks)


@partial(jax.jit, static_argnames="count")
def evident_stretches(
    row_log_prob: Float[Array, "rows width"], presence: Float[Array, " rows"], *, count: int
) -> Stretches:
    """The stretches of one class's map; evidence is the row's distribution, as high as its ink is likely."""
    relative = jnp.exp(row_log_prob - jnp.max(row_log_prob, axis=1, keepdims=True))
    return stretches(presence[:, None] * relative, count=count)
