"""Class ids of the three-class label, and the line codings that give classes their meaning."""

BACKGROUND = 0
CURVE_1 = 1  # the primary curve, drawn solid
CURVE_2 = 2  # the secondary curve, drawn in a broken coding
NUM_CLASSES = 3
NUM_CURVES = 2
CLASS_NAMES = ("background", "curve 1", "curve 2")
CODINGS = ("solid", "dash 2/2", "dash 4/4", "dash 6/2", "dots 1/2")  # on/off in stroke widths
UNKNOWN_CODING = -1
