"""What each part of the drawing costs, so that a slow artefact has a name."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from veerjax.config import DataConfig
from veerjax.performance.timing import Timing, timed
from veerjax.synthesis import clutter, curves, layout, likeness, page, paper, wear
from veerjax.synthesis.doses import NUMBERS, random_doses
from veerjax.synthesis.draw import drawing_scale, sample_key
from veerjax.synthesis.noise import dice
from veerjax.synthesis.settings import Setting, setting_of, settings_in
from veerjax.training.sharding import over_examples

Part = Callable[[jax.Array], Any]


def parts(data: DataConfig) -> dict[str, Part]:
    """The parts of one drawing, each a function of the sample's key alone; of a mixture, those of its last setting."""
    setting = setting_of(settings_in(data.setting)[-1])
    drawing = Drawing(setting, data)
    found: dict[str, Part] = {
        "curves": drawing.pair,
        "strokes and masks": drawing.ink,
        "grid": drawing.grid,
        "scanner (stains, blur, noise, threshold)": drawing.scan,
        "of which blur": drawing.blur,
    }
    groups = {"writing": ("words", "handwriting", "stamp", "depth_numbers"), "shading": ("shading",)}
    for name, artefacts in groups.items():
        if set(artefacts) & set(setting.artefacts):
            found[name] = getattr(drawing, name)
    page_artefacts = drawing.page_artefacts()
    return found | {name: part for name, part in page_artefacts.items() if name.split(", ")[0] in setting.artefacts}


class Drawing:
    """One setting at one size, part by part."""

    def __init__(self, setting: Setting, data: DataConfig) -> None:
        self.setting, self.height, self.width = setting, data.height, data.width
        self.rows = data.height + 2 * layout.rows_beyond(setting, data.width)

    def scale(self, key: jax.Array) -> jax.Array:
        return drawing_scale(key, finest=self.setting.finest)

    def pair(self, key: jax.Array) -> Any:
        random_pair = curves.random_pair if self.setting.invented else likeness.random_pair
        return random_pair(key, rows=self.rows, width=self.width, scale=self.scale(key))

    def placed(self, key: jax.Array) -> tuple[layout.Placed, Any, Any]:
        # Straight curves: the cost of what follows does not depend on where they run.
        x = jnp.broadcast_to(jnp.linspace(0.1, 0.9, self.rows) * self.width, (2, self.rows))
        doses, grid = random_doses(key, self.setting), page.random_grid(key, self.setting)
        there = jnp.ones((2, self.rows), bool)
        look = {"setting": self.setting, "width": self.width, "scale": self.scale(key)}
        return layout.placed(x, there, grid, doses, **look), doses, grid

    def ink(self, key: jax.Array) -> Any:
        track, doses, _ = self.placed(key)
        pens = page.random_pens(key, self.setting, scale=self.scale(key))
        strangers = None
        if self.setting.has_strangers:
            strangers = clutter.strangers(
                key, doses, x=track.x, pens=pens, geometry=track.geometry, scale=self.scale(key)
            )
        look = {"setting": self.setting, "width": self.width, "scale": self.scale(key)}
        return layout.drawn_strokes(track, pens, strangers, doses, **look)

    def grid(self, key: jax.Array) -> Any:
        track, doses, grid = self.placed(key)
        size = {"height": self.height, "width": self.width, "scale": self.scale(key)}
        return page.grid_layer(key, track, grid, doses, setting=self.setting, **size)

    def writing(self, key: jax.Array) -> Any:
        track, doses, grid = self.placed(key)
        size = {"height": self.height, "width": self.width, "scale": self.scale(key)}
        return page.writing_layer(track, grid, doses, **size)

    def shading(self, key: jax.Array) -> Any:
        track, doses, _ = self.placed(key)
        return page.shading_layer(track, doses, setting=self.setting, width=self.width)

    def image(self, key: jax.Array) -> jax.Array:
        """Blank paper of a level that the compiler cannot know, so that nothing is computed beforehand."""
        return jnp.full((self.height, self.width), 0.9) + 0.01 * jax.random.uniform(key)

    def blur(self, key: jax.Array) -> Any:
        return paper.blurred(self.image(key), jnp.asarray(0.7))

    def scan(self, key: jax.Array) -> Any:
        stain_key, noise_key = jax.random.split(key)
        scanner = paper.random_scanner(key, paper.random_tones(key), thinnest=jnp.asarray(2.0))
        image = paper.blurred(paper.stained(stain_key, self.image(key), scanner.stains), scanner.blur)
        image = paper.noisy(noise_key, image, scanner.noise)
        return paper.quantised(paper.thresholded(image, scanner.threshold, scanner.bitonal))

    def page_artefacts(self) -> dict[str, Part]:
        """Each on blank paper; those that need a field of random bits pay for their own."""
        shape = (self.height, self.width)

        def on_paper(artefact: Callable[..., Any], *, needs: str | None = None) -> Part:
            def part(key: jax.Array) -> Any:
                more = {needs: wear.fields(jax.random.bits(key, shape, jnp.uint32))[0]} if needs else {}
                return artefact(dice(key, NUMBERS), self.image(key), jax.random.uniform(key), **more)

            return part

        def threshold(key: jax.Array) -> Any:
            u, contrast = dice(key, NUMBERS), jnp.asarray(0.5)
            level = wear.bloom(u, u[0], u[1], contrast=contrast)
            level = wear.dropout(u, jnp.broadcast_to(level, shape), u[2], contrast=contrast)
            return paper.thresholded(self.image(key), level, u[4] < 0.5)

        return {
            "patchy_ink": lambda key: paper.patchy(dice(key, NUMBERS), jax.random.uniform(key), shape=shape),
            "illumination": on_paper(wear.illumination),
            "blots": on_paper(wear.blots),
            "bleed": on_paper(wear.bleed, needs="ink"),
            "stripes": on_paper(wear.stripes),
            "splice": on_paper(functools.partial(wear.crease, row=jnp.asarray(30.0))),
            "missing": on_paper(wear.missing),
            "speckle": on_paper(wear.speckle, needs="field"),
            "bloom, dropout": threshold,
            "runs": on_paper(wear.runs, needs="field"),
            "jpeg": on_paper(wear.jpeg),
        }


def part_times(data: DataConfig, mesh: Mesh, *, batch: int, warmup: int, steps: int) -> dict[str, Timing]:
    """The time of each part for a whole batch; parts overlap when they run as one drawing, so sums are no total."""
    keys = jax.jit(jax.vmap(lambda index: sample_key(0, "train", index)), out_shardings=over_examples(mesh))(
        jnp.arange(batch)
    )
    found = {}
    for name, part in parts(data).items():
        compiled = jax.jit(jax.vmap(part))
        found[name] = timed(functools.partial(compiled, keys), warmup=warmup, steps=steps)
    return found
