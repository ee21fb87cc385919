"""A break is hidden, short, or a gap that stays empty."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.tracing.gaps import Other, fill_breaks, without_caps
from veerjax.tracing.rows import interpolated, neighbours, share_between

HEIGHT, WIDTH = 60, 100
fill = jax.jit(fill_breaks, static_argnames=("bridge_px", "hidden_px"))


def other_at(x: float | np.ndarray, *, half_px: int = 4) -> Other:
    centre = np.broadcast_to(np.asarray(x, np.float32), (HEIGHT,))
    mask = np.abs(np.arange(WIDTH) + 0.5 - centre[:, None]) <= half_px
    return Other(
        mask=jnp.asarray(mask, jnp.float32),
        x=jnp.asarray(centre),
        inked=jnp.ones(HEIGHT, bool),
        touch_px=jnp.asarray(6.0),
        slack_px=jnp.asarray(2.0),
    )


def filled(x, missing, other, *, bridge_px=8, hidden_px=100):
    inked = np.ones(HEIGHT, bool)
    inked[missing] = False
    x = np.where(inked, np.broadcast_to(x, (HEIGHT,)), 0).astype(np.float32)
    return fill(jnp.asarray(x), jnp.asarray(inked), other, bridge_px=bridge_px, hidden_px=hidden_px)


@pytest.mark.parametrize(("rows", "present"), [(8, True), (9, False)])
def test_a_break_is_bridged_up_to_the_bridge_length_and_not_beyond(rows, present):
    found = filled(20 + np.arange(HEIGHT) * 0.5, slice(20, 20 + rows), other_at(90.0))
    assert bool(found.presence[20 : 20 + rows].all()) is present
    assert bool(found.presence[20 : 20 + rows].any()) is present
    assert not found.occluded.any()
    if present:
        np.testing.assert_allclose(found.x, 20 + np.arange(HEIGHT) * 0.5, atol=1e-4)


def test_nothing_is_invented_above_the_first_or_below_the_last_ink():
    found = filled(20.0, np.r_[0:4, 56:60], other_at(90.0))
    np.testing.assert_array_equal(found.presence, np.r_[[False] * 4, [True] * 52, [False] * 4])


def test_a_long_break_on_the_other_curves_ink_is_hidden_and_keeps_its_value():
    found = filled(50.0, slice(15, 45), other_at(51.0))
    assert found.presence.all()
    np.testing.assert_array_equal(np.flatnonzero(found.occluded), np.arange(15, 45))
    np.testing.assert_allclose(found.x, 50.0, atol=1e-4)


def test_a_break_whose_ends_touch_the_other_curve_follows_it():
    wave = 50 + 30 * np.sin(np.arange(HEIGHT) / HEIGHT * 2 * np.pi).astype(np.float32)
    found = filled(wave + 1, slice(15, 45), other_at(wave))
    assert found.occluded[15:45].all()
    np.testing.assert_allclose(found.x, wave + 1, atol=1e-3)


def test_a_curve_that_ends_at_the_other_one_follows_it_to_a_near_end_of_the_strip_only():
    near = filled(50.0, slice(40, 60), other_at(51.0), hidden_px=20)
    far = filled(50.0, slice(40, 60), other_at(51.0), hidden_px=19)
    assert near.occluded[40:].all()
    assert not far.presence[40:].any()


def test_the_caps_of_a_stroke_are_cut_but_not_at_the_strips_ends():
    presence = jnp.asarray(np.r_[[True] * 20, [False] * 20, [True] * 20])
    kept = jax.jit(without_caps, static_argnames="reach")(presence, jnp.asarray(3.5), reach=7)
    np.testing.assert_array_equal(kept, np.r_[[True] * 17, [False] * 26, [True] * 17])


def test_a_curve_without_any_ink_stays_absent_and_finite():
    found = filled(50.0, slice(0, 60), other_at(51.0))
    assert not found.presence.any()
    assert np.isfinite(np.asarray(found.x)).all()


def test_known_rows_their_interpolation_and_their_shares():
    known = jnp.asarray([False, True, False, False, True, False])
    above, below = jax.jit(neighbours)(known)
    np.testing.assert_array_equal(above, [-1, 1, 1, 1, 4, 4])
    np.testing.assert_array_equal(below, [1, 1, 4, 4, 4, 6])
    values = jnp.asarray([9.0, 1.0, 9.0, 9.0, 4.0, 9.0])
    np.testing.assert_allclose(jax.jit(interpolated)(values, known), [1, 1, 2, 3, 4, 4])
    flags = jnp.asarray([True, False, True, False, False, True])
    np.testing.assert_allclose(np.asarray(jax.jit(share_between)(flags, above, below))[[0, 2, 5]], [1, 0.5, 1])
