"""All metrics together: a log's sums, the figures from them, and the laws that hold whatever the metric."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.data.rendered import rendered_examples
from veerjax.jobs.evaluate import METRICS
from veerjax.jobs.methods import true_trace
from veerjax.metrics.bootstrap import flat, pooled_sums
from veerjax.metrics.scores import figures_of, graded, lower_is_better, measure
from veerjax.models.model import prediction_from_probability
from veerjax.types import Batch

HEIGHT, WIDTH, LOGS = 96, 64, 6
PARTS = METRICS["all"]
measured = jax.jit(partial(measure, parts=PARTS))


@pytest.fixture(scope="module")
def logs() -> Batch:
    return rendered_examples("standard", split="test", indices=jnp.arange(LOGS), height=HEIGHT, width=WIDTH)


def one_hot(label):
    return prediction_from_probability(jax.nn.one_hot(label, 3))


def figures(prediction, found, batch):
    return flat(figures_of(pooled_sums(jax.device_get(measured(prediction, found, batch))), parts=PARTS))


def test_the_truth_against_itself_is_perfect(logs):
    truth = one_hot(logs.label), true_trace(logs, present=True)
    shown = jnp.stack([logs.label == 1, logs.label == 2], axis=1)
    for key, value in figures(*truth, replace(logs, strokes=shown)).items():
        best = 0 if lower_is_better(key) or "bias" in key else 1
        if not (graded(key) or "bias" in key) or "snr_db" in key or np.isnan(value):
            continue
        np.testing.assert_allclose(value, best, atol=1e-6, err_msg=key)


def test_exchanging_the_names_of_truth_and_prediction_exchanges_their_figures(logs):
    noise = np.random.default_rng(0)
    label = jnp.asarray(
        np.where(noise.random(logs.label.shape) < 0.1, 1 + noise.integers(0, 2, logs.label.shape), logs.label)
    )
    found = true_trace(logs, present=True)
    found = replace(found, x=found.x + jnp.asarray(noise.normal(0, 2, found.x.shape), jnp.float32))
    there = figures(one_hot(label), found, logs)

    def swapped(ids):
        return jnp.asarray([0, 2, 1])[ids.astype(jnp.int32)]

    other = jax.tree.map(lambda leaf: leaf[:, ::-1], found)
    batch = replace(
        logs,
        label=swapped(logs.label).astype(jnp.uint8),
        strokes=logs.strokes[:, ::-1],
        centreline=logs.centreline[:, ::-1],
        presence=logs.presence[:, ::-1],
        coding=logs.coding[:, ::-1],
    )
    back = figures(one_hot(swapped(label)), other, batch)
    for key in ("tolerance_f1.2", "coverage", "row_error_px.mean", "peak_recall", "recall"):
        offset = 1 if key == "recall" else 0
        for k in (0, 1):
            np.testing.assert_allclose(
                back[f"{key}.{k + offset}"], there[f"{key}.{1 - k + offset}"], rtol=1e-5, err_msg=key
            )
    np.testing.assert_allclose(back["identity_accuracy"], there["identity_accuracy"])
    np.testing.assert_allclose(back["crossing_continuity.balanced"], there["crossing_continuity.balanced"])


def test_masked_rows_count_as_if_they_had_been_removed(logs):
    """Rows of no class and no curve at the foot of a log change nothing but the track's share of background."""
    found, keep = true_trace(logs, present=True), HEIGHT - 32
    found = replace(found, x=found.x + 1.0)
    foot = jnp.arange(HEIGHT) >= keep

    def masked(rows):
        return rows & ~foot[None, None]

    whole = replace(
        logs,
        label=jnp.where(foot[None, :, None], jnp.uint8(255), logs.label),
        strokes=logs.strokes & ~foot[None, None, :, None],
        presence=masked(logs.presence),
    )
    answer = prediction_from_probability(
        jnp.where(foot[None, :, None, None], jnp.eye(3)[0], jax.nn.one_hot(logs.label, 3))
    )
    there = figures(answer, replace(found, presence=masked(found.presence)), whole)
    cut = jax.tree.map(lambda leaf: leaf[:, :, :keep] if leaf.ndim >= 3 else leaf, (found, logs.strokes, logs.presence))
    short = Batch(
        image=logs.image[:, :keep],
        strokes=cut[1],
        label=logs.label[:, :keep],
        centreline=logs.centreline[:, :, :keep],
        presence=cut[2],
        valid=logs.valid,
        coding=logs.coding,
    )
    removed = figures(one_hot(short.label), cut[0], short)
    for key, value in removed.items():
        if "values.chance" in key:
            continue  # what is rolled by half of the rows depends on how many there are
        if key.split(".")[0] in ("lane_f1", "panoptic", "chart", "boundary_iou", "surface_px", "cldice"):
            continue  # drawn strokes and skeletons end at the image's edge
        np.testing.assert_allclose(there[key], value, rtol=2e-5, atol=1e-6, err_msg=key)


def test_every_figure_of_a_log_adds_up_to_that_of_its_pool(logs):
    found = true_trace(logs, present=True)
    sums = jax.device_get(measured(one_hot(logs.label), found, logs))
    alone = [
        jax.device_get(measured(*jax.tree.map(lambda leaf, i=i: leaf[i : i + 1], (one_hot(logs.label), found, logs))))
        for i in range(2)
    ]
    for i, one in enumerate(alone):
        jax.tree.map(lambda a, b, i=i: np.testing.assert_allclose(a[i], b[0], rtol=1e-5), sums, one)
    per_log = flat(figures_of(sums, parts=PARTS), leading=1)
    first = flat(figures_of(jax.tree.map(lambda leaf: leaf[0], sums), parts=PARTS))
    for key, value in first.items():
        np.testing.assert_allclose(per_log[key][0], value, rtol=1e-6, err_msg=key)
