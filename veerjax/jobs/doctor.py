"""A health report of a dataset: what it holds in numbers, and every example with something wrong with it."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from veerjax.data.checks.alignment import contrast_map, offset_px, shift_of
from veerjax.data.checks.defects import CHECKS_OF_ONE, Defect, own_defects
from veerjax.data.checks.duplicates import Coarse, alike, coarse_picture, curve_digests, image_digest
from veerjax.data.checks.health import Tally, figures, tally
from veerjax.data.checks.samples import Sample, SampleSplit, open_samples
from veerjax.data.logset import ALL
from veerjax.data.wells.split import well_key
from veerjax.errors import InputError

RENDERED_COUNT = 200  # examples of each split of a rendered setting, unless a limit is given
SYSTEMATIC_PX = 0.5  # a mean offset of the labels of a split beyond which they are wrong as a whole
SYSTEMATIC_EXAMPLES = 8  # fewer say little about a split as a whole
CHECKS = (
    "unreadable",
    *CHECKS_OF_ONE,
    "odd_size",
    "shifted_label",
    "shifted_split",
    "repeated_name",
    "same_image",
    "alike_image",
    "shared_curve",
    "leaking_well",
)


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is kept of an example, to compare it with all the others."""

    name: str
    split: str
    well: str | None
    size: tuple[int, ...]  # height, width [px] and channels
    image: bytes  # digest
    curves: tuple[bytes, ...]  # digests
    coarse: Coarse | None


@dataclass(kw_only=True)
class Ward:
    """The sums over one split so far."""

    total: Tally | None = None
    contrast: Any = 0.0  # sum of contrast maps
    mapped: int = 0  # of how many examples
    unreadable: int = 0


@dataclass(kw_only=True)
class Examination:
    """All that is known of a dataset so far; it grows by a record an example."""

    wards: dict[str, Ward] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    defects: list[Defect] = field(default_factory=list)


def run_doctor(
    data: str, *, data_dir: Path | None = None, split: str = "all", limit: int | None = None
) -> dict[str, Any]:
    """The health report of a rendered setting, a built dataset or a folder of pairs.

    Args:
        data: as `data.checks.samples.open_samples` takes it
        data_dir: where a built dataset lies
        split: one of its splits, or `all`
        limit: examples of each split at most

    Returns:
        Plain values: `schema`, `data`, `seconds`, `splits` with their figures, `checks` with the number of defects
        of each, and `defects`.

    Raises:
        InputError: unknown data or split, or nothing there.
    """
    start = time.perf_counter()
    splits = open_samples(data, split=split, data_dir=data_dir, count=limit or RENDERED_COUNT)
    examination = examined(splits, limit=limit)
    return {"schema": 1, "data": data, **summary(examination), "seconds": time.perf_counter() - start}


def examined(splits: Sequence[SampleSplit], *, limit: int | None = None) -> Examination:
    """Everything found in the first examples of some splits, each read once."""
    found = Examination()
    for split in splits:
        ward = found.wards.setdefault(split.split, Ward())
        for positions in split.chunks(limit):
            try:
                samples = split.read(positions)
            except InputError as error:
                ward.unreadable += len(positions)
                where = f"{split.split}[{positions[0]}]"
                found.defects.append(Defect(check="unreadable", split=split.split, example=where, detail=str(error)))
                continue
            for sample in samples:
                admit(found, ward, sample)
    for name, ward in found.wards.items():
        found.defects += shifted_split(name, ward)
    for check in (odd_sizes, repeated_names, same_images, alike_images, shared_curves, leaking_wells):
        found.defects += check(found.records)
    found.defects.sort(key=lambda defect: CHECKS.index(defect.check))
    return found


def admit(found: Examination, ward: Ward, sample: Sample) -> None:
    """Adds an example to the sums, keeps its record, and notes what is wrong with it alone."""
    counts = tally(sample)
    ward.total = counts if ward.total is None else ward.total + counts
    found.defects += own_defects(sample)
    contrast = contrast_map(sample)
    if contrast is not None:
        ward.contrast, ward.mapped = ward.contrast + contrast, ward.mapped + 1
        found.defects += shifted_label(sample, contrast)
    found.records.append(
        Record(
            name=sample.name,
            split=sample.split,
            well=sample.well,
            size=sample.image.shape,
            image=image_digest(sample),
            curves=tuple(curve_digests(sample)),
            coarse=coarse_picture(sample),
        )
    )


def shifted_label(sample: Sample, contrast: Any) -> Iterator[Defect]:
    """The label lies clearly beside the ink."""
    if shift := shift_of(contrast):
        detail = (
            f"the ink lies {shift.dy:+d} px down and {shift.dx:+d} px right of the label: the contrast under the"
            f" strokes is {shift.contrast:.2f} there and {shift.contrast_here:.2f} where they are"
        )
        yield Defect(check="shifted_label", split=sample.split, example=sample.name, detail=detail)


def shifted_split(name: str, ward: Ward) -> Iterator[Defect]:
    """The labels of a split lie beside the ink by less than shows in each alone, but in the mean of all."""
    if ward.mapped >= SYSTEMATIC_EXAMPLES:
        dy, dx = offset_px(ward.contrast)
        if max(abs(dy), abs(dx)) > SYSTEMATIC_PX:
            detail = f"in the mean of {ward.mapped} examples the ink lies {dy:+.2f} px down and {dx:+.2f} px right"
            yield Defect(check="shifted_split", split=name, example="", detail=detail + " of the labels")


def odd_sizes(records: Sequence[Record]) -> Iterator[Defect]:
    """Images of a size or number of channels that most others do not have; those of a folder of pairs may vary."""
    records = [record for record in records if record.split != ALL]
    sizes = Counter(record.size for record in records)
    for record in records:
        usual, _ = sizes.most_common(1)[0]
        if record.size != usual:
            detail = f"{told(record.size)}, unlike the {sizes[usual]} of {told(usual)}"
            yield Defect(check="odd_size", split=record.split, example=record.name, detail=detail)


def told(size: Sequence[int]) -> str:
    """A size in words."""
    height, width, channels = size
    return f"{height} x {width} px ({'grey' if channels == 1 else 'colour'})"


def repeats(
    records: Sequence[Record], keys: Callable[[Record], Sequence[Any]], check: str, detail: str, *, across: bool
) -> Iterator[Defect]:
    """Each record that has a key in common with an earlier one.

    Args:
        keys: of a record
        check: what a repetition is called
        detail: said of it
        across: whether the earlier one must be of another split
    """
    seen: dict[Any, dict[str, Record]] = {}  # the first record of each split that has the key
    for record in records:
        for key in keys(record):
            owners = seen.setdefault(key, {})
            other = next((o for split, o in owners.items() if not across or split != record.split), None)
            if other is not None:
                yield pair(check, record, other, detail)
            owners.setdefault(record.split, record)


def pair(check: str, record: Record, other: Record, detail: str) -> Defect:
    """A defect of two examples."""
    return Defect(
        check=check,
        split=record.split,
        example=record.name,
        detail=detail,
        other=other.name,
        other_split=other.split,
    )


def repeated_names(records: Sequence[Record]) -> Iterator[Defect]:
    """Names that are given twice."""
    return repeats(records, lambda r: [r.name], "repeated_name", "has the name of another example", across=False)


def same_images(records: Sequence[Record]) -> Iterator[Defect]:
    """Images that are equal in every pixel."""
    return repeats(records, lambda r: [r.image], "same_image", "is the same image, pixel for pixel", across=False)


def alike_images(records: Sequence[Record]) -> Iterator[Defect]:
    """Images that are nearly the same, though not in every pixel."""
    for index, other, like in alike([record.coarse for record in records]):
        if records[index].image != records[other].image:
            detail = f"is nearly the same image (correlation {like:.3f})"
            yield pair("alike_image", records[index], records[other], detail)


def shared_curves(records: Sequence[Record]) -> Iterator[Defect]:
    """Curves that run in two splits."""
    return repeats(records, lambda r: r.curves, "shared_curve", "has a curve of another split", across=True)


def leaking_wells(records: Sequence[Record]) -> Iterator[Defect]:
    """Wells that have examples in two splits; each is named once for each split that it leaks into."""
    firsts: Mapping[tuple[str, str], Record] = {}
    for record in records:
        if record.well is not None:
            firsts.setdefault((well_key(record.well), record.split), record)
    return repeats(
        list(firsts.values()),
        lambda r: [well_key(r.well or "")],
        "leaking_well",
        "is of a well that another split has too",
        across=True,
    )


def summary(found: Examination) -> dict[str, Any]:
    """The figures and defects as plain values."""
    counted = Counter(defect.check for defect in found.defects)
    return {
        "splits": {name: ward_figures(ward) for name, ward in found.wards.items()},
        "checks": {check: counted[check] for check in CHECKS},
        "defects": [asdict(defect) for defect in found.defects],
    }


def ward_figures(ward: Ward) -> dict[str, Any]:
    """The figures of a split; of one without a readable example, the counts only."""
    offset = list(offset_px(np.asarray(ward.contrast))) if ward.mapped else None
    known = {"examples": 0} if ward.total is None else figures(ward.total)
    return {**known, "unreadable": ward.unreadable, "label_offset_px": offset}
