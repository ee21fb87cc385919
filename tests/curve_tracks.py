"""Tracks of several curves, wrapping or not, as a network's maps would show them: strokes blurred, with noise."""

import jax
import jax.numpy as jnp
import numpy as np

from veerjax.polyline import nearest_point
from veerjax.types import Prediction

REACH = 4


def strokes(x: np.ndarray, *, width: int, half_px: float = 1.5, noise: float = 0.1, seed: int = 0) -> np.ndarray:
    """Evidence [height width] of one curve that goes out at one edge and in at the other where it leaves the track."""
    padded = np.pad(x, REACH, mode="edge").astype(np.float32)
    drawn = jax.jit(nearest_point, static_argnames=("width", "reach"))(
        jnp.asarray(padded), jnp.ones(len(padded), bool), width=width, reach=REACH, period=jnp.float32(width)
    )
    ink = np.clip(half_px + 0.5 - np.asarray(drawn[0]), 0, 1)
    blurred = (np.roll(ink, 1, axis=1) + 2 * ink + np.roll(ink, -1, axis=1)) / 4
    faint = np.random.default_rng(seed).normal(0, noise, ink.shape)
    return np.clip(blurred + faint * (0.2 + blurred), 0, 1).astype(np.float32)


def dashed(ink: np.ndarray, *, on: int = 6, off: int = 4, left: float = 0.4) -> np.ndarray:
    """The ink, fainter between dashes."""
    gap = np.arange(len(ink)) % (on + off) >= on
    return np.where(gap[:, None], left * ink, ink)


def wave(height: int, *, seed: int, periods: int = 5) -> np.ndarray:
    """A smooth random curve of mean 0 and greatest value 1."""
    draw = np.random.default_rng(seed)
    rows = np.arange(height) / height
    waves = [draw.normal() * np.sin(2 * np.pi * (k * rows + draw.uniform())) / k**0.5 for k in range(1, periods + 1)]
    return np.sum(waves, axis=0) / np.abs(np.sum(waves, axis=0)).max()


def said(masks: np.ndarray) -> Prediction:
    """What a net that is as sure as these masks [2 height width] says of one strip."""
    likely = jax.nn.log_softmax(jnp.log(jnp.asarray(masks) + 1e-7), axis=-1)
    return Prediction(
        masks=jnp.asarray(masks)[None], row_log_prob=likely[None], presence=jnp.asarray(masks.max(-1))[None]
    )


def excursions(height: int, *, most: float, seed: int, rows: int = 240) -> np.ndarray:
    """A curve [track widths] that is on its scale from 0 to 1 at most rows, and goes `most` widths off it now and then.

    It goes off to both sides in turn, out and back within `rows` rows.
    """
    on_scale = 0.5 + 0.3 * wave(height, seed=seed)
    at = np.clip((np.arange(height) % (2 * rows) - rows / 2) / rows, 0, 1)
    turn = np.where(np.arange(height) // (2 * rows) % 2 == seed % 2, 1.0, -1.0)
    return on_scale + turn * most * np.sin(np.pi * at) ** 2
