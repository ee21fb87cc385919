"""The files of a results folder: what was asked for, a result for each training, their times, and what is shown."""

import gzip
import json
from pathlib import Path
from typing import Any

from veerjax.logs.atomic import replacing

PLAN, TIMES = "compare.json", "times.json"
TRIALS, SHOWN, WORK = "trials", "exhibit", "work"  # folders
PACKED = ".json.gz"
Trial = tuple[str, int]  # an arm and a seed


def trial_file(out: Path, trial: Trial) -> Path:
    """Where the result of an arm and a seed lies, log by log and therefore packed."""
    return out / TRIALS / f"{trial[0]}-{trial[1]}{PACKED}"


def work_folder(out: Path, trial: Trial) -> Path:
    """Where an arm and a seed are trained."""
    return out / WORK / f"{trial[0]}-{trial[1]}"


def stored_trials(out: Path) -> list[Any]:
    """All results that are there."""
    return [read_compact(path) for path in sorted((out / TRIALS).glob(f"*{PACKED}"))]


def write_compact(path: Path, values: Any) -> None:
    """JSON without spaces, whole or not at all, packed where the name says so; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(values, allow_nan=False, separators=(",", ":")) + "\n"
    with replacing(path) as temporary:
        # Without the time, so that equal results are equal files.
        temporary.write_bytes(gzip.compress(text.encode(), mtime=0) if path.name.endswith(PACKED) else text.encode())


def read_compact(path: Path) -> Any:
    """What `write_compact` wrote."""
    return json.loads(gzip.decompress(path.read_bytes()) if path.name.endswith(PACKED) else path.read_text())
