"""One call that runs a function of one example eagerly, jitted and vmapped, under strict dtype promotion."""

import jax
import jax.numpy as jnp
import numpy as np


def every_way(function, *arrays, rtol=0.0):
    """The eager result as NumPy, once the other two are found equal to it."""
    arrays = [jnp.asarray(array) for array in arrays]
    with jax.numpy_dtype_promotion("strict"):
        eager = function(*arrays)
        jitted = jax.jit(function)(*arrays)
        mapped = jax.vmap(function)(*(jnp.stack([array, array]) for array in arrays))
    for other in (
        jitted,
        jax.tree.map(lambda leaf: leaf[0], mapped),
        jax.tree.map(lambda leaf: leaf[1], mapped),
    ):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=0), eager, other)
    return jax.tree.map(np.asarray, eager)
