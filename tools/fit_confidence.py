"""The constants of `tracing/confidence.py`: `python tools/fit_confidence.py --weights release --logs 192`.

Validation logs of a setting are read and traced; a logistic regression says of each row how likely it is within one
percent of the track of the truth. It is fitted to the even logs and judged on the odd ones: calibration error, and what
is wrong among the surest rows. What is printed first goes into `WEIGHTS`, which is fitted to all logs.
"""

import argparse

import jax
import numpy as np

from veerjax.data.rendered import rendered_batches
from veerjax.labels import CURVE_1, CURVE_2
from veerjax.tracing import confidence as model
from veerjax.tracing.hidden import with_hidden
from veerjax.tracing.joint import JointConfig, WantedCurve, polylines
from veerjax.tracing.naming import named_places
from veerjax.tracing.places import find_places
from veerjax.training.weights import load_weights
from veerjax.types import Prediction

TWO = (WantedCurve(curve_class=CURVE_1), WantedCurve(curve_class=CURVE_2))
SIZE_PX, BATCH = 256, 8
RIDGE = 1.0  # of the squared weights, against rows by the ten thousand: only so that unseen features stay at 0
KEPT = (0.5, 0.8, 0.9, 0.95, 1.0)


def rows_of_log(prediction: Prediction, truth: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features and whether it is right, of each row in which a curve of one log is read."""
    config = JointConfig()
    masks, edges = np.asarray(prediction.masks)[0], (0.0, float(SIZE_PX))
    places = find_places(prediction, TWO, edges_px=edges, costs=config.pair)
    places, crossings = named_places(places, masks, TWO, track_px=SIZE_PX, config=config)
    places, _ = with_hidden(places, masks, TWO)
    found = polylines(masks, places, TWO, track_px=SIZE_PX, config=config.rows)
    features = model.row_features(places, found, masks, wanted=TWO, crossings=crossings)
    right = there & (np.abs(found.x - truth) <= model.RIGHT_SHARE * SIZE_PX)
    return features[:, found.presence].T, right[found.presence]


def logistic(score: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-score))


def fitted(features: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The weights of a logistic regression, by Newton's method."""
    weights = np.zeros(features.shape[1])
    for _ in range(20):
        probability = logistic(features @ weights)
        slope = features.T @ (right - probability) - RIDGE * weights
        bend = (features * (probability * (1 - probability))[:, None]).T @ features + RIDGE * np.eye(len(weights))
        weights = weights + np.linalg.solve(bend, slope)
    return weights


def calibration_error(probability: np.ndarray, right: np.ndarray, *, bins: int = 50) -> float:
    """The mean distance between confidence and the share of right rows, over bins of confidence."""
    place = np.minimum((probability * bins).astype(int), bins - 1)
    rows, said, true = (np.bincount(place, w, bins) for w in (np.ones_like(probability), probability, right))
    return float(np.abs(said - true).sum() / rows.sum())


def judged(name: str, probability: np.ndarray, right: np.ndarray) -> None:
    """Prints calibration and risk-coverage of rows."""
    order = np.argsort(-probability, kind="stable")
    wrong = np.cumsum(~right[order]) / np.arange(1, len(right) + 1)
    kept = {share: round(float(wrong[int(share * len(right)) - 1]), 4) for share in KEPT}
    sure = np.flatnonzero(wrong <= 0.01)
    share, least = (0.0, 1.0) if len(sure) == 0 else ((sure[-1] + 1) / len(right), probability[order][sure[-1]])
    error = calibration_error(probability, right)
    print(
        f"{name}: {len(right)} rows, right {right.mean():.4f}, calibration error {error:.4f}; "
        f"wrong among the surest {kept}; {share:.3f} of the rows accepted at confidence {least:.3f} are .99 right"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--weights", default="release")
    parser.add_argument("--setting", default="standard")
    parser.add_argument("--logs", type=int, default=192)
    arguments = parser.parse_args()
    weights = load_weights(arguments.weights)
    predict = jax.jit(weights.model.predict)
    logs = []
    size = {"height": SIZE_PX, "width": SIZE_PX, "batch": BATCH}
    for batch in rendered_batches(arguments.setting, split="validation", count=arguments.logs, **size):
        found, batch = jax.device_get((predict(weights.variables, batch), batch))
        for k in np.flatnonzero(batch.valid):
            one = Prediction(
                masks=found.masks[k : k + 1],
                row_log_prob=found.row_log_prob[k : k + 1],
                presence=found.presence[k : k + 1],
            )
            there = batch.presence[k] & np.isfinite(batch.centreline[k])
            logs.append(rows_of_log(one, np.where(there, batch.centreline[k], 0.0), there))
    even, odd = (tuple(map(np.concatenate, zip(*logs[start::2], strict=True))) for start in (0, 1))
    everything = tuple(map(np.concatenate, zip(*logs, strict=True)))
    for name, value in zip(model.WEIGHTS, fitted(*everything), strict=True):
        print(f'    "{name}": {value:.3f},')
    judged("odd logs, fitted to even ones", logistic(odd[0] @ fitted(*even)), odd[1])
    alone = even[0][:, :2], odd[0][:, :2]  # the constant and the evidence
    judged("odd logs, evidence alone", logistic(alone[1] @ fitted(alone[0], even[1])), odd[1])
    committed = np.array(list(model.WEIGHTS.values()))
    judged("all logs, constants as committed", logistic(everything[0] @ committed), everything[1])


if __name__ == "__main__":
    main()
