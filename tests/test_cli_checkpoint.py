"""`veerjax checkpoint ...`: exit codes, one sentence on bad input, and what is shown."""

import json
import shutil
from pathlib import Path

import pytest
from saved_states import flip, save_steps, state

from veerjax.cli import main
from veerjax.config import Config, with_overrides
from veerjax.jobs import export
from veerjax.training.checkpoint import Checkpoints
from veerjax.training.workdir import write_config
from veerjax.version import __version__

EDITION_1 = Path(__file__).parent / "golden" / "edition1"


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """Three steps, of which 10 is the best."""
    save_steps(tmp_path / "run", {10: 0.8125, 20: None, 1030: 0.5})
    write_config(tmp_path / "run", with_overrides(Config(name="small"), ["steps=2000"]))
    return tmp_path / "run"


def test_whole_steps_are_listed_with_their_figures_and_marks(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checkpoint", "list", str(workdir)]) == 0
    shown, said = capsys.readouterr()
    head, _, *rows = (line.split() for line in shown.splitlines())
    assert head == ["step", "saved", "MB", "centreline_f1", "state"]
    assert [(row[0], row[3:]) for row in rows] == [
        ("10", ["0.8125", "best", "whole"]),
        ("20", ["-", "whole"]),
        ("1,030", ["0.5000", "last", "whole"]),
    ]
    assert said == ""


def test_damaged_steps_are_named_with_exit_code_1(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flip(workdir / "checkpoints" / "10")
    assert main(["checkpoint", "list", str(workdir)]) == 1
    shown, said = capsys.readouterr()
    first, *_, last = shown.splitlines()[2:]
    assert "damaged: default/" in first
    assert "best" not in first
    assert last.split()[-3:] == ["best,", "last", "whole"]
    assert said == f"veerjax: damaged steps in {workdir}: 10.\n"


def test_steps_of_an_older_edition_are_listed_unchecked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checkpoint", "list", str(EDITION_1)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("best, last  no manifest")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["list", "{tmp}/nowhere"], "there is no work directory '{tmp}/nowhere'; give the --workdir of a training."),
        (["list", "{tmp}"], "'{tmp}' holds no checkpoint yet."),
        (["inspect", "relase"], "there are no weights 'relase'; write release, or"),
        (["inspect", "{tmp}/run@40"], "has no checkpoint '40'; it has best, last and the steps [10, 20, 1030]."),
        (["inspect", "{tmp}/run@10"], "has no whole checkpoint of that name (step 10: default/"),
        (["inspect", "release", "--json", "{tmp}"], "--json {tmp} is a folder; give a file."),
    ],
)
def test_bad_input_is_one_sentence_with_exit_code_2(
    arguments: list[str], sentence: str, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flip(workdir / "checkpoints" / "10")
    place = str(workdir.parent)
    assert main(["checkpoint", *(word.format(tmp=place) for word in arguments)]) == 2
    shown, said = capsys.readouterr()
    assert shown == ""
    assert len(said.splitlines()) == 1
    assert sentence.format(tmp=place) in said


def test_inspect_shows_what_the_weights_are_and_their_shapes(
    workdir: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["checkpoint", "inspect", str(workdir), "--json", str(tmp_path / "f.json")]) == 0
    shown = capsys.readouterr().out
    assert f"{workdir}: step 10 of 2,000" in shown
    assert f", by veerjax {__version__}" in shown
    assert "16 (in ema/params)" in shown
    assert "Block_0/kernel" in shown
    assert "float32 [3, 4]" in shown
    found = json.loads((tmp_path / "f.json").read_text())
    assert (found["schema"], found["step"], found["parameters"], found["evaluated"]) == (1, 10, 16, "ema/params")
    assert found["manifest"]["state"] == "whole"
    assert found["config"]["steps"] == 2000
    assert {"name": "params/Block_0/kernel", "shape": [3, 4], "dtype": "float32"} in found["arrays"]
    assert {row["name"]: (row["arrays"], row["values"], row["bytes"]) for row in found["headings"]} == {
        "ema/batch_stats/Block_0": (1, 4, 16),
        "ema/params/Block_0": (2, 16, 64),
        "extra/batch_stats/Block_0": (1, 4, 16),
        "opt_state": (5, 33, 132),
        "params/Block_0": (2, 16, 64),
        "step": (1, 1, 4),
    }


def test_inspect_tells_of_weights_without_a_moving_average(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state(10, averaging=False), step=10, metrics=None)
    write_config(tmp_path, Config(name="small"))
    assert main(["checkpoint", "inspect", f"{tmp_path}@last"]) == 0
    assert "16 (in params)" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "step"), [("release", "weights alone"), (str(EDITION_1), "step 2 of 2")])
def test_inspect_reads_what_was_made_before_manifests(name: str, step: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checkpoint", "inspect", name]) == 0
    shown = capsys.readouterr().out
    assert f"{name}: {step}" in shown
    assert "no manifest" in shown


def test_a_damaged_best_step_is_passed_over_with_a_line(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(workdir / "checkpoints" / "10" / "default")
    assert main(["checkpoint", "inspect", f"{workdir}@best"]) == 0
    shown, said = capsys.readouterr()
    assert "step 1,030 of 2,000" in shown
    assert "step 10 in" in said
    assert "is missing); reading step 1030.\n" in said


def test_export_writes_the_stamps_and_says_how_far_the_two_are_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stamps = {"schema": 1, "parity": {"worst_masks": 2e-7}}
    monkeypatch.setattr(export, "run_export", lambda name, out: stamps if name == "release" else None)
    made = ["checkpoint", "export", "release", "--out", str(tmp_path / "m"), "--json", str(tmp_path / "m.json")]
    assert main(made) == 0
    assert json.loads((tmp_path / "m.json").read_text()) == stamps
    assert capsys.readouterr().out.endswith("its masks differ from the weights' by at most 2.0e-07\n")
