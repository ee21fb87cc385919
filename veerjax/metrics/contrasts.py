"""What bootstrap draws of a difference say: whether there is one, whether it is too small to matter, of how many tests.

Draws are those of `metrics.bootstrap`, paired: both figures of a draw are of the same logs.

Reference:
    Schuirmann 1987 (two one-sided tests); Holm 1979; Efron and Tibshirani 1993, chapter 15 (the level at which a
    percentile interval ends at 0).
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Num

LEVEL = 0.05  # of every test
Draws = Num[np.ndarray, " draws"]


def bounds(drawn: Draws, *, outside: float = LEVEL) -> tuple[float, float]:
    """Between which draws lie, but for the share `outside`, half of it on either side; NaN where most are not known."""
    known = drawn[np.isfinite(drawn)]
    if 2 * len(known) < len(drawn):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [outside / 2, 1 - outside / 2])
    return float(low), float(high)


def equivalent(drawn: Draws, *, margin: float) -> bool:
    """Whether a difference is shown to be smaller than a margin either way, by two one-sided tests of `LEVEL`.

    Definition: the middle 90 % of the draws lie between `-margin` and `margin`. That two intervals overlap would show
    nothing.

    Example:
        >>> equivalent(np.linspace(-0.01, 0.01, 100), margin=0.02)
        True
    """
    low, high = bounds(drawn, outside=2 * LEVEL)
    return -margin < low and high < margin


def p_value(drawn: Draws) -> float:
    """The two-sided level at which the interval of a difference ends at 0; not below that of a single draw.

    Example:
        >>> p_value(np.array([1.0, 2.0, 3.0, -1.0]))
        0.5
    """
    known = drawn[np.isfinite(drawn)]
    if 2 * len(known) < len(drawn):
        return float("nan")
    side = min((known <= 0).mean(), (known >= 0).mean())
    return float(min(1.0, 2 * max(side, 1 / len(known))))


def holm(values: Mapping[str, float]) -> dict[str, float]:
    """The p-values of several tests, adjusted so that one in twenty families has an error; NaN stays and is no test.

    Definition: the k-th smallest of n is multiplied by n - k + 1, and none is below a smaller one's.

    Args:
        values: by test

    Example:
        >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
        {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    tests = sorted((value, name) for name, value in values.items() if np.isfinite(value))
    adjusted, least = dict(values), 0.0
    for place, (value, name) in enumerate(tests):
        least = max(least, min(1.0, value * (len(tests) - place)))
        adjusted[name] = least
    return adjusted
