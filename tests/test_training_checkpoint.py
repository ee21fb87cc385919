"""What is wrong with a work directory is told in one sentence that names the file."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from veerjax.config import Config
from veerjax.errors import InputError
from veerjax.training.checkpoint import adopt_workdir, load_config, restore_variables
from veerjax.training.weights import release_folder


@pytest.fixture
def cut_short(tmp_path: Path) -> Path:
    """A work directory with a checkpoint whose files of arrays end after 50 bytes."""
    workdir, tree = tmp_path / "run", tmp_path / "run" / "checkpoints" / "1" / "default"
    shutil.copytree(release_folder() / "weights", tree)
    shutil.copy(release_folder() / "config.json", workdir)
    for path in tree.rglob("d/*"):
        path.write_bytes(path.read_bytes()[:50])
    return workdir


def test_a_checkpoint_that_is_cut_short_has_its_own_sentence(cut_short: Path) -> None:
    with pytest.raises(InputError, match="a file in it is missing or cut short; copy it again or give another step"):
        restore_variables(cut_short / "checkpoints" / "1" / "default")


def test_a_checkpoint_that_is_cut_short_prints_the_sentence_alone(cut_short: Path) -> None:
    code = f"from veerjax.cli import main\nmain(['evaluate', '--weights', {str(cut_short)!r}, '--limit', '1'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_other_errors_in_threads_are_still_shown_after_a_failed_read(
    cut_short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: shown.append(str(unraisable.exc_value)))
    with pytest.raises(InputError):
        restore_variables(cut_short / "checkpoints" / "1" / "default")

    class Unraisable:
        exc_value: RuntimeError

    for sentence in ("Event loop is closed", "another"):
        Unraisable.exc_value = RuntimeError(sentence)
        sys.unraisablehook(Unraisable)
    assert shown == ["another"]


def test_a_config_that_is_no_group_of_keys_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(InputError, match=r"config.json holds \[\]; it must be a group of keys"):
        load_config(tmp_path)
    with pytest.raises(InputError, match=r"config.json holds \[\]; it must be a group of keys"):
        adopt_workdir(tmp_path, Config(name="x"))


def test_a_config_without_a_key_is_named_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"steps": 3}))
    with pytest.raises(InputError, match=r"config.json does not fit this version: the config needs the key 'name'"):
        load_config(tmp_path)


def test_a_config_that_is_no_json_is_named_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{bad")
    with pytest.raises(InputError, match=r"config.json is not valid JSON"):
        load_config(tmp_path)
