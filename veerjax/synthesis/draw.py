"""From a key to an example: the renderer's front door.

Every sample has a name, (setting, seed, split, index), and can be redrawn from it alone.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from veerjax import labels
from veerjax.config import choice
from veerjax.synthesis import curves, paper, strokes
from veerjax.synthesis.noise import dice, log_between
from veerjax.types import Batch

SETTINGS = ("standard",)
SPLITS = {"train": 0, "validation": 1, "test": 2}


def sample_key(seed: int | Array, split: str, index: int | Array) -> PRNGKeyArray:
    """The key of one sample. Splits never share a key, whatever the seed of the training."""
    fixed = 20260000 if split != "train" else seed
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(fixed), SPLITS[split]), index)


def draw(key: PRNGKeyArray, *, height: int, width: int, setting: str = "standard") -> Batch:
    """One example, without a batch axis, of two random curves.

    Raises:
        InputError: unknown setting.
    """
    choice("the setting", setting, SETTINGS)
    curve_key, look_key = jax.random.split(key)
    scale = drawing_scale(look_key)
    rows = height + 2 * strokes.REACH_PX
    x, drawn = curves.random_pair(curve_key, rows=rows, width=width, scale=scale)
    return draw_curves(look_key, x, drawn, width=width)


def drawing_scale(look_key: PRNGKeyArray) -> Float[Array, ""]:
    """How many times 100 dpi a scan is: most near 1, some up to 3."""
    return log_between(dice(jax.random.fold_in(look_key, 0)), 0.7, 3.0)


def draw_curves(
    look_key: PRNGKeyArray, x: Float[Array, "2 rows"], drawn: Bool[Array, "2 rows"], *, width: int
) -> Batch:
    """One example, without a batch axis, of given curves: the same random look as `draw`.

    Args:
        look_key: decides pens, grid, tones and scanner
        x: where each curve crosses each row's centre [px], with `strokes.REACH_PX` rows more above and below the image
        drawn: whether the pen was down; a curve is present where it is drawn and on the track
        width: of the image [px]
    """
    pen_key, tone_key, grid_key, scan_key = jax.random.split(jax.random.fold_in(look_key, 1), 4)
    scale, height = drawing_scale(look_key), x.shape[1] - 2 * strokes.REACH_PX
    pens, tones = strokes.random_pens(pen_key, scale=scale), paper.random_tones(tone_key)
    ink, masks = jax.vmap(lambda x, d, pen: strokes.ink_and_mask(x, d, pen, width=width))(x, drawn, pens)
    lines = paper.grid(grid_key, height=height, width=width, scale=scale)
    image = tones.paper + (tones.grid - tones.paper) * lines
    for curve in (1, 0):
        image = jnp.minimum(image, image + (tones.inks[curve] - image) * ink[curve])
    image = paper.scanned(scan_key, image, tones, thinnest=jnp.min(pens.stroke))
    inner = slice(strokes.REACH_PX, strokes.REACH_PX + height)
    return Batch(
        image=image[:, :, None],
        strokes=masks,
        label=label_of(masks),
        centreline=x[:, inner],
        presence=(drawn & (x >= 0) & (x < width))[:, inner],
        valid=jnp.asarray(True),
        coding=pens.coding,
    )


def label_of(masks: Bool[Array, "2 height width"]) -> Array:
    """The three-class label of two overlapping masks: curve 1 over curve 2."""
    second = jnp.where(masks[1], labels.CURVE_2, labels.BACKGROUND)
    return jnp.where(masks[0], labels.CURVE_1, second).astype(jnp.uint8)


def draw_batch(
    seed: int | Array, split: str, indices: Array, *, height: int, width: int, setting: str = "standard"
) -> Batch:
    """The samples of a split by their indices."""
    keys = jax.vmap(lambda index: sample_key(seed, split, index))(indices)
    return jax.vmap(lambda key: draw(key, height=height, width=width, setting=setting))(keys)
