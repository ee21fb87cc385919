"""The weights travel in the wheel."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_the_wheel_alone_digitises_from_another_folder(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert {"veerjax/release/MODEL_CARD.md", "veerjax/report/page.html", "veerjax/report/page.js"} <= set(names)
        assert not [name for name in names if name.startswith(("tests/", "configs/", "tools/"))]
        archive.extractall(tmp_path / "site")
    iio.imwrite(tmp_path / "scan.png", np.full((64, 64), 250, np.uint8))
    command = [sys.executable, "-m", "veerjax", "digitize", "scan.png", "--out", "out"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "scan.pixels.csv").is_file()
    where = [sys.executable, "-c", "import veerjax; print(veerjax.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert str(tmp_path / "site") in found.stdout
