"""Folders of pairs that cannot be read as they are meant are refused, and the file is named."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veerjax.data.logset import open_logs
from veerjax.errors import InputError


def pair(folder: Path, name: str = "a.png", *, height: int = 64, width: int = 48) -> None:
    """An image of blank paper and its label."""
    Image.fromarray(np.full((height, width), 255, np.uint8)).save(folder / name)
    Image.fromarray(np.zeros((height, width), np.uint8)).save((folder / name).with_suffix(".label.png"))


def test_two_images_with_one_label_are_refused_and_both_are_named(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg"):
        pair(tmp_path, name)
    with pytest.raises(InputError, match=r"a\.jpg and .*a\.png share the label a\.label\.png; rename one"):
        open_logs(str(tmp_path))


@pytest.mark.parametrize(("height", "width"), [(1, 48), (64, 1), (1, 1)])
def test_images_of_a_single_row_or_column_are_refused_by_name(height: int, width: int, tmp_path: Path) -> None:
    pair(tmp_path, height=height, width=width)
    with pytest.raises(InputError, match=rf"a\.label\.png is {width} x {height} px; at least 2 rows and 2 columns"):
        open_logs(str(tmp_path))


def test_a_folder_has_no_splits(tmp_path: Path) -> None:
    pair(tmp_path)
    with pytest.raises(InputError, match=re.escape("--split is 'train'; a folder of pairs has no splits")):
        open_logs(str(tmp_path), split="train")
    assert len(open_logs(str(tmp_path), split="validation")) == 1


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit: int, tmp_path: Path) -> None:
    pair(tmp_path)
    with pytest.raises(InputError, match=f"the limit is {limit} logs; it must be at least 1"):
        open_logs(str(tmp_path), limit=limit)
