"""A model as one file: what is in it, what is said of it, and that a program without veerjax reads it."""

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from PIL import Image

from veerjax.config import Config, with_overrides
from veerjax.errors import InputError
from veerjax.jobs import export as job
from veerjax.models import build_model
from veerjax.models.heads import sigmoid_prediction
from veerjax.training.weights import Weights
from veerjax.types import blank, exclusive_label

DOC = Path(__file__).resolve().parents[1] / "docs" / "export.md"
ROOT = str(Path(__file__).resolve().parents[1])
TINY = with_overrides(
    Config(name="tiny"),
    ["data.height=32", "data.width=32", "model.features=[8,8]", "model.mirror=true", "model.dtype=bfloat16"],
)


def random_weights(config: Config) -> Weights:
    model = build_model(config.model, config.loss)
    variables = jax.tree.map(np.asarray, model.init(jax.random.key(0)))
    return Weights(name="tiny", config=config, model=model, variables=variables)


@pytest.fixture(scope="module")
def tiny() -> Weights:
    return random_weights(TINY)


@pytest.fixture(scope="module")
def written(tiny: Weights, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The export of the tiny model, and what `run_export` said."""
    out = tmp_path_factory.mktemp("export") / "release.jaxexport"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "load_weights", lambda name: tiny)
        return out, job.run_export("tiny", out)


def program_of(path: Path) -> export.Exported:
    return export.deserialize(bytearray(path.read_bytes()))


def test_the_stamps_beside_the_file_are_what_is_returned(written: tuple[Path, dict[str, Any]]) -> None:
    out, stamps = written
    assert sorted(path.name for path in out.parent.iterdir()) == ["release.jaxexport", "release.jaxexport.json"]
    assert json.loads((out.parent / "release.jaxexport.json").read_text()) == stamps
    assert stamps["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert stamps["bytes"] == out.stat().st_size
    assert stamps["versions"]["jax"] == jax.__version__
    assert stamps["config"]["model"]["dtype"] == "bfloat16"
    assert stamps["mirror"] is True
    assert stamps["working_width_px"] == 32


def test_the_promise_of_jax_is_stamped_with_its_source_and_its_end(written: tuple[Path, dict[str, Any]]) -> None:
    _, stamps = written
    promise, convention = stamps["compatibility"], stamps["calling_convention"]
    days = np.datetime64(promise["until"]) - np.datetime64(stamps["date"])
    assert days == np.timedelta64(182, "D")
    assert "6 months" in promise["newer"]
    assert promise["source"].startswith("https://docs.jax.dev/")
    assert f"jaxlib=={stamps['versions']['jaxlib']}" in promise["afterwards"]
    assert convention["min_supported"] <= convention["version"] <= convention["max_supported"]


def test_the_file_is_for_any_batch_and_sizes_in_strides_on_three_platforms(
    written: tuple[Path, dict[str, Any]],
) -> None:
    out, stamps = written
    program = program_of(out)
    assert program.platforms == ("cpu", "cuda", "tpu") == tuple(stamps["platforms"])
    assert stamps["input"] == {"image": {"dtype": "float32", "shape": ["b", "4*k", "4*m", 1]}}
    assert {key: value["shape"] for key, value in stamps["outputs"].items()} == {
        "masks": ["b", 2, "4*k", "4*m"],
        "presence": ["b", 2, "4*k"],
        "row_log_prob": ["b", 2, "4*k", "4*m"],
    }
    assert program.call(np.ones((2, 8, 44, 1), np.float32))["masks"].shape == (2, 2, 8, 44)
    with pytest.raises(ValueError, match="remainder 2"):
        program.call(np.ones((1, 10, 8, 1), np.float32))


def test_what_is_computed_is_float32_whatever_the_config_says(
    written: tuple[Path, dict[str, Any]], tiny: Weights
) -> None:
    out, stamps = written
    text = program_of(out).mlir_module()
    assert stamps["compute_dtype"] == "float32"
    assert "bf16" not in text
    products = [line for line in text.splitlines() if re.search(r"= stablehlo.(convolution|dot_general)", line)]
    assert len(products) > 10
    assert all("HIGHEST" in line for line in products)
    image = jax.random.uniform(jax.random.key(1), (2, 16, 24, 1))
    plain = build_model(replace(TINY.model, dtype="float32"), TINY.loss).predict(tiny.variables, blank(image))
    np.testing.assert_allclose(program_of(out).call(image)["masks"], plain.masks, rtol=0, atol=1e-5)


def test_no_folder_of_this_machine_is_in_the_file(written: tuple[Path, dict[str, Any]]) -> None:
    content = written[0].read_bytes()
    assert ROOT.encode() not in content
    assert str(Path(jax.__file__).parents[1]).encode() not in content
    assert jax.config.jax_hlo_source_file_canonicalization_regex is None


def test_parity_is_reported_for_two_batches_at_two_sizes(written: tuple[Path, dict[str, Any]]) -> None:
    parity = written[1]["parity"]
    assert [(case["batch"], case["size"]) for case in parity["cases"]] == [
        (1, [32, 32]),
        (3, [32, 32]),
        (1, [16, 28]),
        (3, [16, 28]),
    ]
    for case in parity["cases"]:
        assert max(case["max_abs_difference"].values()) < 1e-5
        assert case["label_differs"] < 0.01
    assert parity["worst_masks"] <= parity["tolerance"] == 1e-4


def test_a_file_that_reads_otherwise_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = random_weights(with_overrides(TINY, ["model.head=sigmoid", "model.channels=3"]))
    doubled = jax.tree.map(lambda leaf: 2 * leaf, weights.variables)
    lowered = job.exported
    monkeypatch.setattr(job, "load_weights", lambda name: weights)
    monkeypatch.setattr(job, "exported", lambda weights: lowered(replace(weights, variables=doubled)))
    out = tmp_path / "model.jaxexport"
    out.write_text("before")
    with pytest.raises(InputError, match=r"was not written: read back, its masks differ from the model's by \d"):
        job.run_export("tiny", out)
    assert [path.name for path in tmp_path.iterdir()] == ["model.jaxexport"]
    assert out.read_text() == "before"


def test_the_label_rule_of_each_head() -> None:
    masks = np.array([[[[0.6, 0.4, 0.1]], [[0.7, 0.3, 0.2]]]])
    assert job.label_of(masks, "sigmoid").tolist() == [[[1, 1, 0]]]
    assert job.label_of(masks, "softmax").tolist() == [[[2, 1, 0]]]


def test_the_sigmoids_labels_are_those_of_the_model() -> None:
    masks = np.random.default_rng(0).random((2, 2, 16, 16), np.float32)
    theirs = exclusive_label(sigmoid_prediction(jnp.moveaxis(jnp.asarray(masks), 1, -1)))
    np.testing.assert_array_equal(job.label_of(masks, "sigmoid"), theirs)


def test_the_lines_of_the_doc_read_a_track_without_veerjax(written: tuple[Path, dict[str, Any]], tiny: Weights) -> None:
    out, _ = written
    [lines] = re.findall(r"```python\n(.*?)```", DOC.read_text(), flags=re.DOTALL)
    grey = np.random.default_rng(0).integers(0, 256, (90, 64), np.uint8)
    Image.fromarray(grey).save(out.parent / "track.png")
    absent = "import sys\nsys.modules.update(veerjax=None, flax=None, orbax=None)\n"
    saved = "np.savez('answer.npz', masks=masks, label=label, grey=grey)\n"
    try:
        subprocess.run([sys.executable, "-c", absent + lines + saved], cwd=out.parent, check=True, timeout=300)
        with np.load(out.parent / "answer.npz") as file:
            answer = dict(file)
    finally:
        for name in ("track.png", "answer.npz"):
            (out.parent / name).unlink(missing_ok=True)
    assert answer["grey"].shape == (45, 32) == answer["label"].shape
    padded = np.pad(answer["grey"], ((0, 3), (0, 0)), mode="edge")[None, ..., None]
    expected = job.in_float32(tiny).model.predict(tiny.variables, blank(jax.numpy.asarray(padded)))
    np.testing.assert_allclose(answer["masks"], np.asarray(expected.masks)[0, :, :45], rtol=0, atol=1e-5)
    assert np.mean(answer["label"] != np.asarray(expected.label)[0, :45]) < 0.01


@pytest.mark.parametrize(
    ("name", "out", "sentence"),
    [
        ("release", "folder", r"folder cannot be written: it is a folder; give the name of a file"),
        ("release", "missing/model.jaxexport", r"there is no folder .*missing.*; create it first"),
        ("release", "file/model.jaxexport", r"--out needs the folder .*file.*is a file; give another path"),
        ("release", "model.onnx", r"StableHLO, not ONNX; give a name such as model\.jaxexport"),
        ("relaese", "model.jaxexport", r"there are no weights 'relaese'; write release, or the --workdir"),
    ],
)
def test_wrong_use_is_one_sentence_and_writes_nothing(name: str, out: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=sentence):
        job.run_export(name, tmp_path / out)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


@pytest.mark.slow
def test_the_release_weights_are_exported_at_parity(tmp_path: Path) -> None:
    out = tmp_path / "release.jaxexport"
    stamps = job.run_export("release", out)
    print(
        f"\n{stamps['bytes'] / 1e6:.1f} MB, {stamps['seconds']}, masks differ by {stamps['parity']['worst_masks']:.1e}"
    )
    assert stamps["input"]["image"]["shape"] == ["b", "32*k", "32*m", 1]
    assert stamps["bytes"] < 10e6
    assert all(case["label_differs"] < 1e-4 for case in stamps["parity"]["cases"])
