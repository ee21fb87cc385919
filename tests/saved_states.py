"""Small training states, saved without training, and ways to damage what was saved."""

from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
import optax

from veerjax.training.checkpoint import BEST, Checkpoints
from veerjax.training.state import TrainState

TX = optax.adamw(1e-3)


def state(step: int, *, width: int = 4, averaging: bool = True) -> TrainState:
    """A state whose arrays tell the step; the average has twice the parameters."""
    kernel = step + jnp.arange(3 * width, dtype=jnp.float32).reshape(3, width)
    params = {"Block_0": {"kernel": kernel, "bias": jnp.zeros(width)}}
    extra = {"batch_stats": {"Block_0": {"mean": jnp.full(width, step, jnp.float32)}}}
    averaged = {"params": {"Block_0": {"kernel": 2 * kernel, "bias": jnp.zeros(width)}}, **extra}
    return TrainState(
        step=jnp.asarray(step, jnp.int32),
        params=params,
        extra=extra,
        opt_state=TX.init(params),
        ema=averaged if averaging else None,
    )


def save_steps(workdir: Path, figures: dict[int, float | None], *, keep: int = 9) -> None:
    """Saves a state for each step, with its validation figure."""
    with Checkpoints(workdir, keep=keep) as checkpoints:
        for step, figure in figures.items():
            checkpoints.save(state(step), step=step, metrics=None if figure is None else {BEST: figure})


def payload(folder: Path) -> Path:
    """The file of a step that holds most of its arrays."""
    return max((folder / "default").rglob("d/*"), key=lambda path: path.stat().st_size)


def flip(folder: Path) -> None:
    """One bit in the middle of the arrays."""
    path = payload(folder)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(folder: Path) -> None:
    path = payload(folder)
    path.write_bytes(path.read_bytes()[:50])


def remove_a_file(folder: Path) -> None:
    payload(folder).unlink()


def empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def remove_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def cut_manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text()[:100])


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "flipped bit": (flip, r"default/\S*d/\w+ differs from its manifest"),
    "truncated file": (truncate, r"default/\S*d/\w+ differs from its manifest"),
    "missing file": (remove_a_file, r"default/\S*d/\w+ is missing"),
    "empty folder": (empty, "its folder is empty"),
    "missing manifest": (remove_manifest, "it has no manifest.json"),
    "cut manifest": (cut_manifest, "its manifest.json cannot be read"),
}
