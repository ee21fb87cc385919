"""How long a new process takes until it answers: its imports, its first training step, its first digitised window."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import imageio.v3 as iio
import jax
import jax.numpy as jnp
import numpy as np

from veerjax.config import Config, to_dict
from veerjax.data.rendered import rendered_examples

FIRST_STEP = """
import json, sys
from veerjax import runtime
runtime.prepare()
import jax
from veerjax.config import Config, from_dict
from veerjax.models import build_model
from veerjax.training.stepper import prepared
from veerjax.training.sharding import data_mesh
config = from_dict(Config, json.loads(sys.argv[1]))
state, step = prepared(config, build_model(config.model, config.loss), data_mesh())
jax.block_until_ready(step(state))
"""
Seconds = Mapping[str, float]  # "wall" and "cpu"


def startup_times(config: Config) -> dict[str, Seconds]:
    """Wall and CPU seconds of whole processes, from their start to their end.

    Cold is without a compilation cache, warm the next start with the one that the cold start left.

    Args:
        config: of the first training step
    """
    python = sys.executable
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        scan = drawn_scan(folder / "scan.png")
        digitize = [python, "-m", "veerjax", "digitize", str(scan), "--out", str(folder / "out")]
        first_step = [python, "-c", FIRST_STEP, json.dumps(to_dict(config))]
        cached = {"JAX_COMPILATION_CACHE_DIR": str(folder / "cache")}
        return {
            "import veerjax": process_seconds([python, "-c", "import veerjax"]),
            "veerjax --help": process_seconds([python, "-m", "veerjax", "--help"]),
            "first training step, cold": process_seconds(first_step, cached),
            "first training step, warm": process_seconds(first_step, cached),
            "digitize a small scan, cold": process_seconds(digitize, cached),
            "digitize a small scan, warm": process_seconds(digitize, cached),
        }


def drawn_scan(path: Path) -> Path:
    """A scan of one window, 512 x 256 px."""
    drawn = rendered_examples("standard", split="validation", indices=jnp.arange(1), height=512, width=256)
    iio.imwrite(path, np.round(np.asarray(jax.device_get(drawn.image))[0, ..., 0] * 255).astype(np.uint8))
    return path


def process_seconds(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Seconds:
    """What a process takes, as the operating system counts it."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env={**os.environ, **(environment or {})}, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"wall": wall, "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}
