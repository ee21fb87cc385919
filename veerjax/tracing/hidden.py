"""Where a curve that is nowhere to be seen runs under another one: it went into that one's ink and comes out of it.

In a row in which two curves coincide a scan shows one stroke, as where one of them has a gap: only what is above and
below tells. A curve that leaves off in the open is absent; one that was last seen where it met the other one's ink, and
is next seen there, has been under it. At an end of the strip one of the two is enough: from where the other curve
begins, or to where it ends.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace

import numpy as np
from jaxtyping import Bool, Float

from veerjax.labels import CURVE_1
from veerjax.tracing.naming import near_column
from veerjax.tracing.places import Places
from veerjax.tracing.rows import runs
from veerjax.tracing.wanted import WantedCurve

JOIN_PX = 6  # of blank paper between two curves that meet: a broken one may do so between two of its dashes


def with_hidden(
    places: Places, masks: Float[np.ndarray, "2 height width"], wanted: Sequence[WantedCurve]
) -> tuple[Places, Bool[np.ndarray, "curves height"]]:
    """The places, and those of hidden curves too: which are on another curve's ink; and in which rows that is so.

    Curves of one class hide each other in their own map, where they are traced together; here are those of two.

    Args:
        places: as traced and named
        masks: probability of ink of each class; what a curve's own shows there is its evidence
        wanted: the curves
    """
    found = {field.name: getattr(places, field.name).copy() for field in fields(places)}
    hidden = np.zeros(places.presence.shape, bool)
    for k, curve in enumerate(wanted):
        for j in (j for j, other in enumerate(wanted) if other.curve_class != curve.curve_class):
            for run in absences(places, k):
                rows = under(places, k, j, run)
                if rows is None or hidden[[k, j], rows].any():
                    continue
                for name in ("first", "last", "peak", "source"):
                    found[name][k, rows] = getattr(places, name)[j, rows]
                evidence = masks[curve.curve_class - CURVE_1, rows]
                found["strength"][k, rows] = near_column(evidence, places.peak[j, rows])
                found["wrap"][k, rows] = places.wrap[k, run.start - 1 if run.start else run.stop]
                found["presence"][k, rows] = hidden[k, rows] = True
    return replace(places, **found), hidden


def absences(places: Places, curve: int) -> Iterator[slice]:
    """The runs of rows without a curve, but none of a curve that is nowhere."""
    absent = ~places.presence[curve]
    if absent.all():
        return
    yield from (slice(start, stop) for start, stop in runs(absent))


def under(places: Places, curve: int, other: int, run: slice) -> slice | None:
    """The rows of a run of absence in which a curve is under another one, if it is."""
    there = run.start + np.flatnonzero(places.presence[other, run])
    if len(there) == 0 or there[-1] - there[0] + 1 != len(there) or np.ptp(places.wrap[other, there]) > 0:
        return None
    rows = slice(int(there[0]), int(there[-1]) + 1)
    at_top, at_bottom = run.start == 0, run.stop == places.presence.shape[1]
    above = at_top or (rows.start == run.start and meet(places, curve, other, run.start - 1))
    below = at_bottom or (rows.stop == run.stop and meet(places, curve, other, run.stop))
    one_count = at_top or at_bottom or places.wrap[curve, run.start - 1] == places.wrap[curve, run.stop]
    return rows if above and below and one_count else None


def meet(places: Places, curve: int, other: int, row: int) -> bool:
    """Whether two curves are near enough in a row for one to go under the other."""
    two = [curve, other]
    blank = np.max(places.first[two, row]) - np.min(places.last[two, row]) - 1
    return bool(places.presence[two, row].all() and blank <= JOIN_PX)
