"""The proof that a killed training goes on as if nothing had happened: two runs of real processes, hashes compared."""

import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from veerjax.config import Config, require, to_dict
from veerjax.errors import InputError
from veerjax.training.checkpoint import checkpoint_folder, state_hashes
from veerjax.training.manifest import MANIFEST

POLL_S = 0.02
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"  # on a GPU; a CPU and a TPU are deterministic without


def verify_resume(config: Config, *, steps: int, data_dir: Path | None = None) -> dict[str, Any]:
    """Trains `steps` steps twice, once killed after half of them and resumed, and compares all that was saved.

    Both trainings are processes of their own, on the devices that this environment gives them, and the kill is
    SIGKILL, sent while the run is under way behind its half-way checkpoint.

    Args:
        config: of the training; its number of steps, validations and saves are replaced
        steps: even, at least 2
        data_dir: where its built dataset lies

    Returns:
        The hashes of each part of the state by run, whether all are equal, and how it was done.

    Raises:
        InputError: an odd number of steps, or a training failed.
    """
    require(steps >= 2 and steps % 2 == 0, f"--steps is {steps}; write an even number of at least 2.")
    half = steps // 2
    shortened = replace(
        config,
        steps=steps,
        validation=replace(config.validation, every=steps),
        checkpoint=replace(config.checkpoint, every=half),
    )
    with tempfile.TemporaryDirectory(prefix="veerjax-verify-") as folder:
        file = Path(folder) / "config.json"
        file.write_text(json.dumps(to_dict(shortened)))
        whole, resumed = Path(folder) / "whole", Path(folder) / "resumed"
        finish(command(file, whole, data_dir))
        killed_at = kill_after(command(file, resumed, data_dir), resumed, step=half)
        finish(command(file, resumed, data_dir))
        starts = json.loads((resumed / "run.json").read_text())["starts"]
        gone_on = starts[-1]["step"]
        require(gone_on < steps, f"the training ended before it could be killed behind step {half}; give more --steps.")
        hashes = {run.name: state_hashes(checkpoint_folder(run, "last")) for run in (whole, resumed)}
    differing = [part for part, value in hashes["whole"].items() if hashes["resumed"].get(part) != value]
    return {
        "schema": 1,
        "equal": not differing,
        "differing": differing,
        "steps": steps,
        "killed": killed_at,
        "resumed_from": gone_on,
        "devices": starts[-1]["devices"],
        "data": config.data.setting,
        "flags": environment().get("XLA_FLAGS", ""),
        "hashes": hashes,
    }


def command(config: Path, workdir: Path, data_dir: Path | None) -> list[str]:
    """`veerjax train`, as a process of this interpreter."""
    there = [] if data_dir is None else ["--data-dir", str(data_dir)]
    return [sys.executable, "-m", "veerjax", "train", "--config", str(config), "--workdir", str(workdir), *there]


def environment() -> dict[str, str]:
    """This one, with the flags under which a GPU adds in one order."""
    flags = os.environ.get("XLA_FLAGS", "")
    if DETERMINISTIC not in flags and on_gpu():
        flags = f"{flags} {DETERMINISTIC}".strip()
    return {**os.environ, "XLA_FLAGS": flags}


@functools.cache
def on_gpu() -> bool:
    """Asked of another process: one that has taken an accelerator keeps it from those that train."""
    asked = [sys.executable, "-c", "import jax; print(jax.default_backend())"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() == "gpu"


def finish(arguments: Sequence[str]) -> None:
    """Runs a training to its end.

    Raises:
        InputError: it failed; its last line says why.
    """
    done = subprocess.run(arguments, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InputError(f"a training ended with {done.returncode}: {(done.stderr.strip().splitlines() or ['?'])[-1]}")


def kill_after(arguments: Sequence[str], workdir: Path, *, step: int) -> str:
    """Kills a training as soon as the checkpoint of a step is whole; says when that was.

    Raises:
        InputError: it ended before.
    """
    process = subprocess.Popen(arguments, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    saved = workdir / "checkpoints" / str(step) / MANIFEST
    while not saved.exists():
        if process.poll() is not None:
            raise InputError(f"a training ended with {process.returncode} before it had saved step {step}.")
        time.sleep(POLL_S)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return f"SIGKILL once step {step} was saved"
