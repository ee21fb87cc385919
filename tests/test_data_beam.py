import builtins
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from las_files import write_las

from veerjax.cli import main
from veerjax.data.build.raster_logs import build, build_from
from veerjax.data.built import load_built
from veerjax.data.example import Example
from veerjax.errors import InputError

SIZE = {"height": 48, "width": 32}
SPLITS = ("train", "validation", "test")


def examples(name: str, data_dir: Path, split: str) -> list[Example]:
    source = load_built(name, data_dir=data_dir, split=split)
    return [source[index] for index in range(len(source))]


@pytest.fixture
def beam():
    """The module that needs Apache Beam."""
    pytest.importorskip("apache_beam", reason="Apache Beam is not installed: pip install 'veerjax[beam]'")
    from veerjax.data.build import beam

    return beam


@pytest.fixture
def las_dir(tmp_path) -> Path:
    folder = tmp_path / "las"
    folder.mkdir()
    depth = np.arange(500.0, 1000.0, 0.5)
    for number in range(3):
        curves = {"GR": 75 + 60 * np.sin(depth / 7 + number), "CALI": 9 + 2 * np.cos(depth / 5)}
        write_las(folder / f"{number}.las", well=f"Well {number}", depth=depth, curves=curves)
    return folder


def assert_both_alike(name: str, tmp_path: Path, *, beam_args: str, **options) -> None:
    build(name, data_dir=tmp_path / "local", **options)
    build(name, data_dir=tmp_path / "beam", engine="beam", beam_args=beam_args, **options)
    for split in SPLITS:
        local, beam = (examples(name, tmp_path / engine, split) for engine in ("local", "beam"))
        assert [example.key for example in local] == [example.key for example in beam]
        for first, second in zip(local, beam, strict=True):
            for field, value in vars(first).items():
                np.testing.assert_array_equal(value, getattr(second, field), err_msg=field, strict=True)


@pytest.mark.usefixtures("beam")
def test_both_engines_build_the_same_rendered_examples_in_the_same_order(tmp_path):
    assert_both_alike("raster_logs/standard", tmp_path, beam_args="", num=11, **SIZE)


@pytest.mark.slow
@pytest.mark.usefixtures("beam")
def test_workers_in_other_processes_build_the_same_real_curves_into_shards(tmp_path, las_dir):
    args = "--runner=DirectRunner --direct_num_workers=2 --direct_running_mode=multi_processing"
    assert_both_alike("raster_logs/las", tmp_path, beam_args=args, las_dir=las_dir, augment=1, num_shards=2, **SIZE)


@dataclasses.dataclass(frozen=True)
class Faulty:
    """A source whose examples are all of one name, or that refuses its chunks."""

    refuse: bool

    def chunks(self) -> dict[str, Sequence[int]]:
        return {"train": [0, 1]}

    def make(self, split: str, chunk: int) -> list[Example]:
        if self.refuse:
            raise InputError(f"the chunk {chunk // 2} of {split} is bad; mend it [at once].")
        plain = np.zeros((16, 16), np.uint8)
        strokes, rows = np.zeros((2, 16, 16), bool), np.zeros((2, 16))
        truth: dict[str, Any] = {"label": plain, "centreline": rows, "presence": rows > 0, "metadata": {}}
        return [Example(key="twin", image=plain, strokes=strokes, **truth)]

    def as_metadata(self) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize("engine", ["local", "beam"])
@pytest.mark.parametrize(
    ("refuse", "sentence"),
    [
        (False, "^two examples are called 'twin'; rename"),
        (True, r"^the chunk 0 of train is bad; mend it \[at once\]\.$"),
    ],
)
def test_a_refusal_while_building_is_one_sentence_and_leaves_nothing(tmp_path, engine, refuse, sentence, request):
    if engine == "beam":
        request.getfixturevalue("beam")
    with pytest.raises(InputError, match=sentence):
        build_from(Faulty(refuse), config="standard", data_dir=tmp_path, engine=engine)
    assert list((tmp_path / "raster_logs" / "standard").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--direct_num_wokers=2", "'direct_num_wokers', which Beam does not know .*mean 'direct_num_workers'"),
        ("--direct_num_workers=two", "cannot be read .*invalid int value: 'two'"),
        ("--direct_running_mode=fast", "cannot be read .*invalid choice: 'fast'"),
        ("--runner='", "cannot be read .*No closing quotation"),
    ],
)
def test_beam_arguments_that_beam_does_not_know_are_refused(beam, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        beam.pipeline_options(arguments)


def test_without_a_runner_everything_runs_on_this_machine(beam):
    from apache_beam.options.pipeline_options import DirectOptions, StandardOptions

    for arguments in ("", "--runner=DirectRunner", "--direct_num_workers=2"):
        assert beam.pipeline_options(arguments).view_as(StandardOptions).runner == "FnApiRunner"
    assert beam.pipeline_options("--direct_num_workers=2").view_as(DirectOptions).direct_num_workers == 2
    assert beam.pipeline_options("--runner=FlinkRunner").view_as(StandardOptions).runner == "FlinkRunner"


def test_without_beam_the_command_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    importing = builtins.__import__

    def without_beam(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "apache_beam" or (name == "veerjax.data.build" and "beam" in (rest[2] or ())):
            raise ModuleNotFoundError(f"No module named {name!r}", name="apache_beam")
        return importing(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_beam)
    command = ["data", "build", "--name", "raster_logs/standard", "--data-dir", str(tmp_path / "data")]
    assert main([*command, "--engine", "beam"]) == 2
    assert "--engine beam needs Apache Beam, which is not installed here; pip install" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()
