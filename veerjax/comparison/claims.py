"""What the survey claims, what would prove it wrong, and what the results say of that: written before the runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from veerjax.comparison.arms import ARMS, PIXELS
from veerjax.comparison.control import LEAST_AP50
from veerjax.comparison.design import shifted_at, styled
from veerjax.comparison.evidence import Results, by_curve, figure_and_draws
from veerjax.metrics.confusion import iou
from veerjax.metrics.contrasts import bounds, equivalent

MARGIN = 0.02  # of equivalence
HELD, FALSIFIED, UNDECIDED = "held", "falsified", "undecided"
SURVEY_BACKGROUND = 0.94
NEAR_IOU = (0.15, 0.35)  # about .25
SURPLUS = 2.0  # times the true ink
NEAR = 0.33  # s/w below which boxes overlap by more than .5
Finding = tuple[str, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim with the criterion that it is judged by, seed by seed."""

    claim: str
    criterion: str
    needs: tuple[str, ...]  # arms that must be there and trained
    judge: Callable[[Results, int], Finding]


def judged(claim: Claim, results: Results) -> dict[str, Any]:
    """A claim with its verdict: that of every seed if they agree, else undecided."""
    told = {"claim": claim.claim, "criterion": claim.criterion}
    reason = reason_against(claim, results)
    if reason is not None:
        return {**told, "verdict": UNDECIDED, "evidence": {"reason": reason}}
    found = {}
    for seed in results.seeds(*claim.needs) if claim.needs else [0]:
        untrained = [arm for arm in claim.needs if results.untrained(arm, seed)]
        verdict, evidence = claim.judge(results, seed)
        if untrained:
            shortfalls = {arm: results.shortfall(arm, seed) for arm in untrained}
            verdict, evidence = UNDECIDED, {"untrained": shortfalls, "would_be": verdict, **evidence}
        found[str(seed)] = {"verdict": verdict, **evidence}
    verdicts = {finding["verdict"] for finding in found.values()}
    return {**told, "verdict": verdicts.pop() if len(verdicts) == 1 else UNDECIDED, "evidence": found}


def reason_against(claim: Claim, results: Results) -> str | None:
    """Why nothing can be said at all, if so."""
    if not results.preset.result:
        return f"the preset {results.name} proves machinery alone"
    missing = [arm for arm in claim.needs if arm not in results.trials]
    if missing:
        return f"not run: {', '.join(missing)}"
    if claim.needs and not results.seeds(*claim.needs):
        return f"no seed that all of {', '.join(claim.needs)} were trained with"
    if not claim.needs and results.oracles is None:
        return "not run: O"
    if any(ARMS[arm].boxes for arm in claim.needs):
        if results.control is None:
            return "the positive control was not run"
        if not results.control["mask_ap50"] >= LEAST_AP50:
            return f"the positive control has a mask AP50 of {results.control['mask_ap50']:.3f}, below {LEAST_AP50}"
    return None


def above(draws: np.ndarray, value: float) -> bool:
    """Whether all but the lowest 2.5 % of the draws lie above a value."""
    return bounds(draws)[0] > value


def below(draws: np.ndarray, value: float) -> bool:
    """Whether all but the highest 2.5 % of the draws lie below a value."""
    return bounds(draws)[1] < value


def spread(value: Any, draws: np.ndarray) -> dict[str, Any]:
    return {"value": float(value), "interval95": bounds(draws)}


def difference(results: Results, a: str, b: str, seed: int, figure: str, **of_a: str) -> tuple[float, np.ndarray]:
    """A figure of A less that of B where curves meet, and its draws."""
    (first, drawn), (second, other) = (
        results.drawn(a, seed, figure, results.meeting, **of_a),
        results.drawn(b, seed, figure, results.meeting),
    )
    return float(first - second), drawn - other


def boxes_collapse(results: Results, seed: int) -> Finding:
    near = np.array([log.meeting == "shifted" and log.separation < NEAR for log in results.logs])
    evidence: dict[str, Any] = {}
    verdict = UNDECIDED
    for reading in ("native", "soft", "off"):
        sums = results.sums("A2", seed, reading=reading)
        ends = [by_curve(sums, results.logs, where) for where in (near, shifted_at(results.logs, 1.0))]
        (low, drawn), (high, other) = (figure_and_draws("recall", end) for end in ends)
        drop = drawn - other
        evidence[reading] = {"near": float(low), "apart": float(high), "change": spread(low - high, drop)}
        if reading == "off":
            flat = bounds(drop, outside=0.1)[0] > -MARGIN
            verdict = FALSIFIED if flat else HELD if below(drop, -MARGIN) else UNDECIDED
    return verdict, evidence


def box_is_the_cause(results: Results, seed: int) -> Finding:
    evidence: dict[str, Any] = {}
    verdicts = []
    for arm in ("A3", "A4"):
        if seed not in results.trials.get(arm, {}):
            continue
        parts = {figure: difference(results, arm, "B4", seed, figure) for figure in ("tolerance_f1_2px", "continuity")}
        evidence[f"{arm} - B4"] = {figure: spread(*part) for figure, part in parts.items()}
        alike = all(equivalent(draws, margin=MARGIN) for _, draws in parts.values())
        worse = any(below(draws, -MARGIN) for _, draws in parts.values())
        usable = not results.untrained(arm, seed)
        verdicts.append(UNDECIDED if not usable else FALSIFIED if alike else HELD if worse else UNDECIDED)
    gap, gap_draws = difference(results, "B4", "A1", seed, "tolerance_f1_2px")
    won, won_draws = difference(results, "A1", "A1", seed, "tolerance_f1_2px", reading="oracle masks")
    rest = won_draws - 0.9 * gap_draws
    evidence["B4 - A1"], evidence["true masks in found boxes - A1"] = spread(gap, gap_draws), spread(won, won_draws)
    there = above(gap_draws, 0.0)
    verdicts.append(FALSIFIED if there and above(rest, 0.0) else HELD if there and below(rest, 0.0) else UNDECIDED)
    if FALSIFIED in verdicts:
        return FALSIFIED, evidence
    return HELD if set(verdicts) == {HELD} else UNDECIDED, evidence


def identity_by_construction(results: Results, seed: int) -> Finding:
    alike = results.meeting & styled(results.logs, "identical")
    value, draws = results.drawn("B4", seed, "continuity", alike)
    verdict = HELD if above(draws, 0.5) else FALSIFIED if below(draws, 0.5 + MARGIN) else UNDECIDED
    return verdict, {"balanced continuity of B4, identical ink": spread(value, draws)}


def pixels_beat_instances(results: Results, seed: int) -> Finding:
    parts = {figure: difference(results, "A5", "B4", seed, figure) for figure in ("tolerance_f1_2px", "continuity")}
    evidence = {f"A5 - B4, {figure}": spread(*part) for figure, part in parts.items()}
    if any(above(draws, -MARGIN) for _, draws in parts.values()):
        return FALSIFIED, evidence
    return HELD if all(below(draws, 0.0) for _, draws in parts.values()) else UNDECIDED, evidence


def pixels_are_right(results: Results, seed: int) -> Finding:
    others = [arm for arm in PIXELS if seed in results.trials.get(arm, {}) and not results.untrained(arm, seed)]
    parts = {arm: difference(results, "C1", arm, seed, "row_error_all_px") for arm in others}
    evidence = {f"C1 - {arm} [px]": spread(*part) for arm, part in parts.items()}
    if parts and all(below(draws, 0.0) for _, draws in parts.values()):
        return FALSIFIED, evidence
    return HELD if any(above(draws, 0.0) for _, draws in parts.values()) else UNDECIDED, evidence


def thin_geometry(results: Results, seed: int) -> Finding:
    errors, surplus = [], []
    for arm in results.trials:
        if seed not in results.trials[arm] or results.untrained(arm, seed):
            continue
        sums = results.sums(arm, seed)
        ink = sums["confusion"]
        share = iou(ink)[:, 1:]
        low = (share >= NEAR_IOU[0]) & (share <= NEAR_IOU[1]) & (sums["rows"] > 0)
        errors += list((sums["all_px"] / np.maximum(sums["rows"], 1))[low])
        surplus += list((ink.sum(axis=1)[:, 1:] / np.maximum(ink.sum(axis=2)[:, 1:], 1))[low])
    evidence = {"curves": len(errors)}
    if len(errors) < 20:
        return UNDECIDED, {**evidence, "reason": "fewer than 20 curves of trained arms have an IoU of about .25"}
    error, ink = float(np.median(errors)), float(np.median(surplus))
    evidence |= {"median row error [px]": error, "median ink over true ink": ink}
    return FALSIFIED if error > 2 or ink >= SURPLUS else HELD, evidence


def nearness_is_mutual(results: Results, seed: int) -> Finding:
    near = np.array([log.meeting == "shifted" and 0 < log.separation <= NEAR for log in results.logs])
    evidence: dict[str, Any] = {}
    drawn = {}
    for style in ("coded", "identical"):
        value, draws = results.drawn("B4", seed, "f1_of_curves", near & styled(results.logs, style))
        drawn[style] = draws[:, 0] - draws[:, 1]
        evidence[f"F1 of curve 1 less curve 2, {style}"] = spread(value[0] - value[1], drawn[style])
    follows = above(drawn["coded"], MARGIN) and equivalent(drawn["identical"], margin=MARGIN)
    stays = above(drawn["coded"], 0.0) and above(drawn["identical"], 0.0)
    return FALSIFIED if follows else HELD if stays else UNDECIDED, evidence


def skips_and_crf(results: Results, seed: int) -> Finding:
    finer = difference(results, "B3", "B1", seed, "tolerance_f1_2px")
    crf = difference(results, "B5", "B5", seed, "tolerance_f1_2px", reading="crf")
    evidence = {"FCN-8s - FCN-32s": spread(*finer), "with CRF - without": spread(*crf)}
    if below(finer[1], MARGIN) or below(crf[1], 0.0):
        return FALSIFIED, evidence
    return HELD if above(finer[1], 0.0) and above(crf[1], 0.0) else UNDECIDED, evidence


def interchangeable(results: Results, seed: int) -> Finding:
    there = [arm for arm in ARMS if seed in results.trials.get(arm, {}) and not results.untrained(arm, seed)]
    found = {arm: results.drawn(arm, seed, "tolerance_f1_2px", results.meeting) for arm in there}
    pixels, boxes = ([found[a] for a in there if a in group] for group in (PIXELS[:5], ("A1", "A2", "A3")))
    if len(pixels) < 2 or not boxes:
        return UNDECIDED, {"reason": "fewer than two trained arms of pixels, or none of boxes"}
    within = [np.max(side, axis=0) - np.min(side, axis=0) for side in zip(*pixels, strict=True)]
    best = [[np.max(side, axis=0) for side in zip(*group, strict=True)] for group in (pixels, boxes)]
    gap = [a - b for a, b in zip(*best, strict=True)]
    excess = within[1] - np.abs(gap[1])
    evidence = {
        "spread within B1 to B5": spread(within[0], within[1]),
        "best of B less best of A": spread(gap[0], gap[1]),
    }
    return FALSIFIED if above(excess, 0.0) else HELD if below(excess, 0.0) else UNDECIDED, evidence


def background_is_easy(results: Results, seed: int) -> Finding:
    del seed
    assert results.oracles is not None
    blank, draws = results.drawn("all_background", 0, "iou", results.meeting)
    verdict = FALSIFIED if bounds(draws[:, 0])[0] >= SURVEY_BACKGROUND else HELD
    return verdict, {"background IoU of a blank page": spread(blank[0], draws[:, 0]), "the survey's": SURVEY_BACKGROUND}


CLAIMS = (
    Claim(
        claim="boxes collapse as the curves merge",
        criterion="A2's recall within 2 px, suppression off, does not drop from s/w = 1 to below .33: the one-sided "
        "95 % bound of the change lies above -.02 (held: its 95 % interval lies below -.02)",
        needs=("A2",),
        judge=boxes_collapse,
    ),
    Claim(
        claim="the box is the cause",
        criterion="A3 or A4 is equivalent to B4 (margin .02, two one-sided tests) in F1 within 2 px and in balanced "
        "continuity where curves meet, or true masks in found boxes win .9 of what B4 has over A1",
        needs=("A1", "B4"),
        judge=box_is_the_cause,
    ),
    Claim(
        claim="per-pixel labels keep identity by construction",
        criterion="with identical ink, B4's balanced continuity is not above .5: its 95 % interval lies below .52 "
        "(held: above .5)",
        needs=("B4",),
        judge=identity_by_construction,
    ),
    Claim(
        claim="per-pixel beats instance",
        criterion="A5 is no worse than B4 by .02 on a primary measure (held: the interval of A5 - B4 lies below 0 on "
        "both)",
        needs=("A5", "B4"),
        judge=pixels_beat_instances,
    ),
    Claim(
        claim="per-pixel is the right hypothesis class",
        criterion="C1's mean row error, missed rows at the width, lies below that of every trained B arm",
        needs=("C1",),
        judge=pixels_are_right,
    ),
    Claim(
        claim="low IoU is only thin-line geometry",
        criterion="of curves with an IoU of .15 to .35 the median row error exceeds 2 px, or the median ink is twice "
        "the true ink or more",
        needs=(),
        judge=thin_geometry,
    ),
    Claim(
        claim="curve 2 is harder because it runs near the other",
        criterion="at s/w up to .33, B4's F1 of curve 1 exceeds that of curve 2 by .02 if coded, and is equivalent if "
        "alike: nearness is the same in both (held: it exceeds it in both)",
        needs=("B4",),
        judge=nearness_is_mutual,
    ),
    Claim(
        claim="skips and CRF recover thin detail",
        criterion="FCN-8s is not .02 above FCN-32s in F1 within 2 px, or the CRF lowers DeepLab's",
        needs=("B1", "B3", "B5"),
        judge=skips_and_crf,
    ),
    Claim(
        claim="FCN, U-Net and DeepLab are interchangeable",
        criterion="the spread of F1 within 2 px over B1 to B5 exceeds the distance of their best from the best of A1 "
        "to A3",
        needs=("A1", "B1", "B4"),
        judge=interchangeable,
    ),
    Claim(
        claim='"background almost perfect at .94"',
        criterion="a blank page has a background IoU of .94 or more on the same logs",
        needs=(),
        judge=background_is_easy,
    ),
)


def findings(results: Results) -> list[dict[str, Any]]:
    """Every claim with its verdict."""
    return [judged(claim, results) for claim in CLAIMS]
