"""The names of curves on both sides of each meeting: rows of places in which two curves are exchanged."""

from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int

from veerjax.labels import CURVE_1
from veerjax.tracing.envelope import FAR_PX
from veerjax.tracing.identity import Two, decide
from veerjax.tracing.places import Places
from veerjax.tracing.wanted import Crossing, JointConfig, WantedCurve


def named_places(
    places: Places,
    masks: Float[np.ndarray, "2 height width"],
    wanted: Sequence[WantedCurve],
    *,
    track_px: float,
    config: JointConfig,
) -> tuple[Places, tuple[Crossing, ...]]:
    """The places with the names that evidence, seeds and directions favour together, and the ledger of meetings.

    Curves of which only one wraps are not exchanged, and neither are curves of unlike class in tracks with several of
    one: there a class's own map has told them apart.

    Args:
        places: as traced
        masks: probability of ink of each class
        wanted: the curves
        track_px: the track's width
        config: how to trace
    """
    ledger = []
    for a, b in combinations(range(len(wanted)), 2):
        same_class = wanted[a].curve_class == wanted[b].curve_class
        two = Two(
            first=places.first[[a, b]].astype(float),
            last=places.last[[a, b]] + 1.0,
            presence=places.presence[[a, b]],
            wrap_px=places.wrap[[a, b]] * track_px,
            exchanged=exchange_costs(places, masks, wanted, two=(a, b), config=config),
            seeds=tuple(tuple(sorted(wanted[k].seeds)) for k in (a, b)),
        )
        may_swap = wanted[a].wraps == wanted[b].wraps and (same_class or len(wanted) == 2)
        decision = decide(two, may_swap=may_swap, over_gaps=same_class)
        places = exchanged(places, (a, b), decision.swapped)
        ledger += [
            Crossing(row=(m.start + m.stop) / 2, curves=(a, b), kept=bool(kept), margin=float(margin))
            for m, kept, margin in zip(decision.meetings, decision.changes, decision.margin, strict=True)
            if two.touching[m.start : m.stop].any() or m.start == m.stop
        ]
    return places, tuple(sorted(ledger, key=lambda crossing: crossing.row))


def exchange_costs(
    places: Places,
    masks: Float[np.ndarray, "2 height width"],
    wanted: Sequence[WantedCurve],
    *,
    two: tuple[int, int],
    config: JointConfig,
) -> Float[np.ndarray, " height"]:
    """What exchanging the names of two curves costs in each row by evidence, seeds and order [nats]."""
    both = places.presence[list(two)].all(axis=0)
    cost = np.zeros(both.shape)
    for k, other in (two, two[::-1]):
        evidence = masks[wanted[k].curve_class - CURVE_1]
        here, there = (-np.log(near_column(evidence, places.peak[j]) + config.pair.epsilon) for j in (k, other))
        cost += np.where(both, there - here, 0.0)
        for row, x in wanted[k].seeds:
            own, others = (distance_px(places, j, row=int(row), x=x) for j in (k, other))
            cost[int(row)] += config.pair.seed_cost * np.sign(others - own)
    if wanted[two[0]].curve_class == wanted[two[1]].curve_class and not any(wanted[k].seeds for k in two):
        apart = both & (places.peak[two[0]] != places.peak[two[1]])
        if apart.any():
            top = np.argmax(apart)
            cost[top] += config.order_cost * np.sign(places.peak[two[1], top] - places.peak[two[0], top])
    return cost


def near_column(
    evidence: Float[np.ndarray, "height width"], column: Int[np.ndarray, " height"]
) -> Float[np.ndarray, " height"]:
    """The greatest evidence within a pixel of a column of each row."""
    near = np.clip(column[:, None] + np.arange(-1, 2), 0, evidence.shape[1] - 1)
    return np.take_along_axis(evidence, near, axis=1).max(axis=1)


def distance_px(places: Places, curve: int, *, row: int, x: float) -> float:
    """From a seed to the stretch that a curve is on; far where it is on none."""
    if not places.presence[curve, row]:
        return FAR_PX
    return max(places.first[curve, row] - x, x - places.last[curve, row] - 1, 0.0)


def exchanged(places: Places, two: tuple[int, int], swapped: np.ndarray) -> Places:
    """The places with two curves exchanged in some rows; each one's wraps go on from where it was."""
    a, b = two
    new = {}
    for field in fields(places):
        rows = getattr(places, field.name).copy()
        if field.name != "rival":
            rows[a], rows[b] = np.where(swapped, rows[[b, a]], rows[[a, b]])
        new[field.name] = rows
    for row in np.flatnonzero(swapped & np.append(True, ~swapped[:-1]) | ~swapped & np.append(False, swapped[:-1])):
        for k, other in (two, two[::-1]):
            came_from, goes_to = (other, k) if not swapped[row] else (k, other)
            if row:
                step = places.wrap[goes_to, row] - places.wrap[came_from, row]
                new["wrap"][k, row:] -= step
    return replace(places, **new)
