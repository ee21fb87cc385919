"""A killed training goes on as if nothing had happened; and the proof would notice if it did not."""

import importlib.util
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from veerjax.config import Config, to_dict, with_overrides
from veerjax.data.build.raster_logs import build
from veerjax.errors import InputError
from veerjax.jobs.verify_resume import kill_after, verify_resume
from veerjax.training.checkpoint import checkpoint_folder, state_hashes
from veerjax.training.loop import train

TINY = with_overrides(
    Config(name="tiny"),
    [
        "batch=8",
        "data.setting=shifted",
        "data.height=32",
        "data.width=32",
        "model.features=[8,8]",
        "validation.examples=5",
    ],
)
PARTS = {"params", "extra", "opt_state", "ema", "step"}


@pytest.mark.slow
def test_a_killed_run_ends_as_an_unbroken_one_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    # On one device: the random kills below are of a run that draws on eight. Of a flag given twice the last counts.
    monkeypatch.setenv("XLA_FLAGS", f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=1")
    found = verify_resume(TINY, steps=6)
    assert found["equal"], found["differing"]
    assert set(found["hashes"]["whole"]) == PARTS
    assert (found["devices"], found["resumed_from"]) == (1, 3)


@pytest.mark.slow
def test_so_does_one_of_eight_devices_on_a_built_dataset(tmp_path: Path) -> None:
    build("raster_logs/clean", data_dir=tmp_path, num=20, height=32, width=32)
    config = replace(TINY, data=replace(TINY.data, setting="raster_logs/clean"))
    found = verify_resume(config, steps=6, data_dir=tmp_path)
    assert found["equal"], found["differing"]
    assert (found["data"], found["devices"], found["resumed_from"]) == ("raster_logs/clean", 8, 3)


@pytest.mark.slow
def test_the_hashes_tell_two_trainings_apart_and_every_part_of_a_state(tmp_path: Path) -> None:
    short = with_overrides(TINY, ["steps=2", "validation.every=2"])
    hashes = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(replace(short, seed=seed), tmp_path / name)
        hashes.append(state_hashes(checkpoint_folder(tmp_path / name, "last")))
    assert hashes[0] == hashes[1]
    assert {part for part in PARTS if hashes[0][part] != hashes[2][part]} == PARTS - {"step"}


@pytest.mark.slow
def test_a_training_that_fails_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--steps is 5; write an even number of at least 2"):
        verify_resume(TINY, steps=5)
    with pytest.raises(InputError, match=r"a training ended with 2: veerjax: .*nearest that does is 8"):
        verify_resume(replace(TINY, batch=9), steps=2)
    config = tmp_path / "c.json"
    config.write_text(json.dumps(to_dict(replace(TINY, batch=9))))
    arguments = ["python3", "-c", "raise SystemExit(7)"]
    with pytest.raises(InputError, match="a training ended with 7 before it had saved step 3"):
        kill_after(arguments, tmp_path / "w", step=3)


@pytest.mark.slow
def test_random_kills_lose_nothing_but_the_steps_since_the_last_save(tmp_path: Path) -> None:
    path = Path(__file__).resolve().parents[1] / "tools" / "kill_training.py"
    spec = importlib.util.spec_from_file_location("kill_training", path)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    tally = tool.run(tmp_path, kills=2, seed=1, every=2, steps=150)
    assert tally.kills == 2
    assert tally.wrong == []
