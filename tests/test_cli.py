"""The command line from outside: quick help, few imports, and one sentence for whatever is wrong."""

import json
import os
import resource
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from veerjax.cli import main

CALIBRATION = """
[depth]
unit = "ft"
anchors = [[0, 1000], [200, 1020]]
[[track]]
left_px = 0
right_px = 64
[[track.curve]]
class = 1
mnemonic = "GR"
unit = "GAPI"
left = 0
right = 150
"""


def python(code: str, *, timeout: float = 300) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout, check=False)


def test_help_takes_half_a_second_of_cpu_and_imports_no_jax() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = (
        "import sys\nfrom veerjax.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "assert not {'jax', 'numpy', 'flax'} & set(sys.modules), 'help imports too much'"
    )
    done = python(code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert "digitize" in done.stdout
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds < 0.5, f"veerjax --help took {seconds:.2f} s of CPU time"


def test_import_is_light_and_the_python_face_is_there() -> None:
    done = python(
        "import sys, veerjax\nassert 'jax' not in sys.modules\nassert 'load' in veerjax.__all__\nveerjax.load"
    )
    assert done.returncode == 0, done.stderr


def test_training_and_evaluation_on_rendered_data_need_no_dataset_or_plotting_library() -> None:
    done = python(
        "import sys\nimport veerjax.training.loop, veerjax.jobs.evaluate\n"
        "heavy = {'tensorflow', 'tensorflow_datasets', 'grain', 'lasio', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "scan.png"
    iio.imwrite(path, np.full((200, 64), 250, np.uint8))
    return path


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What stderr says of a refused command; it must be one line, and the exit code 2."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    assert code == 2, captured
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert "Traceback" not in captured.err
    return lines[0]


def zero_height_png(path: Path) -> None:
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 8, 0, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


def truncated_tiff(path: Path) -> None:
    iio.imwrite(path, np.random.default_rng(0).integers(0, 255, (300, 64), np.uint8), plugin="pillow")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BROKEN_SCANS = {
    "missing.png": lambda path: None,
    "empty.tif": lambda path: path.write_bytes(b""),
    "text.tif": lambda path: path.write_text("not a picture\n" * 20),
    "cut.tif": truncated_tiff,
    "flat.png": zero_height_png,
}


@pytest.mark.parametrize("name", BROKEN_SCANS)
def test_a_broken_scan_is_one_sentence_and_leaves_nothing(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    BROKEN_SCANS[name](tmp_path / name)
    out = tmp_path / "out"
    assert name in refused(capsys, "digitize", tmp_path / name, "--out", out)
    assert not out.exists() or not list(out.iterdir())


BROKEN_CALIBRATIONS = {
    "one anchor": ("anchors = [[0, 1000], [200, 1020]]", "anchors = [[0, 1000]]", "anchor"),
    "unknown key": ("mnemonic", "mnemonik", "mnemonik"),
    "left equals right": ("left = 0\n", "left = 150\n", "left"),
    "log scale with a zero": ("right = 150\n", 'right = 150\nscale = "log"\n', "log"),
    "outside the scan": ("right_px = 64", "right_px = 640", "640"),
}


@pytest.mark.parametrize("name", BROKEN_CALIBRATIONS)
def test_a_broken_calibration_is_one_sentence_and_leaves_nothing(
    name: str, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new, word = BROKEN_CALIBRATIONS[name]
    assert old in CALIBRATION
    calibration, out = tmp_path / "calibration.toml", tmp_path / "out"
    calibration.write_text(CALIBRATION.replace(old, new))
    assert word in refused(capsys, "digitize", scan, "--out", out, "--calibration", calibration)
    assert not out.exists() or not list(out.iterdir())


def test_wrong_words_on_the_command_line_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--weights" in refused(capsys, "evaluate")
    assert "COMMAND" in refused(capsys) or "command" in refused(capsys)
    assert "'0' is not a whole number" in refused(capsys, "evaluate", "--weights", "release", "--limit", "0")
    assert "there are no weights" in refused(capsys, "evaluate", "--weights", tmp_path / "none", "--limit", "1")
    assert "there is no config file" in refused(capsys, "train", "--config", "none.py", "--workdir", tmp_path / "w")
    assert "raster_logs" in refused(capsys, "data", "build", "--name", "raster_logs/lass", "--data-dir", tmp_path)
    assert "las" in refused(capsys, "data", "build", "--name", "raster_logs/las", "--data-dir", tmp_path / "d")


def test_a_mistyped_key_and_a_foreign_work_directory_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, workdir = tmp_path / "c.py", tmp_path / "w"
    config.write_text("from veerjax.config import Config\ndef get_config():\n    return Config(name='x', batchs=8)\n")
    assert "did you mean 'batch'" in refused(capsys, "train", "--config", config, "--workdir", workdir)
    assert not workdir.exists()
    config.write_text("from veerjax.config import Config\ndef get_config():\n    return Config(name='x')\n")
    workdir.mkdir()
    (workdir / "config.json").write_text('{"name": "y"}')
    assert "another config" in refused(capsys, "train", "--config", config, "--workdir", workdir)


def test_evaluate_refuses_unknown_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "there is no data 'standrad'" in refused(capsys, "evaluate", "--weights", "release", "--data", "standrad")
    built = ("--weights", "release", "--data", "raster_logs/las")
    assert "--data-dir" in refused(capsys, "evaluate", *built)
    assert "las" in refused(capsys, "evaluate", *built, "--data-dir", tmp_path)
    assert "has validation and test" in refused(capsys, "evaluate", "--weights", "release", "--split", "train")


def test_evaluate_refuses_what_it_cannot_judge_or_write(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    release = ("evaluate", "--weights", "release")
    assert "given twice; give one, or two with --paired" in refused(capsys, *release, "--weights", "release")
    assert "given once; give one, or two" in refused(capsys, *release, "--paired")
    assert "given 3 times" in refused(capsys, *release, *release[1:], *release[1:])
    assert "twice; name two different ones" in refused(capsys, *release, "--weights", "release", "--paired")
    assert "is a folder; give a file" in refused(capsys, *release, "--json", tmp_path)
    (tmp_path / "file").write_text("mine")
    assert "is a file; give a folder" in refused(capsys, *release, "--report", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "runs").mkdir()
    assert "holds no config.json" in refused(capsys, "evaluate", "--weights", tmp_path / "runs")
    (tmp_path / "empty").mkdir()
    assert "holds no image; put pairs" in refused(capsys, *release, "--data", tmp_path / "empty")
    iio.imwrite(tmp_path / "empty" / "a.png", np.full((64, 32), 255, np.uint8))
    iio.imwrite(tmp_path / "empty" / "a.label.png", np.full((64, 32), 5, np.uint8))
    assert "holds the class 5; veerjax knows" in refused(capsys, *release, "--data", tmp_path / "empty")
    assert "invalid choice: 'most'" in refused(capsys, *release, "--metrics", "most")


@pytest.mark.parametrize(
    ("option", "given"), [("--json", "file/x.json"), ("--report", "file/page"), ("--report", "mine")]
)
def test_evaluate_refuses_a_place_that_cannot_be_made_before_it_reads_anything(
    option: str, given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "logs").write_text("mine")
    # There are no such weights either, which is found out later.
    said = refused(capsys, "evaluate", "--weights", tmp_path / "none", option, tmp_path / given)
    assert said.startswith(f"veerjax: {option} needs the folder")
    assert "is a file; give another path" in said


@pytest.mark.slow
def test_two_sets_of_weights_are_compared_on_a_folder_of_pairs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from veerjax.training.weights import release_folder

    workdir = tmp_path / "run"
    (workdir / "checkpoints" / "1").mkdir(parents=True)
    shutil.copy(release_folder() / "config.json", workdir)
    shutil.copytree(release_folder() / "weights", workdir / "checkpoints" / "1" / "default")
    for name in ("a", "b"):
        label = np.zeros((64, 64), np.uint8)
        label[:, 10:13], label[:, 40:43] = 1, 2
        iio.imwrite(tmp_path / f"{name}.label.png", label)
        iio.imwrite(tmp_path / f"{name}.png", np.where(label > 0, 20, 250).astype(np.uint8))
    arguments = ["--data", tmp_path, "--json", tmp_path / "out" / "both.json", "--report", tmp_path / "page"]
    weights = ["--weights", "release", "--weights", workdir, "--paired"]
    assert main([str(argument) for argument in ("evaluate", *weights, *arguments)]) == 0
    report = json.loads((tmp_path / "out" / "both.json").read_text())
    assert {entry["verdict"] for entry in report["paired"]["difference"].values()} == {"equal", "-"}
    assert report["baselines"].keys() == {"all_background", "random_identity", "classical"}
    assert "equal" in capsys.readouterr().out
    assert (tmp_path / "page" / "index.html").stat().st_size > 1e5


def test_module_and_command_are_the_same(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "veerjax", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
    )
    assert done.stdout.startswith("veerjax ")
