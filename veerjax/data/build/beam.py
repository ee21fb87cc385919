"""The same examples made by Apache Beam: by several processes, or by any runner that its arguments name."""

import contextlib
import importlib
import io
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from veerjax.config import nearest
from veerjax.data.build.engine import encoded_chunk, repeated
from veerjax.data.source import Chunk, ExampleSource
from veerjax.errors import InputError

# By name, because type checkers run where this extra is not installed.
beam = importlib.import_module("apache_beam")
options_of_beam = importlib.import_module("apache_beam.options.pipeline_options")

# Beam's direct runner would ask for Prism first, which is fetched from the network, and then fall back on this one.
LOCAL_RUNNER = "FnApiRunner"
DIRECT = ("directrunner", "direct")


@beam.ptransform_fn
def examples_of(begin: Any, source: ExampleSource, split: str, chunks: Sequence[Chunk]) -> Any:
    """A collection of keys and features."""
    made = (
        begin | beam.Create(list(chunks)) | beam.Reshuffle() | beam.FlatMap(encoded_chunk, source=source, split=split)
    )
    _ = made | beam.Keys() | beam.combiners.Count.PerElement() | "CheckKeys" >> beam.Map(check_count)
    return made


def check_count(counted: tuple[str, int]) -> None:
    """Refuses a key that comes twice.

    Raises:
        InputError: it does.
    """
    key, count = counted
    if count > 1:
        raise InputError(repeated(key))


def pipeline_options(arguments: str) -> Any:
    """Beam's options, written as on a command line of its own; without a runner everything runs on this machine.

    Raises:
        InputError: a value or, for this machine, an option that Beam does not know.
    """
    advice = "see Beam's documentation of pipeline options, or leave --beam-args out"
    said = io.StringIO()
    try:
        # Beam ends the program where a value is wrong, after saying why.
        with contextlib.redirect_stderr(said):
            options = options_of_beam.PipelineOptions(flags=shlex.split(arguments))
            known = options.get_all_options()
    except (SystemExit, ValueError) as error:
        reason = said.getvalue().strip().rpartition("error: ")[2] or str(error)
        raise InputError(f"--beam-args {arguments!r} cannot be read ({reason}); {advice}.") from error
    standard = options.view_as(options_of_beam.StandardOptions)
    if standard.runner is None or standard.runner.lower() in DIRECT:
        standard.runner = LOCAL_RUNNER
        # Other runners have options of their own, which Beam hands on.
        for name in options.get_all_options(retain_unknown_options=True).keys() - known.keys():
            raise InputError(f"--beam-args has {name!r}, which Beam does not know{nearest(name, known)}; {advice}.")
    return options


@contextlib.contextmanager
def worker_errors() -> Iterator[None]:
    """Refusals out of a worker, which come wrapped in Beam's own words, as they were raised.

    Raises:
        InputError: a worker raised it.
    """
    try:
        yield
    except Exception as error:
        sentence = str(error)
        if not isinstance(error, InputError):
            found = re.search(r"InputError: (.*)", sentence)
            if found is None:
                raise
            sentence = found.group(1)
        raise InputError(sentence.partition(" [while running")[0]) from error
