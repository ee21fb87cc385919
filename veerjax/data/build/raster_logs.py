"""The TFDS dataset `raster_logs`, built without TensorFlow: PNGs and exact centrelines."""

import contextlib
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from veerjax import labels
from veerjax.config import choice, nearest, require
from veerjax.data.build import card
from veerjax.data.build.engine import BEAM, ENGINES, LOCAL, encoded_examples
from veerjax.data.build.recipe import CONFIGS, Recipe
from veerjax.data.build.shuffling import shuffled_on_disk
from veerjax.data.rendered_source import RenderedSource, channels_of
from veerjax.data.source import Chunk, ExampleSource
from veerjax.errors import InputError
from veerjax.logs.lock import held

NAME = "raster_logs"


class RasterLogs(tfds.core.GeneratorBasedBuilder):
    """Tracks with two curves and the truth about them.

    To build it needs a source of examples, which `build` gives; to read an existing dataset it needs none.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "The first edition."}
    BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
        tfds.core.BuilderConfig(name=name, description=card.card_of(name).about) for name in CONFIGS
    ]

    def __init__(
        self,
        *,
        file_format: str | None = "array_record",
        source: ExampleSource | None = None,
        engine: str = LOCAL,
        **options: Any,
    ) -> None:
        # TFDS's own default, tfrecord, fails at the end of a build unless TensorFlow is there.
        self.source, self.engine = source, engine
        super().__init__(file_format=file_format, **options)

    def _info(self) -> tfds.core.DatasetInfo:
        config = str(self.builder_config_name)
        text = card.card_of(config)
        image = "RGB" if channels_of(config) == 3 else "grey levels"
        features = {
            "image": picture(f"{image}, 0 black to 255 white", channels=channels_of(config)),
            "stroke_1": picture("255 where curve 1 has ink; the two strokes may overlap"),
            "stroke_2": picture("255 where curve 2 has ink, the gaps of its coding bridged"),
            "label": picture("class ids: 0 background, 1 and 2 the curves, curve 1 over curve 2"),
            "centreline": exact(np.float64, "px where a curve crosses the centre of each row"),
            "presence": exact(np.bool_, "whether the curve is on the track in that row"),
            "key": tfds.features.Text(doc="the example's name, unlike any other's"),
            "metadata": tfds.features.Text(doc="JSON: setting, split, index; seed; well, file, curves, scales, depths"),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=card.DESCRIPTION.format(about=text.about),
            features=tfds.features.FeaturesDict(features),
            homepage=text.homepage or None,
            citation="\n".join(part for part in (card.CITATION, text.citation) if part),
            license=text.licence,
            metadata=tfds.core.MetadataDict(self.source.as_metadata() if self.source else {}),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager
        if self.source is None:
            raise InputError(f"{NAME} needs a source; build it by veerjax data build --name {NAME}/standard.")
        return {split: self._generate_examples(split, chunks) for split, chunks in self.source.chunks().items()}

    def _generate_examples(self, split: str, chunks: Sequence[Chunk]) -> Any:
        assert self.source is not None
        if self.engine == BEAM:
            return beam_engine().examples_of(self.source, split, chunks)
        return encoded_examples(self.source, split, chunks)


def picture(doc: str, *, channels: int = 1) -> tfds.features.Image:
    """An 8-bit PNG of any size."""
    return tfds.features.Image(shape=(None, None, channels), dtype=np.uint8, encoding_format="png", doc=doc)


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
    num_shards: int | None = None,
    engine: str = LOCAL,
    beam_args: str = "",
    **options: Any,
) -> Path:
    """Builds a dataset, unless the same one is there already, and returns its folder.

    Args:
        name: `raster_logs/CONFIG`
        data_dir: the dataset goes to `data_dir/raster_logs/CONFIG/VERSION`
        num_shards: files a split; by its size if None
        engine: `local`, or `beam` for Apache Beam
        beam_args: Beam's pipeline options, as on a command line
        options: the fields of `Recipe` but its config

    Raises:
        InputError: an argument out of range or not for this config, unusable input, or see `build_from`.
    """
    config = config_of(name)
    source = Recipe(config=config, **options).source()
    return build_from(
        source, config=config, data_dir=data_dir, num_shards=num_shards, engine=engine, beam_args=beam_args
    )


def build_from(
    source: ExampleSource,
    *,
    config: str,
    data_dir: str | Path,
    num_shards: int | None = None,
    engine: str = LOCAL,
    beam_args: str = "",
) -> Path:
    """Builds a dataset of a source's examples; its folder is there whole or not at all.

    What a killed build has left behind is cleared first. The other arguments are those of `build`.

    Args:
        source: of examples
        config: of `raster_logs`

    Raises:
        InputError: unusable input, another process is building this config in this folder, a dataset made otherwise is
            there already, or Beam is asked for and not installed, or refuses its arguments.
    """
    choice("--engine", engine, ENGINES)
    require(
        engine == BEAM or not beam_args, "--beam-args are for Apache Beam; give --engine beam too, or leave it out."
    )
    beam_options = beam_engine().pipeline_options(beam_args) if engine == BEAM else None
    if num_shards is not None and isinstance(source, RenderedSource):
        asked = f"{num_shards} shards were asked for, and {source.count} examples a split"
        require(num_shards <= source.count, f"{asked}; write {source.count} shards or fewer.")
    source.chunks()  # So that bad input is refused before anything is written.
    builder = RasterLogs(data_dir=Path(data_dir), config=config, source=source, engine=engine)
    folder = Path(builder.data_path)
    if is_there(source, folder):
        return folder
    use = f"{folder.parent} is being built"
    with held(folder.parent / "building.lock", use=use, instead="give another data folder"):
        if is_there(source, folder):
            return folder
        for leftover in folder.parent.glob("incomplete.*"):
            shutil.rmtree(leftover)
        settings = tfds.download.DownloadConfig(num_shards=num_shards, beam_options=beam_options)
        errors = beam_engine().worker_errors() if engine == BEAM else contextlib.nullcontext()
        with shuffled_on_disk(), shard_errors(num_shards), errors:
            builder.download_and_prepare(download_config=settings)
    return folder


@contextlib.contextmanager
def shard_errors(num_shards: int | None) -> Iterator[None]:
    """What TFDS says of too many shards, as a refusal.

    Raises:
        InputError: a split has fewer examples than shards were asked for.
    """
    try:
        yield
    except AssertionError as error:
        if "number_of_shards" not in str(error):
            raise
        raise InputError(
            f"{num_shards} shards were asked for, but a split has fewer examples; ask for less."
        ) from error


def beam_engine() -> Any:
    """The module that needs Apache Beam.

    Raises:
        InputError: it is not installed.
    """
    try:
        from veerjax.data.build import beam
    except ModuleNotFoundError as error:
        raise InputError(
            "--engine beam needs Apache Beam, which is not installed here; pip install 'veerjax[beam]', or leave "
            "--engine out."
        ) from error
    return beam


def is_there(source: ExampleSource, folder: Path) -> bool:
    """Whether a source's dataset is built already.

    Raises:
        InputError: there is a dataset, made of something else or damaged.
    """
    if not folder.exists():
        return False
    try:
        there = json.loads((folder / "metadata.json").read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} is damaged: its metadata.json cannot be read; delete the folder.") from error
    asked = json.loads(json.dumps(source.as_metadata()))  # As JSON keeps it, where tuples are lists.
    other = ", ".join(key for key in asked if there.get(key) != asked[key])
    require(
        not other,
        f"{folder} holds a dataset made with another {other}; delete it or give another data folder.",
    )
    return True
