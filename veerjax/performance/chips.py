"""What TPU chips can do, as Google publishes it, and how the names of topologies are read."""

import math
import re
from dataclasses import dataclass

from veerjax.config import nearest, require

GIB = 2**30
SHAPE = re.compile(r"(?P<chip>\w+):(?P<sides>[1-9]\d*(x[1-9]\d*){1,2})")
EXAMPLES = "v5e:2x4, v5e:16x16, v5p:4x4x4 or v6e:16x16"


@dataclass(frozen=True, kw_only=True)
class Chip:
    """One kind of chip; rates are peaks."""

    name: str  # as topologies begin with
    flops_per_s: float  # bfloat16
    hbm_bytes: int
    hbm_bytes_per_s: float
    ici_bytes_per_s: float  # that a chip sends over all its links at once: half of the published "bidirectional"
    mxu: int  # side of the matrix unit: channels that fill it
    ring_from: int  # a side that is a multiple of so many chips is closed to a ring, of cubes where all sides are
    slices: tuple[str, ...]  # shapes from 1 to 256 chips
    most: int  # chips of a pod
    source: str


TPU_DOCS = "https://cloud.google.com/tpu/docs"
FLAT = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
CUBES = ("1x1x1", "2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8")
# The documentation gives v5p's memory in GiB and the others' in GB; the compiler has 15.75 GiB of a v5e's "16 GB".
CHIPS = {
    chip.name: chip
    for chip in (
        Chip(
            name="v5e",
            flops_per_s=197e12,
            hbm_bytes=16 * GIB,
            hbm_bytes_per_s=819e9,
            ici_bytes_per_s=200e9,
            mxu=128,
            ring_from=16,
            slices=FLAT,
            most=256,
            source=f"{TPU_DOCS}/v5e",
        ),
        Chip(
            name="v5p",
            flops_per_s=459e12,
            hbm_bytes=95 * GIB,
            hbm_bytes_per_s=2765e9,
            ici_bytes_per_s=600e9,
            mxu=128,
            ring_from=4,
            slices=CUBES,
            most=8960,
            source=f"{TPU_DOCS}/v5p",
        ),
        Chip(
            name="v6e",
            flops_per_s=918e12,
            hbm_bytes=32 * GIB,
            hbm_bytes_per_s=1600e9,
            ici_bytes_per_s=400e9,
            mxu=256,
            ring_from=16,
            slices=FLAT,
            most=256,
            source=f"{TPU_DOCS}/v6e",
        ),
    )
}


def parsed(topology: str) -> tuple[Chip, tuple[int, ...]]:
    """The chip and the shape that a topology's name means.

    Raises:
        InputError: it is not of the form CHIP:SHAPE, the chip is unknown, or comes in no such slices.

    Example:
        >>> chip, shape = parsed("v5e:2x4")
        >>> chip.name, shape
        ('v5e', (2, 4))
    """
    found = SHAPE.fullmatch(topology)
    require(found is not None, f"{topology!r} is no topology; write CHIP:SHAPE, such as {EXAMPLES}.")
    assert found is not None
    name = found["chip"]
    require(
        name in CHIPS,
        f"{topology!r} is of an unknown chip; there are {', '.join(CHIPS)}{nearest(name, CHIPS)}: write {EXAMPLES}.",
    )
    chip, shape = CHIPS[name], sides(found["sides"])
    flat = len(sides(chip.slices[0])) == 2
    require(
        len(shape) == (2 if flat else 3) and size(shape) <= chip.most,
        f"there is no slice {topology!r}: {name} has {'two' if flat else 'three'} sides and up to {chip.most} chips; "
        f"write one such as {name}:{chip.slices[-1]}.",
    )
    return chip, shape


def sides(shape: str) -> tuple[int, ...]:
    """`2x4` as numbers."""
    return tuple(int(side) for side in shape.split("x"))


def size(shape: tuple[int, ...]) -> int:
    """Chips of a shape."""
    return math.prod(shape)
