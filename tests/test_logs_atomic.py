"""What cannot be written is known before anything is computed."""

from pathlib import Path

import pytest

from veerjax.errors import InputError
from veerjax.logs.atomic import check_folder


def test_a_folder_below_a_file_is_refused_and_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "a" / "b"):
        with pytest.raises(InputError, match=r"--json needs the folder .*, but .*file' is a file; give another path"):
            check_folder(folder, "--json")


def test_a_folder_that_can_be_made_is_not_made_yet(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "b", "--report")
    check_folder(Path("somewhere"), "--report")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_may_not_be_written_in_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(InputError, match="may not be written in"):
        check_folder(tmp_path / "a", "--report")
