"""Thinning of masks to lines one pixel wide."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool


def thin(mask: Bool[Array, "height width"]) -> Bool[Array, "height width"]:
    """The skeleton that parallel thinning by two sub-iterations leaves, repeated until nothing changes.

    Args:
        mask: the pixels to thin

    Reference:
        Guo and Hall 1989, Parallel thinning with two-subiteration algorithms, conditions G1, G2 and G3; the result is
        that of `skimage.morphology.thin`.

    Example:
        >>> thin(jnp.ones((3, 5), bool)).astype(int).tolist()
        [[0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]]
    """

    def once(state: tuple[Array, Array]) -> tuple[Array, Array]:
        skeleton, _ = state
        thinner = skeleton
        for first in (True, False):
            thinner = thinner & ~_removable(thinner, first=first)
        return thinner, jnp.any(thinner != skeleton)

    skeleton, _ = jax.lax.while_loop(lambda state: state[1], once, (mask, jnp.any(mask)))
    return skeleton


def _removable(mask: Bool[Array, "height width"], *, first: bool) -> Bool[Array, "height width"]:
    """The pixels that one sub-iteration takes away: those of the lower left, then those of the upper right."""
    height, width = mask.shape
    padded = jnp.pad(mask, 1)

    def neighbour(down: int, across: int) -> Bool[Array, "height width"]:
        return jax.lax.dynamic_slice(padded, (1 + down, 1 + across), (height, width))

    # Counter-clockwise from the right: east, north-east, north, ...
    around = [(0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1)]
    x = [neighbour(*offset) for offset in around]
    pairs = [(x[k], x[k + 1], x[(k + 2) % 8]) for k in (0, 2, 4, 6)]

    def number(flags: list[Array]) -> Array:
        return sum((flag.astype(jnp.int32) for flag in flags), start=jnp.zeros(mask.shape, jnp.int32))

    connected = number([~side & (corner | following) for side, corner, following in pairs]) == 1
    fewest = jnp.minimum(
        number([side | corner for side, corner, _ in pairs]),
        number([corner | following for _, corner, following in pairs]),
    )
    side = (x[1] | x[2] | ~x[7]) & x[0] if first else (x[5] | x[6] | ~x[3]) & x[4]
    return connected & (fewest >= 2) & (fewest <= 3) & ~side
