"""Several processes share the logs of an evaluation and the scans of a digitising."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from host_processes import Hosts, Started
from PIL import Image

LOGS = 5  # odd, so that the shares differ


def log(folder: Path, name: str, *, seed: int, height: int = 64, width: int = 32) -> None:
    """A scan of two straight curves, and its label."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    label = np.zeros((height, width), np.uint8)
    for curve, middle in enumerate(rng.choice(np.arange(4, width - 4, 6), 2, replace=False), start=1):
        label[:, middle - 1 : middle + 2] = curve
    grey = np.where(label > 0, 30, 230) + rng.integers(-20, 20, label.shape)
    Image.fromarray(grey.astype(np.uint8)).save(folder / f"{name}.png")
    Image.fromarray(label).save(folder / f"{name}.label.png")


def evaluation(hosts: Hosts, logs: Path, name: str, *, weights: str = "run", **how: Any) -> tuple[Started, Path]:
    file = hosts.folder / f"{name}.json"
    arguments = ["evaluate", "--weights", str(hosts.folder / weights), "--data", str(logs), "--json", str(file)]
    return hosts.run(arguments, **how), file


@pytest.mark.slow
def test_what_two_processes_have_trained_is_evaluated_alike_by_one_and_by_two(hosts: Hosts, tmp_path: Path) -> None:
    hosts.trained("run", "steps=4", "validation.every=4", processes=2)
    logs = tmp_path / "logs"
    for index in range(LOGS):
        log(logs, f"log-{index}", seed=index)
    reports = []
    for processes in (1, 2):
        started, file = evaluation(hosts, logs, f"of-{processes}", processes=processes, devices=3 - processes)
        assert set(started.end()) == {0}, started.said
        assert sum("IoU" in out for out in started.printed) == 1, started.printed
        report = json.loads(file.read_text())
        report.pop("seconds")
        reports.append(report)
    one, two = reports
    assert one["n_logs"] == LOGS
    assert len(set(one["per_log"]["name"])) == LOGS
    assert one["baselines"]["random_identity"]["foreground_iou"] == 1
    assert two["confusion"] == one["confusion"]
    for (path, ours), (_, theirs) in zip(numbers(one), numbers(two), strict=True):
        if isinstance(ours, float):
            assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-5), path
        else:
            assert ours == theirs, path

    few = tmp_path / "few"
    log(few, "alone", seed=0)
    started, file = evaluation(hosts, few, "few", devices=1)
    assert started.end() == [2, 2], started.said
    sentence = "2 processes are too many for the number of logs, 1; start 1 at most."
    assert [said[-1] for said in started.sentences()] == [sentence] * 2
    assert not file.exists()


def numbers(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """What a report holds, by where it stands."""
    if isinstance(value, dict):
        return [found for key in sorted(value) for found in numbers(value[key], f"{path}.{key}")]
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in numbers(item, f"{path}[{index}]")]
    return [(path, value)]


@pytest.mark.slow
def test_scans_are_shared_and_summed_up_by_the_first(hosts: Hosts, tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    for index in range(3):
        log(scans, f"scan-{index}", seed=index)
    (scans / "scan-1.png").write_bytes(b"no image")
    names = [str(scans / f"scan-{index}.png") for index in range(3)]
    for processes in (1, 2):
        out = tmp_path / f"out-{processes}"
        started = hosts.run(
            ["digitize", *names, "--tracer", "classical", "--out", str(out)], processes=processes, devices=1
        )
        assert set(started.end()) == {1}, started.said
        said = [sentence for sentences in started.sentences() for sentence in sentences]
        assert len(said) == 1, started.said
        assert "scan-1.png" in said[0]
    one, two = (json.loads((tmp_path / f"out-{count}" / "summary.json").read_text())["scans"] for count in (1, 2))
    assert [scan["name"] for scan in two] == ["scan-0", "scan-1", "scan-2"]
    assert [scan["status"] for scan in two] == [scan["status"] for scan in one] == ["accepted", "failed", "accepted"]
    for index in (0, 2):
        table = f"scan-{index}.pixels.csv"
        assert (tmp_path / "out-1" / table).read_text() == (tmp_path / "out-2" / table).read_text()

    differing = [["--step", "0.5"], ["--step", "0.25"]]
    started = hosts.run(
        ["digitize", *names, "--tracer", "classical", "--out", str(tmp_path / "no")],
        devices=1,
        flags=lambda process: differing[process],
    )
    assert started.end() == [2, 2], started.said
    assert all("--step is 0.5 for process 0 on" in sentences[-1] for sentences in started.sentences())
    assert not (tmp_path / "no").exists()
