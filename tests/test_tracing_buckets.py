"""Strips of any height are padded to few heights: nothing compiles again, and nothing else changes."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from veerjax.config import Config, with_overrides
from veerjax.jobs import digitize, reader
from veerjax.models import build_model
from veerjax.models.model import prediction_from_masks
from veerjax.tracing import trace as tracing
from veerjax.tracing.buckets import bucket
from veerjax.tracing.trace import trace, trace_strip
from veerjax.tracing.viterbi import viterbi
from veerjax.training.weights import Weights
from veerjax.types import Prediction

COMPILED = "/jax/core/compile/backend_compile_duration"


@contextmanager
def compilations() -> Iterator[list[str]]:
    """What is compiled inside."""
    found: list[str] = []

    def heard(event: str, duration_secs: float, **about: str | int) -> None:
        del duration_secs
        if event == COMPILED:
            found.append(str(about))

    jax.monitoring.register_event_duration_secs_listener(heard)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_duration_listener(heard)


@pytest.mark.parametrize("steps", [1, 2, 8])
def test_a_bucket_holds_the_strip_and_wastes_little(steps: int) -> None:
    heights = np.arange(1, 9000)
    found = np.array([bucket(int(height), unit=32, steps=steps) for height in heights])
    assert (found >= heights).all()
    assert (found % 32 == 0).all()
    assert (np.diff(found) >= 0).all()
    filled = -(-heights // 32) * 32
    assert ((found - filled) * steps < found).all()
    assert len(set(found[heights > 64 * steps])) <= steps * 9


def test_the_path_above_padding_is_the_strips_own() -> None:
    make = np.random.default_rng(0)
    cost, absent = make.random((40, 12), dtype=np.float32), make.random(40, dtype=np.float32)
    cheapest = partial(viterbi, slope_cost=0.1, jump_cap=0.5, switch_cost=0.3)
    padded = jax.jit(lambda cost, absent, rows: cheapest(cost, absent, rows=rows))
    for rows in (1, 2, 17, 39):
        alone = cheapest(jnp.asarray(cost[:rows]), jnp.asarray(absent[:rows]))
        np.testing.assert_array_equal(padded(cost, absent, jnp.asarray(rows))[:rows], alone)


def two_curves(height: int, width: int = 48) -> Prediction:
    """Masks of two curves that break off, and meet before the strip's end, where one hides the other."""
    rows = np.arange(height)
    first = 14 + 8 * np.sin(rows / 9)
    x = np.stack([first, first + np.clip(0.7 * (height - 14 - rows), 0, 14)])
    masks = 1 / (1 + np.exp(3 * (np.abs(np.arange(width) + 0.5 - x[..., None]) - 1.6)))
    masks[1, -12:] *= 0.1  # hidden under the other curve
    masks[0, height // 2 : height // 2 + 5] = 0  # a short break
    masks[1, height // 4 : height // 4 + 14] = 0  # a gap
    masks[0, :3] = 0  # it begins below the strip's first row
    return jax.device_get(prediction_from_masks(jnp.asarray(masks[None], jnp.float32)))


@pytest.mark.slow
@pytest.mark.parametrize("height", [90, 101])
def test_a_padded_strip_is_traced_as_it_would_be_without(monkeypatch: pytest.MonkeyPatch, height: int) -> None:
    monkeypatch.setattr(tracing, "LEAST_BUCKET_PX", 128)
    prediction = two_curves(height)
    alone, padded = jax.device_get(trace(prediction)), trace_strip(prediction)
    assert padded.x.shape == (1, 2, height)
    assert 0 < alone.presence.mean() < 1
    assert alone.occluded.any()
    np.testing.assert_array_equal(padded.presence, alone.presence)
    np.testing.assert_array_equal(padded.occluded, alone.occluded)
    for name in ("x", "lo", "hi", "confidence"):
        ours, theirs = (np.where(alone.presence, getattr(found, name), 0) for found in (padded, alone))
        print(f"\n{name} within {np.max(np.abs(ours - theirs)):.1e} px")
        np.testing.assert_allclose(ours, theirs, atol=1e-3)
    # Padding that passes for the strip's own rows does change it: the hidden end would be a gap.
    monkeypatch.setattr(
        tracing, "trace", lambda given, *, config, rows: trace(given, config=config, rows=np.int32(128))
    )
    assert (trace_strip(prediction).presence != alone.presence).any()


@pytest.mark.slow
def test_scans_of_many_sizes_compile_the_net_and_the_tracer_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = with_overrides(Config(name="x"), ["model.features=[4]", "model.stem=full", "data.width=32"])
    model = build_model(config.model, config.loss)
    weights = Weights(name="x", config=config, model=model, variables=model.init(jax.random.key(1)))
    monkeypatch.setattr(reader, "load_weights", lambda name: weights)
    paths = []
    for height, width in ((700, 32), (611, 32), (1500, 64), (400, 20), (999, 40)):  # 512 to 1,024 working rows each
        paths.append(tmp_path / f"{height}x{width}.png")
        Image.fromarray(np.random.default_rng(height).integers(0, 255, (height, width), np.uint8)).save(paths[-1])
    programs = cast(Any, trace)._cache_size
    traced = programs()
    assert digitize.digitize_scans(paths[:1], tmp_path / "first") == 0  # and whatever else runs once
    assert programs() == traced + 1
    read = reader.load()
    monkeypatch.setattr(digitize, "load", lambda name, rows, overrides: read)
    with compilations() as found:
        assert digitize.digitize_scans(paths[:1], tmp_path / "net") == 0
    assert len(found) == 1, found  # the net of a new reader
    with compilations() as found:
        assert digitize.digitize_scans(paths, tmp_path / "all") == 0
    assert not found
