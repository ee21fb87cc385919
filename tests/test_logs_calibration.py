"""Calibrations turn pixels into values and back, and say what is wrong with themselves."""

import dataclasses

import numpy as np
import pytest

from veerjax.errors import InputError
from veerjax.logs.calibration import Calibration, CurveScale, DepthScale, Section, read_calibration, whole_scan

GOOD = """
[depth]
unit = "ft"
anchors = [[100.5, 5000], [1100.5, 5100], [2120.5, 5200]]

[[track]]
left_px = 12
right_px = 212.5

[[track.curve]]
class = 1
mnemonic = "GR"
unit = "GAPI"
left = 0
right = 150
scale = "linear"

[[track.curve]]
class = 2
mnemonic = "RT"
unit = "ohm.m"
left = 0.2
right = 2000
scale = "log"

[well]
WELL = "University 6-7"
"""


@pytest.fixture
def calibration_file(tmp_path):
    def write(text):
        path = tmp_path / "strip.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_a_calibration_says_what_its_file_says(calibration_file):
    calibration = read_calibration(calibration_file(GOOD))
    (section,) = calibration.sections
    (track,) = section.tracks
    assert (section.role, section.rows) == ("main", None)
    assert section.depth_scale.unit == "ft"
    assert section.depth_scale.anchors == ((100.5, 5000.0), (1100.5, 5100.0), (2120.5, 5200.0))
    assert (track.left_px, track.right_px) == (12.0, 212.5)
    assert [curve.mnemonic for curve in track.curves] == ["GR", "RT"]
    assert [curve.curve_class for curve in track.curves] == [1, 2]
    assert [curve.scale for curve in track.curves] == ["linear", "log"]
    assert calibration.well == {"WELL": "University 6-7"}


def test_the_well_table_and_a_linear_scale_may_be_left_out(calibration_file):
    text = GOOD.partition("[well]")[0].replace('scale = "linear"\n', "")
    calibration = read_calibration(calibration_file(text))
    assert calibration.well == {}
    assert calibration.curves[0].scale == "linear"


def test_depth_passes_through_its_anchors_and_runs_on_beyond_them():
    scale = DepthScale(unit="ft", anchors=((100.5, 5000.0), (1100.5, 5100.0), (2120.5, 5200.0)))
    np.testing.assert_allclose(scale.depth([100.5, 600.5, 1100.5, 2120.5]), [5000, 5050, 5100, 5200])
    np.testing.assert_allclose(scale.depth([0.5, 3140.5]), [4990, 5300])
    assert scale.depth(600.5).shape == ()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_rows_and_depths_are_inverse(sign):
    scale = DepthScale(unit="m", anchors=((10.0, sign * 30.0), (900.0, sign * 47.0), (2000.0, sign * 90.0)))
    rows = np.linspace(-500, 4000, 1001)
    np.testing.assert_allclose(scale.row(scale.depth(rows)), rows, atol=1e-8)


SCALES = [(0.0, 150.0, "linear"), (0.45, -0.15, "linear"), (0.2, 2000.0, "log"), (2000.0, 0.2, "log")]


@pytest.mark.parametrize(("left", "right", "scale"), SCALES)
def test_pixels_and_values_are_inverse(left, right, scale):
    curve = CurveScale(curve_class=1, mnemonic="GR", unit="", left=left, right=right, scale=scale)
    x = np.linspace(-50, 300, 701)
    np.testing.assert_allclose(curve.x(curve.value(x, 12.0, 212.5), 12.0, 212.5), x, atol=1e-8)
    np.testing.assert_allclose(curve.value([12.0, 212.5], 12.0, 212.5), [left, right], rtol=1e-12)


def test_the_middle_of_a_log_track_is_the_geometric_mean():
    curve = CurveScale(curve_class=1, mnemonic="RT", unit="ohm.m", left=0.2, right=2000.0, scale="log")
    assert curve.value(50.0, 0.0, 100.0) == pytest.approx(20.0)
    assert curve.x(2.0, 0.0, 100.0) == pytest.approx(25.0)
    assert np.isnan(curve.x([0.0, -1.0], 0.0, 100.0)).all()


def test_absent_rows_stay_absent():
    curve = CurveScale(curve_class=1, mnemonic="RT", unit="ohm.m", left=0.2, right=2000.0, scale="log")
    assert np.isnan(curve.value(np.nan, 0.0, 100.0))
    assert np.isnan(curve.x(np.nan, 0.0, 100.0))


def changed(old, new):
    assert old in GOOD
    return GOOD.replace(old, new, 1)


ANCHORS = "[[100.5, 5000], [1100.5, 5100], [2120.5, 5200]]"
TRACK_2 = GOOD[GOOD.index("[[track]]") : GOOD.index("[well]")]
BESIDE = TRACK_2.replace("left_px = 12", "left_px = 300").replace("right_px = 212.5", "right_px = 500")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            changed(ANCHORS, "[[100.5, 5000]]"),
            r"anchors has 1 \[row_px, depth\] pair\(s\); it needs at least two",
        ),
        (changed(ANCHORS, "[]"), r"anchors has 0 "),
        (changed("1100.5", "90"), r"the rows 100\.5, 90, 2120\.5; each must lie below"),
        (changed("1100.5", "100.5"), "each must lie below the one before"),
        (changed("5100]", "5000]"), r"the depths 5000, 5000, 5200; each must be greater"),
        (changed("5100]", "5300]"), "each must be greater than the one before"),
        (changed("5100]", "nan]"), "a number that is not finite"),
        (changed(ANCHORS, "[100, 5000]"), r"must be a list of \[row_px, depth\] pairs, such as .*, not 100"),
        (changed(ANCHORS, "12"), r"must be a list of \[row_px, depth\] pairs"),
        (changed("5100]", '"5100"]'), r"a depth in \[depth\] anchors is '5100'; write a number"),
        (changed('"ft"', '"feet"'), r"\[depth\] unit is 'feet'; write 'ft' or 'm'"),
        (changed('"ft"', "1"), r"\[depth\] unit is 1; write it as text"),
        (changed("anchors", "anchor"), r"\[depth\] has no key 'anchor' \(did you mean 'anchors'\?\)"),
        (changed("left_px", "lft_px"), r"\[\[track\]\] has no key 'lft_px' \(did you mean 'left_px'\?\)"),
        (changed("mnemonic", "mnemnic"), r"has no key 'mnemnic' \(did you mean 'mnemonic'\?\)"),
        (changed("WELL =", "WEL ="), r"\[well\] has no field 'WEL' \(did you mean 'WELL'\?\)"),
        ("tracks = 1\n" + GOOD, r"the file has no key 'tracks' \(did you mean 'track'\?\)"),
        (
            changed("right = 150", "right = 0"),
            "left and right of GR are both 0; write the values at the two edges",
        ),
        (
            changed("right = 150", "right = inf"),
            "left or right of GR is not finite|left and right of GR must be finite",
        ),
        (changed("left = 0.2", "left = 0"), "RT has a log scale from 0 to 2000; both must be above 0"),
        (changed("right = 2000", "right = -2000"), "both must be above 0"),
        (
            changed("left_px = 12", "left_px = 212.5"),
            "left_px 212.5 to right_px 212.5; it needs 0 <= left_px < right_px",
        ),
        (changed("left_px = 12", "left_px = -1"), "it needs 0 <= left_px < right_px"),
        (changed("left_px = 12", "left_px = nan"), "it needs 0 <= left_px < right_px"),
        (changed("class = 2", "class = 1"), "two curves of one class"),
        (changed("class = 2", "class = 3"), r"the class of RT is 3; write 1 \(solid\) or 2 \(broken\)"),
        (changed("class = 2", "class = true"), "class is True; write 1 or 2"),
        (changed('"RT"', '"gr"'), "the mnemonic GR is given twice"),
        (GOOD.replace("[well]", TRACK_2 + "[well]"), "the tracks from 12 to 212.5 px and from 12 to 212.5 px overlap"),
        (GOOD.replace("[well]", BESIDE + "[well]"), "the mnemonic GR, RT is given twice"),
        (changed('"RT"', '"R T"'), "mnemonic 'R T' is not a LAS name"),
        (changed('"RT"', '"DEPT"'), "kept for the depth index"),
        (changed('"ohm.m"', '"Ω.m"'), "unit 'Ω.m' of RT cannot stand in LAS"),
        (changed('"log"', '"logarithmic"'), "the scale of RT is 'logarithmic'; write 'linear' or 'log'"),
        (changed("right = 150", 'right = "150"'), "right is '150'; write a number"),
        (changed("right = 150", "right = true"), "right is True; write a number"),
        (changed('"University 6-7"', '"Forêt"'), "LAS holds one line of ASCII"),
        (changed('"University 6-7"', "67"), "WELL is 67; write it as text in quotes"),
        (changed("unit =", "# unit ="), r"\[depth\] needs 'unit'"),
        (changed("right_px", "# right_px"), r"\[\[track\]\] needs 'right_px'"),
        (GOOD.partition("[[track]]")[0], "the file needs 'track'"),
        (GOOD.partition("[[track.curve]]")[0], r"\[\[track\]\] needs 'curve'"),
        ("track = []\n" + GOOD.partition("[[track]]")[0], r"it has no \[\[track\]\]; it needs at least one"),
        (
            GOOD.partition("[[track.curve]]")[0] + "curve = []\n",
            r"without a \[\[track.curve\]\]; it needs at least one",
        ),
        (GOOD.partition("[[track]]")[0] + "[track]\nleft_px = 1\n", r"must be written as \[\[track\]\]"),
        ("depth = 3\n" + GOOD[GOOD.index("[[track]]") :], r"\[depth\] is 3; it must be a table"),
        ("well = 3\n" + GOOD.partition("[well]")[0], r"\[well\] must be a table"),
        ("", "the file needs 'depth'"),
        ("[depth\n", "is not valid TOML"),
        (b"\xff\xfe\x00", "is not valid TOML"),
    ],
)
def test_a_wrong_calibration_is_refused_in_a_sentence_that_names_it(calibration_file, text, sentence):
    with pytest.raises(InputError, match=sentence) as refusal:
        read_calibration(calibration_file(text))
    assert "the calibration " in str(refusal.value)
    assert "strip.toml" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_missing_calibration_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no calibration"):
        read_calibration(tmp_path / "none.toml")


def test_a_calibration_made_in_python_is_checked_too(calibration_file):
    calibration = read_calibration(calibration_file(GOOD))
    with pytest.raises(InputError, match="it needs at least one"):
        whole_scan(depth=calibration.sections[0].depth_scale, tracks=())
    with pytest.raises(InputError, match="it needs at least two"):
        dataclasses.replace(calibration.sections[0].depth_scale, anchors=((1.0, 2.0),))
    with pytest.raises(InputError, match=r"it has no main \[\[section\]\]; give at least one the role 'main'"):
        Calibration(sections=(Section(role="ignore", rows=(0, 9)),))
