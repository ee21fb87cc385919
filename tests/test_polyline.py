import jax
import jax.numpy as jnp
import numpy as np

from veerjax import polyline
from veerjax.polyline import FAR_PX, spans

distance_field = jax.jit(polyline.distance_field, static_argnames=("width", "reach"))


def brute_distance(x: np.ndarray, presence: np.ndarray, width: int, reach: int) -> np.ndarray:
    """Distance of every pixel centre to every segment, one by one."""
    height = len(x) - 2 * reach
    result = np.full((height, width), np.inf)
    for r in range(height):
        for c in range(width):
            p = np.array([c + 0.5, r + reach + 0.5])
            for j in range(len(x)):
                if not presence[j]:
                    continue
                a = np.array([x[j], j + 0.5])
                b = np.array([x[j + 1], j + 1.5]) if j + 1 < len(x) and presence[j + 1] else a
                t = np.clip(np.dot(p - a, b - a) / max(np.dot(b - a, b - a), 1e-9), 0, 1)
                result[r, c] = min(result[r, c], np.linalg.norm(p - a - t * (b - a)))
    return result


def test_distance_is_exact_within_reach_on_kicks_and_gaps() -> None:
    rng = np.random.default_rng(0)
    reach, width = 4, 24
    for _ in range(5):
        x = rng.uniform(-4, width + 4, 20)
        presence = rng.random(20) > 0.2
        distance, _ = distance_field(jnp.asarray(x), jnp.asarray(presence), width=width, reach=reach)
        truth = brute_distance(x, presence, width, reach)
        near = truth <= reach
        np.testing.assert_allclose(np.asarray(distance)[near], truth[near], atol=1e-4)
        assert (np.asarray(distance)[~near] > reach).all()


def test_a_curve_that_is_absent_is_far_from_everywhere() -> None:
    distance, _ = distance_field(jnp.zeros(12), jnp.zeros(12, bool), width=8, reach=2)
    assert (np.asarray(distance) == FAR_PX).all()


def test_arc_length_runs_along_a_near_horizontal_kick() -> None:
    x = jnp.array([5.0, 5.0, 5.0, 105.0, 105.0, 105.0])
    _, arc = distance_field(x, jnp.ones(6, bool), width=110, reach=2)
    along = np.asarray(arc)[0, 10:100:10]
    np.testing.assert_allclose(np.diff(along), 10, atol=0.1)


def test_a_span_reaches_halfway_to_its_neighbours_and_stops_at_gaps() -> None:
    x = jnp.array([0.0, 10.0, 0.0, 7.0])
    lo, hi = spans(x, jnp.array([True, True, True, False]))
    np.testing.assert_allclose(lo[:3], [0, 5, 0])
    np.testing.assert_allclose(hi[:3], [5, 10, 5])


def test_neighbouring_spans_touch_so_that_the_polyline_has_no_hole() -> None:
    x = jnp.asarray(np.random.default_rng(1).uniform(0, 100, 50))
    lo, hi = jax.jit(spans)(x, jnp.ones(50, bool))
    assert (np.maximum(lo[:-1], lo[1:]) <= np.minimum(hi[:-1], hi[1:]) + 1e-4).all()
