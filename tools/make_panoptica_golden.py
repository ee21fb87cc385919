"""Writes tests/golden_panoptica.json: what panoptica says of the cases of tests/panoptic_cases.py.

panoptica holds NumPy below 2.3, so it lives in an environment of its own:

    python -m venv /tmp/panoptica && /tmp/panoptica/bin/pip install panoptica scipy
    /tmp/panoptica/bin/python tools/make_panoptica_golden.py

Classes are judged one by one, as masks of one segment that carry the same number in truth and prediction. Two points
are set to the definition of Kirillov et al. 2019, which panoptica leaves: it matches at an IoU of .5 and above, so its
threshold is the next number above .5; and it gives a segmentation quality of 0 where nothing matched, which is written
as null, for a mean of nothing. Counts are written as panoptica gives them.
"""

import json
import math
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from panoptica import InputType, Metric, Panoptica_Evaluator

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path.insert(0, str(TESTS))

from panoptic_cases import COUNT, fingerprint, overlapping  # noqa: E402


def judged(evaluator, true, predicted):
    """TP, FP, FN, and PQ, SQ, RQ of one class."""
    results = evaluator.evaluate(np.uint8(predicted), np.uint8(true), verbose=False)
    found = results["ungrouped"] if isinstance(results, dict) else results
    shares = [found.pq, found.sq if found.tp else math.nan, found.rq]
    return [int(n) for n in (found.tp, found.fp, found.fn)], [None if math.isnan(v) else float(v) for v in shares]


def main():
    evaluator = Panoptica_Evaluator(
        expected_input=InputType.MATCHED_INSTANCE,
        instance_metrics=[Metric.IOU],
        global_metrics=[],
        decision_metric=Metric.IOU,
        decision_threshold=math.nextafter(0.5, 1.0),
    )
    counts, shares = [], []
    for case in range(COUNT):
        true, predicted = (np.concatenate([~strokes.any(axis=0)[None], strokes]) for strokes in overlapping(case))
        by_class = [judged(evaluator, t, p) for t, p in zip(true, predicted, strict=True)]
        counts.append([count for count, _ in by_class])
        shares.append([share for _, share in by_class])
    golden = {
        "version": version("panoptica"),
        "fingerprint": fingerprint(),
        "counts": counts,
        "background": [by_class[0] for by_class in shares],
        "cases": [by_class[1:] for by_class in shares],
    }
    (TESTS / "golden_panoptica.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
