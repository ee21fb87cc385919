"""`veerjax train` from the shell: what it refuses in one sentence, how it stops, and what it leaves behind."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from veerjax.cli import main
from veerjax.config import Config, to_dict, with_overrides

SIZE = ["data.setting=shifted", "data.height=32", "data.width=32"]
TINY = with_overrides(
    Config(name="tiny"),
    ["steps=6", "batch=8", *SIZE, "model.features=[8,8]", "validation.examples=5"],
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(to_dict(TINY)))
    return path


REFUSED = {
    "unknown loss": (["loss.jaccard=1"], "the config has no key 'loss.jaccard'"),
    "mistyped loss": (["loss.lovas=1"], "did you mean 'lovasz'"),
    "no loss": (["loss.cross_entropy=0", "loss.dice=0"], "one must be > 0"),
    "negative learning rate": (["optimiser.learning_rate=-1"], "optimiser.learning_rate is -1.0; it must be above 0"),
    "decay of 1": (["optimiser.ema_decay=1.0"], "optimiser.ema_decay is 1.0; it must be from 0 to below 1"),
    "batch and devices": (["batch=9"], "does not divide over 8 devices; the nearest that does is 8"),
    "batch and portions": (["optimiser.accumulate=3"], "3 portions (optimiser.accumulate) over 8 devices"),
    "mixture": (["data.setting=standard+clean+hard"], "does not divide among the 3 settings"),
    "setting of a stage": (['data.curriculum=["claen:5"]'], "did you mean 'clean'"),
    "built without a folder": (["data.setting=raster_logs/hard"], "say where it lies with --data-dir"),
    "unknown head": (["model.head=sigmoyd"], "did you mean 'sigmoid'"),
    "patience": (["validation.patience=-1"], "validation.patience is -1; it must be >= 0"),
    "NaN": (["loss.dice=NaN"], "loss.dice is nan; it must be finite"),
    "huge seed": (["seed=99999999999999999999"], "it must be from 0 to 2147483647"),
    "final fraction": (["optimiser.final_fraction=-5"], "optimiser.final_fraction is -5.0; it must be from 0 to 1"),
    "nothing kept": (["checkpoint.keep=0"], "checkpoint.keep is 0; it must be at least 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_one_sentence_and_leaves_no_work_directory(
    name: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes, sentence = REFUSED[name]
    given = [word for change in changes for word in ("--set", change)]
    assert main(["train", "--config", str(config), "--workdir", str(tmp_path / "w"), *given]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "w").exists()


def test_a_training_needs_a_place_and_a_span_two_steps(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--config", str(config)]) == 2
    assert "train needs --workdir" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["train", "--config", str(config), "--workdir", "w", "--profile", "9:3"])
    assert ended.value.code == 2
    assert "'9:3' is no span of steps; write START:STOP, such as 20:25" in capsys.readouterr().err


@pytest.mark.slow
def test_a_dry_run_says_what_would_be_and_writes_nothing(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main(["train", "--config", str(config), "--dry-run", "--workdir", str(tmp_path / "w")]) == 0
    words = capsys.readouterr().out
    for expected in ("parameters", "[8, 32, 32, 1]", "memory", "ms; 6 steps in"):
        assert expected in words
    assert sorted(tmp_path.rglob("*")) == before


def process(config: Path, workdir: Path, *changes: str) -> "subprocess.Popen[str]":
    given = [word for change in changes for word in ("--set", change)]
    arguments = [sys.executable, "-m", "veerjax", "train", "--config", str(config), "--workdir", str(workdir), *given]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, running: "subprocess.Popen[str]", *, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert running.poll() is None, running.communicate()[1]
        assert time.monotonic() < end, f"{path} did not come"
        time.sleep(0.05)


@pytest.mark.slow
def test_sigterm_saves_says_so_and_the_next_start_goes_on(config: Path, tmp_path: Path) -> None:
    workdir = tmp_path / "w"
    long = ("steps=100000", "checkpoint.every=20")
    running = process(config, workdir, *long)
    wait_for(workdir / "checkpoints" / "20" / "manifest.json", running)
    second = process(config, workdir, *long)
    refusal = second.communicate(timeout=60)[1].strip()
    assert second.returncode == 2
    assert f"process {running.pid} on " in refusal
    start = time.monotonic()
    running.send_signal(signal.SIGTERM)
    words = running.communicate(timeout=60)[1]
    assert running.returncode == 75, words
    assert time.monotonic() - start < 30
    assert "stopped on SIGTERM; the same command goes on from there" in words
    saved = max(int(path.name) for path in (workdir / "checkpoints").iterdir() if path.name.isdigit())
    assert (workdir / "checkpoints" / str(saved) / "manifest.json").exists()
    assert f"step {saved} " in words

    again = process(config, workdir, *long)
    wait_for(workdir / "checkpoints" / str(saved // 20 * 20 + 20) / "manifest.json", again)
    again.send_signal(signal.SIGTERM)
    assert again.wait(timeout=60) == 75
    starts = json.loads((workdir / "run.json").read_text())["starts"]
    assert [start["step"] for start in starts] == [0, saved]
    assert "SIGTERM" in starts[0]["ended"]


@pytest.mark.slow
def test_a_numerical_fault_is_exit_code_3(config: Path, tmp_path: Path) -> None:
    done = process(config, tmp_path / "w", "optimiser.learning_rate=1e30", "optimiser.warmup_steps=0")
    words = done.communicate(timeout=120)[1]
    assert done.returncode == 3, words
    assert "Traceback" not in words
    assert list((tmp_path / "w").glob("fault-*.npz"))


@pytest.mark.slow
def test_a_profile_is_of_the_steps_asked_for(config: Path, tmp_path: Path) -> None:
    assert main(["train", "--config", str(config), "--workdir", str(tmp_path / "w"), "--profile", "2:4"]) == 0
    assert list((tmp_path / "w" / "profile").rglob("*.xplane.pb"))


@pytest.mark.slow
def test_what_a_run_began_with_is_held_to(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def trained(*words: str) -> tuple[int, str]:
        code = main(["train", "--config", str(config), "--workdir", str(tmp_path / "w"), *words])
        return code, capsys.readouterr().err.strip().splitlines()[-1]

    assert trained()[0] == 0
    identity = tmp_path / "w" / "identity.json"
    before = identity.read_text()
    for name, value in (("compute_dtype", "bfloat16"), ("data", "renderer 0"), ("init_from", "release")):
        identity.write_text(json.dumps({**json.loads(before), name: value}))
        code, sentence = trained()
        assert code == 2
        assert f"began with the {name} {value} and would now go on with {json.loads(before)[name]}" in sentence
    identity.write_text("")
    assert "cannot be read" in trained()[1]
    identity.unlink()
    assert "has checkpoints and no identity.json" in trained()[1]
    identity.write_text(before)
    assert trained("--init-from", "gone")[0] == 2  # another beginning than the run's
    assert trained()[0] == 0
    for change, key in (("seed=1", "seed"), ("batch=16", "batch"), ("optimiser.name=sgd", "optimiser.name")):
        code, sentence = trained("--set", change)
        assert code == 2
        assert f"{key} was " in sentence
    assert trained("--set", "checkpoint.keep=5")[0] == 0


def test_places_that_cannot_be_work_directories(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    places = {
        "": "train needs --workdir",
        ".": "the work directory has no name",
        str(tmp_path / "file"): "is a file; give a folder",
    }
    for place, sentence in places.items():
        assert main(["train", "--config", str(config), "--workdir", place]) == 2
        assert sentence in capsys.readouterr().err
    assert main(["train", "--config", str(config), "--workdir", str(tmp_path / "w"), "--profile", "6:9"]) == 2
    assert "--profile begins after step 6, and the last is 6" in capsys.readouterr().err
    assert not (tmp_path / "w").exists()
