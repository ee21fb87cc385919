"""Writes small LAS files for tests."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np


def write_las(
    path: Path,
    *,
    well: str,
    depth: np.ndarray,
    curves: Mapping[str, np.ndarray],
    unit: str = "F",
    units: Mapping[str, str] | None = None,
) -> None:
    """A LAS 2.0 file; NaN becomes the null value, and numbers keep all their digits."""
    units = units or {}
    head = [
        "~Version",
        "VERS. 2.0 :",
        "WRAP. NO :",
        "~Well",
        f"STRT.{unit} {depth[0]} :",
        f"STOP.{unit} {depth[-1]} :",
        f"STEP.{unit} {depth[1] - depth[0]} :",
        "NULL. -999.25 :",
        f"WELL. {well} :",
        "~Curve",
        f"DEPT.{unit} :",
        *(f"{name}.{units.get(name, '')} :" for name in curves),
        "~Ascii",
    ]
    table = np.nan_to_num(np.stack([depth, *curves.values()], 1), nan=-999.25)
    path.write_text("\n".join(head + [" ".join(repr(float(v)) for v in row) for row in table]) + "\n")
