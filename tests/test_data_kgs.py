"""A manifest says which files belong together; its wells and splits are kept, and wrong rows are named."""

from pathlib import Path

import numpy as np
import pytest
from scan_files import ROWS, TRACK_PX, write_log

from veerjax.data.scans.source import ScanSource, kgs_source
from veerjax.errors import InputError

HEADER = "scan,las,calibration"


def kgs(folder: Path, *rows: str, header: str = HEADER, **options) -> ScanSource:
    (folder / "manifest.csv").write_text("\n".join([header, *rows]) + "\n")
    return kgs_source(folder, height=ROWS, width=TRACK_PX, **options)


def files(folder: Path, *names: str) -> None:
    (folder / "scans").mkdir()
    for name in names:
        write_log(folder / "scans", name, seed=8, well=name.upper())


def row(name: str) -> str:
    return f"scans/{name}.png,scans/{name}.las,scans/{name}.toml"


def test_rows_become_examples_of_their_wells(tmp_path: Path) -> None:
    files(tmp_path, "a", "b", "c")
    source = kgs(tmp_path, row("a"), row("b"), row("c"))
    examples = [e for split, chunks in source.chunks().items() for chunk in chunks for e in source.make(split, chunk)]
    assert {example.key for example in examples} == {f"kgs/scans/{name}/track1/00000" for name in "abc"}
    assert {example.metadata["well"] for example in examples} == {"A", "B", "C"}
    assert {example.metadata["split"] for example in examples} == {"train", "validation", "test"}
    assert all(np.any(example.label > 0) for example in examples)
    assert source.as_metadata()["files"].keys() == {f"scans/{n}.{e}" for n in "abc" for e in ("png", "las", "toml")}


def test_rows_may_share_a_las_file_and_then_share_its_split(tmp_path: Path) -> None:
    files(tmp_path, "a", "b", "c")
    source = kgs(tmp_path, row("a"), "scans/b.png,scans/a.las,scans/b.toml", row("c"))
    assert source.splits.keys() == {"A", "C"}
    assert sum(len(chunks) for chunks in source.chunks().values()) == 3


def test_the_splits_of_a_manifest_win_and_hold_for_the_whole_well(tmp_path: Path) -> None:
    files(tmp_path, "a", "b")
    header = f"{HEADER},split,well"
    source = kgs(tmp_path, f"{row('a')},validation,W 1", f"{row('b')},,w  1", header=header)
    assert source.splits == {"W 1": "validation"}
    with pytest.raises(InputError, match=r"a\.png and .*b\.png are of the well W 1, but one is for test and the other"):
        kgs(tmp_path, f"{row('a')},test,W 1", f"{row('b')},train,W 1", header=header)


def test_a_manifest_may_lie_elsewhere(tmp_path: Path) -> None:
    files(tmp_path, "a")
    (tmp_path / "scans" / "mine.csv").write_text(f"{HEADER}\na.png,a.las,a.toml\n")
    source = kgs_source(tmp_path, manifest=tmp_path / "scans" / "mine.csv", height=ROWS, width=TRACK_PX)
    assert [strip.log.name for strip in source.strips] == ["a"]


@pytest.mark.parametrize(
    ("header", "match"),
    [
        ("scan,las,calibraton", r"manifest\.csv, row 1 has the column 'calibraton' \(did you mean 'calibration'\?\)"),
        ("scan,las", r"manifest\.csv, row 1 lacks the column calibration"),
        ("scan,scan,las,calibration", r"manifest\.csv, row 1 has the column 'scan' twice"),
    ],
)
def test_other_columns_are_refused_even_when_going_on(header: str, match: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=match):
        kgs(tmp_path, row("a"), header=header, keep_going=True)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ("scans/no.png,scans/a.las,scans/a.toml,,", r"row 3 names the scan 'scans/no\.png', which is not there"),
        ("scans/b.png,scans/no.las,scans/b.toml,,", r"row 3 names the las 'scans/no\.las', which is not there"),
        ("scans/b.png,,scans/b.toml,,", r"row 3 has no las; write the path"),
        ("scans/../scans/a.png,scans/a.las,scans/a.toml,,", r"row 3 repeats the scan .* of row 2"),
        ("scans/b.png,scans/b.las", r"row 3 has another number of cells than row 1"),
        (f"{row('b')},,tset", r"row 3 has the split 'tset' \(did you mean 'test'\?\)"),
        ("scans/b.png,scans/a.las,scans/b.toml,B,", r"row 3 gives scans/a\.las to the well B, and row 2 to A"),
    ],
)
def test_wrong_rows_are_named_and_the_rest_is_kept(wrong: str, match: str, tmp_path: Path) -> None:
    files(tmp_path, "a", "b")
    header, rows = f"{HEADER},well,split", (f"{row('a')},A,", wrong)
    with pytest.raises(InputError, match=rf"manifest\.csv, {match}"):
        kgs(tmp_path, *rows, header=header)
    source = kgs(tmp_path, *rows, header=header, keep_going=True)
    assert len(source.refused) == 1
    assert [strip.log.name for strip in source.strips] == ["scans/a"]


def test_a_missing_or_empty_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"there is no manifest .*manifest\.csv'; write a CSV with the columns scan,las"
    ):
        kgs_source(tmp_path, height=ROWS, width=TRACK_PX)
    with pytest.raises(InputError, match=r"manifest\.csv has no row"):
        kgs(tmp_path)
