"""Labels drawn from LAS files lie on the ink, given labels come through, and what cannot be used is named."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from las_files import write_las
from PIL import Image
from scan_files import (
    LEFT_PX,
    ROWS,
    SCALES,
    SHARES,
    STEP_FT,
    TOP_FT,
    TRACK_PX,
    Drawn,
    calibration,
    drawn_track,
    write_log,
)

from veerjax.data.example import Example
from veerjax.data.scans.source import ScanSource, folder_source
from veerjax.errors import InputError
from veerjax.labels import label_of
from veerjax.logs.tables import pixel_columns, write_pixels_csv
from veerjax.logs.units import factor_between
from veerjax.logs.working import rescaled, rescaled_mask

LOG_SCALES = {
    "ILD": {"class": 1, "unit": "OHMM", "left": 0.2, "right": 2000, "scale": "log"},
    "ILM": {"class": 2, "unit": "OHMM", "left": 0.2, "right": 2000, "scale": "log"},
}
REVERSED_SCALES = {
    "DT": {"class": 1, "unit": "US/F", "left": 140, "right": 40},
    "NPHI": {"class": 2, "unit": "V/V", "left": 0.45, "right": -0.15},
}


def source_of(folder: Path, *, height: int = ROWS, width: int = TRACK_PX, **options) -> ScanSource:
    return folder_source(folder, height=height, width=width, **options)


def examples_of(source: ScanSource) -> list[Example]:
    return [
        example
        for split, chunks in source.chunks().items()
        for chunk in chunks
        for example in source.make(split, chunk)
    ]


def named(scales: dict) -> dict:
    return dict(zip(scales, SHARES.values(), strict=True))


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


def check_on_ink(example: Example, truth: Drawn) -> None:
    """The drawn label is that which the scan was drawn with."""
    np.testing.assert_array_equal(example.presence, truth.presence)
    for curve in range(2):
        there = truth.presence[curve]
        error = np.abs(example.centreline[curve] - truth.centreline[curve])[there]
        assert np.median(error) < 0.5
        assert np.percentile(error, 95) < 1
        assert iou(example.strokes[curve], truth.strokes[curve]) > 0.9


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"unit": "ft", "las_unit": "M"},
        {"unit": "m", "las_unit": "F"},
        {"descending": True},
        {"upwards": True},
        {"scales": LOG_SCALES, "shares": named(LOG_SCALES)},
        {"scales": REVERSED_SCALES, "shares": named(REVERSED_SCALES)},
    ],
    ids=["feet", "las in metres", "calibration in metres", "descending las", "upwards scan", "log", "reversed"],
)
def test_drawn_labels_lie_on_the_ink(options: dict, tmp_path: Path) -> None:
    truth = write_log(tmp_path, seed=8, **options)
    (example,) = examples_of(source_of(tmp_path))
    check_on_ink(example, truth)
    np.testing.assert_array_equal(example.image, truth.image[:, LEFT_PX:-LEFT_PX])
    np.testing.assert_array_equal(example.label, label_of(example.strokes))
    depths = [TOP_FT, TOP_FT + ROWS / 2]
    depths = depths[::-1] if options.get("upwards") else depths
    assert [example.metadata["depth_top_ft"], example.metadata["depth_bottom_ft"]] == pytest.approx(depths)


def test_wrapped_las_files_are_read(tmp_path: Path) -> None:
    truth = write_log(tmp_path, seed=8)
    path = tmp_path / "a.las"
    head, table = path.read_text().replace("WRAP. NO", "WRAP. YES").split("~Ascii\n")
    rows = [line.split() for line in table.splitlines()]
    path.write_text(head + "~Ascii\n" + "".join(f"{depth}\n{' '.join(others)}\n" for depth, *others in rows))
    (example,) = examples_of(source_of(tmp_path))
    check_on_ink(example, truth)


def test_long_null_stretches_are_absent(tmp_path: Path) -> None:
    truth = write_log(tmp_path, seed=8, known=lambda ft: (ft < TOP_FT + 40) | (ft > TOP_FT + 110))
    (example,) = examples_of(source_of(tmp_path))
    assert not truth.presence[:, 80:220].any()
    assert not example.presence[:, 81:220].any()
    assert not example.strokes[:, 90:210].any()
    same = np.r_[0:78, 222:ROWS]
    assert example.presence[:, same].all()
    assert np.median(np.abs(example.centreline - truth.centreline)[:, same]) < 0.5


def test_windows_in_which_the_las_file_says_nothing_are_left_out(tmp_path: Path) -> None:
    write_log(tmp_path, known=lambda ft: (ft < TOP_FT + 30) | (ft > TOP_FT + 130))
    keys = [example.key for example in examples_of(source_of(tmp_path, height=64))]
    assert keys == ["folder/a/track1/00000", "folder/a/track1/00004"]


def test_off_scale_values_are_absent_and_not_wrapped(tmp_path: Path) -> None:
    shares = SHARES | {"GR": lambda ft: 0.5 + (ft - TOP_FT - 80) / 100}
    truth = write_log(tmp_path, shares=shares, seed=8)
    (example,) = examples_of(source_of(tmp_path))
    np.testing.assert_array_equal(example.presence[0], truth.presence[0])
    assert 0 < example.presence[0].sum() < ROWS
    assert not example.strokes[0, :50].any()


@pytest.mark.parametrize("width", [64, 192])
def test_image_strokes_and_centrelines_are_rescaled_alike(width: int, tmp_path: Path) -> None:
    truth = write_log(tmp_path, seed=8)
    rows = ROWS * width // TRACK_PX
    (example,) = examples_of(source_of(tmp_path, height=rows, width=width))
    assert example.image.shape == (rows, width)
    assert example.strokes.shape == (2, rows, width)
    at = (np.arange(rows) + 0.5) * ROWS / rows
    for curve in range(2):
        wanted = np.interp(at, np.arange(ROWS) + 0.5, truth.centreline[curve]) * width / TRACK_PX
        assert np.median(np.abs(example.centreline[curve] - wanted)) < 0.5
        assert iou(example.strokes[curve], rescaled_mask(truth.strokes[curve], width)) > 0.7
    track = truth.image[:, LEFT_PX:-LEFT_PX].astype(np.float32) / 255
    np.testing.assert_array_equal(example.image, np.rint(rescaled(track, width) * 255))


def test_a_declared_stroke_is_drawn_as_broad_as_that(tmp_path: Path) -> None:
    write_log(tmp_path)
    (example,) = examples_of(source_of(tmp_path, stroke_px=7))
    assert example.metadata["stroke_px"] == (7, 7)
    assert np.median(example.strokes[0].sum(1)) >= 7
    with pytest.raises(InputError, match="the strokes are 0 px wide; the width must be above 0"):
        source_of(tmp_path, stroke_px=0)


def test_measured_strokes_are_those_drawn(tmp_path: Path) -> None:
    for seed in (0, 8, 10):
        write_log(tmp_path, f"s{seed}", seed=seed)
        truth = drawn_track(seed=seed)
        example = next(e for e in examples_of(source_of(tmp_path)) if e.metadata["file"] == f"s{seed}.png")
        for curve in range(2):
            arc = np.hypot(np.diff(truth.centreline[curve]), 1).sum()
            assert example.metadata["stroke_px"][curve] == pytest.approx(truth.strokes[curve].sum() / arc, rel=0.15)


def test_windows_cover_every_row_and_the_last_one_overlaps(tmp_path: Path) -> None:
    truth = write_log(tmp_path)
    height = 150
    examples = examples_of(source_of(tmp_path, height=height))
    assert [example.key[-5:] for example in examples] == ["00000", "00001", "00002"]
    whole = truth.image[:, LEFT_PX:-LEFT_PX]
    for example, start in zip(examples, (0, 150, ROWS - 150), strict=True):
        np.testing.assert_array_equal(example.image, whole[start : start + height])
        assert example.metadata["row_px"] == start
        assert np.median(np.abs(example.centreline - truth.centreline[:, start : start + height])) < 0.5


def test_a_short_strip_is_continued_by_paper_that_holds_nothing(tmp_path: Path) -> None:
    truth = write_log(tmp_path)
    (example,) = examples_of(source_of(tmp_path, height=ROWS + 50))
    assert len(np.unique(example.image[ROWS:])) == 1
    assert example.image[ROWS, 0] == np.median(truth.image[:, LEFT_PX:-LEFT_PX])
    assert not example.presence[:, ROWS:].any()
    assert not example.strokes[:, ROWS:].any()


def given_pair(folder: Path, name: str = "a", *, seed: int = 8, table: bool = False) -> Drawn:
    """A scan of one track with its label, and its table."""
    truth = drawn_track(seed=seed)
    Image.fromarray(truth.image[:, LEFT_PX:-LEFT_PX]).save(folder / f"{name}.png")
    Image.fromarray(label_of(truth.strokes)).save(folder / f"{name}.label.png")
    if table:
        x = truth.centreline.astype(np.float64)
        columns = pixel_columns(x, x, x, confidence=np.ones_like(x), presence=truth.presence)
        write_pixels_csv(folder / f"{name}.pixels.csv", columns)
    return truth


@pytest.mark.parametrize("table", [True, False], ids=["table", "traced"])
def test_given_labels_come_through(table: bool, tmp_path: Path) -> None:
    truth = given_pair(tmp_path, table=table)
    (example,) = examples_of(source_of(tmp_path))
    np.testing.assert_array_equal(example.label, label_of(truth.strokes))
    np.testing.assert_array_equal(example.strokes[0], truth.strokes[0])
    both = example.presence & truth.presence
    assert both.mean() > 0.98
    error = np.abs(example.centreline - truth.centreline)[both]
    assert np.median(error) < (0.01 if table else 0.5)
    assert (example.metadata["truth"], example.metadata["well"]) == ("given", None)
    assert example.metadata["depth_top_ft"] is None


def test_a_label_with_a_calibration_is_cut_into_its_tracks(tmp_path: Path) -> None:
    truth = drawn_track(seed=8)
    label = np.zeros_like(truth.image)
    label[:, LEFT_PX:-LEFT_PX] = label_of(truth.strokes)
    Image.fromarray(np.tile(truth.image, (1, 2))).save(tmp_path / "a.png")
    Image.fromarray(np.tile(label, (1, 2))).save(tmp_path / "a.label.png")
    second = LEFT_PX + truth.image.shape[1]
    scales = {"C" + name: scale for name, scale in SCALES.items()}
    two = calibration() + calibration(scales, left_px=second, right_px=second + TRACK_PX).split("]]\n", 1)[1]
    (tmp_path / "a.toml").write_text(two)
    first, other = examples_of(source_of(tmp_path))
    assert [first.key, other.key] == ["folder/a/track1/00000", "folder/a/track2/00000"]
    np.testing.assert_array_equal(first.label, label_of(truth.strokes))
    np.testing.assert_array_equal(first.label, other.label)
    assert [curve["mnemonic"] for curve in other.metadata["curves"]] == ["CGR", "CCALI"]


def test_thin_strokes_survive_shrinking() -> None:
    mask = np.zeros((400, 400), bool)
    mask[np.arange(400), (100 + np.arange(400) * 0.37).astype(int)] = True
    mask[200, :] = True
    small = rescaled_mask(mask, 100)
    assert small.any(axis=1).all()
    assert small.any(axis=0).all()
    assert np.median(small.sum(axis=1)) <= 2


def test_windows_of_a_well_and_of_a_scan_stay_in_one_split(tmp_path: Path) -> None:
    for number, well in enumerate(["A 1", "a  1", "B 2", "C 3"]):
        write_log(tmp_path, f"log{number}", well=well)
    for number in range(3):
        given_pair(tmp_path, f"scan{number}")
    source = source_of(tmp_path, height=64)
    examples = examples_of(source)
    assert len({example.key for example in examples}) == len(examples)
    splits: dict[str, set[str]] = {}
    for example in examples:
        well = example.metadata["well"]
        origin = example.metadata["file"] if well is None else " ".join(well.upper().split())
        splits.setdefault(origin, set()).add(example.metadata["split"])
    assert all(len(found) == 1 for found in splits.values())
    assert set.union(*splits.values()) == {"train", "validation", "test"}


def test_a_source_pickles_and_makes_the_same_in_any_order(tmp_path: Path) -> None:
    write_log(tmp_path)
    given_pair(tmp_path, "b")
    source = source_of(tmp_path, height=64)
    again = pickle.loads(pickle.dumps(source))
    assert again == source
    tasks = [(split, chunk) for split, chunks in source.chunks().items() for chunk in chunks]
    first = {e.key: e for split, chunk in tasks for e in source.make(split, chunk)}
    second = {e.key: e for split, chunk in tasks[::-1] for e in again.make(split, chunk)}
    assert first.keys() == second.keys()
    for key, example in first.items():
        np.testing.assert_array_equal(example.image, second[key].image)
        np.testing.assert_array_equal(example.strokes, second[key].strokes)
        np.testing.assert_array_equal(example.centreline, second[key].centreline)
        assert example.metadata == second[key].metadata


def test_metadata_counts_files_by_what_they_hold(tmp_path: Path) -> None:
    folders = [tmp_path / "here", tmp_path / "there"]
    for folder in folders:
        folder.mkdir()
        write_log(folder)
    here, there = (source_of(folder).as_metadata() for folder in folders)
    assert here == there == json.loads(json.dumps(here))
    assert here["files"].keys() == {"a.png", "a.las", "a.toml"}
    (folders[1] / "a.toml").write_text((folders[1] / "a.toml").read_text() + "\n")
    assert source_of(folders[1]).as_metadata() != here


def test_a_scan_is_decoded_once_to_check_and_once_to_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_log(tmp_path)
    read, reads = __import__("veerjax.data.scans.opened", fromlist=["read_scan"]).read_scan, []
    monkeypatch.setattr(
        "veerjax.data.scans.opened.read_scan", lambda path, **options: reads.append(path) or read(path, **options)
    )
    monkeypatch.setattr("veerjax.data.scans.source.CHUNK_WINDOWS", 1)
    assert len(examples_of(source_of(tmp_path, height=64))) == 5
    assert len(reads) == 2


def lone_scan(folder: Path) -> None:
    Image.fromarray(np.full((64, 48), 255, np.uint8)).save(folder / "b.png")


def label_without_scan(folder: Path) -> None:
    Image.fromarray(np.zeros((64, 48), np.uint8)).save(folder / "b.label.png")


def half_a_partner(folder: Path) -> None:
    lone_scan(folder)
    (folder / "b.toml").write_text(calibration())


def label_of_class_7(folder: Path) -> None:
    lone_scan(folder)
    Image.fromarray(np.full((64, 48), 7, np.uint8)).save(folder / "b.label.png")


def label_of_another_size(folder: Path) -> None:
    lone_scan(folder)
    Image.fromarray(np.zeros((64, 40), np.uint8)).save(folder / "b.label.png")


def no_such_curve(folder: Path) -> None:
    write_log(folder, "b")
    write_las(folder / "b.las", well="B", depth=np.arange(5000.0, 5100), curves={"DT": np.ones(100)})


def only_nulls(folder: Path) -> None:
    write_log(folder, "b")
    write_las(folder / "b.las", well="B", depth=np.arange(5000.0, 5100), curves={"GR": np.full(100, np.nan)})


def one_row(folder: Path) -> None:
    write_log(folder, "b")
    lines = (folder / "b.las").read_text().splitlines()
    (folder / "b.las").write_text("\n".join(lines[: lines.index("~Ascii") + 2]) + "\n")


def other_units(folder: Path) -> None:
    write_log(folder, "b", units={"GR": "CPS", "CALI": "IN"})


def other_depths(folder: Path) -> None:
    write_log(folder, "b")
    depth = 9000 + np.arange(200) * STEP_FT
    write_las(folder / "b.las", well="B", depth=depth, curves={"GR": np.full(200, 50.0)}, units={"GR": "GAPI"})


def track_outside(folder: Path) -> None:
    write_log(folder, "b")
    (folder / "b.toml").write_text(calibration(right_px=2 * LEFT_PX + TRACK_PX + 1))


def sections(folder: Path) -> None:
    write_log(folder, "b")
    text = calibration().replace("[[track", "[[section.track").replace("[depth]", "[[section]]\n[section.depth]")
    (folder / "b.toml").write_text(text.replace("[section.depth]", f"rows = [0, {ROWS - 1}]\n[section.depth]"))


def two_of_a_class(folder: Path) -> None:
    write_log(folder, "b")
    text = calibration().replace("class = 2", "class = 1")
    (folder / "b.toml").write_text(text.replace("class = 1", f"class = 1\nseeds = [[5, {LEFT_PX + 5}]]"))


def truncated_scan(folder: Path) -> None:
    write_log(folder, "b")
    content = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(content[: len(content) // 2])


REFUSALS = {
    lone_scan: r"b\.png has no partner beside it; write b\.label\.png, or b\.las and b\.toml",
    label_without_scan: r"b\.label\.png has no scan beside it; put b\.png there",
    half_a_partner: r"b\.png has only half of a partner beside it; write b\.las",
    label_of_class_7: r"b\.label\.png holds the class 7",
    label_of_another_size: r"b\.png is 48 x 64 px and its label 40 x 64",
    no_such_curve: r"b\.las has no curve GR or CALI, which b\.toml declares; it has DT",
    only_nulls: r"b\.las has only NULLs in GR",
    one_row: r"b\.las has 1 row\(s\) with a depth",
    other_units: r"b\.las and its calibration give GR in different units: CPS does not convert to GAPI",
    other_depths: r"b\.las has no value on a scale of b\.toml at the depths that b\.png shows",
    track_outside: r"the track from 24 to 177 px in .*b\.toml is not inside the scan .*b\.png, which is 176 px wide",
    sections: r"the calibration .*b\.toml has sections; truth is made of scans that are one section: cut the scan",
    two_of_a_class: r"the calibration .*b\.toml has two curves of one class in a track",
    truncated_scan: r"b\.png cannot be read as an image",
}


@pytest.mark.parametrize("spoil", REFUSALS, ids=lambda spoil: spoil.__name__)
def test_what_cannot_be_used_is_named_and_the_rest_is_kept(spoil, tmp_path: Path) -> None:
    write_log(tmp_path)
    spoil(tmp_path)
    with pytest.raises(InputError, match=REFUSALS[spoil]):
        source_of(tmp_path)
    source = source_of(tmp_path, keep_going=True)
    (sentence,) = source.refused
    with pytest.raises(InputError, match=REFUSALS[spoil]):
        raise InputError(sentence)
    assert [example.key for example in examples_of(source)] == ["folder/a/track1/00000"]


def test_a_folder_of_which_nothing_can_be_used_is_refused_however(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no scan; a scan NAME\.png needs"):
        source_of(tmp_path)
    lone_scan(tmp_path)
    with pytest.raises(InputError, match=r"no scan in .* can be used: .*b\.png has no partner"):
        source_of(tmp_path, keep_going=True)
    with pytest.raises(InputError, match="there is no folder"):
        source_of(tmp_path / "nowhere")


def test_units_convert_within_their_family_and_not_beyond() -> None:
    assert factor_between("mm", "IN") == pytest.approx(1 / 25.4)
    assert factor_between("US/FT", "US/M") == pytest.approx(1 / 0.3048)
    assert factor_between("G/CC", "g/c3") == factor_between("", "OHMM") == 1
    with pytest.raises(InputError, match="OHMM does not convert to GAPI"):
        factor_between("OHMM", "GAPI")


def test_bands_are_rescaled_as_the_whole_is(monkeypatch: pytest.MonkeyPatch) -> None:
    crop = np.random.default_rng(0).random((150, 90), np.float32)
    for width, resample in ((40, Image.Resampling.BOX), (130, Image.Resampling.BICUBIC)):
        whole = Image.fromarray(crop).resize((width, round(150 * width / 90)), resample)
        monkeypatch.setattr("veerjax.logs.working.BAND_ROWS", 32)
        np.testing.assert_array_equal(rescaled(crop, width), np.clip(np.asarray(whole), 0, 1))
