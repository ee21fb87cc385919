"""Rendered settings as a source of examples."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from veerjax.data.example import Example, without_grey_axis
from veerjax.data.rendered import rendered_examples
from veerjax.labels import CODINGS, UNKNOWN_CODING
from veerjax.synthesis.draw import RENDERER, SPLITS
from veerjax.types import Batch

CHUNK = 8  # examples drawn at a time, always as many, so that one compiled function serves
COLOUR = "colour"  # the setting whose images have three channels


@dataclass(frozen=True, kw_only=True)
class RenderedSource:
    """The first samples of each split of a setting."""

    setting: str
    height: int  # [px]
    width: int  # [px]
    seed: int  # of the training split
    count: int  # examples a split

    def chunks(self) -> dict[str, Sequence[tuple[int, int]]]:
        """Where each chunk starts, and where it stops."""
        spans = [(start, min(start + CHUNK, self.count)) for start in range(0, self.count, CHUNK)]
        return dict.fromkeys(SPLITS, spans)

    def make(self, split: str, chunk: tuple[int, int]) -> list[Example]:
        """The samples of one chunk."""
        start, stop = chunk
        batch = rendered_examples(
            self.setting,
            split=split,
            indices=jnp.arange(start, start + CHUNK),
            height=self.height,
            width=self.width,
            seed=self.seed,
            channels=channels_of(self.setting),
        )
        return [
            self.example(split, index, drawn) for index, drawn in zip(range(start, stop), rows_of(batch), strict=False)
        ]

    def example(self, split: str, index: int, drawn: dict[str, np.ndarray]) -> Example:
        """One drawn sample with its name."""
        provenance = {"setting": self.setting, "seed": self.seed, "split": split, "index": index}
        return Example(
            key=f"{self.setting}/{split}/{self.seed}/{index:08d}",
            centreline=drawn["centreline"].astype(np.float64),
            presence=drawn["presence"],
            metadata={**provenance, "coding": coding_names(drawn)},
            **pictures(drawn),
        )

    def as_metadata(self) -> dict[str, Any]:
        """What the examples depend on."""
        plain = dataclasses.asdict(self)
        return {"config": plain.pop("setting"), "num": plain.pop("count"), "renderer": RENDERER, **plain}


def channels_of(config: str) -> int:
    """Of the images of a dataset's config: 3 for RGB, 1 for grey."""
    return 3 if config == COLOUR else 1


def pictures(drawn: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The 8-bit image, strokes and label of one drawn example."""
    # The renderer rounds to 255ths, so nothing is lost.
    image = without_grey_axis(np.rint(drawn["image"] * 255).astype(np.uint8))
    return {"image": image, "strokes": drawn["strokes"], "label": drawn["label"]}


def coding_names(drawn: dict[str, np.ndarray]) -> list[str]:
    """The codings of one drawn example's curves."""
    return ["unknown" if index == UNKNOWN_CODING else CODINGS[index] for index in drawn["coding"]]


def rows_of(batch: Batch) -> Iterator[dict[str, np.ndarray]]:
    """The examples of a batch, one by one, on the host."""
    arrays = jax.device_get(vars(batch))
    for row in range(batch.size):
        yield {name: array[row] for name, array in arrays.items()}
