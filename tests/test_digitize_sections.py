"""`veerjax digitize` with a calibration of sections: its files, what they say, and that they can be redone."""

import csv
import hashlib
import json

import lascheck
import lasio
import numpy as np
import pytest
from PIL import Image
from planted import ROWS, SIZE, PlantedReader, traced

from veerjax.cli import main
from veerjax.jobs.ink import count_ink
from veerjax.jobs.values import curve_rows
from veerjax.logs.calibration import read_calibration
from veerjax.logs.las import read_las
from veerjax.logs.resample import regular_index, resample
from veerjax.tracing.joint import Crossing

HEIGHT, WIDTH = SIZE
CALIBRATION = """
[well]
WELL = "A 1"
EKB = "1234.5"
[[section]]
rows = [0, 299]
depth = { unit = "m", anchors = [[0, 1000], [120, 1011], [300, 1027]] }
[[section.track]]
left_px = 0.25
right_px = 255.5
[[section.track.curve]]
class = 1
mnemonic = "GR"
unit = "GAPI"
left = 0
right = 150
backup = { left = 150, right = 300 }
colour = "green"
[[section.track.curve]]
class = 2
mnemonic = "RT"
unit = "OHMM"
left = 0.2
right = 20
scale = "log"
wrap = true
[[section.track.curve]]
class = 2
mnemonic = "CALI"
unit = "IN"
left = 16
right = 6
seeds = [[5, 90]]
[[section]]
rows = [300, 319]
role = "ignore"
[[section]]
rows = [320, 619]
role = "repeat"
depth = { unit = "m", anchors = [[320, 1000], [620, 1027]] }
[[section.track]]
left_px = 0
right_px = 256
[[section.track.curve]]
class = 1
mnemonic = "GR"
unit = "GAPI"
left = 0
right = 150
""".replace('mnemonic = "RT"', 'mnemonic = "RT"\nseeds = [[5, 150]]')
WRAP = np.where(ROWS > 200, 1, 0)
CROSSINGS = (
    Crossing(row=50.0, curves=(0, 1), kept=True, margin=4.5),
    Crossing(row=120.0, curves=(1, 2), kept=False, margin=0.25),
)
MAIN = traced(
    100 + 40 * np.sin(ROWS / 17),
    np.linspace(150, 200, HEIGHT),
    np.where(ROWS % 50 < 10, 255.0, 90.0),
    wrap=np.stack([WRAP, WRAP, 0 * WRAP]),
    presence=np.stack([ROWS != 77, ROWS < 250, ROWS >= 0]),
    occluded=np.stack([0 * ROWS, ROWS == 30, 0 * ROWS]),
    crossings=CROSSINGS,
)
REPEAT = traced(90.0)


@pytest.fixture
def strip(tmp_path, monkeypatch):
    """Digitises a drawn strip of planted curves; returns the folder of files, the code and the reader."""
    image = np.full((2 * HEIGHT + 20, WIDTH), 255, np.uint8)
    for top, found in ((0, MAIN), (HEIGHT + 20, REPEAT)):
        for x, there in zip(found.x, found.presence, strict=True):
            image[top + ROWS[there], np.clip(x[there], 1, WIDTH - 2).astype(int)] = 0
    Image.fromarray(image).save(tmp_path / "strip.png")
    (tmp_path / "strip.toml").write_text(CALIBRATION)

    def digitise(*options, plants=(MAIN, REPEAT), calibration=CALIBRATION, scans=("strip.png",)):
        (tmp_path / "strip.toml").write_text(calibration)
        monkeypatch.setattr("veerjax.jobs.digitize.ClassicalReader", lambda: PlantedReader(*plants))
        out = tmp_path / "out"
        command = ["digitize", *(str(tmp_path / name) for name in scans), "--out", str(out), "--tracer", "classical"]
        return out, main([*command, "--calibration", str(tmp_path / "strip.toml"), *options])

    return digitise


def summary(out):
    return json.loads((out / "summary.json").read_text())["scans"]


def table(path):
    with path.open(newline="") as file:
        return {
            name: np.array([float(value or "nan") for value in column])
            for name, *column in zip(*csv.reader(file), strict=True)
        }


def test_each_role_and_track_has_its_files(strip):
    out, code = strip("--extras", "all")
    assert code == 0
    main_files = {f"strip.{end}" for end in ("las", "csv", "json", "crossings.json", "pixels.csv", "overlay.png")}
    assert {path.name for path in out.iterdir()} == main_files | {
        "strip.repeat.las", "strip.repeat.csv", "strip.section3.pixels.csv", "summary.json",
    }  # fmt: skip
    pixels, repeat = table(out / "strip.pixels.csv"), table(out / "strip.section3.pixels.csv")
    assert pixels["row_px"][[0, -1]].tolist() == [0.5, 299.5]
    assert repeat["row_px"][[0, -1]].tolist() == [320.5, 619.5]
    np.testing.assert_allclose(pixels["curve_1_px"][:5], np.round(MAIN.x[0, :5], 2))
    np.testing.assert_allclose(pixels["curve_3_px"][10:15], 90)
    assert pixels["wrap_2"][[0, 240]].tolist() == [0, 1]
    assert (pixels["occluded_2"][30], np.nansum(pixels["occluded_2"])) == (1, 1)
    assert np.isnan(repeat["curve_2_px"]).all()


def test_las_files_conform_and_end_on_a_whole_step(strip):
    out, _ = strip("--extras", "all")
    for name, curves in (("strip.las", 3), ("strip.repeat.las", 1)):
        checked = lascheck.read(str(out / name))
        assert checked.check_conformity(), checked.get_non_conformities()
        las = lasio.read(out / name)
        assert len(las.curves) == 1 + 7 * curves
        start, stop, step = (las.well[key].value for key in ("STRT", "STOP", "STEP"))
        assert round(start + (len(las.index) - 1) * step, 6) == stop
        assert round(start / step) * step == pytest.approx(start, abs=1e-9)
        assert las.params["EKB"].value == 1234.5
        assert las.well["WELL"].value == "A 1"


def test_where_a_reading_comes_from_is_said_without_a_path(strip, tmp_path):
    out, _ = strip("--extras", "clip", "--step", "0.2")
    told, said = lasio.read(out / "strip.las").other, json.loads((out / "strip.json").read_text())["provenance"]
    assert f"scan sha256: {hashlib.sha256((tmp_path / 'strip.png').read_bytes()).hexdigest()}" in told
    assert said["calibration sha256"] == hashlib.sha256(CALIBRATION.encode()).hexdigest()
    assert said["command"] == (
        "veerjax digitize strip.png --calibration strip.toml --tracer classical --step 0.2 --extras clip"
    )
    for path in out.iterdir():
        assert str(tmp_path).encode() not in path.read_bytes(), path


def redone(entry, pixels, left, right):
    """The values of a curve from its pixel table, as the sidecar says in words."""
    x, wrap = pixels[f"curve_{entry['column']}_px"], pixels[f"wrap_{entry['column']}"]
    s = (x - left) / (right - left)
    ends = np.stack([np.full_like(x, entry["left"]), np.full_like(x, entry["right"])])
    clip = np.zeros(len(x), bool)
    if entry["wrap"]:
        s = s + wrap
    elif entry["backup"]:
        ends = np.where(wrap == 0, ends, np.array([[entry["backup"]["left"]], [entry["backup"]["right"]]]))
        clip = np.abs(wrap) > 1
    else:
        clip = (s <= 0.004) | (s >= 1 - 0.004)
    if entry["scale"] == "log":
        value = 10 ** (np.log10(ends[0]) + s * (np.log10(ends[1]) - np.log10(ends[0])))
    else:
        value = ends[0] + s * (ends[1] - ends[0])
    return np.where(clip, np.nan, value), clip


def test_values_are_redone_from_the_pixel_table_and_the_sidecar(strip, tmp_path):
    out, _ = strip()
    sidecar = json.loads((out / "strip.json").read_text())
    assert sidecar["thresholds"]["clip_share"] == 0.004
    calibration = read_calibration(tmp_path / "strip.toml")
    image = np.asarray(Image.open(tmp_path / "strip.png"))
    tracks = PlantedReader(MAIN, REPEAT).digitize(image, calibration)
    entries = [
        (section, track)
        for section in sidecar["sections"]
        for track in section["tracks"]
    ]  # fmt: skip
    assert len(entries) == 2
    for found, (section, track) in zip(tracks, entries, strict=True):
        pixels = table(out / track["pixels"])
        rows, depths = np.array(section["depth"]["anchors"]).T
        depth = np.interp(pixels["row_px"], rows, depths)
        log = sidecar["logs"][section["role"]]
        las = read_las(out / log["file"])
        index = regular_index(log["start"], log["stop"], log["step"])
        np.testing.assert_array_equal(las.depth, index)
        for place, entry in enumerate(track["curves"]):
            value, clip = redone(entry, pixels, track["left_px"], track["right_px"])
            ours = curve_rows(found, place)
            np.testing.assert_allclose(value, ours.value, atol=1e-9, rtol=0, equal_nan=True)
            np.testing.assert_array_equal(clip, ours.off_scale)
            assert entry["rows"]["values"] == np.isfinite(value).sum()
            mean = resample(depth, value, index, log=entry["scale"] == "log", step=log["step"])
            written = las.curves[entry["mnemonic"]]
            known = np.isfinite(written)
            assert known.any()
            np.testing.assert_allclose(mean[known], written[known], atol=6e-5, rtol=5e-4)
            assert (np.isnan(mean[~known]) | clip.any()).all()


def test_undeclared_curves_are_exported_nowhere(strip):
    out, _ = strip()
    assert list(table(out / "strip.repeat.csv")) == ["DEPT", "GR"]
    assert [curve.mnemonic for curve in lasio.read(out / "strip.repeat.las").curves] == ["DEPT", "GR"]


def test_the_ledger_holds_both_hypotheses_of_each_meeting(strip):
    out, _ = strip()
    first, second = json.loads((out / "strip.crossings.json").read_text())["crossings"]
    assert (first["curves"], first["row_px"], first["depth"], first["unit"]) == (["GR", "RT"], 50, 1004.583, "m")
    assert first["hypotheses"][0] == {"name": "cross", "chosen": True, "cost_nats": 0.0}
    assert first["hypotheses"][1] == {"name": "touch and part", "chosen": False, "cost_nats": 4.5}
    assert (second["curves"], second["margin_nats"]) == (["RT", "CALI"], 0.25)
    assert second["hypotheses"][0]["name"] == "touch and part"


def test_the_summary_says_how_much_was_read_and_why_it_is_to_be_reviewed(strip, capsys):
    out, _ = strip()
    (line,) = summary(out)
    assert line["status"] == "review"
    assert line["reasons"] == ["1 of the 2 places where curves meet could be read either way"]
    assert line["notes"][0] == "the colour of GR is kept and not used: scans are read as grey"
    assert [note.partition(" was found")[0] for note in line["notes"][1:]] == [
        "of track 1 in section 1, no grid", "of track 1 in section 3, no grid",
    ]  # fmt: skip
    said = capsys.readouterr().err
    assert all(f"page 1: {text}." in said for text in (*line["reasons"], *line["notes"]))
    assert [(entry["section"], entry["mnemonic"]) for entry in line["curves"]] == [
        (1, "GR"), (1, "RT"), (1, "CALI"), (3, "GR"),
    ]  # fmt: skip
    assert line["curves"][1]["coverage"] == round(250 / 300, 4)
    assert line["curves"][2]["off_scale"] == 0.2
    assert [entry["sure"] for entry in line["curves"]] == [0, 0, 0, 0]  # .9 is not sure enough
    assert line["coverage_rows"] == [round((299 / 300 + 1) / 2, 4), round((250 / 300 + 1) / 2, 4)]
    assert line["crossings"] == 1
    assert line["ink_explained"] > 0.99


def test_an_impossible_unit_and_a_curve_hardly_read_are_reasons_to_review(strip):
    text = CALIBRATION.replace('"OHMM"', '"GAPI"')
    gaps = traced(*MAIN.x, wrap=MAIN.wrap, presence=np.stack([ROWS < 100, ROWS < 250, ROWS >= 0]))
    out, code = strip("--step", "0.05", plants=(gaps, REPEAT), calibration=text)
    assert code == 0
    reasons = summary(out)[0]["reasons"]
    assert "RT is declared in GAPI, and resistivity is measured in OHMM" in reasons
    assert "GR in section 1 was found on 33% of the rows" in reasons
    assert "the step 0.05 m is finer than a row of the scan, 0.0917" in reasons
    assert any("of the ink in track 1 of section 1" in reason for reason in reasons) is False


def test_a_curve_that_is_mostly_hidden_is_a_reason_to_review(strip):
    under = np.stack([ROWS < 0, ROWS < 160, ROWS < 140])  # of 250 and of 300 rows
    sure = np.where(ROWS < 60, 0.99, 0.9)
    half = traced(*MAIN.x, wrap=MAIN.wrap, presence=MAIN.presence, occluded=under, confidence=sure)
    out, _ = strip(plants=(half, REPEAT))
    line = summary(out)[0]
    said = [reason for reason in line["reasons"] if "hidden" in reason]
    assert said == ["RT in section 1 is hidden under another curve on 64% of the rows that it was read in"]
    assert [entry["sure"] for entry in line["curves"]] == [0.2, 0.2, 0.2, 0]
    assert [entry["hidden"] for entry in line["curves"][:3]] == [0, round(160 / 300, 4), round(140 / 300, 4)]


def test_a_scan_without_a_declared_curve_is_refused_and_has_no_las(strip, tmp_path, capsys):
    blank, none = traced(1.0, 1.0, 1.0, presence=False), traced(1.0, presence=False)
    out, code = strip(plants=(blank, none))
    assert code == 2
    said = capsys.readouterr().err.strip()
    assert said.splitlines()[-1].startswith("veerjax: strip: none of the declared curves (GR, RT, CALI) was found")
    assert summary(out)[0]["status"] == "refused"
    assert not {"strip.las", "strip.csv", "strip.json"} & {path.name for path in out.iterdir()}
    Image.open(tmp_path / "strip.png").save(tmp_path / "other.png")
    out, code = strip(plants=(blank, REPEAT, MAIN, REPEAT), scans=("strip.png", "other.png"))
    assert code == 1
    assert [line["status"] for line in summary(out)] == ["refused", "review"]


@pytest.mark.parametrize(
    ("calibration", "options", "sentence"),
    [
        (CALIBRATION.replace("[320, 619]", "[320, 620]"), (), "the rows 320 to 620, and the scan has 620, 0 to 619"),
        (CALIBRATION.replace("[[5, 90]]", "[[5, 255.6]]"), (), "a seed must lie on its track"),
        (CALIBRATION.replace("[320, 619]", "[310, 619]"), (), "overlap"),
        (CALIBRATION, ("--extras", "hi,low"), "--extras is 'low'"),
        (CALIBRATION.replace('"CALI"', '"GR_HI"'), ("--extras", "hi"), "makes the curve GR_HI, which is declared"),
        (CALIBRATION, ("--step", "40"), "hold no two multiples of the step 40"),
    ],
)
def test_a_contradiction_is_one_sentence_and_nothing_is_written(strip, capsys, calibration, options, sentence):
    out, code = strip(*options, calibration=calibration)
    assert code == 2
    said = capsys.readouterr().err.strip()
    assert sentence in said
    assert "\n" not in said
    assert not out.exists() or not list(out.iterdir())


def test_scans_whose_names_would_clash_with_other_files_are_refused(strip, tmp_path, capsys):
    for name, sentence in (("strip.repeat.png", "would write the same files"), ("summary.png", "summary.json")):
        Image.open(tmp_path / "strip.png").save(tmp_path / name)
        _, code = strip(scans=("strip.png", name))
        assert code == 2
        assert sentence in capsys.readouterr().err


def test_extras_without_a_calibration_are_refused(tmp_path, capsys):
    Image.fromarray(np.full((40, 40), 255, np.uint8)).save(tmp_path / "a.png")
    command = ["digitize", str(tmp_path / "a.png"), "--out", str(tmp_path / "out"), "--extras", "all"]
    assert main(command) == 2
    assert "give a --calibration with them" in capsys.readouterr().err


def test_ink_is_explained_by_curves_and_not_by_the_grid(tmp_path):
    (tmp_path / "c.toml").write_text(CALIBRATION.replace("left_px", "straighten = false\nleft_px"))
    calibration = read_calibration(tmp_path / "c.toml")
    image = np.full((2 * HEIGHT + 20, WIDTH), 240, np.uint8)
    image[:, ::25], image[::20] = 60, 60  # a grid
    for k in range(3):  # the second curve is not found
        x = MAIN.x[0].astype(int) + 50 * (k - 1)
        image[ROWS, x] = image[ROWS, x + 1] = 20
    tracks = PlantedReader(MAIN, REPEAT).digitize(image, calibration)
    blind = PlantedReader(traced(MAIN.x[0], 10.0, 10.0, presence=np.array([[1], [0], [0]]))).digitize(
        image, calibration
    )
    assert count_ink(image, blind[0]).share == pytest.approx(1 / 3, abs=0.03)
    assert count_ink(image, tracks[1]).share is None


def test_a_broken_grid_of_a_black_and_white_scan_is_no_ink(tmp_path):
    (tmp_path / "c.toml").write_text(CALIBRATION.replace("left_px", "straighten = false\nleft_px"))
    calibration = read_calibration(tmp_path / "c.toml")
    draw = np.random.default_rng(0)
    image = np.full((2 * HEIGHT + 20, WIDTH), 255, np.uint8)
    for share, edge in ((0.65, 0), (0.3, 1)):  # a line, and its ragged edge
        for part in (image[:, edge::25], image[edge::20]):
            part[draw.uniform(size=part.shape) < share] = 0
    x = [MAIN.x[0], np.full(HEIGHT, 30.0), MAIN.x[0] - 50]  # one of them lies beside a line all the way down
    for at in x:
        image[ROWS, at.astype(int)] = image[ROWS, at.astype(int) + 1] = 0
    seen = traced(*[at + 1 for at in x])
    assert count_ink(image, PlantedReader(seen).digitize(image, calibration)[0]).share > 0.9
    two = traced(*seen.x, presence=np.array([[1], [1], [0]]))
    assert count_ink(image, PlantedReader(two).digitize(image, calibration)[0]).share == pytest.approx(2 / 3, abs=0.05)


def test_a_page_held_as_bits_gives_what_its_grey_levels_give(strip, tmp_path):
    out, _ = strip()
    grey, table_of_grey = summary(out)[0], (out / "strip.pixels.csv").read_text()
    Image.open(tmp_path / "strip.png").convert("1").save(tmp_path / "strip.tif", compression="group4")
    out, _ = strip(scans=("strip.tif",))
    bits = summary(out)[0]
    assert {**bits, "seconds": 0} == {**grey, "seconds": 0}
    assert (out / "strip.pixels.csv").read_text() == table_of_grey
