"""A signal stops a training in time, whatever its main thread is doing."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from veerjax.errors import InputError, Interrupted, NumericalFault
from veerjax.training.signals import StopRequest

START = """
import ctypes, signal, sys, time
from veerjax.training.signals import StopRequest
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test under nohup inherits that it is ignored
"""
# Locking a mutex twice waits for ever, and unlike sleep() goes on waiting after a signal.
IN_C = """
with StopRequest(grace_s=0.5):
    print("ready", flush=True)
    mutex = ctypes.create_string_buffer(128)
    ctypes.CDLL(None).pthread_mutex_lock(mutex)
    ctypes.CDLL(None).pthread_mutex_lock(mutex)
"""
IN_LOOP = """
with StopRequest(grace_s=60) as stop:
    print("ready", flush=True)
    while not stop.requested:
        time.sleep(0.01)
    print(stop.requested, flush=True)
sys.exit(3)
"""
IGNORED = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
with StopRequest(grace_s=60) as stop:
    print("ready", flush=True)
    while not stop.requested:
        time.sleep(0.01)
    print(stop.requested, flush=True)
"""
IN_STEP = """
with StopRequest(grace_s=60) as stop:
    print("ready", flush=True)
    while not stop.requested:
        time.sleep(0.01)
    print("asked", flush=True)
    time.sleep(60)
"""
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="zeros are an unlocked mutex in glibc and musl")


def started(code: str) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", START + code], stdout=-1, stderr=-1, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)  # so that it is where it waits
    return process


@linux
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_process_whose_main_thread_never_comes_back_from_c_exits_with_75_when_the_time_is_up(name: str) -> None:
    process, before = started(IN_C), time.monotonic()
    process.send_signal(signal.Signals[name])
    _, said = process.communicate(timeout=30)
    assert process.returncode == 75
    assert 0.4 < time.monotonic() - before < 15
    sentence = f"veerjax: {name} came, and no step ended within 0.5 s; stopped. The last saved step stands"
    assert sentence in said
    assert "Traceback" not in said


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_loop_sees_which_signal_came_and_ends_as_it_likes(name: str) -> None:
    process = started(IN_LOOP)
    process.send_signal(signal.Signals[name])
    out, said = process.communicate(timeout=30)
    assert (process.returncode, out, said) == (3, f"{name}\n", "")


def test_a_second_interrupt_stops_at_once() -> None:
    process = started(IN_STEP)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == "asked\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "veerjax: interrupted twice; stopped." in said


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    process = started(IGNORED)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "SIGTERM\n")


def test_everything_is_as_before_at_the_end() -> None:
    came: list[int] = []
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    wakeup = signal.set_wakeup_fd(writer)
    threads = threading.active_count()
    try:
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            deadline = time.monotonic() + 10
            while not stop.requested and time.monotonic() < deadline:
                time.sleep(0.01)
            assert stop.requested == "SIGTERM"
        assert not came
        assert threading.active_count() == threads
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        assert came == [signal.SIGTERM]
        assert os.read(reader, 9) == bytes(came)
    finally:
        assert signal.set_wakeup_fd(wakeup) == writer
        signal.signal(signal.SIGTERM, before)
        os.close(reader)
        os.close(writer)


def test_outside_of_the_main_thread_it_does_nothing() -> None:
    asked: list[str | None] = []

    def run() -> None:
        with StopRequest() as stop:
            asked.append(stop.requested)

    handler = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert asked == [None]
    assert signal.getsignal(signal.SIGTERM) is handler


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (
            Interrupted(step=40, workdir="runs/a", signal="SIGTERM"),
            75,
            "veerjax: saved step 40 in runs/a and stopped on SIGTERM; the same command goes on from there.\n",
        ),
        (NumericalFault("the loss is nan."), 3, "veerjax: the loss is nan.\n"),
        (InputError("no."), 2, "veerjax: no.\n"),
        (KeyboardInterrupt(), 130, "veerjax: interrupted.\n"),
    ],
)
def test_the_command_line_turns_each_end_into_a_sentence_and_a_code(
    error: BaseException, code: int, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from veerjax import cli

    def fails(_: object) -> int:
        raise error

    monkeypatch.setattr(cli.runtime, "prepare", lambda: None)
    monkeypatch.setattr("veerjax.cli.env.env", fails)
    assert cli.main(["env"]) == code
    assert capsys.readouterr().err == sentence
