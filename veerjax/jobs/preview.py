"""A contact sheet of some data, to judge it by eye."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from veerjax.config import require
from veerjax.data.checks.samples import Look, Sample, SampleSplit, open_samples
from veerjax.logs.atomic import check_folder, replacing
from veerjax.report.contact_sheet import contact_sheet

CHOICE = 1000  # samples of a rendered split from which a seed picks


def run_preview(
    name: str,
    out: Path,
    *,
    split: str = "train",
    count: int = 8,
    seed: int | None = None,
    data_dir: Path | None = None,
    look: Look | None = None,
) -> int:
    """Writes a PNG of samples and returns how many it shows.

    Args:
        name: as `data.checks.samples.open_samples` takes it
        out: the PNG; its folder is made
        split: of a rendered setting or a built dataset
        count: samples at most
        seed: of a rendered training split; of other data it picks samples at random, the first ones if None
        data_dir: where a built dataset lies
        look: of a rendered setting

    Raises:
        InputError: unknown data or split, nothing there, an unreadable pair, or a place that cannot be written to.
    """
    require(out.suffix.lower() == ".png", f"--out {out} is no PNG; give a name that ends in .png.")
    require(not out.is_dir(), f"--out {out} is a folder; give the name of a file.")
    check_folder(out.parent, "--out")
    look = dataclasses.replace(look or Look(), seed=seed)
    splits = open_samples(name, split=split, data_dir=data_dir, count=max(count, CHOICE), look=look)
    total = sum(part.count for part in splits)
    require(total > 0, f"{name} has no sample in the split {split!r}; build it with some.")
    seeded = splits[0].seeded
    samples = list(read_at(splits, positions(total, count, seed=None if seeded else seed)))
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as path:
        sheet = contact_sheet(samples, title=f"{splits[0].data}: {len(samples)} samples")
        Image.fromarray(sheet).save(path, "PNG")
    return len(samples)


def positions(total: int, count: int, *, seed: int | None) -> list[int]:
    """The first positions of so many, or those that a seed picks, in order."""
    if seed is None:
        return list(range(min(count, total)))
    return sorted(np.random.default_rng(seed).permutation(total)[:count].tolist())


def read_at(splits: Sequence[SampleSplit], chosen: Sequence[int]) -> Iterator[Sample]:
    """The samples at ascending positions of the splits laid end to end."""
    start = 0
    for split in splits:
        inside = [position - start for position in chosen if start <= position < start + split.count]
        for first in range(0, len(inside), split.together):
            yield from split.read(inside[first : first + split.together])
        start += split.count
