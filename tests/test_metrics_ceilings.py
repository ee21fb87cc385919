"""What an output stride costs thin lines, whatever is learned: the oracle against the figures of the protocol."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.metrics.ceilings import best_strokes
from veerjax.models.blocks import bilinear_upsampling

HEIGHT, WIDTH = 512, 256
# IoU of a curve 1 px wide, as docs of the comparison give them, by output stride [px].
PROTOCOL = {"smooth": {2: 1.00, 4: 0.50, 8: 0.26}, "spiky": {2: 0.88, 4: 0.41, 8: 0.21}}
WIGGLE_PX = {"smooth": 20.0, "spiky": 2.5}  # [rows] sigma of the Gaussian that white noise is smoothed by


def curve(kind: str, *, seed: int) -> np.ndarray:
    """A line 1 px wide: in each row from where it comes in to where it goes out."""
    rng = np.random.default_rng(seed)
    kernel = np.exp(-0.5 * (np.arange(-60, 61) / WIGGLE_PX[kind]) ** 2)
    noise = np.convolve(rng.normal(size=HEIGHT + 120), kernel, "valid")
    x = 30 + (WIDTH - 60) * (noise - noise.min()) / np.ptp(noise)
    ends = np.concatenate([x[:1], (x[1:] + x[:-1]) / 2, x[-1:]])
    lo, hi = (np.floor(pick([x, ends[:-1], ends[1:]], axis=0)) for pick in (np.min, np.max))
    columns = np.arange(WIDTH)
    return (columns >= lo[:, None]) & (columns <= hi[:, None])


def iou(found: np.ndarray, true: np.ndarray) -> float:
    return float((found & true).sum() / (found | true).sum())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["smooth", "spiky"])
def test_ceilings_of_the_protocol_are_reproduced(kind: str) -> None:
    lines = np.stack([curve(kind, seed=seed) for seed in range(3)])
    found = {s: iou(np.asarray(best_strokes(jnp.asarray(lines), stride=s)), lines) for s in (1, 2, 4, 8, 16, 32)}
    print(f"\n{kind}: " + ", ".join(f"stride {stride} {value:.3f}" for stride, value in found.items()))
    assert found[1] == 1
    assert all(found[fine] > found[coarse] for fine, coarse in ((1, 2), (2, 4), (4, 8), (8, 16), (16, 32)))
    for stride, published in PROTOCOL[kind].items():
        assert found[stride] == pytest.approx(published, abs=0.07)


def test_no_cheaper_rule_draws_better_than_the_oracle() -> None:
    line = curve("smooth", seed=0)[:128]
    cells = line.reshape(32, 4, WIDTH // 4, 4).mean(axis=(1, 3), dtype=np.float32)
    drawn = np.asarray(bilinear_upsampling(jnp.asarray(cells)[None, ..., None], factor=4))[0, ..., 0]
    oracle = iou(np.asarray(best_strokes(jnp.asarray(line), stride=4)), line)
    assert max(iou(drawn > level, line) for level in np.linspace(0.01, 0.5, 50)) < oracle


def test_its_interpolation_is_that_of_the_networks() -> None:
    scores = jax.random.normal(jax.random.key(0), (1, 3, 5, 1))
    ours = jax.image.resize(scores, (1, 24, 40, 1), "bilinear")
    np.testing.assert_allclose(ours, bilinear_upsampling(scores, factor=8), atol=1e-5)


def test_masks_are_fitted_each_by_itself() -> None:
    lines = jnp.asarray(np.stack([curve("spiky", seed=seed)[:32, :64] for seed in range(2)]))
    together = best_strokes(lines, stride=4)
    np.testing.assert_array_equal(together[1], best_strokes(lines[1], stride=4))
