"""What a network could reach at best whatever it learns: the oracle of its output stride, or of other cells.

Scores that stand `stride` px apart and are interpolated bilinearly to pixels cannot draw a line as thin as a pixel.
The oracle knows the truth and chooses the scores alone, so what it misses is the stride's.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

STEPS = 400
LEARNING_RATE = 0.1
START = 2.0  # of the score where the truth has ink in a cell, negative elsewhere


@partial(jax.jit, static_argnames="stride")
def best_strokes(strokes: Bool[Array, "*batch height width"], *, stride: int) -> Bool[Array, "*batch height width"]:
    """The masks nearest to the truth that scores of an output stride can draw, by descent on their Dice loss.

    Found by descent, they are a lower bound of what is possible; a network, which must find its scores in the image, is
    held to them.

    Args:
        strokes: true ink, of each curve by itself
        stride: of the scores [px], which divides both sides

    Returns:
        Where the interpolated scores are above 0.

    Example:
        >>> line = jnp.zeros((8, 8), bool).at[:, 2].set(True)
        >>> bool((best_strokes(line, stride=1) == line).all())
        True
    """
    height, width = strokes.shape[-2:]
    one = partial(_best, stride=stride)
    return jax.vmap(one)(strokes.reshape(-1, height, width)).reshape(strokes.shape)


def _best(strokes: Bool[Array, "height width"], *, stride: int) -> Bool[Array, "height width"]:
    height, width = strokes.shape
    cells = strokes.reshape(height // stride, stride, width // stride, stride).max(axis=(1, 3))

    def drawn(scores: Float[Array, "rows columns"]) -> Float[Array, "height width"]:
        return jax.image.resize(scores, (height, width), "bilinear")

    return drawn(nearest_scores(strokes, cells, lambda scores: jax.nn.sigmoid(drawn(scores)))) > 0


def nearest_scores(
    truth: Bool[Array, "height width"],
    cells: Bool[Array, "rows columns"],
    ink_of: Callable[[Float[Array, "rows columns"]], Float[Array, "height width"]],
) -> Float[Array, "rows columns"]:
    """The scores whose ink is nearest to the truth by Dice, by descent.

    Args:
        truth: of one mask
        cells: of the scores in which the truth has ink, where the descent starts
        ink_of: from scores to ink, 0 to 1
    """

    def loss(scores: Float[Array, "rows columns"]) -> Float[Array, ""]:
        ink = ink_of(scores)
        return 1 - 2 * jnp.sum(ink * truth) / jnp.maximum(jnp.sum(ink) + jnp.sum(truth), 1)

    tx = optax.adam(LEARNING_RATE)

    def descend(carry: tuple[Array, optax.OptState], _: None) -> tuple[tuple[Array, optax.OptState], None]:
        scores, state = carry
        change, state = tx.update(jax.grad(loss)(scores), state)
        return (scores + jnp.asarray(change), state), None

    start = START * (2 * cells.astype(jnp.float32) - 1)
    (scores, _), _ = jax.lax.scan(descend, (start, tx.init(start)), None, length=STEPS)
    return scores
