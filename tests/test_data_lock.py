"""One builder of a dataset at a time, and what a killed one leaves behind."""

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from veerjax.data.build.raster_logs import build
from veerjax.data.built import load_built
from veerjax.errors import InputError
from veerjax.logs.lock import held

SIZE = {"height": 48, "width": 32}
NAME = "raster_logs/standard"
KILLS = 6


def test_a_second_builder_leaves_the_first_ones_work_alone(tmp_path):
    parent = tmp_path / NAME
    work = parent / "incomplete.ABCDEF_1.0.0"
    work.mkdir(parents=True)
    (work / "part").write_text("half")
    sentence = "standard is being built by process .*; wait until it is done, or give another data folder"
    with held(parent / "building.lock", use="", instead=""), pytest.raises(InputError, match=sentence):
        build(NAME, data_dir=tmp_path, num=1, **SIZE)
    assert (work / "part").read_text() == "half"
    build(NAME, data_dir=tmp_path, num=1, **SIZE)
    assert [path.name for path in parent.iterdir()] == ["1.0.0"]


def started(data_dir: Path, **options) -> subprocess.Popen:
    code = (
        f"from veerjax.data.build.raster_logs import build; build({NAME!r}, data_dir={str(data_dir)!r}, **{options!r})"
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for_work(parent: Path) -> None:
    deadline = time.monotonic() + 180
    while not list(parent.glob("incomplete.*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(parent.glob("incomplete.*")), "the build never began"


def is_built(data_dir: Path) -> bool:
    """Whether a dataset reads as complete; one that does must be."""
    try:
        splits = [load_built(NAME, data_dir=data_dir, split=split) for split in ("train", "validation", "test")]
    except InputError:
        return False
    assert [len(split) for split in splits] == [120] * 3
    assert all(split[119].image.shape == (48, 32) for split in splits)
    return True


@pytest.mark.slow
def test_two_builders_at_once_make_one_dataset(tmp_path):
    first = started(tmp_path, num=120, **SIZE)
    wait_for_work(tmp_path / NAME)
    second = started(tmp_path, num=120, **SIZE)
    codes = first.wait(300), second.wait(300)
    assert codes[0] == 0
    # The second was refused, or came late enough to find the dataset.
    assert is_built(tmp_path)
    assert [path.name for path in (tmp_path / NAME).iterdir()] == ["1.0.0"]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "beam"])
def test_a_build_killed_at_any_moment_is_repeated_by_the_next(tmp_path, engine):
    if engine == "beam":
        pytest.importorskip("apache_beam", reason="Apache Beam is not installed: pip install 'veerjax[beam]'")
    options = {"num": 120, "engine": engine, **SIZE}
    whole = started(tmp_path / "whole", **options)
    wait_for_work(tmp_path / "whole" / NAME)
    begun = time.monotonic()
    assert whole.wait(300) == 0
    duration, chance = time.monotonic() - begun, random.Random(0)
    data_dir = tmp_path / "killed"
    for kill in range(KILLS):
        process = started(data_dir, **options)
        wait_for_work(data_dir / NAME)
        # One share of the build after another, and within each at random; it may be done before the last.
        time.sleep(duration * (kill + chance.random()) / KILLS)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if is_built(data_dir):
            assert kill > 0
            shutil.rmtree(data_dir)
        else:
            assert not (data_dir / NAME / "1.0.0").exists()
    build(NAME, data_dir=data_dir, **options)
    assert is_built(data_dir)
    assert [path.name for path in (data_dir / NAME).iterdir()] == ["1.0.0"]
