"""From a key to an example: the renderer's front door.

Every sample has a name, (setting, seed, split, index), and can be redrawn from it alone.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from veerjax.config import require
from veerjax.labels import UNKNOWN_CODING, label_of
from veerjax.synthesis import blobs, clutter, curves, layout, likeness, page, pairs
from veerjax.synthesis.doses import random_doses
from veerjax.synthesis.geometry import MAX_TILT_PX
from veerjax.synthesis.grid import grid_lines
from veerjax.synthesis.noise import dice, log_between
from veerjax.synthesis.settings import SETTINGS, Setting, setting_of, settings_in
from veerjax.types import Batch, luma

__all__ = [
    "MARGIN_PX",
    "RENDERER",
    "SETTINGS",
    "SPLITS",
    "check_mixture",
    "draw",
    "draw_batch",
    "draw_curves",
    "sample_key",
]

SPLITS = {"train": 0, "validation": 1, "test": 2}
# Rows of given curves above and below the image, enough for every setting.
MARGIN_PX = max(setting_of(name).widest_px for name in SETTINGS) // 2 + 1 + MAX_TILT_PX
RENDERER = 1  # changes whenever a setting other than `standard`, which never does, draws otherwise than before


def sample_key(seed: int | Array, split: str, index: int | Array) -> PRNGKeyArray:
    """The key of one sample. Splits never share a key, whatever the seed of the training."""
    fixed = 20260000 if split != "train" else seed
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(fixed), SPLITS[split]), index)


def draw(key: PRNGKeyArray, *, height: int, width: int, setting: str = "standard", channels: int = 1) -> Batch:
    """One example, without a batch axis, of two random curves, or of what the setting draws in their place.

    Args:
        key: of the sample
        height: of the image [px]
        width: of the image [px]
        setting: of `settings.SETTINGS`
        channels: 1 for grey, 3 for red, green and blue

    Raises:
        InputError: unknown setting, or another number of channels.
    """
    chosen = setting_of(setting)
    check_channels(channels)
    curve_key, look_key = jax.random.split(key)
    if chosen.pens in pairs.SETTINGS:
        pair = pairs.draw_pair(curve_key, pairs.random_look(look_key, setting=chosen.pens), height=height, width=width)
        return replace(pair, image=jnp.repeat(pair.image, channels, axis=-1))
    scale = drawing_scale(look_key, finest=chosen.finest)
    if chosen.pens == "blobs":
        drawn = blobs.random_blobs(curve_key, height=height, width=width, scale=scale)
        return look_of_blobs(look_key, *drawn, scale=scale, setting=chosen, channels=channels)
    rows = height + 2 * layout.rows_beyond(chosen, width)
    random_pair = curves.random_pair if chosen.invented else likeness.random_pair
    x, drawn = random_pair(curve_key, rows=rows, width=width, scale=scale)
    return look(look_key, x, drawn, width=width, setting=chosen, channels=channels)


def drawing_scale(look_key: PRNGKeyArray, *, finest: float = 3.0) -> Float[Array, ""]:
    """How many times 100 dpi a scan is: most near 1, some up to `finest`."""
    return log_between(dice(jax.random.fold_in(look_key, 0)), 0.7, finest)


def left_one_first(
    x: Float[Array, "2 rows"], drawn: Bool[Array, "2 rows"], *, width: int, beyond: int
) -> tuple[Float[Array, "2 rows"], Bool[Array, "2 rows"]]:
    """Curves of identical ink in the order that the image tells: the left one first, at its topmost row with both.

    Where no row has both, the one that begins higher comes first.

    Args:
        x: of the curves [px]
        drawn: whether the pen was down
        width: of the image [px]
        beyond: rows of `x` above and below the image, which do not count
    """
    inner = slice(beyond, x.shape[1] - beyond)
    there = (drawn & (x >= 0) & (x < width))[:, inner]
    both = there[0] & there[1]
    crossed = x[0, inner][jnp.argmax(both)] > x[1, inner][jnp.argmax(both)]
    begin = jnp.where(there.any(axis=1), jnp.argmax(there, axis=1), x.shape[1])
    swap = jnp.where(both.any(), crossed, begin[1] < begin[0])
    return jnp.where(swap, x[::-1], x), jnp.where(swap, drawn[::-1], drawn)


def draw_curves(
    look_key: PRNGKeyArray,
    x: Float[Array, "2 rows"],
    drawn: Bool[Array, "2 rows"],
    *,
    width: int,
    setting: str = "standard",
    channels: int = 1,
) -> Batch:
    """One example, without a batch axis, of given curves: the same random look as `draw`.

    A setting that displaces the page moves the curves too; where they are then, the example's centreline says.

    Args:
        look_key: decides pens, grid, tones and scanner
        x: where each curve crosses each row's centre [px], with `MARGIN_PX` rows more above and below the image
        drawn: whether the pen was down; a curve is present where it is drawn and on the track
        width: of the image [px]
        setting: of `settings.SETTINGS`; in identical ink, the example's first curve is the left one at its top
        channels: 1 for grey, 3 for red, green and blue

    Raises:
        InputError: unknown setting or one without curves, or another number of channels.
    """
    chosen = setting_of(setting)
    check_channels(channels)
    require(
        chosen.pens not in ("blobs", *pairs.SETTINGS),
        f"the setting {setting} draws no curves that it is given; write another.",
    )
    require(
        not chosen.second_pair,
        f"the setting {setting} adds curves of its own to those that it is given; write well_like, or another.",
    )
    spare = MARGIN_PX - layout.rows_beyond(chosen, width)
    inner = slice(spare, x.shape[1] - spare)
    return look(look_key, x[:, inner], drawn[:, inner], width=width, setting=chosen, channels=channels)


def look(
    key: PRNGKeyArray,
    x: Float[Array, "2 rows"],
    drawn: Bool[Array, "2 rows"],
    *,
    width: int,
    setting: Setting,
    channels: int,
) -> Batch:
    """Curves, given with `layout.rows_beyond` rows more above and below the image, as a scan with its truth."""
    # Part 2 of the key is the artefacts': settings without any look as they did before there were some.
    pen_key, tone_key, grid_key, scan_key = jax.random.split(jax.random.fold_in(key, 1), 4)
    doses = random_doses(jax.random.fold_in(key, 2), setting)
    scale = drawing_scale(key, finest=setting.finest)
    if setting.pens == "identical":
        x, drawn = left_one_first(x, drawn, width=width, beyond=layout.rows_beyond(setting, width))
    pens = page.random_pens(pen_key, setting, scale=scale)
    grid = page.random_grid(grid_key, setting)
    track = layout.placed(x, drawn, grid, doses, setting=setting, width=width, scale=scale)
    strangers = None
    if setting.has_strangers:
        strangers = clutter.strangers(
            jax.random.fold_in(key, 3), doses, x=track.x, pens=pens, geometry=track.geometry, scale=scale
        )
    ink, masks = layout.drawn_strokes(track, pens, strangers, doses, setting=setting, width=width, scale=scale)
    thinnest = jnp.min(pens.stroke)
    if setting.second_pair:
        others = page.other_pens(jax.random.fold_in(key, 5), pens, setting, scale=scale)
        pair = likeness.random_pair(jax.random.fold_in(key, 6), rows=x.shape[1], width=width, scale=scale)
        second = layout.placed(*pair, grid, doses, setting=setting, width=width, scale=scale)
        more, theirs = layout.drawn_strokes(second, others, None, doses, setting=setting, width=width, scale=scale)
        ink, masks = ink.at[:2].max(more), masks | theirs
        thinnest = jnp.minimum(thinnest, jnp.min(others.stroke))
    layers = page.drawn_layers(
        jax.random.fold_in(key, 4), track, grid, doses, setting=setting, ink=ink, width=width, scale=scale
    )
    image = page.scan(tone_key, scan_key, layers, doses, setting=setting, thinnest=thinnest)
    seen = layout.remaining(track, doses)
    return Batch(
        image=in_channels(image, channels),
        strokes=masks & seen[:, :, None],
        label=label_of(masks & seen[:, :, None]),
        centreline=track.centreline,
        presence=track.presence & seen,
        valid=jnp.asarray(True),
        coding=pens.coding,
    )


def look_of_blobs(
    key: PRNGKeyArray,
    ink: Float[Array, "2 height width"],
    masks: Bool[Array, "2 height width"],
    line: Float[Array, ""],
    *,
    scale: Float[Array, ""],
    setting: Setting,
    channels: int,
) -> Batch:
    """Ink that is no curve's as a scan with its truth: a centreline is the middle of a mask's row."""
    height, width = ink.shape[1:]
    _, tone_key, grid_key, scan_key = jax.random.split(jax.random.fold_in(key, 1), 4)
    lines = grid_lines(page.random_grid(grid_key, setting), height=height, width=width, scale=scale)
    layers = page.Layers(grid=lines, ink=ink, shading=None, writing=None, splice=jnp.zeros(()))
    doses = random_doses(jax.random.fold_in(key, 2), setting)
    centreline, presence = blobs.rows_of(masks)
    return Batch(
        image=in_channels(page.scan(tone_key, scan_key, layers, doses, setting=setting, thinnest=line), channels),
        strokes=masks,
        label=label_of(masks),
        centreline=centreline,
        presence=presence,
        valid=jnp.asarray(True),
        coding=jnp.full(2, UNKNOWN_CODING),
    )


def check_channels(channels: int) -> None:
    """Raises `InputError` unless there are 1 or 3."""
    require(channels in (1, 3), f"{channels} channels were asked for; write 1 for grey or 3 for RGB.")


def in_channels(image: Float[Array, "kinds height width"], channels: int) -> Float[Array, "height width channels"]:
    """A grey or coloured scan with as many channels as asked for."""
    if channels == 1:
        return (image[0] if len(image) == 1 else page.quantised(luma(jnp.moveaxis(image, 0, -1))))[:, :, None]
    return jnp.moveaxis(jnp.broadcast_to(image, (channels, *image.shape[1:])), 0, -1)


def draw_batch(
    seed: int | Array,
    split: str,
    indices: Array,
    *,
    height: int,
    width: int,
    setting: str = "standard",
    channels: int = 1,
) -> Batch:
    """The samples of a split by their indices.

    Args:
        seed: names the training split's samples
        split: of `SPLITS`
        indices: of the samples; of a mixture of n settings, consecutive ones from a multiple of n on
        height: of an image [px]
        width: of an image [px]
        setting: of `settings.SETTINGS`, or several joined by `+`: sample i of a mixture of n is of setting i mod n
        channels: 1 for grey, 3 for red, green and blue

    Raises:
        InputError: unknown setting, another number of channels, or indices that do not divide among a mixture.
    """
    names = settings_in(setting)
    check_mixture(setting, len(indices))
    keys = jax.vmap(lambda index: sample_key(seed, split, index))(indices).reshape(-1, len(names))
    size = {"height": height, "width": width, "channels": channels}
    parts = [
        jax.vmap(lambda key, name=name: draw(key, setting=name, **size))(keys[:, k]) for k, name in enumerate(names)
    ]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves, axis=1).reshape(-1, *leaves[0].shape[1:]), *parts)


def check_mixture(setting: str, batch: int) -> None:
    """Refuses a batch that does not divide among the settings of a mixture.

    Raises:
        InputError: unknown setting, or such a batch; the nearest one that divides is named.
    """
    parts = len(settings_in(setting))
    near = max(parts, round(batch / parts) * parts)
    require(
        batch % parts == 0, f"a batch of {batch} does not divide among the {parts} settings {setting}; write {near}."
    )
