"""How long each network reads an image, all in one go and in turns, so that a busy machine is as busy for each."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from veerjax.comparison.arms import ARMS
from veerjax.comparison.design import design, log_set
from veerjax.comparison.presets import Preset, config_of
from veerjax.models import build_model
from veerjax.performance.timing import timed

READ_AT_ONCE, ROUNDS = 16, 20  # logs a batch, batches


def times_of(arms: Sequence[str], preset: Preset, *, overrides: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Milliseconds an image of each arm, prediction alone: the median of all rounds, the 10th and 90th percentile.

    Args:
        arms: trained ones; their parameters are fresh here: the layers take as long, suppression may take other rounds
        preset: of all arms
        overrides: items of --set, for every arm
    """
    batch = log_set(design(preset)[:READ_AT_ONCE], preset).portion(np.arange(READ_AT_ONCE), batch=READ_AT_ONCE).batch
    steps = {arm: reader(arm, preset, batch, overrides=overrides) for arm in arms}
    rounds = [{arm: timed(step, warmup=0, steps=1).median_s for arm, step in steps.items()} for _ in range(ROUNDS + 1)]
    found = {}
    for arm in arms:
        ms = [1000 * seconds[arm] / READ_AT_ONCE for seconds in rounds[1:]]  # the first compiles
        low, middle, high = np.percentile(ms, (10, 50, 90))
        found[arm] = {"median": float(middle), "p10": float(low), "p90": float(high)}
    return found


def reader(arm: str, preset: Preset, batch: Any, *, overrides: tuple[str, ...]) -> Callable[[], Any]:
    """One prediction of the batch."""
    config = config_of(arm, ARMS[arm], preset, seed=0, overrides=overrides)
    model = build_model(config.model, config.loss)
    variables, predict = model.init(jax.random.key(0)), jax.jit(model.predict)
    return lambda: predict(variables, batch)
