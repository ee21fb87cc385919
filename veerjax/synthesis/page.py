"""From ink to a scan: everything on the paper as layers of coverage, then tones, then what age and scanner do."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from veerjax.synthesis import clutter, colour, layout, paper, strokes, wear
from veerjax.synthesis import grid as grids
from veerjax.synthesis.doses import Doses
from veerjax.synthesis.grid import Grid
from veerjax.synthesis.layout import Placed
from veerjax.synthesis.noise import dice, held
from veerjax.synthesis.paper import Tones, quantised
from veerjax.synthesis.settings import Setting
from veerjax.synthesis.strokes import Pen

SHADE, WRITING, OTHERS = 2, 3, 4  # places in `Tones.others` after the two strangers', and how many there are


@dataclass(frozen=True, kw_only=True)
class Layers:
    """Coverage in [0, 1] of every kind of ink on the paper; None where a setting has none of it."""

    grid: Float[Array, "height width"]
    ink: Float[Array, "curves height width"]  # of the declared curves and then of the strangers
    shading: Float[Array, "height width"] | None
    writing: Float[Array, "height width"] | None
    splice: Float[Array, ""]  # row [px]


def random_pens(key: PRNGKeyArray, setting: Setting, *, scale: Float[Array, ""]) -> Pen:
    """Both pens of a setting."""
    if setting.pens == "one pixel":
        pens = strokes.random_pens(key, scale=jnp.asarray(0.01), widest=1.0)
    else:
        pens = strokes.random_pens(key, scale=scale, widest=setting.widest_px)
    return strokes.identical(pens) if setting.pens == "identical" else pens


def other_pens(key: PRNGKeyArray, pens: Pen, setting: Setting, *, scale: Float[Array, ""]) -> Pen:
    """The pens of a second curve of each class: in half of the samples those of the first, else of their kind."""
    other_key, number_key = jax.random.split(key)
    u = dice(number_key, 3)
    others = random_pens(other_key, setting, scale=scale)
    same = replace(pens, phase=pens.phase + u[1:] * (pens.on + pens.off))
    return jax.tree.map(lambda *leaves: jnp.where(u[0] < 0.5, *leaves), same, others)


def random_grid(key: PRNGKeyArray, setting: Setting) -> Grid:
    """The grid of a setting."""
    grid = grids.random_grid(key)
    if setting.plain_grid:
        return grids.plain(grid)
    return grids.of_any_scale(jax.random.fold_in(key, 1), grid) if setting.any_grid else grid


def drawn_layers(
    key: PRNGKeyArray,
    track: Placed,
    grid: Grid,
    doses: Doses,
    *,
    setting: Setting,
    ink: Float[Array, "curves height width"],
    width: int,
    scale: Float[Array, ""],
) -> Layers:
    """All that is on the paper beside the curves' ink, which is given.

    Args:
        key: random key
        track: the declared curves on the scan
        grid: of the track
        doses: of the sample
        setting: it is drawn in
        ink: of the declared curves and then of the strangers
        width: of the image [px]
        scale: how many times 100 dpi the drawing is
    """
    height = ink.shape[1]
    if "patchy_ink" in doses:
        u, strength = doses.of("patchy_ink")
        ink = ink * paper.patchy(u, strength, shape=(height, width))[None]
    return Layers(
        grid=grid_layer(key, track, grid, doses, setting=setting, height=height, width=width, scale=scale),
        ink=ink,
        shading=shading_layer(track, doses, setting=setting, width=width),
        writing=writing_layer(track, grid, doses, height=height, width=width, scale=scale),
        splice=track.row - layout.rows_beyond(setting, width),
    )


def grid_layer(
    key: PRNGKeyArray,
    track: Placed,
    grid: Grid,
    doses: Doses,
    *,
    setting: Setting,
    height: int,
    width: int,
    scale: Float[Array, ""],
) -> Float[Array, "height width"]:
    """The grid, displaced, broken and rough."""
    if not setting.has_geometry:
        return grids.grid_lines(grid, height=height, width=width, scale=scale)
    lines = grids.displaced_grid_lines(grid, track.geometry, height=height, scale=scale)
    lines = doses.applied("grid_breaks", grids.broken, lines)
    if "grid_texture" in doses:
        field, _ = wear.fields(jax.random.bits(key, (height, width), jnp.uint32))
        lines = grids.rough(field, lines, doses.strength["grid_texture"])
    return lines


def shading_layer(track: Placed, doses: Doses, *, setting: Setting, width: int) -> Float[Array, "height width"] | None:
    """Ink between curves."""
    if "shading" not in doses:
        return None
    beyond = layout.rows_beyond(setting, width)
    u, strength = doses.of("shading")
    return clutter.shading(u, track.x, strength, drawn=track.drawn, geometry=track.geometry, beyond=beyond)


def writing_layer(
    track: Placed, grid: Grid, doses: Doses, *, height: int, width: int, scale: Float[Array, ""]
) -> Float[Array, "height width"] | None:
    """Text and arrows."""
    if not {"words", "handwriting", "stamp", "depth_numbers"} & doses.strength.keys():
        return None
    rows = grids.heavy_rows(grid, count=clutter.NUMBERS, scale=scale)
    text = clutter.writing(doses, height=height, width=width, scale=scale, depth_rows=rows)
    u, strength = doses.of("words")
    curve = {"target": track.centreline[0], "there": track.presence[0]}
    pointed = clutter.arrow(u, strength, width=width, scale=scale, **curve)
    return jnp.maximum(text, pointed)


def scan(
    tone_key: PRNGKeyArray,
    scan_key: PRNGKeyArray,
    layers: Layers,
    doses: Doses,
    *,
    setting: Setting,
    thinnest: Float[Array, ""],
) -> Float[Array, "kinds height width"]:
    """The scan of a page: one kind of light if grey, red, green and blue if coloured; in 255ths from 0 to 1.

    Args:
        tone_key: decides paper and inks
        scan_key: decides the scanner
        layers: what is on the paper
        doses: of the sample
        setting: it is drawn in
        thinnest: of the declared strokes [px]
    """
    if not setting.colour:
        others = OTHERS if setting.artefacts else 0
        tones = paper.random_tones(tone_key, contrast=setting.contrast, palest=setting.palest, others=others)
        if setting.pens == "identical":
            tones = paper.in_one_ink(tones)
        return scanned(
            scan_key, composed(layers, tones, doses), layers, tones, doses, setting=setting, thinnest=thinnest
        )[None]
    tones = colour.random_colours(tone_key, others=OTHERS)
    images = jax.vmap(lambda tones: composed(layers, tones, doses))(tones)
    grey = colour.grey_tones(tones)
    return jax.vmap(lambda image: scanned(scan_key, image, layers, grey, doses, setting=setting, thinnest=thinnest))(
        images
    )


def composed(layers: Layers, tones: Tones, doses: Doses) -> Float[Array, "height width"]:
    """The page in one kind of light: where inks overlap the darker one is seen, unless the later hides the earlier."""
    image = tones.paper + (tones.grid - tones.paper) * layers.grid
    if layers.shading is not None:
        image = image + (tones.others[SHADE] - image) * layers.shading
    for stranger, ink in enumerate(layers.ink[2:]):
        image = jnp.minimum(image, image + (tones.others[stranger] - image) * ink)
    below = image
    for curve in (1, 0):
        image = jnp.minimum(image, image + (tones.inks[curve] - image) * layers.ink[curve])
    if "hiding" in doses:
        u, strength = doses.of("hiding")
        first = (u[0] < 0.5).astype(jnp.int32)
        hidden = below
        for curve in (first, 1 - first):
            hidden = hidden + (tones.inks[curve] - hidden) * layers.ink[curve]
        image = image + strength * (hidden - image)
    if layers.writing is not None:
        image = image + (tones.others[WRITING] - image) * layers.writing
    return image


def scanned(
    key: PRNGKeyArray,
    image: Float[Array, "height width"],
    layers: Layers,
    tones: Tones,
    doses: Doses,
    *,
    setting: Setting,
    thinnest: Float[Array, ""],
) -> Float[Array, "height width"]:
    """A page after age and scanner, in 255ths from 0 to 1; the arguments are those of `scan`."""
    # Folding a number into this key would give one of these again.
    stain_key, noise_key, number_key, grain_key = jax.random.split(key, 4)
    scanner = paper.random_scanner(number_key, tones, thinnest=thinnest, wear=setting.wear, bitonal=setting.bitonal)
    image = doses.applied("bleed", wear.bleed, image, ink=jnp.maximum(layers.ink[0], layers.ink[1]))
    light = doses.applied("illumination", wear.illumination, doses.applied("blots", wear.blots, jnp.ones_like(image)))
    image = image * light
    image = doses.applied("splice", wear.crease, image, row=layers.splice)
    if setting.artefacts:
        image = held(image)
    if setting.wear > 0:
        image = paper.blurred(paper.stained(stain_key, image, scanner.stains), scanner.blur)
    image = doses.applied("stripes", wear.stripes, image)
    if setting.wear > 0:
        image = paper.noisy(noise_key, image, scanner.noise)
    first, second = None, None
    if "speckle" in doses or "runs" in doses:
        first, second = wear.fields(jax.random.bits(grain_key, image.shape, jnp.uint32))
    image = doses.applied("speckle", wear.speckle, image, field=first)
    image = doses.applied("missing", wear.missing, image)
    bits = paper.thresholded(image, light * threshold(scanner, tones, doses, shape=image.shape), scanner.bitonal)
    bits = doses.applied("runs", wear.runs, bits, field=second)
    return quantised(jnp.where(scanner.bitonal, bits, doses.applied("jpeg", wear.jpeg, image)))


def threshold(
    scanner: paper.Scanner, tones: Tones, doses: Doses, *, shape: tuple[int, ...]
) -> Float[Array, ""] | Float[Array, "height width"]:
    """The grey level above which a 1-bit scan is white, in even light; scanners follow the light."""
    if "bloom" not in doses and "dropout" not in doses:
        return scanner.threshold
    contrast = tones.paper - jnp.max(tones.inks)
    level = doses.applied("bloom", wear.bloom, scanner.threshold, contrast=contrast)
    return doses.applied("dropout", wear.dropout, jnp.broadcast_to(level, shape), contrast=contrast)
