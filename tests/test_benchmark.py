"""`veerjax benchmark`: what it reports, and what it refuses."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from veerjax.cli import main
from veerjax.config import DataConfig, ModelConfig
from veerjax.errors import InputError
from veerjax.jobs import benchmark as job
from veerjax.performance.roofline import Ceilings, Work
from veerjax.performance.stages import Bench, Stage, check_memory
from veerjax.training.sharding import data_mesh

TINY = """
from veerjax.config import Config, DataConfig, ModelConfig

def get_config():
    data = DataConfig(setting="shifted", height=32, width=32)
    return Config(name="tiny", batch=8, data=data, model=ModelConfig(features=(4, 8)))
"""
KEYS = {  # DESIGN's contract: keys are added, never renamed
    "schema",
    "device",
    "config",
    "batch",
    "size",
    "compile_s",
    "examples_per_s",
    "step_ms",
    "render_share",
    "model_flops_per_step",
    "compulsory_bytes_per_step",
    "peak_flops",
    "peak_bytes_per_s",
    "mfu",
    "roofline_fraction",
    "device_s_per_1000_ft",
}
COMPARE = Path(__file__).resolve().parents[1] / "tools" / "compare_benchmarks.py"


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "tiny.py"
    path.write_text(TINY)
    return str(path)


def run(config: str, *arguments: str) -> int:
    return main(["benchmark", "--config", config, "--steps", "2", "--warmup", "1", *arguments])


@pytest.mark.slow
def test_the_report_holds_every_stage_and_what_follows(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(config, "--json", str(tmp_path / "new" / "b.json")) == 0
    report = json.loads((tmp_path / "new" / "b.json").read_text())
    assert report.keys() >= KEYS
    rates = report["examples_per_s"]
    assert rates.keys() == {"render", "read", "train", "predict", "eval", "end_to_end"}
    assert all(rate > 0 for rate in rates.values())
    assert report["step_ms"]["p10"] <= report["step_ms"]["median"] <= report["step_ms"]["p90"]
    assert 0 < report["mfu"] <= report["roofline_fraction"] <= 1
    assert report["devices"] == 8
    assert report["stages"]["train"]["compile_s"] > 0
    printed = capsys.readouterr().out
    assert "training step alone" in printed
    assert "GFLOP by the layers' definition" in printed


@pytest.mark.slow
def test_compilations_are_timed_anew_whatever_lies_on_the_disk(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One stage is enough: whether the disk is used is decided once for all of them.
    monkeypatch.setattr(job, "STAGES", {"predict": Bench.predict})
    for key, value in (("compilation_cache_dir", str(tmp_path)), ("persistent_cache_min_compile_time_secs", 0.0)):
        kept = getattr(jax.config, f"jax_{key}")
        request.addfinalizer(lambda key=key, kept=kept: jax.config.update(f"jax_{key}", kept))
        jax.config.update(f"jax_{key}", value)
    request.addfinalizer(compilation_cache.reset_cache)
    compilation_cache.reset_cache()
    jax.jit(lambda x: x * 3 + 1)(jax.numpy.ones(7)).block_until_ready()
    before = set(tmp_path.iterdir())
    assert before, "the cache is in use"
    config = job.Config(
        name="x", batch=8, data=DataConfig(setting="shifted", height=32, width=32), model=ModelConfig(features=(4,))
    )
    job.compiled_stages(Bench.of(config, data_mesh()), lambda text: None)
    assert set(tmp_path.iterdir()) == before
    assert jax.config.jax_enable_compilation_cache


@pytest.mark.slow
def test_a_sweep_times_each_value_and_draws_the_growth(config: str, tmp_path: Path) -> None:
    plot, figures = tmp_path / "s.png", tmp_path / "s.json"
    assert run(config, "--sweep", "batch=8,32", "--plot", str(plot), "--json", str(figures)) == 0
    [found] = json.loads(figures.read_text())["sweeps"]
    assert [row["value"] for row in found["rows"]] == [8, 32]
    assert found["rows"][1]["model_flops"] == 4 * found["rows"][0]["model_flops"]
    assert found["growth_exponent"]["pixels"].keys() == {"train", "predict"}
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_start_up_is_quick_without_jax_and_quicker_with_a_cache(config: str, tmp_path: Path) -> None:
    assert run(config, "--start-up", "--json", str(tmp_path / "u.json")) == 0
    times = json.loads((tmp_path / "u.json").read_text())["start_up_s"]
    assert times["veerjax --help"]["cpu"] < 0.5
    assert times["first training step, warm"]["cpu"] < times["first training step, cold"]["cpu"]
    assert times["digitize a small scan, warm"]["cpu"] < times["digitize a small scan, cold"]["cpu"]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed here")
def test_a_peer_is_timed_in_turn(config: str, tmp_path: Path) -> None:
    assert run(config, "--set", "model.dtype=float32", "--against", "torch", "--json", str(tmp_path / "p.json")) == 0
    peer = json.loads((tmp_path / "p.json").read_text())["peer"]
    assert peer["parity"] <= 1e-4
    assert peer["time_ratio_train"] == pytest.approx(peer["ours_ms"]["train"] / peer["theirs_ms"]["train"])
    assert peer["throughput_ratio_built_data"] > 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--sweep", "bacth=1,2"], "did you mean 'batch'"),
        (["--sweep", "batch=8,16", "--sweep", "rows=4"], "write it as key=value,value"),
        (["--sweep", "devices=1,64"], "asks for 64 devices and there are 8"),
        (["--sweep", "batch=8,16", "--against", "torch"], "different benchmarks"),
        (["--plot", "x.png"], "--plot draws sweeps"),
        (["--fit-seconds", "9"], "--fit-seconds compares with a peer"),
        (["--against", "torch", "--peer-python", "/no/such/python"], "does not start"),
        (["--sweep", "batch=8,12"], "does not divide over 8 devices"),
        (["--sweep", "batch=8,16", "--plot", "/dev/null/x.png"], "--plot needs the folder"),
        (["--set", "batch=12"], "does not divide over 8 devices"),
        (["--set", "bacth=12"], "did you mean 'batch'"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_2(
    config: str, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert run(config, *arguments) == 2
    said = capsys.readouterr()
    assert sentence in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert not said.out


def test_torch_absent_is_said_before_anything_is_computed(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E -I -c "import torch_is_absent"\n')
    python.chmod(0o755)
    assert run(config, "--against", "torch", "--peer-python", str(python)) == 2
    assert "--against torch needs torch" in capsys.readouterr().err


def test_a_batch_that_does_not_fit_is_refused_with_the_largest_that_does() -> None:
    check_memory(100, 100, batch=8, devices=8)
    check_memory(100, None, batch=8, devices=8)
    with pytest.raises(InputError, match=r"write --set batch=40\."):
        check_memory(2 * 2**30, 2**30, batch=80, devices=8)
    with pytest.raises(InputError, match=r"lower data\.height"):
        check_memory(2 * 2**30, 2**30, batch=8, devices=8)


def test_a_row_over_the_ceiling_is_refused_and_has_no_figures(config: str) -> None:
    bench = Bench.of(job.Config(name="x", batch=8), data_mesh())
    stage = Stage(
        run=lambda: None,
        compile_s=1.0,
        peak_bytes=1,
        compiler_flops=None,
        compiler_bytes=None,
        work=Work(flops=10**15, bytes=0),
    )
    row = job.stage_row(stage, bench, Ceilings(flops_per_s=1e12, bytes_per_s=1e9), warmup=0, steps=3)
    assert "asynchronous dispatch" in row["refused"]
    assert row["median_ms"] is row["examples_per_s"] is row["mfu"] is None


def test_device_seconds_are_those_of_a_thousand_feet() -> None:
    bench = Bench.of(job.Config(name="x", batch=8), data_mesh(jax.devices()[:1]))
    # 50 in at 200 dpi are 10,000 rows, of which 5,120 remain at the working width; 4/3 of them are read.
    batches = 5120 * 4 / 3 / (8 * 256)
    assert job.device_seconds(bench, 100.0) == pytest.approx(0.1 * batches)
    assert job.device_seconds(bench, None) is None


def test_the_compiler_counts_the_same_on_one_device_and_on_eight() -> None:
    config = job.Config(
        name="x", batch=8, data=DataConfig(setting="shifted", height=32, width=32), model=ModelConfig(features=(8,))
    )
    counted = [Bench.of(config, data_mesh(jax.devices()[:n])).predict().compiler_flops for n in (1, 8)]
    assert counted[1] == pytest.approx(counted[0], rel=0.1)


def compared(a: Path, b: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(COMPARE), str(a), str(b), *more], capture_output=True, text=True)


def written(path: Path, *, train: float | None, **changes) -> Path:
    heading = {"device": "cpu", "devices": 1, "batch": 8, "size": [32, 32], "setting": "standard", **changes}
    path.write_text(json.dumps(heading | {"stages": {"train": {"median_ms": train}, "render": {"median_ms": 5.0}}}))
    return path


def test_a_slower_stage_is_a_regression(tmp_path: Path) -> None:
    a, b = written(tmp_path / "a.json", train=100.0), written(tmp_path / "b.json", train=120.0)
    found = compared(a, b)
    assert found.returncode == 1
    assert "1.20" in found.stdout
    assert "slower: train" in found.stdout
    assert compared(a, b, "--threshold", "1.3").returncode == 0
    assert compared(b, a).returncode == 0


def test_a_stage_that_was_refused_is_a_regression_and_unlike_runs_are_not_compared(tmp_path: Path) -> None:
    a = written(tmp_path / "a.json", train=100.0)
    assert compared(a, written(tmp_path / "b.json", train=None)).returncode == 1
    other = compared(a, written(tmp_path / "c.json", train=100.0, batch=16))
    assert other.returncode == 2
    assert "batch is 8 in A and 16 in B" in other.stderr
    assert compared(a, tmp_path / "absent.json").returncode == 2
