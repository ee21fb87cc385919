"""How long a step would take at the least on so many chips, from what a compiler says that one of them does.

    t(n) = max(flops / peak, bytes / bandwidth) + sum over collectives (bytes sent / links + 1 us * hops)

An estimate from published peaks, not a measurement: `LEFT_OUT` is what it does not know.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from veerjax.performance.chips import Chip, sides, size
from veerjax.performance.collectives import Collective

# Of one hop between neighbours; the order of magnitude in Austin et al. 2025, "How to Scale Your Model", section 3.
HOP_S = 1e-6
LEFT_OUT = (
    "input that is read instead of drawn",
    "the host's launch of a step",
    "waiting for the slowest chip",
    "collectives that run beside arithmetic (none is assumed to)",
    "arithmetic below its peak, as where channels fill the matrix unit in part (the padded estimate bounds that)",
    "vector units: norms, softmax and drawing count as bytes only",
)


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one chip does in a step."""

    examples: float
    flops: float
    padded_flops: float  # with each layer's channels rounded up to the matrix unit's side
    bytes: float  # read and written, as the compiler counts them
    collectives: Mapping[str, Collective]


def compute_s(load: Load, chip: Chip, *, padded: bool = False) -> float:
    """Seconds of the tighter of the two ceilings, on one chip."""
    flops = load.padded_flops if padded else load.flops
    return max(flops / chip.flops_per_s, load.bytes / chip.hbm_bytes_per_s)


def bound(load: Load, chip: Chip, *, padded: bool = False) -> str:
    """Which ceiling is the tighter one: `arithmetic` or `memory`."""
    flops = load.padded_flops if padded else load.flops
    return "arithmetic" if flops / chip.flops_per_s > load.bytes / chip.hbm_bytes_per_s else "memory"


def ring(side: int, shape: tuple[int, ...], chip: Chip) -> bool:
    """Whether the chips along a side close to a ring: of cubes they do only where every side does."""
    return side % chip.ring_from == 0 and (len(shape) == 2 or all(other % chip.ring_from == 0 for other in shape))


def hops(shape: tuple[int, ...], chip: Chip) -> int:
    """Hops of a message that goes once along every side of a slice: half round a ring, or from end to end."""
    return sum(side // 2 if ring(side, shape, chip) else side - 1 for side in shape)


def link_share(shape: tuple[int, ...], chip: Chip) -> float:
    """The share of a chip's links that a slice uses: none of a side of 1, half of one that is no ring."""
    return sum(0 if side == 1 else 1 if ring(side, shape, chip) else 0.5 for side in shape) / len(shape)


def collective_s(load: Load, chip: Chip, shape: tuple[int, ...]) -> float:
    """Seconds of a step's collectives over a slice, one after another; 0 on one chip.

    Definition: of a result of b bytes on n chips, a ring all-reduce sends `2 (n - 1) / n b`, a gather `(n - 1) / n b`,
    a reduce-scatter `(n - 1) b`, and a permutation b to a neighbour.
    """
    chips = size(shape)
    if chips == 1:
        return 0.0
    rate = chip.ici_bytes_per_s * link_share(shape, chip)
    passes, rounds = (
        dict.fromkeys(load.collectives, (chips - 1) / chips),
        dict.fromkeys(load.collectives, hops(shape, chip)),
    )
    passes |= {"all-reduce": 2 * (chips - 1) / chips, "reduce-scatter": chips - 1, "collective-permute": 1}
    rounds |= {"all-reduce": 2 * hops(shape, chip), "collective-permute": 1}
    return sum(
        passes[kind] * sent.bytes / rate + sent.count * rounds[kind] * HOP_S for kind, sent in load.collectives.items()
    )


def step_s(load: Load, chip: Chip, shape: tuple[int, ...], *, padded: bool = False) -> float:
    """Seconds of a step on a slice, each chip with the same load."""
    return compute_s(load, chip, padded=padded) + collective_s(load, chip, shape)


def weak_scaling(load: Load, chip: Chip) -> list[dict[str, float | str]]:
    """Steps on 1 to 256 chips, each with the same examples: efficiency is t(1) / t(n)."""
    alone = step_s(load, chip, (1,))
    rows: list[dict[str, float | str]] = []
    for name in chip.slices:
        shape = sides(name)
        seconds = step_s(load, chip, shape)
        rows.append(
            {
                "chips": size(shape),
                "shape": name,
                "step_ms": seconds * 1e3,
                "examples_per_s": examples_per_s(load, chip, shape, seconds),
                "efficiency": alone / seconds,
            }
        )
    return rows


def examples_per_s(load: Load, chip: Chip, shape: tuple[int, ...], seconds: float) -> float:
    """Over all chips of a slice."""
    return load.examples * size(shape) / seconds
