"""From a prediction to polylines: the one call that the rest of the house makes."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from veerjax.polyline import spans
from veerjax.tracing.buckets import bucket
from veerjax.tracing.envelope import Edges
from veerjax.tracing.gaps import Filled, Other, fill_breaks, without_caps
from veerjax.tracing.refine import centreline, half_strokes_px, ink_edges
from veerjax.tracing.viterbi import viterbi
from veerjax.types import Prediction

LEAST_BUCKET_PX = 512  # the height that a short strip is traced at
TOUCH_PX = 3.0  # strokes this near to each other may hide each other


@dataclass(frozen=True, kw_only=True)
class TraceConfig:
    """How a path is priced, and when it breaks off."""

    epsilon: float = 0.01  # probability below which all evidence is alike
    slope_cost: float = 0.03  # of each column moved
    jump_cap: float = 2.0  # the most that a move between two rows costs
    switch_cost: float = 8.0  # of appearing or vanishing
    least_ink: float = 0.2  # rows whose mask stays below this have no ink of their own
    hop_px: int = 8  # [px] the longest blank within a row's ink
    bridge_px: int = 8  # [rows] the longest break that is bridged without a reason
    hidden_px: int = 256  # [rows] the longest stretch at the strip's end that the other curve hides
    reach: int = 7  # [px] above half of the thickest stroke, and one more
    iterations: int = 10  # of the fit of the polyline to the edges


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Trace:
    """Two polylines per strip, row by row. x, lo and hi mean nothing where the curve is absent."""

    x: Float[Array, "batch 2 height"]  # [px] where the curve crosses the row's centre
    lo: Float[Array, "batch 2 height"]  # [px] least x of the polyline within the row
    hi: Float[Array, "batch 2 height"]  # [px] greatest x of the polyline within the row
    presence: Bool[Array, "batch 2 height"]
    confidence: Float[Array, "batch 2 height"]  # 0 to 1, 0 where absent
    occluded: Bool[Array, "batch 2 height"]  # present, but under the other curve


@partial(jax.jit, static_argnames="config")
def trace(prediction: Prediction, *, config: TraceConfig = TraceConfig(), rows: Int[Array, ""] | None = None) -> Trace:
    """The polylines of both curves of each strip.

    Args:
        prediction: of any model
        config: how to trace
        rows: of the strips, where padding with empty masks lies below them; what is traced there means nothing
    """
    path_of = partial(likeliest_path, config=config, rows=rows)
    path = jax.vmap(jax.vmap(path_of))(prediction.row_log_prob, prediction.presence)
    return jax.vmap(partial(trace_pair, config=config, rows=rows))(prediction.masks, path)


def trace_strip(prediction: Prediction, *, config: TraceConfig = TraceConfig()) -> Trace:
    """`trace` of strips of any height, on the host: compiled for a few heights, and the same as without their padding.

    Compiling takes ten times as long as tracing some thousand rows, so there are but the powers of two.
    """
    height = prediction.presence.shape[-1]
    padding = ((0, 0), (0, 0), (0, bucket(height, unit=LEAST_BUCKET_PX, steps=1) - height))
    across = (*padding, (0, 0))
    padded = Prediction(
        masks=jax.device_put(np.pad(prediction.masks, across)),
        row_log_prob=jax.device_put(np.pad(prediction.row_log_prob, across)),
        presence=jax.device_put(np.pad(prediction.presence, padding)),
    )
    found = trace(padded, config=config, rows=jax.device_put(np.int32(height)))
    return jax.tree.map(lambda leaf: np.asarray(leaf)[..., :height], found)


def likeliest_path(
    row_log_prob: Float[Array, "height width"],
    presence: Float[Array, " height"],
    *,
    config: TraceConfig,
    rows: Int[Array, ""] | None = None,
) -> Array:
    """The column of one curve in each row; negative where absent."""
    relative = jnp.exp(row_log_prob - jnp.max(row_log_prob, axis=1, keepdims=True))
    cost = -jnp.log(presence[:, None] * relative + config.epsilon)
    absent_cost = -jnp.log(1 - presence + config.epsilon)
    return viterbi(
        cost,
        absent_cost,
        slope_cost=config.slope_cost,
        jump_cap=config.jump_cap,
        switch_cost=config.switch_cost,
        rows=rows,
    )


def trace_pair(
    masks: Float[Array, "2 height width"],
    path: Int[Array, "2 height"],
    *,
    config: TraceConfig,
    rows: Int[Array, ""] | None = None,
    wrap_px: Float[Array, "2 height"] | None = None,
) -> Trace:
    """Both curves of one strip; each is judged in the light of the other.

    Args:
        masks: probability of each curve's ink
        path: column of each curve in each row; negative where absent
        config: how to trace
        rows: of the strip, where padding with empty masks lies below it
        wrap_px: what to add to each row's columns so that a curve that wraps goes on without a step
    """
    edges, strength = pair_edges(masks, path, config=config)
    half_px = half_strokes_px(edges, most_px=config.reach - 1.0, rows=rows)
    fit = partial(centreline, reach=config.reach, iterations=config.iterations, rows=rows)
    if wrap_px is None:
        wrap_px = jnp.zeros(path.shape)
    x = jax.vmap(fit)(edges.moved(wrap_px), half_px) - wrap_px
    other = Other(
        mask=masks[::-1],
        x=x[::-1],
        inked=edges.inked[::-1],
        touch_px=jnp.broadcast_to(jnp.max(half_px) + TOUCH_PX, (2,)),
        slack_px=jnp.maximum(half_px[::-1] - half_px, 0.5),
    )
    judge = partial(fill_breaks, bridge_px=config.bridge_px, hidden_px=config.hidden_px, rows=rows)
    filled = jax.vmap(judge)(x, edges.inked, other)
    height = masks.shape[1]
    inside = jnp.arange(height) < (height if rows is None else rows)
    # Padding is like what lies beyond an image: it ends no curve.
    ended = jax.vmap(partial(without_caps, reach=config.reach))(filled.presence | ~inside[None], half_px)
    presence = ended & inside[None]
    lo, hi = jax.vmap(spans)(filled.x + wrap_px, presence)
    return Trace(
        x=filled.x,
        lo=lo - wrap_px,
        hi=hi - wrap_px,
        presence=presence,
        confidence=jnp.where(presence, confidence(filled, strength), 0.0),
        occluded=filled.occluded & presence,
    )


def pair_edges(
    masks: Float[Array, "2 height width"], path: Int[Array, "2 height"], *, config: TraceConfig
) -> tuple[Edges, Float[Array, "2 height"]]:
    """`ink_edges` of both curves, of a long strip by blocks of rows: what it holds meanwhile is ten times the masks."""
    read = jax.vmap(partial(ink_edges, least_ink=config.least_ink, hop_px=config.hop_px))
    height = path.shape[1]
    if height % LEAST_BUCKET_PX or height == LEAST_BUCKET_PX:
        return read(masks, masks[::-1], path)

    def of_rows(start: Int[Array, ""]) -> tuple[Edges, Float[Array, "2 rows"]]:
        ink, at = (jax.lax.dynamic_slice_in_dim(whole, start, LEAST_BUCKET_PX, axis=1) for whole in (masks, path))
        return read(ink, ink[::-1], at)

    found = jax.lax.map(of_rows, jnp.arange(0, height, LEAST_BUCKET_PX))
    return jax.tree.map(lambda rows: jnp.moveaxis(rows, 0, 1).reshape(2, height), found)


def confidence(filled: Filled, strength: Float[Array, "2 height"]) -> Float[Array, "2 height"]:
    """The mask along the path; half of it at most where the row is bridged or hidden."""
    return jnp.where(filled.bridged, 0.25 + 0.25 * strength, strength)
