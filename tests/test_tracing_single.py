"""Reading a row at a time: what the pixels of a curve say, and nothing that a neighbour could add."""

import jax.numpy as jnp
import numpy as np

from veerjax.tracing.single import row_by_row

ROWS = ["0 1 1 1 0 0", "0 0 0 0 0 0", "1 0 0 2 2 0", "0 0 0 0 0 1"]


def masks() -> np.ndarray:
    """The rows' digits as likelihoods: 2 likelier than 1."""
    digits = np.array([[int(d) for d in row.split()] for row in ROWS], np.float32)
    return np.stack([digits * 0.45, np.zeros_like(digits)])[None]


def test_a_row_is_the_middle_of_the_run_with_the_likeliest_pixel() -> None:
    given = masks()
    found = row_by_row(jnp.asarray(given), jnp.asarray(given > 0.1))
    np.testing.assert_array_equal(found.presence[0, 0], [True, False, True, True])
    np.testing.assert_allclose(found.x[0, 0][np.asarray(found.presence[0, 0])], [2.5, 4.0, 5.5])
    np.testing.assert_allclose(found.confidence[0, 0], [0.45, 0, 0.9, 0.45])
    assert not found.presence[0, 1].any()


def test_a_gap_is_not_bridged_whatever_stands_around_it() -> None:
    ink = np.zeros((1, 2, 9, 5), np.float32)
    ink[0, 0, :, 2] = 1
    ink[0, 0, 4] = 0
    found = row_by_row(jnp.asarray(ink), jnp.asarray(ink > 0.5))
    np.testing.assert_array_equal(np.flatnonzero(~np.asarray(found.presence[0, 0])), [4])
