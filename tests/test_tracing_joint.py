"""All declared curves of a track, traced together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.errors import InputError
from veerjax.tracing.joint import WantedCurve, trace_curves
from veerjax.types import Prediction

HEIGHT, WIDTH = 160, 96
TRACK = {"left_px": 0.0, "right_px": float(WIDTH)}
SOLID, DASHED = WantedCurve(curve_class=1), WantedCurve(curve_class=2)


def said(masks: np.ndarray) -> Prediction:
    """What a net that is sure of these masks [2, height, width] says of one strip."""
    likely = jax.nn.log_softmax(jnp.log(jnp.asarray(masks) + 1e-7), axis=-1)
    return Prediction(
        masks=jnp.asarray(masks)[None], row_log_prob=likely[None], presence=jnp.asarray(masks.max(-1))[None]
    )


@pytest.mark.parametrize(
    ("wanted", "track", "sentence"),
    [
        ([], TRACK, "declare at least one"),
        ([WantedCurve(curve_class=3)], TRACK, "1 for a solid or 2 for a broken one"),
        ([SOLID], {"left_px": 50.0, "right_px": 20.0}, "a left one and a greater right one"),
        ([WantedCurve(curve_class=1, seeds=((5.0, 200.0),))], TRACK, "row 5 and column 200 px is off the track"),
        ([WantedCurve(curve_class=1, seeds=((500.0, 20.0),))], TRACK, "row 500 and column 20 px is off the track"),
    ],
)
def test_what_cannot_be_traced_is_refused_in_a_sentence(wanted, track, sentence):
    with pytest.raises(InputError, match=sentence):
        trace_curves(said(np.zeros((2, HEIGHT, WIDTH), np.float32)), wanted, **track)
