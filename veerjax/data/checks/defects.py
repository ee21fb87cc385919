"""What is wrong with an example by itself: each check says it in a sentence, or nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from veerjax.data.checks.alignment import grown
from veerjax.data.checks.health import wraps
from veerjax.data.checks.samples import Sample
from veerjax.labels import BACKGROUND, CURVE_1, NUM_CLASSES, NUM_CURVES, label_of

END_ROWS = 16  # a pen reaches so far beyond the last row in which its curve is on the track
WRAP_ROWS = 4  # around a wrap the pen is already, or still, at the other edge
EDGE_PX = 8  # ink so near the border may be cut by it, also where a page lies askew
FEW_ROWS, FEW_SHARE = 8, 0.02  # rows that may contradict each other, as strokes end and leave the track


@dataclass(frozen=True, kw_only=True)
class Defect:
    """Something wrong with an example, or with several."""

    check: str  # one of `jobs.doctor.CHECKS`
    split: str
    example: str
    detail: str
    other: str | None = None  # the example that it repeats, or shares something with
    other_split: str | None = None


def own_defects(sample: Sample) -> Iterator[Defect]:
    """All that is wrong with one example, whatever the others are."""
    for check, say in CHECKS_OF_ONE.items():
        for detail in say(sample):
            yield Defect(check=check, split=sample.split, example=sample.name, detail=detail)


def not_finite(sample: Sample) -> Iterator[str]:
    """Numbers that are none, where one is needed."""
    if bad := int((~np.isfinite(sample.image)).sum()):
        yield f"{bad} values of the image are NaN or infinite"
    for curve, rows in enumerate((~np.isfinite(sample.centreline) & sample.presence).sum(axis=1), start=1):
        if rows:
            yield f"the centreline of curve {curve} is NaN or infinite in {rows} rows where it is present"


def out_of_range(sample: Sample) -> Iterator[str]:
    """Values that mean nothing: a class that is none, a grey level beyond white, a present curve off the track."""
    low, high = np.nanmin(sample.image), np.nanmax(sample.image)
    if low < 0 or high > 1:
        yield f"grey levels run from {low:.3g} to {high:.3g}; 0 is black and 1 white"
    if sample.label.max() >= NUM_CLASSES:
        yield f"the label holds the class {sample.label.max()}; the last one is {NUM_CLASSES - 1}"
    x, width = sample.centreline, sample.label.shape[1]
    for curve, rows in enumerate((sample.presence & ((x < 0) | (x > width))).sum(axis=1), start=1):
        if rows:
            yield f"curve {curve} is present in {rows} rows where its centreline is off the image"


def empty_label(sample: Sample) -> Iterator[str]:
    """No pixel belongs to a curve."""
    if not (sample.label != BACKGROUND).any():
        yield "the label is empty"


def wrong_label(sample: Sample) -> Iterator[str]:
    """The label is not what the strokes say, curve 1 over curve 2."""
    if wrong := int((label_of(sample.strokes) != sample.label).sum()):
        yield f"{wrong} pixels of the label differ from the strokes, curve 1 over curve 2"


def wrong_presence(sample: Sample) -> Iterator[str]:
    """A curve is present without a stroke, or has a stroke where it is absent."""
    wrapping = wraps(sample)
    for curve in range(NUM_CURVES):
        there, stroke = sample.presence[curve], sample.strokes[curve]
        wrapped = grown(np.append(wrapping[curve], False)[:, None], WRAP_ROWS)[:, 0]
        bare = there & ~stroke.any(axis=1) & ~under_other(sample, curve) & ~wrapped
        if too_many(bare, of=there):
            yield f"curve {curve + 1} is present but has no stroke in {bare.sum()} of {there.sum()} rows"
        # A stroke that is cut by the border belongs to a curve off the track; one beyond an end is the pen's width.
        cut = stroke[:, :EDGE_PX].any(axis=1) | stroke[:, -EDGE_PX:].any(axis=1)
        nearby = grown(there[:, None], END_ROWS)[:, 0]
        ghost = stroke.any(axis=1) & ~nearby & ~cut
        if not sample.second_pair and too_many(ghost, of=stroke.any(axis=1)):
            yield f"curve {curve + 1} is absent but has a stroke in {ghost.sum()} rows"


def off_stroke(sample: Sample) -> Iterator[str]:
    """A centreline runs beside its stroke."""
    for curve in range(NUM_CURVES):
        near = grown_across(sample.strokes[curve])
        judged = sample.presence[curve] & near.any(axis=1) & np.isfinite(sample.centreline[curve])
        outside = judged & ~at_centreline(sample, curve, near) & ~under_other(sample, curve)
        if too_many(outside, of=judged):
            rows = f"{outside.sum()} of {judged.sum()} rows"
            yield f"the centreline of curve {curve + 1} runs outside its stroke in {rows}"


def under_other(sample: Sample, curve: int) -> Bool[np.ndarray, " height"]:
    """The rows where curve 1 hides the centreline of curve 2, whose own mask may be known where it is seen only."""
    if curve == 0:
        return np.zeros(sample.label.shape[0], bool)
    return at_centreline(sample, curve, grown_across(sample.label == CURVE_1))


def at_centreline(sample: Sample, curve: int, mask: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, " height"]:
    """Whether the mask holds the pixel in which the centreline crosses each row."""
    x: Float[np.ndarray, " height"] = np.nan_to_num(sample.centreline[curve], posinf=0, neginf=0)
    column = np.floor(x).clip(0, mask.shape[1] - 1).astype(int)
    return mask[np.arange(len(mask)), column]


def grown_across(mask: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """The mask with a pixel more on either side in each row, as centres are rounded to pixels."""
    wider = mask.copy()
    wider[:, 1:] |= mask[:, :-1]
    wider[:, :-1] |= mask[:, 1:]
    return wider


def too_many(rows: Bool[np.ndarray, " height"], *, of: Bool[np.ndarray, " height"]) -> bool:
    """More rows than ends of strokes explain."""
    return bool(rows.sum() > max(FEW_ROWS, FEW_SHARE * of.sum()))


CHECKS_OF_ONE: dict[str, Callable[[Sample], Iterator[str]]] = {
    "not_finite": not_finite,
    "out_of_range": out_of_range,
    "empty_label": empty_label,
    "wrong_label": wrong_label,
    "wrong_presence": wrong_presence,
    "centreline_off_stroke": off_stroke,
}
