"""Reports of the structure that `evaluate` gives, with figures drawn at random, and overlays to go with them."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from veerjax.jobs.evaluate import METRICS, SURVEY, plain
from veerjax.jobs.methods import true_trace
from veerjax.metrics.bootstrap import flat
from veerjax.metrics.parts import CURVE_PX
from veerjax.metrics.reliability import KEPT_SHARES
from veerjax.metrics.scores import figures_of, measure
from veerjax.metrics.strata import STRATA
from veerjax.report.overlay import COLOURS
from veerjax.report.page import Overlay
from veerjax.types import Prediction, blank


@functools.cache
def structure() -> dict[str, Any]:
    """The figures of no log at all: every key that `evaluate` can give, and the shape of each."""
    batch = blank(jnp.zeros((1, 32, 32, 1)))
    planes = jnp.zeros((1, 2, 32, 32))
    prediction = Prediction(masks=planes, row_log_prob=planes, presence=planes[..., 0])
    measured = functools.partial(measure, parts=METRICS["all"])
    sums = jax.eval_shape(measured, prediction, true_trace(batch, present=True), batch)
    empty = jax.tree.map(lambda leaf: np.zeros(leaf.shape[1:], leaf.dtype), sums)
    return figures_of(empty, parts=METRICS["all"])


def method(seed: int) -> dict[str, Any]:
    """The figures of one method, some of them not defined, with intervals around them."""
    draw = np.random.default_rng(seed)

    def filled(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: filled(item, key) for key, item in value.items()}
        shape = np.shape(value)
        return draw.integers(1, 50_000, shape) if name in ("rows", "logs") else draw.uniform(0.2, 0.9, shape)

    figures = filled(structure())
    figures["calibration"]["within_2px"][:, :5] = np.nan
    figures["identity_accuracy"] = np.nan if seed else figures["identity_accuracy"]
    between = {key: [value - 0.05, value + 0.08] for key, value in flat(figures).items()}
    return figures | {"interval95": between}


def sample_report(*, logs: int = 12, wells: int = 0, **more: Any) -> dict[str, Any]:
    """A report as JSON gives it.

    Args:
        logs: how many
        wells: how many they are from; 0 for rendered ones
        more: entries in place of these
    """
    draw = np.random.default_rng(0)
    f1 = draw.uniform(0, 1, (logs, 2))
    f1[-1] = np.nan
    report = {
        "schema": 1,
        "data": "standard",
        "split": "test",
        "weights": "release",
        "metrics": "all",
        "n_logs": logs,
        "n_wells": wells or None,
        "interval_unit": "well" if wells > 1 else "log",
        "interval_draws": 10_000,
        **method(0),
        "confusion": [[9000, 12, 7], [30, 500, 4], [60, 9, 300]],
        "baselines": {"all_background": method(1), "random_identity": method(2), "classical": method(3)},
        "survey": SURVEY,
        "axes": {"tolerance_curve_px": CURVE_PX, "risk_coverage_share": KEPT_SHARES, "strata": STRATA},
        "per_log": {
            "name": [f"standard/test/{index:05d}" for index in range(logs)],
            "well": [f"well {index % wells}" if wells else None for index in range(logs)],
            "tolerance_f1_2px": f1,
            "row_error_all_px": draw.lognormal(0, 2, (logs, 2)),
            "iou": draw.uniform(0, 1, (logs, 3)),
            "coverage": draw.uniform(0, 1, (logs, 2)),
        },
        "seconds": {"read": 1.5, "predict": 12.0, "trace": 3.0, "metrics": 0.5},
    }
    return plain(report | more)


def paired(report: dict[str, Any]) -> dict[str, Any]:
    """The report with a comparison of two sets of weights."""
    found = {
        key: {"a": 0.5, "b": 0.6, "difference": 0.1, "interval95": [0.05, 0.15], "verdict": "B better"}
        for key in report["interval95"]
    }
    found["coverage.0"] |= {"interval95": [-0.1, 0.3], "verdict": "noise"}
    found["identity_accuracy"] |= {"b": None, "difference": None, "interval95": [None, None], "verdict": "-"}
    found["coverage.1"] |= {"b": 0.5, "difference": 0.0, "interval95": [0.0, 0.0], "verdict": "equal"}
    return report | {
        "paired": {"weights": ["release", "runs/b@best"], "primary": "tolerance_f1_2px", "difference": found}
    }


def sample_overlays(height: int = 60, width: int = 88, *, worst: int = 3) -> list[Overlay]:
    """The worst, a median one and the best: grey noise with a red and a blue line."""
    draw, found = np.random.default_rng(1), []
    for place, kind in enumerate(("worst",) * worst + ("median", "best")):
        grey = np.clip(draw.normal(225, 8, (height, width)), 0, 255).astype(np.uint8)
        picture = np.repeat(grey[..., None], 3, axis=-1)
        for colour, x in zip(COLOURS, (width // 4, width // 2), strict=True):
            picture[:, x : x + 2] = colour
        found.append(Overlay(kind, f"standard/test/{place:05d}", "curve 1: F1 0.65, coverage 0.99", picture))
    return found
