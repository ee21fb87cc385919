"""Which of two curves leaves a meeting where: crossings that keep direction against touches, along the whole strip.

The rows in which two curves touch part a strip into segments, and of two that look alike so do those in which one is
not seen. In each the names stand as they were traced, or are exchanged; what a segment's evidence, its seeds and the
directions at the meetings say of that is a chain of two states, solved exactly, and so is the cost of the best other
answer at each meeting.

Reference:
    Viterbi 1967; min-marginals as in Kohli and Torr 2008, Measuring uncertainty in graph cut solutions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from veerjax.tracing.bending import bent_likelihood, roughness_costs, window_likelihoods
from veerjax.tracing.rows import runs

NEAR_PX = 2.0  # of blank paper between two curves that touch
APART_ROWS = 3  # meetings with fewer rows between them are one
APART_ROWS_ALIKE = 8  # likewise of curves that look alike: fewer rows do not tell how each of them runs
TELLING_ROWS = 24  # on each side of a meeting tell how a curve runs
# Of 370 meetings of drawn curves, kicks among them, .91 of those over 5 nats went as the splines say: so they count.
WEIGHT, DOUBT = 0.5, 0.05  # of the difference of two likelihoods, and the probability that neither holds
DOUBT_APART = 0.001  # likewise where they are not seen to touch
ROUGHNESS_ROUNDS = 4  # of telling how rough each of two curves alike is, and by that which is which


@dataclass(frozen=True, kw_only=True)
class Two:
    """Two curves of a strip as traced, row by row."""

    first: Float[np.ndarray, "2 height"]  # [px] left end of the ink, as drawn
    last: Float[np.ndarray, "2 height"]  # [px] right end
    presence: Bool[np.ndarray, "2 height"]
    wrap_px: Float[np.ndarray, "2 height"]  # to add to x, for a curve without steps
    exchanged: Float[np.ndarray, " height"]  # cost of exchanging the names in the row [nats], may be negative
    seeds: tuple[tuple[tuple[float, float], ...], ...] = ((), ())  # (row, x) [px] that each is known to be at

    @cached_property
    def both(self) -> Bool[np.ndarray, " height"]:
        return self.presence[0] & self.presence[1]

    @cached_property
    def touching(self) -> Bool[np.ndarray, " height"]:
        blank = np.maximum(self.first[0] - self.last[1], self.first[1] - self.last[0])
        return self.both & (blank <= NEAR_PX)


@dataclass(frozen=True, kw_only=True)
class Meeting:
    """Rows in which two curves touch or one of them is not seen, with the short stretches between."""

    start: int
    stop: int  # the first row after it; the start itself where they change sides from one row to the next
    seen: bool = True  # whether both curves are there all the way

    @property
    def middle(self) -> int:
        """The first row that counts to what comes after the meeting."""
        return (self.start + self.stop + 1) // 2

    @property
    def cuts(self) -> tuple[int, ...]:
        """The rows from which on names may be exchanged: where one is not seen, before it, if that is, or after it."""
        if self.seen:
            return (self.middle,)
        return (self.start, self.stop) if self.start else (self.stop,)


@dataclass(frozen=True, kw_only=True)
class Link:
    """How two curves go through a meeting."""

    cut: int  # the row from which on their names would be exchanged
    costs: tuple[float, float]  # of keeping the names as traced, and of exchanging them [nats]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What is chosen of each meeting."""

    meetings: tuple[Meeting, ...]
    swapped: Bool[np.ndarray, " height"]  # rows in which the names as traced are to be exchanged
    changes: Bool[np.ndarray, " meetings"]  # whether the curves change sides
    margin: Float[np.ndarray, " meetings"]  # cost of the best answer that differs in this meeting, less that chosen


def decide(two: Two, *, may_swap: bool = True, over_gaps: bool = False) -> Decision:
    """The names in each row and how sure each meeting is.

    Args:
        two: both curves
        may_swap: without it the names stay as they were traced; a meeting that speaks against them has no margin
        over_gaps: whether names may be exchanged where a curve is not seen as well, which takes no row of evidence to
            be against it: for curves that look alike
    """
    meetings = meetings_of(two, over_gaps=over_gaps)
    rows = outside(meetings, two)
    links = [link(two, meeting, *known) for meeting, known in zip(meetings, rows, strict=True)]
    bounds = [0, *(one.cut for one in links), two.presence.shape[1]]
    segments = [slice(a, b) for a, b in pairwise(bounds)]
    single = np.array([[0.0, two.exchanged[segment].sum()] for segment in segments])
    costs = np.array([one.costs for one in links]).reshape(-1, 2)
    states, margin = cheapest_names(single, costs)
    if over_gaps and may_swap:
        alone = two.presence & ~two.touching
        x = (two.first + two.last) / 2 + two.wrap_px
        windows = [window_likelihoods(x[k], alone[k], bounds) for k in (0, 1)]
        marks = [row for seeds in two.seeds for row, _ in seeds]
        sure = [k for k, part in enumerate(segments) if any(part.start <= row < part.stop for row in marks)]
        for learnt in [sure, *[range(len(segments))] * ROUGHNESS_ROUNDS]:
            states, margin = cheapest_names(single + roughness_costs(windows, states.tolist(), learnt=learnt), costs)
    if not may_swap:
        margin, states = np.where(np.diff(states) == 0, margin, 0.0), np.zeros_like(states)
    swapped = np.repeat(states.astype(bool), [segment.stop - segment.start for segment in segments])
    sides = np.array([side(two, *both_there(two, *near)) for near in rows]).reshape(-1, 2)
    changes = (sides[:, 0] != sides[:, 1]) ^ (np.diff(states) != 0)
    return Decision(meetings=meetings, swapped=swapped, changes=changes, margin=margin)


def meetings_of(two: Two, *, over_gaps: bool = False) -> tuple[Meeting, ...]:
    """The stretches of rows in which both curves are there and touch, and rows at which they change sides at once.

    With `over_gaps` also those above or between rows with both in which one is not seen.
    """
    both, near = two.both, two.touching
    middle = (two.first + two.last) / 2
    left = middle[0] < middle[1]
    steady = np.append(False, np.all(np.diff(two.wrap_px, axis=1) == 0, axis=0) & both[1:] & both[:-1])
    leaps = np.flatnonzero(steady & (left != np.append(left[:1], left[:-1])) & ~near & ~np.append(False, near[:-1]))
    spans = [(start, stop, True) for start, stop in runs(near)] + [(leap, leap, True) for leap in leaps]
    if over_gaps and both.any():
        last = np.flatnonzero(both)[-1]
        spans += [
            (start, stop, False) for start, stop in runs(~both) if start < last and two.presence[:, start:stop].any()
        ]
    found: list[Meeting] = []
    apart_rows = APART_ROWS_ALIKE if over_gaps else APART_ROWS
    for start, stop, seen in sorted(spans):
        if found and start - found[-1].stop < apart_rows:
            found[-1] = Meeting(start=found[-1].start, stop=int(stop), seen=seen and found[-1].seen)
        else:
            found.append(Meeting(start=int(start), stop=int(stop), seen=seen))
    return tuple(found)


def outside(meetings: Sequence[Meeting], two: Two) -> list[tuple[range, range]]:
    """For each meeting the rows before it, from the last one on, and those after it, up to the next one."""
    height = two.presence.shape[1]
    stops = [0, *(meeting.stop for meeting in meetings)]
    starts = [*(meeting.start for meeting in meetings), height]
    return [
        (range(stops[index], meeting.start), range(meeting.stop, starts[index + 1]))
        for index, meeting in enumerate(meetings)
    ]


def both_there(two: Two, before: range, after: range) -> tuple[Int[np.ndarray, " rows"], Int[np.ndarray, " rows"]]:
    """Of the rows nearest to a meeting on either side those in which both curves are there."""
    above, below = np.array(before[-TELLING_ROWS:], int), np.array(after[:TELLING_ROWS], int)
    return above[two.both[above]], below[two.both[below]]


def side(two: Two, before: Int[np.ndarray, " rows"], after: Int[np.ndarray, " rows"]) -> tuple[bool, bool]:
    """Whether the first curve lies left of the second, beside a meeting above and below; True where nothing tells."""
    middle = (two.first + two.last) / 2

    def first_is_left(row: np.ndarray) -> bool:
        return bool(middle[0, row[0]] < middle[1, row[0]]) if len(row) else True

    return first_is_left(before[-1:]), first_is_left(after[:1])


def link(two: Two, meeting: Meeting, before: range, after: range) -> Link:
    """The costs of going through a meeting with the names as traced and of exchanging them, and where one would."""
    if meeting.seen:
        above, below = both_there(two, before, after)
        return link_at(two, meeting.middle, (above, above), (below, below))
    links, doubt = [], DOUBT if two.touching[meeting.start : meeting.stop].any() else DOUBT_APART
    for cut in meeting.cuts:
        alone = np.arange(meeting.start, meeting.stop)
        alone = alone[~two.both[alone]]
        above, below = [*before, *alone[alone < cut]], [*alone[alone >= cut], *after]
        links.append(
            link_at(two, cut, seen_rows(two, above, last=True), seen_rows(two, below, last=False), doubt=doubt)
        )
    return min(links, key=exchange_price)


def exchange_price(one: Link) -> float:
    """What an exchange costs more than none."""
    return one.costs[1] - one.costs[0]


def seen_rows(two: Two, rows: Sequence[int], *, last: bool) -> list[Int[np.ndarray, " rows"]]:
    """Of some rows those that tell how each curve runs: the last or the first ones in which it is there."""
    among = np.array(rows, int)
    part = slice(-TELLING_ROWS, None) if last else slice(TELLING_ROWS)
    return [among[two.presence[k, among]][part] for k in (0, 1)]


def link_at(
    two: Two, cut: int, above: Sequence[np.ndarray], below: Sequence[np.ndarray], *, doubt: float = DOUBT
) -> Link:
    """The link of an exchange from some row on, by what each curve's own rows above and below it say."""
    # As they are drawn where they meet: curves that wrap meet those that have not.
    x = (two.first + two.last) / 2 + two.wrap_px - two.wrap_px[:, [min(cut, two.wrap_px.shape[1] - 1)]]
    parts = [[(rows.astype(float), x[k, rows]) for k, rows in enumerate(side)] for side in (above, below)]
    for k in (0, 1):
        if len(above[k]) == 0:
            parts[0][k] = marked(two.seeds[k], until=cut)
    if not all(len(rows) for side in parts for rows, _ in side):
        return Link(cut=cut, costs=(0.0, 0.0))

    def likely(ways: Sequence[tuple[int, int]]) -> float:
        joined = [[np.concatenate(two) for two in zip(parts[0][a], parts[1][b], strict=True)] for a, b in ways]
        return sum(float(bent_likelihood(rows - rows[0], places[None])[0]) for rows, places in joined)

    more = WEIGHT * (likely([(0, 0), (1, 1)]) - likely([(0, 1), (1, 0)]))
    odds = np.exp(-np.logaddexp(0.0, [-more, more]))
    costs = -np.log((1 - doubt) * odds + doubt / 2)
    return Link(cut=cut, costs=(float(costs[0]), float(costs[1])))


def marked(seeds: Sequence[tuple[float, float]], *, until: int) -> tuple[np.ndarray, np.ndarray]:
    """The last seed above a row, which tells where a curve is that was not seen so far."""
    above = [seed for seed in seeds if seed[0] < until][-1:]
    return np.array([row for row, _ in above]), np.array([x for _, x in above])


def cheapest_names(
    single: Float[np.ndarray, "segments 2"], links: Float[np.ndarray, "meetings 2"]
) -> tuple[Int[np.ndarray, " segments"], Float[np.ndarray, " meetings"]]:
    """The cheapest chain of two states, and by how much the best other chain is dearer at each link.

    Args:
        single: cost of each state
        links: cost of staying in the state, and of changing it

    Example:
        >>> states, margin = cheapest_names(np.array([[0.0, 9.0], [0.0, 0.0]]), np.array([[3.0, 1.0]]))
        >>> states.tolist(), margin.tolist()
        ([0, 1], [2.0])
    """
    cost = np.stack([links, links[:, ::-1]], axis=1)  # [meetings, from, to]
    above, below = np.zeros_like(single), np.zeros_like(single)
    above[0] = single[0]
    for k, link in enumerate(cost):
        above[k + 1] = single[k + 1] + np.min(above[k][:, None] + link, axis=0)
    for k in range(len(cost) - 1, -1, -1):
        below[k] = np.min(cost[k] + (single[k + 1] + below[k + 1])[None], axis=1)
    through = above[:-1, :, None] + cost + (single + below)[1:, None]
    stay = np.minimum(through[:, 0, 0], through[:, 1, 1])
    change = np.minimum(through[:, 0, 1], through[:, 1, 0])
    # The state of each segment from the first on, by the changes chosen, so that equal costs do not contradict.
    states = np.argmin(above + below, axis=1)
    for k in range(len(cost)):
        states[k + 1] = np.argmin(cost[k][states[k]] + single[k + 1] + below[k + 1])
    return states, np.abs(change - stay)
