"""The TFDS dataset `raster_logs`, built without TensorFlow: PNGs and exact centrelines."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from veerjax import labels
from veerjax.config import nearest, require
from veerjax.data.example import Example, features_of
from veerjax.data.recipe import CONFIGS, LAS, Recipe, unique
from veerjax.errors import InputError
from veerjax.synthesis.draw import SETTINGS

NAME = "raster_logs"


class RasterLogs(tfds.core.GeneratorBasedBuilder):
    """Tracks with two curves and the truth about them.

    To build it needs a recipe, which `build` gives; to read an existing dataset it needs none.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "The first edition."}
    BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
        *(tfds.core.BuilderConfig(name=name, description="Random curves, rendered.") for name in SETTINGS),
        tfds.core.BuilderConfig(name=LAS, description="The curves of LAS files, rendered."),
    ]

    def __init__(
        self, *, file_format: str | None = "array_record", recipe: Recipe | None = None, **options: Any
    ) -> None:
        # TFDS's own default, tfrecord, fails at the end of a build unless TensorFlow is there.
        self.recipe = recipe
        super().__init__(file_format=file_format, **options)

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": grey("grey levels, 0 black to 255 white"),
            "stroke_1": grey("255 where curve 1 has ink; the two strokes may overlap"),
            "stroke_2": grey("255 where curve 2 has ink, the gaps of its coding bridged"),
            "label": grey("class ids, curve 1 over curve 2"),
            "centreline": exact(np.float64, "px where a curve crosses the centre of each row"),
            "presence": exact(np.bool_, "whether the curve is on the track in that row"),
            "key": tfds.features.Text(doc="the example's name, unlike any other's"),
            "metadata": tfds.features.Text(doc="JSON: setting, seed, split, index; well, curves, scales, depths"),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description="Scanned well-log tracks with two curves, their strokes, label and centrelines.",
            features=tfds.features.FeaturesDict(features),
            metadata=tfds.core.MetadataDict(self.recipe.as_metadata() if self.recipe else {}),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager
        if self.recipe is None:
            raise InputError(f"{NAME} needs a recipe; build it by veerjax data build --name {NAME}/standard.")
        return {split: self._generate_examples(examples) for split, examples in self.recipe.examples().items()}

    def _generate_examples(self, examples: Iterator[Example]) -> Iterator[tuple[str, dict[str, Any]]]:
        for example in unique(examples):
            yield example.key, features_of(example)


def grey(doc: str) -> tfds.features.Image:
    """An 8-bit grey PNG of any size."""
    return tfds.features.Image(shape=(None, None, 1), dtype=np.uint8, encoding_format="png", doc=doc)


def exact(dtype: type, doc: str) -> tfds.features.Tensor:
    """A value for each curve and row. Without the encoding TFDS stores float64 as float32, silently."""
    return tfds.features.Tensor(shape=(labels.NUM_CURVES, None), dtype=dtype, encoding="bytes", doc=doc)


def config_of(name: str) -> str:
    """The config in `raster_logs/CONFIG`.

    Raises:
        InputError: another dataset, no config, or an unknown one; the nearest name is given.
    """
    names = [f"{NAME}/{config}" for config in CONFIGS]
    require(name in names, f"there is no dataset {name!r}; write one of {', '.join(names)}{nearest(name, names)}.")
    return name.partition("/")[2]


def build(
    name: str = f"{NAME}/standard",
    *,
    data_dir: str | Path,
    las_dir: str | Path | None = None,
    num: int | None = None,
    height: int = 512,
    width: int = 256,
    seed: int = 0,
    num_shards: int | None = None,
) -> Path:
    """Builds a dataset, unless the same one is there already, and returns its folder.

    What a killed build has left behind is cleared first.

    Args:
        name: `raster_logs/CONFIG`
        data_dir: the dataset goes to `data_dir/raster_logs/CONFIG/VERSION`
        las_dir: folder of LAS files, for `raster_logs/las`
        num: examples a split, for rendered settings
        height: of an example [px]
        width: of an example [px], a whole track
        seed: of the training split of a rendered setting, and of the look of real curves
        num_shards: files a split; by its size if None

    Raises:
        InputError: unknown name, an argument out of range or not for this config, an unusable folder of LAS
            files, or a dataset made otherwise is there already.
    """
    recipe = Recipe(
        config=config_of(name),
        height=height,
        width=width,
        seed=seed,
        num=num,
        las_dir=None if las_dir is None else Path(las_dir),
    )
    recipe.examples()  # So that bad input is refused before anything is written.
    builder = RasterLogs(data_dir=Path(data_dir), config=recipe.config, recipe=recipe)
    folder = Path(builder.data_path)
    if folder.exists():
        require_same(recipe, folder)
        return folder
    for leftover in folder.parent.glob("incomplete.*"):
        shutil.rmtree(leftover)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=num_shards))
    return folder


def require_same(recipe: Recipe, folder: Path) -> None:
    """Refuses a dataset that another recipe has made."""
    there, asked = json.loads((folder / "metadata.json").read_text()), recipe.as_metadata()
    other = ", ".join(key for key in asked if there.get(key) != asked[key])
    require(
        not other,
        f"{folder} holds a dataset made with another {other}; delete it or give another data folder.",
    )
