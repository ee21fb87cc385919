"""The parent of a process among others: what it passes on, and what it says where its child cannot."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from veerjax.cli import main
from veerjax.training import hosts, same
from veerjax.training.hosts import agree

PROGRAM = """
import os, signal, sys, time
from veerjax.cli import parent
if not parent.is_child():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts its background jobs with it ignored
    where = {"who": "process 1 of 2", "where": "host-a:1", "workdir": sys.argv[2], "again": "Start all again."}
    raise SystemExit(parent.supervised(timeout_s=float(sys.argv[3]), **where))
parent.begin()
os.write(2, b"F0101 client.h:80] absl::Status: INVALID_ARGUMENT: no such task\\n")
print("in Python", file=sys.stderr)
exec(sys.argv[1])
"""
ENDS: dict[str, tuple[str, int, str]] = {
    "done": ("parent.say('joined')", 0, ""),
    "wrong use": ("parent.say('joined'); os._exit(2)", 2, ""),
    "fault": ("os._exit(3)", 3, ""),
    "stopped": ("os._exit(75)", 75, ""),
    "peer gone": ("parent.say('joined'); os.abort()", 1, "another process is gone or out of reach, so process 1 of 2"),
    "peer gone, in Python": ("parent.say('joined'); os._exit(parent.LOST)", 1, "gone or out of reach, so process 1 of"),
    "abort after its end": ("parent.say('joined'); parent.say('ends 75'); os.abort()", 75, ""),
    "refused by the coordinator": ("os.abort()", 2, "could not join the others at host-a:1 (INVALID_ARGUMENT: no suc"),
    "nobody there": ("time.sleep(60)", 2, "process 1 of 2 did not find the others at host-a:1 within 2.0 s; see that"),
    "out of memory": ("parent.say('joined'); os.kill(os.getpid(), 9)", 1, "process 1 of 2 was ended by SIGKILL"),
}


def program(code: str, workdir: Path, *, timeout_s: float = 60) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", PROGRAM, code, str(workdir), str(timeout_s)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("name", ENDS)
def test_each_end_of_a_child_has_its_exit_code_and_at_most_one_sentence(name: str, tmp_path: Path) -> None:
    code, expected, sentence = ENDS[name]
    running = program(code, tmp_path, timeout_s=2.0 if name == "nobody there" else 60)
    said = running.communicate(timeout=120)[1]
    assert running.returncode == expected, said
    words = [line for line in said.splitlines() if line.startswith("veerjax: ")]
    assert len(words) == bool(sentence), said
    assert all(sentence in line for line in words)
    assert "in Python" in said
    assert "client.h" not in said
    logs = list(tmp_path.iterdir())
    assert bool(logs) == name.startswith("peer gone")
    for log in logs:
        assert "INVALID_ARGUMENT" in log.read_text()
        assert str(log) in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_passed_on_once(number: signal.Signals, tmp_path: Path) -> None:
    code = (
        "out = sys.stdout.fileno()\n"
        f"signal.signal({number:d}, lambda *_: (os.write(out, b'got it\\n'), time.sleep(0.5), os._exit(75)))\n"
        "parent.say('joined'); print('ready', flush=True); time.sleep(60)"
    )
    running = program(code, tmp_path)
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    running.send_signal(number)
    out, said = running.communicate(timeout=60)
    assert (running.returncode, out.count("got it")) == (75, 1), said


def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    running = program("print(os.getpid(), flush=True); time.sleep(60)", tmp_path)
    assert running.stdout is not None
    child = Path("/proc") / running.stdout.readline().strip()
    assert child.exists()
    running.kill()
    running.wait()
    end = time.monotonic() + 10
    while child.exists() and "Z" not in (child / "stat").read_text().split():
        assert time.monotonic() < end, "the child lives on"
        time.sleep(0.05)


WHERE = ["--coordinator", "host-a:1", "--num-processes", "2", "--process-id", "1"]
FLAGS = {
    "only one": (["--distributed", *WHERE[:2]], "go together; give all three, or none where the cluster tells"),
    "not distributed": (WHERE, "are for --distributed; give it too, or leave them out"),
    "no port": (["--distributed", *WHERE, "--coordinator", "host-a"], "--coordinator is 'host-a'; write HOST:PORT"),
    "huge port": (["--distributed", *WHERE, "--coordinator", "a:99999"], "--coordinator is 'a:99999'; write HOST:PORT"),
    "third of two": (["--distributed", *WHERE, "--process-id", "2"], "--process-id is 2; of 2 processes"),
    "dry": (["--distributed", *WHERE, "--dry-run"], "a --dry-run is of one process; leave out --distributed"),
}


@pytest.mark.parametrize("name", FLAGS)
def test_arguments_that_do_not_go_together_are_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags, sentence = FLAGS[name]
    assert main(["train", "--config", "c.py", "--workdir", str(tmp_path / "w"), *flags]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert sentence in line


@pytest.mark.parametrize(
    "command", [["train", "--config", "c.py", "--workdir", "w"], ["digitize", "a.png", "--out", "o"]]
)
def test_a_port_that_another_program_has_is_named(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("", 0)) as taken:
        where = f"localhost:{taken.getsockname()[1]}"
        others = ["--distributed", "--coordinator", where, "--num-processes", "2", "--process-id", "0"]
        assert main([*command, *others]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"--coordinator {where} lets the others find process 0, cannot be listened at (address already in" in line


def test_a_slurm_job_without_a_step_is_sent_to_srun(monkeypatch: pytest.MonkeyPatch) -> None:
    def undefined(*_: object, **__: object) -> None:
        raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr(hosts.jax.distributed, "initialize", undefined)
    with pytest.raises(hosts.InputError, match=r"no cluster can be made out here .*give --coordinator"):
        hosts.join(None, None, None, timeout_s=1)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with pytest.raises(hosts.InputError, match=r"a Slurm job, but not a step of it; start veerjax by srun\."):
        hosts.join(None, None, None, timeout_s=1)


def told(monkeypatch: pytest.MonkeyPatch, *others: dict[str, object]) -> None:
    """Puts other processes there, which say what they say."""
    monkeypatch.setattr(
        hosts, "exchanged", lambda mine: [mine, *({"host": f"h{i}", "facts": f} for i, f in enumerate(others, 1))]
    )


def test_the_first_fact_that_differs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, {"seed": 0, "batch": 8}, {"seed": 0, "batch": 16, "more": 1})
    with pytest.raises(hosts.InputError, match=r"^batch is 8 for process 0 on \S+ and 16 for process 2 on h2"):
        agree({"seed": 0, "batch": 8})
    told(monkeypatch, {"seed": 0}, {"seed": 0, "more": 1})
    with pytest.raises(hosts.InputError, match=r"^more is None for process 0 on \S+ and 1 for process 2 on h2"):
        agree({"seed": 0})
    told(monkeypatch, {"scan": ["a", "c", "d"]})
    with pytest.raises(hosts.InputError, match=r"^scan is 'b' for process 0 on \S+ and 'c' for process 1"):
        agree({"scan": ["a", "b", "d"]})
    told(monkeypatch, {"seed": 0})
    agree({"seed": 0})


def test_a_work_directory_that_another_does_not_see_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(hosts, "alone", lambda: False)
    monkeypatch.setattr(hosts, "from_first", lambda say: say())
    monkeypatch.setattr(hosts, "exchanged", lambda mine: [mine, True])
    same.check_shared(tmp_path)
    monkeypatch.setattr(hosts, "exchanged", lambda mine: [mine, False])
    with pytest.raises(hosts.InputError, match=r"process 1 does not see in .* what process 0 has written there"):
        same.check_shared(tmp_path)


def test_only_what_means_a_lost_process_is_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    gloo = ValueError("UNKNOWN: Gloo AllReduce failed: Connection closed by peer [10.0.0.1]:40336")
    made_of_it = hosts.InputError("step 3 could not be read")
    made_of_it.__cause__ = gloo
    assert not hosts.lost(gloo)  # of a process alone
    monkeypatch.setattr(hosts, "alone", lambda: False)
    assert hosts.lost(gloo)
    assert hosts.lost(made_of_it)
    assert hosts.lost(hosts.PeerLost("silent"))
    assert not hosts.lost(RuntimeError("RESOURCE_EXHAUSTED: Out of memory"))
    assert not hosts.lost(hosts.InputError("the batch is 0"))
    assert not hosts.lost(hosts.InputError("the work directory 'runs/nccl' is a file"))
