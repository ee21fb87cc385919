"""What was compiled for chips that are not there, in words and numbers, for a terminal and for docs/tpu.md."""

from collections.abc import Mapping, Sequence
from typing import Any

from veerjax.report.benchmark_table import aligned

Report = Mapping[str, Any]
GIB = 2**30
COLUMNS = (
    "chips",
    "per chip",
    "HBM GiB",
    "of",
    "GFLOP",
    "GB moved",
    "all-reduces, MB",
    "step ms",
    "of it sent",
    "examples/s",
    "padded",
    "t(1)/t(n)",
)
# A program of one chip sends nothing, and one whose chips share images says nothing of other numbers of chips.
NO_SCALING = "How it scales is told from a program of several chips that share no image, such as --aot v5e:2x4."


def aot_table(report: Report) -> str:
    """One topology: memory, work, collectives, the estimate, and how it scales."""
    aot, (height, width) = report["aot"], report["size"]
    head = (
        f"{report['config']}: batch {report['batch']} of {height} x {width} px on {aot['topology']} "
        f"({aot['chips']} chips, {aot['devices']} x {report['device']}), compiled in {report['compile_s']:.0f} s by "
        f"jax {report['versions']['jax']}; nothing was run"
    )
    scaling = [
        (
            f"{row['chips']}",
            row["shape"],
            f"{row['step_ms']:.3f}",
            f"{row['examples_per_s']:,.0f}",
            f"{row['efficiency']:.3f}",
        )
        for row in aot["weak_scaling"]
    ]
    table = aligned([("chips", "shape", "step ms", "examples/s", "t(1) / t(n)"), *scaling]) if scaling else [NO_SCALING]
    left_out = "An estimate from published peaks, not a measurement. Left out: " + "; ".join(aot["left_out"]) + "."
    return "\n".join([head, "", *facts(report), "", *table, "", left_out])


def facts(report: Report) -> list[str]:
    """What one chip needs, does and sends, and what follows."""
    aot = report["aot"]
    memory = ", ".join(f"{name} {size / GIB:.3f}" for name, size in aot["memory_bytes_per_chip"].items())
    sent = ", ".join(
        f"{one['count']} {kind} of {one['bytes'] / 1e6:.3g} MB" for kind, one in aot["collectives"].items()
    )
    return [
        f"memory of a chip  {aot['hbm_bytes_per_chip'] / GIB:.2f} of {aot['hbm_bytes_there'] / GIB:.0f} GiB: {memory}",
        f"work of a chip    {report['model_flops_per_step'] / aot['chips'] / 1e9:.4g} GFLOP by the layers' definition, "
        f"{aot['compiler_flops_per_chip'] / 1e9:.4g} by the compiler; {aot['bytes_per_chip'] / 1e9:.4g} GB moved",
        f"sent in a step    {sent or 'nothing'}",
        f"estimate          {aot['estimated_examples_per_s']:,.0f} examples/s, bound by {aot['bound']}: "
        f"{aot['estimated_step_ms']:.3f} ms a step, of which {aot['collective_ms']:.3f} ms are collectives",
        f"padded            {aot['estimated_examples_per_s_padded']:,.0f} examples/s, channels rounded up to multiples "
        f"of {aot['chip']['mxu']}: {aot['padded_flops_per_chip'] / 1e9:.4g} GFLOP",
    ]


def markdown_table(reports: Sequence[Report]) -> str:
    """One line for each compiled topology."""
    return "\n".join(
        f"| {' | '.join(cells)} |"
        for cells in [("topology", *COLUMNS), ("---",) * (len(COLUMNS) + 1), *map(cells_of, reports)]
    )


def cells_of(report: Report) -> tuple[str, ...]:
    """A topology's line; its efficiency is that of its own program on its own shape."""
    aot = report["aot"]
    sent = aot["collectives"].get("all-reduce", {"count": 0, "bytes": 0})
    compute_ms = aot["estimated_step_ms"] - aot["collective_ms"]
    return (
        aot["topology"],
        str(aot["chips"]),
        f"{aot['batch_per_chip']:g}",
        f"{aot['hbm_bytes_per_chip'] / GIB:.2f}",
        f"{aot['hbm_bytes_there'] / GIB:.0f}",
        f"{aot['compiler_flops_per_chip'] / 1e9:.4g}",
        f"{aot['bytes_per_chip'] / 1e9:.3g}",
        f"{sent['count']}, {sent['bytes'] / 1e6:.3g}",
        f"{aot['estimated_step_ms']:.2f}",
        f"{aot['collective_ms']:.2f}",
        f"{aot['estimated_examples_per_s']:,.0f}",
        f"{aot['estimated_examples_per_s_padded']:,.0f}",
        f"{compute_ms / aot['estimated_step_ms']:.3f}",
    )
