"""A work directory belongs to one config; what is wrong with it is told in one sentence that names the file."""

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from veerjax.config import Config, with_overrides
from veerjax.errors import InputError
from veerjax.training import workdir
from veerjax.training.workdir import adopt_workdir, load_config

CONFIG = Config(name="x")


def test_a_config_that_is_no_group_of_keys_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(InputError, match=r"config.json holds \[\]; it must be a group of keys"):
        load_config(tmp_path)
    with pytest.raises(InputError, match=r"config.json holds \[\]; it must be a group of keys"):
        adopt_workdir(tmp_path, CONFIG)


def test_a_config_without_a_key_is_named_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"steps": 3}))
    with pytest.raises(InputError, match=r"config.json does not fit this version: the config needs the key 'name'"):
        load_config(tmp_path)


def test_a_config_that_is_no_json_is_named_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{bad")
    with pytest.raises(InputError, match=r"config.json is not valid JSON"):
        load_config(tmp_path)


def test_the_config_comes_back(tmp_path: Path) -> None:
    adopt_workdir(tmp_path / "made" / "here", CONFIG)
    assert load_config(tmp_path / "made" / "here") == CONFIG


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("seed=1", "seed was 0 and is now 1"),
        ("batch=16", "batch was 8 and is now 16"),
        ("steps=9", "steps was 4000 and is now 9"),
        ("model.norm=pixel", "model.norm was 'batch' and is now 'pixel'"),
        ("model.dtype=float32", "model.dtype was 'auto' and is now 'float32'"),
        ("data.setting=hard", "data.setting was 'standard' and is now 'hard'"),
        ("optimiser.warmup_steps=7", "optimiser.warmup_steps was 100 and is now 7"),
    ],
)
def test_another_config_is_refused_with_the_key_that_differs(change: str, sentence: str, tmp_path: Path) -> None:
    adopt_workdir(tmp_path, CONFIG)
    with pytest.raises(
        InputError, match=f"was made with another config \\({sentence}\\); give that config, or another"
    ):
        adopt_workdir(tmp_path, with_overrides(CONFIG, [change]))


def test_when_and_how_many_checkpoints_are_saved_and_how_devices_share_may_differ(tmp_path: Path) -> None:
    adopt_workdir(tmp_path, CONFIG)
    adopt_workdir(tmp_path, with_overrides(CONFIG, ["checkpoint.every=7", "checkpoint.keep=5", "devices.rows=4"]))
    assert load_config(tmp_path) == CONFIG


def test_keys_that_an_older_edition_did_not_know_have_their_defaults(tmp_path: Path) -> None:
    adopt_workdir(tmp_path, CONFIG)
    values = json.loads((tmp_path / "config.json").read_text())
    del values["checkpoint"], values["devices"], values["optimiser"]["ema_decay"]
    (tmp_path / "config.json").write_text(json.dumps(values))
    adopt_workdir(tmp_path, CONFIG)
    with pytest.raises(InputError, match=r"optimiser.ema_decay was 0.999 and is now 0.0"):
        adopt_workdir(tmp_path, with_overrides(CONFIG, ["optimiser.ema_decay=0"]))


def test_a_read_only_place_is_told_in_a_sentence_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(workdir, "write_whole", refuse)
    with pytest.raises(InputError, match=r"cannot be written in \(Read-only file system\); give another --workdir"):
        adopt_workdir(tmp_path, CONFIG)
    assert not list(tmp_path.iterdir())
