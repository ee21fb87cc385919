"""A benchmark in words and numbers, for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

Report = Mapping[str, Any]
ORDER = ("render", "read", "train", "predict", "eval", "end_to_end")
MEANING = {
    "render": "drawing alone",
    "read": "reading built data alone (Grain)",
    "train": "training step alone",
    "predict": "prediction alone",
    "eval": "predict, trace, measure",
    "end_to_end": "draw and train, as it runs",
    "built": "read built data and train",
}


def benchmark_table(report: Report) -> str:
    """The stages, the machine's ceilings, and what follows from both."""
    height, width = report["size"]
    head = (
        f"{report['config']}: batch {report['batch']} of {height} x {width} px on {report['devices']} x "
        f"{report['device']} ({report['cores']} cores, {report['processor']}), jax {report['versions']['jax']}, "
        f"Python {report['python']}; medians of {report['steps']} steps"
    )
    rows = [stage_cells(name, report["stages"][name]) for name in ORDER if name in report["stages"]]
    columns = ("", "ms", "p10-p90", "examples/s", "Mpx/s", "compile s", "GB each", "MFU", "roofline")
    refused = [f"{name}: {row['refused']}" for name, row in report["stages"].items() if "refused" in row]
    return "\n".join([head, "", *aligned([columns, *rows]), "", *facts(report), *refused])


def stage_cells(name: str, row: Report) -> tuple[str, ...]:
    """One stage's line."""
    spread = f"{number(row['p10_ms'])}-{number(row['p90_ms'])}"
    memory = row.get("peak_memory_bytes")
    return (
        MEANING[name],
        number(row["median_ms"]),
        spread,
        number(row["examples_per_s"]),
        number(row["mpx_per_s"]),
        number(row.get("compile_s")),
        number(None if memory is None else memory / 1e9),
        number(row.get("mfu"), "{:.2f}"),
        number(row.get("roofline_fraction"), "{:.2f}"),
    )


def facts(report: Report) -> list[str]:
    """What the table does not hold."""
    drawing = ", ".join(f"{name} {number(value)}" for name, value in report["drawing_ms"].items())
    counted = report["stages"]["train"].get("compiler_flops")
    times = number(counted and counted / report["model_flops_per_step"], "{:.2f}")
    return [
        f"training step: {report['model_flops_per_step'] / 1e9:.4g} GFLOP by the layers' definition "
        f"(the compiler counts {times} times as many); "
        f"at least {report['compulsory_bytes_per_step'] / 1e9:.3g} GB to move",
        f"ceilings measured here: {report['peak_flops'] / 1e9:.4g} GFLOP/s (matrix product), "
        f"{report['peak_bytes_per_s'] / 1e9:.3g} GB/s (copy)",
        f"drawing takes {number(report['render_share'], '{:.1%}')} of the step; its parts [ms]: {drawing}",
        f"device-seconds per 1,000 ft of one track (5 in/100 ft, 200 dpi): {number(report['device_s_per_1000_ft'])}",
    ]


def sweep_table(found: Report) -> str:
    """A swept key: times, and how they grow."""
    rows = [
        (
            str(row["value"]),
            f"{row['pixels'] / 1e6:.3g}",
            f"{row['model_flops'] / 1e9:.4g}",
            *(number(stage["median_ms"]) for stage in row["stages"].values()),
            *(number(stage["roofline_fraction"], "{:.2f}") for stage in row["stages"].values()),
        )
        for row in found["rows"]
    ]
    lines = aligned([(found["key"], "Mpx", "GFLOP/step", "train ms", "predict ms", "roofline", "roofline"), *rows])
    for by, exponents in found["growth_exponent"].items():
        known = ", ".join(f"{name} {value:.2f}" for name, value in exponents.items() if value is not None)
        lines += [f"time grows with {by.replace('_', ' ')} to the power of: {known}"] if known else []
    return "\n".join(lines)


def peer_table(found: Report) -> str:
    """Ours and the peer's times, measured in turn."""
    equal = f", logits equal to {found['parity']:.1g}" if "parity" in found else ""
    form = f"{found['dtype']}, {'compiled' if found['compiled'] else 'eager'}, {found.get('threads')} threads"
    size = f"{found['parameters'] / 1e6:.2f} M parameters"
    versions = f"{found['name']} (torch {found['torch']}, {form}, {size}{equal})"
    rows = [
        (MEANING[name], number(ours), number(found["theirs_ms"][name]), f"{ours / found['theirs_ms'][name]:.2f}")
        for name, ours in found["ours_ms"].items()
    ]
    lines = [f"against {versions}", *aligned([("", "ours ms", "theirs ms", "ours / theirs"), *rows])]
    heap = "both keep freed memory" if found["kept_heap"] else "ours keeps freed memory, its C library gives it back"
    lines += [f"its loader maps raw arrays, ours draws or decodes PNGs; {heap}"]
    if "tolerance_f1_2px" in found:
        f1 = {side: " / ".join(f"{value:.3f}" for value in pair) for side, pair in found["tolerance_f1_2px"].items()}
        lines += [
            f"after {found['fit_seconds']:.0f} s of training each ({found['fit_steps']['ours']} and "
            f"{found['fit_steps']['theirs']} steps), F1 within 2 px of curve 1 / 2 on {found['judged_logs']} "
            f"validation logs: ours {f1['ours']}, theirs {f1['theirs']}"
        ]
    return "\n".join(lines)


def startup_table(times: Report) -> str:
    """What new processes take."""
    rows = [(name, number(seconds["wall"]), number(seconds["cpu"])) for name, seconds in times.items()]
    return "\n".join(aligned([("", "wall s", "CPU s"), *rows]))


def number(value: float | None, form: str = "{:.4g}") -> str:
    """A figure, or a dash."""
    return "-" if value is None else form.format(value)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width, the first to the left and the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) if index == 0 else cell.rjust(width) for index, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in rows)
    ]
