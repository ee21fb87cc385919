"""All declared curves of one track, traced together: the one call for a real strip."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from veerjax.labels import CURVE_1, NUM_CURVES
from veerjax.tracing.buckets import bucket
from veerjax.tracing.confidence import row_confidence, row_features
from veerjax.tracing.hidden import with_hidden
from veerjax.tracing.naming import named_places
from veerjax.tracing.own_ink import own_masks
from veerjax.tracing.places import Places, find_places
from veerjax.tracing.trace import LEAST_BUCKET_PX, Trace, TraceConfig, trace_pair
from veerjax.tracing.turns import settled
from veerjax.tracing.wanted import DEFAULTS, Crossing, JointConfig, TracedCurves, WantedCurve, check_wanted
from veerjax.types import Prediction

TINY = 1e-7  # keeps the logarithm of a probability finite

__all__ = ["Crossing", "JointConfig", "TracedCurves", "WantedCurve", "trace_curves"]


def trace_curves(
    prediction: Prediction,
    wanted: Sequence[WantedCurve],
    *,
    left_px: float,
    right_px: float,
    config: JointConfig = DEFAULTS,
) -> TracedCurves:
    """The polylines of all wanted curves of one strip, on the host.

    Args:
        prediction: of any model, of one strip of any height
        wanted: the curves that are in the track, in any order; of one class and unseeded, from left to right at the top
        left_px: the track's left edge in the crop [px]
        right_px: its right edge [px]
        config: how to trace

    Raises:
        InputError: no curve, a class that no map shows, more than one strip, edges in the wrong order or a seed outside
            the track.
    """
    check_wanted(wanted, prediction, left_px=left_px, right_px=right_px)
    prediction = read_as_declared(prediction, wanted, config=config)
    masks, track_px = np.asarray(prediction.masks)[0], right_px - left_px
    places = find_places(prediction, wanted, edges_px=(left_px, right_px), costs=config.pair)
    del prediction  # the row distributions of a long strip are large, and needed no longer
    places, crossings = named_places(places, masks, wanted, track_px=track_px, config=config)
    places = settled(places, wanted, track_px=track_px, home_cost=config.pair.wrapped_cost)
    hidden = np.zeros(places.presence.shape, bool)
    if len(wanted) <= NUM_CURVES:  # in a crowd a curve leaves off at another's ink without going under it
        places, hidden = with_hidden(places, masks, wanted)
    found = polylines(masks, places, wanted, track_px=track_px, config=config.rows)
    wraps = np.array([curve.wraps for curve in wanted])[:, None]
    beyond = np.where(wraps, np.floor((found.x - left_px) / track_px), 0.0)
    x = np.asarray(found.x) - beyond * track_px
    features = row_features(places, found, masks, wanted=wanted, crossings=crossings)
    presence = np.asarray(found.presence) & ~torn_breaks(places)
    return TracedCurves(
        x=x,
        lo=np.where(wraps, np.minimum(np.maximum(found.lo - beyond * track_px, left_px), x), found.lo),
        hi=np.where(wraps, np.maximum(np.minimum(found.hi - beyond * track_px, right_px), x), found.hi),
        wrap=np.where(presence, places.wrap + beyond.astype(np.int32), 0),
        presence=presence,
        occluded=(np.asarray(found.occluded) | hidden) & presence,
        confidence=np.where(presence, row_confidence(features), 0.0),
        crossings=crossings,
    )


def read_as_declared(prediction: Prediction, wanted: Sequence[WantedCurve], *, config: JointConfig) -> Prediction:
    """The prediction, its two maps united where all declared curves are of one class and there are several.

    A network that was taught one solid and one broken curve calls the second of two alike now this, now that.
    """
    classes = {curve.curve_class - CURVE_1 for curve in wanted}
    if len(wanted) == 1 or len(classes) > 1:
        return prediction
    (one,) = classes
    masks = np.asarray(prediction.masks)
    united: Any = np.zeros_like(masks)
    united[:, one] = 1 - (1 - masks[:, one]) * (1 - config.other_map * masks[:, 1 - one])
    log_prob: Any = np.log(np.maximum(united, TINY))
    return Prediction(masks=united, row_log_prob=log_prob, presence=united.max(axis=-1))


def torn_breaks(places: Places) -> np.ndarray:
    """Rows between two in which a curve has ink, on different sides of a wrap: no straight line leads through them."""
    torn = np.zeros(places.presence.shape, bool)
    for k, known in enumerate(places.presence):
        rows = np.flatnonzero(known)
        below = np.searchsorted(rows, np.arange(len(known)))
        inside = ~known & (below > 0) & (below < len(rows))
        ends = places.wrap[k, rows]
        torn[k, inside] = ends[below[inside]] != ends[below[inside] - 1]
    return torn


def polylines(
    masks: Float[np.ndarray, "2 height width"],
    places: Places,
    wanted: Sequence[WantedCurve],
    *,
    track_px: float,
    config: TraceConfig,
) -> Trace:
    """The polyline of each curve, on its own ink and judged in the light of all other ink of the track."""
    own = own_masks(places, masks, wanted)
    path = np.where(places.presence, places.peak, -1)
    wrap_px = places.wrap * np.float32(track_px)
    if len(wanted) == 2:
        return traced_pair(own, path, wrap_px, config=config)
    found = []
    for k, curve in enumerate(wanted):
        others = [j for j in range(len(wanted)) if j != k]
        rest = np.max(np.stack([masks[1 - (curve.curve_class - CURVE_1)], *own[others]]), axis=0)
        beside = nearest_path(path[k], path[others])
        pair = traced_pair(
            np.stack([own[k], rest]), np.stack([path[k], beside]), np.stack([wrap_px[k], 0 * wrap_px[k]]), config=config
        )
        found.append(jax.tree.map(lambda leaf: leaf[0], pair))
    return jax.tree.map(lambda *rows: np.stack(rows), *found)


def nearest_path(path: Int[np.ndarray, " height"], others: Int[np.ndarray, "others height"]) -> np.ndarray:
    """In each row that of the other paths that is nearest, -1 where there is none."""
    if len(others) == 0:
        return np.full_like(path, -1)
    away = np.where(others >= 0, np.abs(others - path), np.iinfo(np.int32).max)
    return np.take_along_axis(others, np.argmin(away, axis=0)[None], axis=0)[0]


def traced_pair(
    masks: Float[np.ndarray, "2 height width"],
    path: Int[np.ndarray, "2 height"],
    wrap_px: Float[np.ndarray, "2 height"],
    *,
    config: TraceConfig,
) -> Trace:
    """`trace_pair` on the host, compiled for a few heights."""
    height = path.shape[1]
    more = bucket(height, unit=LEAST_BUCKET_PX, steps=1) - height
    found = compiled_pair(
        np.pad(masks, ((0, 0), (0, more), (0, 0))),
        np.pad(path, ((0, 0), (0, more)), constant_values=-1).astype(np.int32),
        np.pad(wrap_px, ((0, 0), (0, more))).astype(np.float32),
        np.int32(height),
        config=config,
    )
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:, :height], found)


@partial(jax.jit, static_argnames="config")
def compiled_pair(
    masks: Float[Array, "2 height width"],
    path: Int[Array, "2 height"],
    wrap_px: Float[Array, "2 height"],
    rows: Int[Array, ""],
    *,
    config: TraceConfig,
) -> Trace:
    return trace_pair(masks, path, config=config, rows=rows, wrap_px=jnp.asarray(wrap_px))
