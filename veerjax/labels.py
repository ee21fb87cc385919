"""Class ids of the three-class label, and the line codings that give classes their meaning."""

from typing import Any

BACKGROUND = 0
CURVE_1 = 1  # the primary curve, drawn solid
CURVE_2 = 2  # the secondary curve, drawn in a broken coding
NUM_CLASSES = 3
NUM_CURVES = 2
CLASS_NAMES = ("background", "curve 1", "curve 2")
CODINGS = ("solid", "dash 2/2", "dash 4/4", "dash 6/2", "dots 1/2")  # on/off in stroke widths
UNKNOWN_CODING = -1


def label_of(strokes: Any) -> Any:
    """Class ids as bytes, curve 1 over curve 2, of arrays of NumPy or JAX.

    Args:
        strokes: the mask of curve 1 and that of curve 2 along the first axis
    """
    first, second = strokes
    return (CURVE_1 * first + CURVE_2 * (second & ~first)).astype("uint8")
