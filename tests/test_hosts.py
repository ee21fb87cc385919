"""Several processes train as one: real ones on this machine, each with simulated devices of its own."""

import json
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from host_processes import LONG_S, Hosts, Started, free_port, losses

from veerjax.training.checkpoint import restore_variables


def largest(one: dict[int, float], other: dict[int, float]) -> float:
    assert one.keys() == other.keys()
    return max(abs(one[step] - other[step]) for step in one)


def copied(workdir: Path, name: str, *, step: int) -> None:
    """A copy of a run as it was after a step."""
    copy = workdir.with_name(name)
    shutil.copytree(workdir, copy)
    for path in (copy / "checkpoints").iterdir():
        if int(path.name) > step:
            shutil.rmtree(path)
    (copy / "log.jsonl").unlink()


def wait_for(found: Callable[[], Any], started: Started) -> Any:
    end = time.monotonic() + LONG_S
    while not (value := found()):
        dead = [process for process in started.running if process.poll() is not None]
        assert not dead, (started.end(30), started.said)
        assert time.monotonic() < end
        time.sleep(0.1)
    return value


def newest(workdir: Path) -> int:
    """The newest step that is there with its manifest; 0 if none."""
    names = (path.parent.name for path in workdir.glob("checkpoints/*/manifest.json"))
    return max((int(name) for name in names if name.isdecimal()), default=0)


@pytest.mark.slow
def test_two_processes_of_four_devices_train_like_one_of_eight_and_each_goes_on_from_the_other(
    hosts: Hosts, tmp_path: Path
) -> None:
    one = hosts.trained("one", processes=1, devices=8)
    two = hosts.trained("two")
    print(f"\nAdamW, 50 steps, 2 x 4 against 8 devices: largest difference of the loss {largest(one, two):.1e}")
    assert len(one) == 50
    assert one[50] < one[1]
    assert largest(one, two) < 1e-4
    starts = json.loads((tmp_path / "two" / "run.json").read_text())["starts"]
    assert [(start["processes"], start["devices"], start["ended"]) for start in starts] == [(2, 8, "done")]

    files = json.loads((tmp_path / "two" / "checkpoints" / "50" / "manifest.json").read_text())["files"]
    assert {name.split("/")[1] for name in files if "ocdbt.process_" in name} == {"ocdbt.process_0", "ocdbt.process_1"}

    copied(tmp_path / "two", "two-one", step=25)
    copied(tmp_path / "one", "one-two", step=25)
    late = {step: loss for step, loss in one.items() if step > 25}
    for name, how in {"two-one": {"processes": 1, "devices": 2}, "one-two": {}}.items():
        again = hosts.trained(name, **how)
        print(f"{name}: gone on from step 25 by the other, largest difference {largest(late, again):.1e}")
        assert largest(late, again) < 1e-4


@pytest.mark.slow
def test_fifty_steps_of_sgd_give_the_same_parameters(hosts: Hosts, tmp_path: Path) -> None:
    sgd = ["optimiser.name=sgd", "optimiser.learning_rate=0.05", "optimiser.accumulate=1"]
    hosts.trained("one", *sgd, processes=1, devices=8)
    hosts.trained("two", *sgd)
    one, two = (restore_variables(tmp_path / name / "checkpoints" / "50" / "default") for name in ("one", "two"))
    worst = max(jax.tree.leaves(jax.tree.map(lambda a, b: float(np.max(np.abs(a - b))), one, two)))
    print(f"\nSGD, 50 steps, 2 x 4 against 8 devices: largest difference of a parameter {worst:.1e}")
    assert worst < 1e-5
    # Weights that a run begins with are read by every process.
    warm = {"flags": lambda process: ["--init-from", f"{tmp_path / 'one'}@last"]}
    begun = [hosts.trained(f"warm-{count}", *sgd, "steps=2", processes=count, devices=4, **warm)[1] for count in (1, 2)]
    assert abs(begun[0] - begun[1]) < 1e-5
    assert begun[0] < losses(tmp_path / "one")[1]


@pytest.mark.slow
def test_an_image_is_shared_by_devices_of_two_processes_and_whole_ones_go_on(hosts: Hosts, tmp_path: Path) -> None:
    short = ["steps=6", "validation.every=3"]
    one = hosts.trained("one", *short, processes=1, devices=4)
    shared = hosts.trained("rows", *short, "devices.rows=4", devices=2)
    copied(tmp_path / "rows", "whole", step=3)
    whole = hosts.trained("whole", *short, processes=1, devices=2)
    late = {step: loss for step, loss in one.items() if step > 3}
    print(f"\nrows=4 over 2 x 2 devices {largest(one, shared):.1e}, gone on without {largest(late, whole):.1e}")
    assert largest(one, shared) < 1e-5
    assert largest(late, whole) < 1e-5


@pytest.mark.slow
def test_a_signal_to_one_stops_both_a_killed_one_ends_the_other_and_fewer_devices_go_on(
    hosts: Hosts, tmp_path: Path
) -> None:
    workdir, long = tmp_path / "run", ("steps=100000", "checkpoint.every=5", "validation.every=100000")
    started = hosts.start("run", *long)
    wait_for(lambda: newest(workdir) >= 5, started)
    began = time.monotonic()
    started.running[1].send_signal(signal.SIGTERM)
    assert started.end() == [75, 75], started.said
    took = time.monotonic() - began
    first, second = started.sentences()
    assert first == second
    saved = newest(workdir)
    assert first == [f"saved step {saved} in {workdir} and stopped on SIGTERM; the same command goes on from there."]

    started = hosts.start("run", *long)
    kept = wait_for(lambda: newest(workdir) > saved and newest(workdir), started)
    killed = time.monotonic()
    started.running[1].kill()
    codes = started.end()
    lost = time.monotonic() - killed
    print(f"\nSIGTERM to both ends {took:.1f} s; a killed peer to the other's end {lost:.1f} s")
    assert codes == [1, -signal.SIGKILL], started.said
    [sentence] = started.sentences()[0]
    assert "another process is gone or out of reach, so process 0 of 2" in sentence
    assert "Traceback" not in started.said[0]
    assert lost < 60
    assert took < 30

    started = hosts.start("run", *long, processes=1, devices=2)
    wait_for(lambda: newest(workdir) > kept + 5, started)
    started.running[0].send_signal(signal.SIGTERM)
    assert started.end() == [75]
    starts = json.loads((workdir / "run.json").read_text())["starts"]
    assert [(start["processes"], start["devices"]) for start in starts] == [(2, 8), (2, 8), (1, 2)]
    assert starts[1]["step"] == saved
    assert starts[2]["step"] >= kept


def small_files() -> None:
    """Lets this process write no file of more than 20 kB, as a full disk would."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "another seed": (
        {"flags": lambda process: ["--set", f"seed={process}"]},
        2,
        r"seed is 0 for process 0 on \S+ and 1 for process 1 on \S+; start all processes with the same command",
    ),
    "another folder": (
        {"flags": lambda process: ["--workdir", f"elsewhere-{process}"]},
        2,
        "the work directory is 'elsewhere-0' for process 0",
    ),
    "other counts": (
        {"flags": lambda process: ["--num-processes", str(2 + process)]},
        2,
        r"was started as one of \d and process \d on \S+ as one of \d; give all of them the same --num-processes",
    ),
    "bad batch": (
        {"changes": ["batch=12"]},
        2,
        "batch is 12, which does not divide over 8 devices; the nearest that does is 16",
    ),
    "no config for one": (
        {"flags": lambda process: ["--config", "missing.json"] if process else []},
        2,
        "there is no config file 'missing.json'",
    ),
    "no number": (
        {"changes": ["optimiser.learning_rate=1e30", "optimiser.warmup_steps=0"]},
        3,
        r"is (nan|inf).* at step \d+ .*fault-\d+\.npz",
    ),
    "full disk for one": (
        {"limit": lambda process: None if process else small_files},
        2,
        r"could not be saved in|cannot be written",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_what_ends_one_ends_both_with_one_sentence_and_the_same_code(name: str, hosts: Hosts, tmp_path: Path) -> None:
    how, code, sentence = REFUSED[name]
    started = hosts.start("run", *how.get("changes", []), **{k: v for k, v in how.items() if k != "changes"})
    assert started.end() == [code, code], started.said
    for sentences in started.sentences():
        assert len(sentences) == 1, started.said
        assert re.search(sentence, sentences[0])
    if code == 2 and "disk" not in name:
        assert not list(tmp_path.glob("*/config.json")), "a refused start has made a work directory"
    if code == 3:
        assert len(list(tmp_path.glob("run/fault-*.npz"))) == 1


@pytest.mark.slow
def test_a_signal_to_who_still_looks_for_the_others_ends_it_at_once(hosts: Hosts) -> None:
    where = ["--distributed", "--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", "2", "--process-id", "1"]
    started = hosts.start("run", processes=1, flags=lambda _: where)
    time.sleep(10)
    began = time.monotonic()
    started.running[0].send_signal(signal.SIGTERM)
    assert started.end(60) == [75], started.said
    assert time.monotonic() - began < 10
    [[sentence]] = started.sentences()
    assert sentence.startswith("SIGTERM came while the others were looked for; stopped.")


@pytest.mark.slow
@pytest.mark.parametrize("process", [0, 1])
def test_who_finds_nobody_says_so_in_time(process: int, hosts: Hosts, tmp_path: Path) -> None:
    began = time.monotonic()
    flags = ["--distributed", "--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", "2"]
    alone = [*flags, "--process-id", str(process), "--connect-timeout", "8"]
    started = hosts.start("run", processes=1, flags=lambda _: alone)
    assert started.end(60) == [2], started.said
    [[sentence]] = started.sentences()
    assert f"process {process} of 2 on {socket.gethostname()} did not find the others at 127.0.0.1:" in sentence
    assert "within 8 s; see that all are started" in sentence
    print(f"\nnobody found after {time.monotonic() - began:.1f} s")
    assert not (tmp_path / "run").exists()


STUCK = """
import os, sys, time
from veerjax.training import hosts
from veerjax.training.ending import Ending
hosts.join(sys.argv[1], 2, int(sys.argv[2]), timeout_s=60)
ending = Ending(lambda code: print(f"ends {code}", flush=True))
ending.listen()
if hosts.is_first():
    time.sleep(2)
    ending.tell_and_wait(75, "SIGTERM came, and no step ended within 25 s; stopped.")
    os._exit(75)
time.sleep(60)
"""


@pytest.mark.slow
def test_where_the_first_stops_within_a_step_the_others_say_so_before_they_lose_it() -> None:
    where = f"127.0.0.1:{free_port()}"
    running = [
        subprocess.Popen([sys.executable, "-c", STUCK, where, process], stdout=-1, stderr=-1, text=True)
        for process in ("0", "1")
    ]
    said = [process.communicate(timeout=120) for process in running]
    assert running[0].returncode == 75
    assert said[1][0] == "ends 75\n"
    assert re.search(r"veerjax: process 0 on \S+: SIGTERM came", said[1][1])
