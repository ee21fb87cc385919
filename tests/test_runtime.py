"""What the commands set up before they compute."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from veerjax import runtime

STEP = """
import resource, sys
from veerjax import runtime
if sys.argv[1] == "kept":
    runtime.keep_memory()
import jax, jax.numpy as jnp
size = 64 * 2**20 // 4  # floats: each intermediate is 64 MiB
step = jax.jit(lambda x: jnp.cumsum(x * 2.0))
x = jnp.ones(size)
counts = []
for _ in range(8):  # the heap takes some steps to reach its size, so the best of several spells counts
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        step(x).block_until_ready()
    counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(min(counts))
"""


def faults(mode: str) -> int:
    environment = os.environ | {"XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", STEP, mode]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc's heap is set up")
def test_kept_memory_is_not_cleared_by_the_kernel_at_every_step() -> None:
    assert faults("kept") < faults("plain") / 4


def test_compilations_are_kept_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "mine")
    runtime.keep_compilations()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == "mine"
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    runtime.keep_compilations()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path / "cache" / "veerjax")


def test_the_folder_of_compilations_is_the_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    (tmp_path / "veerjax").mkdir(mode=0o755)  # as an older edition made it
    runtime.keep_compilations()
    assert (tmp_path / "veerjax").stat().st_mode & 0o777 == 0o700
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path / "veerjax")


def test_nothing_is_kept_in_a_folder_that_is_anothers_or_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    runtime.keep_compilations()
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    user = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    runtime.keep_compilations()
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ
