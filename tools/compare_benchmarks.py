"""Two results of `veerjax benchmark --json` side by side: times of B over A, and exit 1 where B is slower.

    python tools/compare_benchmarks.py before.json after.json [--threshold 1.1]

Compare files of one machine, best of one hour: clocks and neighbours change.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def stage_times(report: dict[str, Any]) -> dict[str, float]:
    """Median ms by stage; refused rows have none."""
    return {name: row["median_ms"] for name, row in report["stages"].items() if row["median_ms"] is not None}


def differing(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """What makes the two incomparable, as sentences."""
    keys = ("device", "processor", "cores", "devices", "batch", "size", "setting")
    return [f"{key} is {a.get(key)} in A and {b.get(key)} in B" for key in keys if a.get(key) != b.get(key)]


def read(path: Path) -> dict[str, Any]:
    """A benchmark's JSON, or an exit with a sentence."""
    try:
        report = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        sys.exit(_refusal(f"{path} cannot be read: {error}"))
    if not isinstance(report, dict) or "stages" not in report:
        sys.exit(_refusal(f"{path} holds no stages; give what veerjax benchmark --json wrote without sweep or peer."))
    return report


def _refusal(sentence: str) -> int:
    print(f"compare_benchmarks: {sentence}", file=sys.stderr)
    return 2


def main() -> int:
    parser = argparse.ArgumentParser(description="Times of B over A; exit 1 where one is over the threshold.")
    parser.add_argument("a", type=Path)
    parser.add_argument("b", type=Path)
    parser.add_argument("--threshold", type=float, default=1.1, help="ratio that counts as a regression (%(default)s)")
    arguments = parser.parse_args()
    a, b = read(arguments.a), read(arguments.b)
    unlike = differing(a, b)
    if unlike:
        return _refusal("; ".join(unlike) + ": compare like with like.")
    before, after = stage_times(a), stage_times(b)
    slower = []
    for name in [name for name in before if name in after]:
        ratio = after[name] / before[name]
        slower += [name] if ratio > arguments.threshold else []
        print(f"{name:<12}{before[name]:>10.4g} ms{after[name]:>10.4g} ms{ratio:>8.2f}")
    lost = [name for name in before if name not in after]
    for what, names in (("slower", slower), ("no longer there", lost)):
        if names:
            print(f"{what}: {', '.join(names)}")
    return 1 if slower or lost else 0


if __name__ == "__main__":
    sys.exit(main())
