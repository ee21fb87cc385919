"""How far our metrics are from independent libraries: compared here, printed as one table at the end of a run."""

from typing import NamedTuple

import numpy as np

LEAST_CASES = 200


class Comparison(NamedTuple):
    """One metric against one oracle."""

    metric: str
    oracle: str
    cases: int
    largest: float  # absolute difference over all cases
    allowed: float


COMPARISONS: list[Comparison] = []


def agree(metric, oracle, ours, theirs, *, allowed=0.0):
    """Asserts that two lists of results, one entry a case, are equal up to `allowed`; notes it for the table.

    NaN equals NaN, infinity equals infinity; anything else against either is a failure.
    """
    assert len(ours) == len(theirs)
    assert len(ours) >= LEAST_CASES, f"{metric}: {len(ours)} cases; at least {LEAST_CASES} are promised"
    largest = 0.0
    for case, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        np.testing.assert_array_equal(np.isfinite(a), np.isfinite(b), err_msg=f"{metric}, case {case}: {a} {b}")
        np.testing.assert_array_equal(a[~np.isfinite(a)], b[~np.isfinite(b)], err_msg=f"{metric}, case {case}")
        known = np.isfinite(a)
        difference = np.abs(a[known] - b[known])
        largest = max(largest, float(difference.max(initial=0.0)))
        assert largest <= allowed, f"{metric}, case {case}: {a} and not {b}"
    COMPARISONS.append(Comparison(metric, oracle, len(ours), largest, allowed))


def table():
    """The lines of the table."""
    head = f"{'metric':<40}{'oracle':<34}{'cases':>6}{'largest':>10}{'allowed':>10}"
    rows = [f"{c.metric:<40}{c.oracle:<34}{c.cases:>6}{c.largest:>10.1e}{c.allowed:>10.1e}" for c in COMPARISONS]
    return [head, *sorted(rows)]
