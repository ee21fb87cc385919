"""What a compiled program sends between devices, read from its text."""

import re
from dataclasses import dataclass

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "collective-permute", "all-to-all")
# An instruction's result and its name; neither a quote nor a % may come before, so that no operand is taken for one.
SENT = re.compile(rf'^\s*(?:ROOT )?\S+ = (?P<result>[^%"]*?) (?P<kind>{"|".join(KINDS)})(?P<part>-start|-done)?\(')
ARRAY = re.compile(r"\b(?P<dtype>pred|[a-z]+\d\w*)\[(?P<sizes>[^\]]*)\]")


@dataclass(frozen=True)
class Collective:
    """All collectives of one kind in a program."""

    count: int  # instructions
    bytes: int  # of their results on one device


def collectives(hlo_text: str) -> dict[str, Collective]:
    """The collectives of a compiled program by kind; a kind that does not occur is left out.

    A pair of `-start` and `-done` counts once. One that sends several arrays at once counts once, with all their
    bytes. One in the body of a loop counts once, however often the loop goes round.

    Args:
        hlo_text: `compiled.as_text()`, whose shapes are those of one device

    Example:
        >>> collectives("%sum = (f32[8]{0}, bf16[2,3]{1,0}) all-reduce(%a, %b), to_apply=%add")
        {'all-reduce': Collective(count=1, bytes=44)}
    """
    found: dict[str, Collective] = {}
    for line in hlo_text.splitlines():
        sent = SENT.match(line)
        if sent is None or sent["part"] == "-start":  # whose result holds the operand too
            continue
        before = found.get(sent["kind"], Collective(0, 0))
        found[sent["kind"]] = Collective(before.count + 1, before.bytes + array_bytes(sent["result"]))
    return found


def array_bytes(shape: str) -> int:
    """The bytes of an array or a tuple of arrays as XLA writes its shape, such as `(f32[2,3]{1,0}, pred[])`."""
    return sum(_bytes(array["dtype"], array["sizes"]) for array in ARRAY.finditer(shape))


def _bytes(dtype: str, sizes: str) -> int:
    elements = 1
    for size in sizes.split(","):
        elements *= int(size.removeprefix("<=") or 1)
    bits = 8 if dtype == "pred" else int(re.findall(r"\d+", dtype)[0])
    return -(-elements * bits // 8)
