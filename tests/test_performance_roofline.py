"""Ceilings, what cannot be avoided, and the refusal of times that cannot be right."""

import jax.numpy as jnp
import pytest

from veerjax.models.cost import Cost
from veerjax.performance import roofline
from veerjax.performance.roofline import Ceilings, Work, prediction_work, timing_error, training_work, utilisation

COST = Cost(flops=1000, first_flops=100, image_bytes=5, activation_bytes=50, parameters=7)
CEILINGS = Ceilings(flops_per_s=100.0, bytes_per_s=10.0)


def test_training_is_three_forward_passes_less_the_gradient_by_the_image() -> None:
    assert training_work(COST, state_bytes=84) == Work(flops=2900, bytes=5 + 2 * 50 + 2 * 84)


def test_prediction_reads_the_parameters_once_and_the_mirror_doubles_the_rest() -> None:
    assert prediction_work(COST) == Work(flops=1000, bytes=5 + 2 * 50 + 28)
    assert prediction_work(COST, passes=2) == Work(flops=2000, bytes=10 + 4 * 50 + 28)


def test_the_roofline_takes_the_tighter_of_the_two_ceilings() -> None:
    arithmetic = utilisation(Work(flops=1000, bytes=10), 20.0, CEILINGS)
    assert arithmetic == {"mfu": 0.5, "roofline_fraction": 0.5}
    traffic = utilisation(Work(flops=1000, bytes=150), 20.0, CEILINGS)
    assert traffic == {"mfu": 0.5, "roofline_fraction": 0.75}


def test_a_time_under_the_ceilings_is_refused_as_asynchronous_dispatch() -> None:
    assert timing_error(Work(flops=1000, bytes=0), 10.0, CEILINGS) is None
    sentence = timing_error(Work(flops=1000, bytes=0), 9.0, CEILINGS)
    assert sentence is not None
    assert "asynchronous dispatch" in sentence


@pytest.mark.slow
def test_ceilings_are_those_of_a_real_machine() -> None:
    found = roofline.measured_ceilings(jnp.dtype(jnp.float32), devices=1)
    assert 1e9 < found.flops_per_s < 1e13
    assert 1e8 < found.bytes_per_s < 1e12
