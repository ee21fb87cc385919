"""What average precision takes of a model: its own boxes and scores where it gives them, else those of its masks."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.metrics.average_precision import boxes_of
from veerjax.metrics.other_parts import average_precisions, detection_sums
from veerjax.tracing.trace import Trace
from veerjax.types import Batch, Prediction, blank

SUMS = jax.jit(jax.vmap(detection_sums))


@pytest.fixture(scope="module")
def case() -> tuple[Prediction, Batch]:
    """Two logs of two squares whose masks are read right."""
    strokes = jnp.zeros((2, 2, 16, 16), bool).at[:, 0, 2:6, 2:6].set(True).at[:, 1, 8:14, 9:13].set(True)
    batch = replace(blank(jnp.zeros((2, 16, 16, 1))), strokes=strokes)
    masks = strokes.astype(jnp.float32)
    return Prediction(masks=masks, row_log_prob=jnp.log(masks + 1e-6), presence=masks.max(-1)), batch


def sums(prediction: Prediction, batch: Batch) -> dict[str, np.ndarray]:
    x, there = jnp.zeros((2, 2, 16)), jnp.ones((2, 2, 16), bool)
    found = Trace(x=x, lo=x, hi=x, presence=there, confidence=there * 0.6, occluded=~there)
    return jax.device_get(SUMS(prediction, found, batch))


def test_without_own_boxes_those_of_the_masks_count(case: tuple[Prediction, Batch]) -> None:
    found = sums(*case)
    np.testing.assert_allclose(found["box_iou"], 1)
    np.testing.assert_allclose(found["score"], 0.6, rtol=1e-6)
    assert average_precisions(found)["box"]["ap"] == [1, 1]


def test_own_boxes_are_judged_apart_from_masks_and_ranked_by_own_scores(case: tuple[Prediction, Batch]) -> None:
    prediction, batch = case
    boxes = boxes_of(batch.strokes)
    half = boxes.at[1, 0, 2].add(-2.4)  # of 4 rows 1.6 are left: IoU .4
    own = replace(prediction, boxes=half, scores=jnp.array([[0.3, 0.9], [0.8, 0.9]]))
    found = sums(own, batch)
    np.testing.assert_allclose(found["box_iou"], [[1, 1], [0.4, 1]], rtol=1e-6)
    np.testing.assert_allclose(found["score"], [[0.3, 0.9], [0.8, 0.9]], rtol=1e-6)
    figures = average_precisions(found)
    assert figures["mask"]["ap50"] == [1, 1]
    # The wrong box comes first: precision is 0 and then one half, at every recall up to one half.
    assert figures["box"]["ap50"] == [pytest.approx(0.5 * 51 / 101), 1]
    found = sums(replace(own, scores=jnp.array([[0.8, 0.9], [0.3, 0.9]])), batch)
    assert average_precisions(found)["box"]["ap50"] == [pytest.approx(51 / 101), 1]


def test_what_has_a_score_is_a_detection_even_without_ink_and_what_has_none_is_not(
    case: tuple[Prediction, Batch],
) -> None:
    prediction, batch = case
    own = replace(
        prediction,
        masks=prediction.masks.at[0, 0].set(0),
        boxes=boxes_of(batch.strokes),
        scores=jnp.array([[0.7, 0.0], [0.7, 0.7]]),
    )
    found = sums(own, batch)
    assert found["detected"].tolist() == [[True, False], [True, True]]
    figures = average_precisions(found)
    assert figures["mask"]["ap50"] == [pytest.approx(0.5 * 51 / 101), pytest.approx(51 / 101)]
    assert figures["box"]["ap50"] == [1, pytest.approx(51 / 101)]
