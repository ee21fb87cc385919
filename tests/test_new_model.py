"""What the README says of a network of one's own, done to the letter: one module, one config, no other change."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veerjax.config import LossConfig, ModelConfig
from veerjax.errors import InputError
from veerjax.models import build_model

README = Path(__file__).resolve().parents[1] / "README.md"


def added_files() -> dict[str, str]:
    """The files of the README's diff, by path."""
    [block] = re.findall(r"```diff\n(.*?)```", README.read_text(), flags=re.DOTALL)
    files = re.split(r"^\+\+\+ (\S+)\n", block, flags=re.MULTILINE)[1:]
    assert all(line.startswith("+") for text in files[1::2] for line in text.splitlines())
    texts = [re.sub(r"^\+", "", text, flags=re.MULTILINE) for text in files[1::2]]
    return dict(zip(files[::2], texts, strict=True))


def write_pair(folder: Path) -> None:
    """A log of 32 x 32 px with two straight curves, and its label."""
    folder.mkdir()
    label = np.zeros((32, 32), np.uint8)
    label[:, 8:10], label[:, 20:22] = 1, 2
    Image.fromarray(np.where(label > 0, 0, 255).astype(np.uint8)).save(folder / "a.png")
    Image.fromarray(label).save(folder / "a.label.png")


@pytest.mark.slow
def test_the_readmes_network_trains_and_is_known_again(tmp_path: Path) -> None:
    files = added_files()
    assert len(files) == 2, "one module and one config"
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    module, config = sorted(files, key=lambda path: "/" not in path)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}

    def veerjax(*arguments: str) -> None:
        command = [sys.executable, "-m", "veerjax", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    size = ["data.setting=shifted", "data.height=32", "data.width=32"]
    short = ["steps=4", "batch=8", *size, "validation.every=4", "validation.examples=8"]
    veerjax("train", "--config", config, "--workdir", "run", *(f"--set={item}" for item in short))
    name = json.loads((tmp_path / "run" / "config.json").read_text())["model"]["name"]
    assert module == name.replace(".", "/") + ".py"
    write_pair(tmp_path / "pairs")
    veerjax("evaluate", "--weights", "run", "--data", "pairs", "--json", "e.json")
    assert json.loads((tmp_path / "e.json").read_text())["n_logs"] == 1


def test_a_network_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"'mynets\.tiny', which Python does not find; put the folder that holds"):
        build_model(ModelConfig(name="mynets.tiny"), LossConfig())
    with pytest.raises(InputError, match=r"'json\.decoder', which has no build\(config, loss\)"):
        build_model(ModelConfig(name="json.decoder"), LossConfig())


def test_what_a_network_of_ones_own_lacks_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lacking").mkdir()
    (tmp_path / "lacking" / "net.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        build_model(ModelConfig(name="lacking.net"), LossConfig())
