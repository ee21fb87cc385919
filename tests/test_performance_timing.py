"""The clock waits for results, and leaves the warm-up out."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.performance.timing import Timing, timed


def test_warm_up_steps_run_and_are_not_timed() -> None:
    calls = []
    timing = timed(lambda: calls.append(len(calls)), warmup=2, steps=5)
    assert len(calls) == 7
    assert len(timing.seconds) == 5


def test_a_sample_of_several_calls_is_their_mean() -> None:
    waits = iter([0.0, 0.08] * 4)
    timing = timed(lambda: time.sleep(next(waits)), warmup=1, steps=3, calls=2)
    assert timing.median_s == pytest.approx(0.04, rel=0.2)


def test_the_clock_stops_when_the_result_is_there() -> None:
    def slow(x: np.ndarray) -> np.ndarray:
        time.sleep(0.05)
        return x

    compute = jax.jit(lambda x: jax.pure_callback(slow, jax.ShapeDtypeStruct((), jnp.float32), x))
    given = jnp.float32(1)
    assert min(timed(lambda: compute(given), warmup=1, steps=3).seconds) >= 0.05


def test_percentiles_surround_the_median() -> None:
    timing = Timing(seconds=tuple(float(n) for n in range(1, 12)))
    assert (timing.p10_s, timing.median_s, timing.p90_s) == (2.0, 6.0, 10.0)
