"""A small dataset of a config's own setting, built in a temporary folder to time the reading of built data."""

import contextlib
import importlib.util
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from veerjax.config import Config
from veerjax.data.built import BuiltSplit, load_built
from veerjax.synthesis.settings import settings_in

EXAMPLES = 64


def can_build() -> bool:
    """Whether the libraries that build and read datasets are here; training does not need them."""
    return all(importlib.util.find_spec(name) is not None for name in ("tensorflow_datasets", "grain"))


@contextmanager
def built_examples(config: Config, *, count: int = EXAMPLES) -> Iterator[BuiltSplit]:
    """The training split of `raster_logs` at the config's setting and size; gone when the block ends.

    A mixture is no dataset; of one, the last setting is read, as it is of which drawing's parts are timed.

    Args:
        config: its data
        count: examples
    """
    from veerjax.data.build.raster_logs import build

    name = f"raster_logs/{settings_in(config.data.setting)[-1]}"
    with tempfile.TemporaryDirectory() as folder:
        size: dict[str, Any] = {"height": config.data.height, "width": config.data.width}
        # TFDS announces every build, and draws bars.
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            build(name, data_dir=folder, num=count, seed=config.seed, **size)
        yield load_built(name, data_dir=folder, split="train")
