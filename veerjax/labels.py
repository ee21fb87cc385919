"""Class ids of the three-class label."""

BACKGROUND = 0
CURVE_1 = 1  # the primary curve, drawn solid
CURVE_2 = 2  # the secondary curve, drawn in a broken coding
NUM_CLASSES = 3
NUM_CURVES = 2
CLASS_NAMES = ("background", "curve 1", "curve 2")
