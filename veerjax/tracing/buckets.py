"""The few heights that strips are padded to: a program is compiled once for each, and not for each strip."""


def bucket(height: int, *, unit: int, steps: int) -> int:
    """The least height of a bucket that holds a strip.

    Between one power of two times `unit` and the next lie `steps` buckets, or all multiples of `unit` where those are
    fewer; so less than `1 / steps` of a bucket's height is padding, beyond what fills up the unit.

    Args:
        height: of the strip, at least 1 [px]
        unit: every bucket is a multiple of this [px]
        steps: buckets in an octave, a power of two

    Example:
        >>> [bucket(height, unit=32, steps=1) for height in (1, 33, 100, 129)]
        [32, 64, 128, 256]
        >>> [bucket(height, unit=32, steps=2) for height in (65, 97, 129, 193)]
        [96, 128, 192, 256]
    """
    units = -(-height // unit)
    octave = 1 << (units - 1).bit_length() >> 1  # the greatest power of two below
    step = max(octave // steps, 1)
    return -(-units // step) * step * unit
