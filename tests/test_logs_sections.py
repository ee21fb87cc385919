"""Sections, tracks and curves of a calibration: what may be declared, and which contradictions are refused."""

from pathlib import Path

import numpy as np
import pytest

from veerjax.errors import InputError
from veerjax.logs.calibration import CurveScale, DepthScale, Grid, Section, Track, read_calibration
from veerjax.logs.grid_lines import track_lines

GOOD = """
page = 2
[[section]]
rows = [0, 999]
depth = { unit = "ft", anchors = [[0, 5000], [1000, 5100]] }
[[section.track]]
left_division = 0
right_division = 10
[section.track.grid]
divisions = 10
left_px = 40.0
right_px = 540.0
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
mnemonic = "CALI"
unit = "IN"
left = 6
right = 16
[[section.track]]
left_px = 560
right_px = 900
[[section.track.curve]]
class = 1
mnemonic = "ILD"
unit = "OHMM"
left = 0.2
right = 2000
scale = "log"
wrap = true
seeds = [[10.5, 600], [400, 700.25]]
[[section.track.curve]]
class = 1
mnemonic = "ILM"
unit = "OHMM"
left = 0.2
right = 2000
scale = "log"
seeds = [[10.5, 640]]

[[section]]
rows = [1000, 1499]
role = "ignore"

[[section]]
rows = [1500, 1999]
depth = { unit = "ft", anchors = [[1500, 5100], [2000, 5150]] }
[[section.track]]
left_px = 30
right_px = 530
[[section.track.curve]]
class = 1
mnemonic = "GR"
unit = "GAPI"
left = 150
right = 0
scale = "reversed"

[[section]]
rows = [2000, 2499]
role = "repeat"
depth = { unit = "ft", anchors = [[2000, 5050], [2500, 5100]] }
[[section.track]]
left_px = 40
right_px = 540
[[section.track.curve]]
class = 1
mnemonic = "GR"
unit = "GAPI"
left = 0
right = 150
[well]
WELL = "A 1"
EKB = "1234 ft"
"""


@pytest.fixture
def read(tmp_path):
    def read_text(text):
        path = tmp_path / "strip.toml"
        path.write_text(text)
        return read_calibration(path)

    return read_text


def changed(old, new, *, count=1):
    assert old in GOOD
    return GOOD.replace(old, new, count)


def test_a_calibration_of_sections_says_what_its_file_says(read):
    calibration = read(GOOD)
    assert [section.role for section in calibration.sections] == ["main", "ignore", "main", "repeat"]
    assert [section.rows for section in calibration.sections] == [(0, 999), (1000, 1499), (1500, 1999), (2000, 2499)]
    assert (calibration.page, calibration.well) == (2, {"WELL": "A 1", "EKB": "1234 ft"})
    first, second = calibration.sections[0].tracks
    assert (first.left_px, first.right_px, first.grid) == (40, 540, Grid(divisions=10, left_px=40, right_px=540))
    gamma, caliper = first.curves
    assert (gamma.backup, gamma.colour, gamma.wrap) == ((150, 300), "green", False)
    assert (caliper.backup, caliper.colour, caliper.seeds) == (None, "", ())
    assert second.curves[0].seeds == ((10.5, 600), (400, 700.25))
    assert second.curves[0].wrap
    assert [section.depth_scale.unit for section in calibration.of_role("main")] == ["ft", "ft"]
    assert list(calibration.sections[2].row_range(9999)) == list(range(1500, 2000))
    np.testing.assert_allclose(calibration.sections[2].depths(9999)[[0, -1]], [5100.05, 5149.95])


def test_edges_in_lines_of_a_grid_are_px_and_its_lines_are_those_between(read):
    text = changed("left_division = 0\nright_division = 10", "left_division = 2.5\nright_division = 5")
    track = read(text).sections[0].tracks[0]
    assert (track.left_px, track.right_px) == (165, 290)
    np.testing.assert_allclose(track_lines(track), [0, 0.2, 0.6, 1])
    assert track.straighten
    assert not read(text.replace("left_division", "straighten = false\nleft_division")).sections[0].tracks[0].straighten


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (changed("[1000, 1499]", "[999, 1499]"), r"the rows 0 to 999 and 999 to 1499 overlap; both ends count"),
        (changed("rows = [1000, 1499]\n", ""), r"several \[\[section\]\]s and one without rows; write rows = "),
        (
            changed("[1000, 1499]", "[1499, 1000]"),
            r"in section 2, rows is \[1499, 1000\]; write the first and the last",
        ),
        (changed("[1000, 1499]", "[1000, 1499.5]"), r"rows must be the first and the last row .* not \[1000, 1499.5\]"),
        (changed('"ignore"', '"other"'), r"role is 'other'; write one of main, repeat, ignore"),
        (changed('"ignore"', '"main"'), "in section 2, a main section needs 'depth'"),
        (changed('"ignore"', '"repeat"'), "in section 2, a repeat section needs 'depth'"),
        (
            GOOD.replace('role = "ignore"', 'roles = "ignore"'),
            r"\[\[section\]\] has no key 'roles' \(did you mean 'role'",
        ),
        (
            changed("[1500, 5100], [2000, 5150]", "[1500, 5099], [2000, 5150]"),
            "one main section ends at 5099.95 ft and the next one begins at 5099.05; depth must go on",
        ),
        (changed("[1500, 5100], [2000, 5150]", "[1500, 5150], [2000, 5100]"), "depth must go on from one to the next"),
        (
            changed('unit = "ft", anchors = [[1500', 'unit = "m", anchors = [[1500'),
            "the main sections give depth in ft and m; one LAS file has one unit",
        ),
        (changed('unit = "ft"', 'unit = "furlong"'), r"in section 1, \[depth\] unit is 'furlong'; write 'ft' or 'm'"),
        (changed("left_px = 560", "left_px = 530"), "the tracks from 40 to 540 px and from 530 to 900 px overlap"),
        (
            changed("[10.5, 640]", "[10.5, 540]"),
            "the seed of ILM at row 10.5 has the x 540; a seed must lie on its track",
        ),
        (changed("[10.5, 640]", "[1000, 640]"), "the seed of ILM at row 1000 and x 640 is outside its section"),
        (changed("[10.5, 640]", "[10.5]"), r"seeds must be a list of \[row_px, x_px\] pairs, .* not \[10.5\]"),
        (changed("[10.5, 640]", "[nan, 640]"), "the seeds of ILM hold a number that is not finite"),
        (changed("seeds = [[10.5, 640]]\n", ""), r"two curves of one class, ILD and ILM; tell them apart by seeds"),
        (changed("wrap = true", "wrap = 1"), "wrap is 1; write true or false"),
        (changed("wrap = true", "wrap = true\nbackup = { left = 1, right = 2 }"), "ILD has both wrap and backup"),
        (changed("{ left = 150, right = 300 }", "{ left = 150 }"), r"backup needs 'right'"),
        (changed("{ left = 150, right = 300 }", "[150, 300]"), r"backup is \[150, 300\]; it must be a table"),
        (
            changed("{ left = 150, right = 300 }", "{ left = 150, right = 150 }"),
            "backup left and right of GR are both 150",
        ),
        (changed("left = 150\nright = 0", "left = 0\nright = 150"), "GR has a reversed scale from 0 to 150; write the"),
        (
            changed('mnemonic = "GR"\nunit = "GAPI"\nleft = 150', 'mnemonic = "GR"\nunit = "API"\nleft = 150'),
            "one section has GR in 'GAPI' and another GR in 'API'; write one name and one unit",
        ),
        (changed("right_division = 10", "right_px = 540"), r"\[\[section.track\]\] has no key 'right_px'"),
        (changed("divisions = 10", "divisions = 0"), "a grid has 0 divisions; it needs at least 1"),
        (changed("divisions = 10", "divisions = 9.5"), r"divisions is 9.5; write a whole number, such as 10"),
        (changed("left_px = 40.0", "left_px = 540.0"), "a grid runs from left_px 540 to right_px 540"),
        (changed("left_division = 0", "left_division = 10"), "left_px 540 to right_px 540; it needs 0 <= left_px"),
        ("depth = 1\n" + GOOD, "the file has no key 'depth'"),
        (changed("EKB", "EKBB"), r"\[well\] has no field 'EKBB' \(did you mean 'EKB'\?\)"),
        (
            GOOD.replace("[[section]]", "[section]", 1).partition("[[section]]")[0],
            r"must be written as \[\[section\]\]",
        ),
    ],
)
def test_a_contradiction_is_one_sentence(read, text, sentence):
    with pytest.raises(InputError, match=sentence) as refusal:
        read(text)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("height", "width", "sentence"),
    [
        (
            2400,
            1000,
            r"a section has the rows 2000 to 2499, and the scan has 2400, 0 to 2399; write rows = \[2000, 2399\]",
        ),
        (2500, 899, "the track from 560 to 900 px is not inside the scan, which is 899 px wide"),
    ],
)
def test_a_scan_that_does_not_hold_the_sections_is_refused(read, height, width, sentence):
    read(GOOD).check_fits(2500, 900)
    with pytest.raises(InputError, match=sentence):
        read(GOOD).check_fits(height, width)


def test_a_seed_below_a_scan_of_one_section_is_refused(read):
    text = GOOD.partition("[[section]]")[2].partition("[[section]]")[0]
    calibration = read("[[section]]" + text.replace("rows = [0, 999]\n", ""))
    calibration.check_fits(401, 900)
    with pytest.raises(InputError, match=r"the seed of ILD at row 400 and x 700.25 is outside its section"):
        calibration.check_fits(400, 900)


def curve(**how):
    return CurveScale(**({"curve_class": 1, "mnemonic": "GR", "unit": "GAPI", "left": 0.0, "right": 150.0} | how))


def test_a_wrapped_curve_means_a_track_more_for_each_wrap():
    x, wrap = np.array([20.0, 110.0, 20.0, 65.0]), np.array([0, 0, 1, -1])
    found = curve(wrap=True).unwrapped_value(x, wrap, 20.0, 110.0)
    np.testing.assert_allclose(found, [0, 150, 150, -75])
    decades = curve(wrap=True, left=0.2, right=2000.0, scale="log").unwrapped_value(x, wrap, 20.0, 110.0)
    np.testing.assert_allclose(decades, [0.2, 2000, 2000, 0.002])
    assert not curve(wrap=True).off_scale(x, wrap, 20.0, 110.0).any()


def test_a_backup_scale_holds_where_the_curve_has_left_the_track_once():
    backed = curve(backup=(150.0, 450.0))
    x, wrap = np.array([65.0, 65.0, 65.0, 20.0]), np.array([0, 1, 2, 0])
    np.testing.assert_allclose(backed.unwrapped_value(x, wrap, 20.0, 110.0)[:2], [75, 300])
    assert backed.off_scale(x, wrap, 20.0, 110.0).tolist() == [False, False, True, False]


def test_ink_along_an_edge_says_nothing_but_that_the_value_is_off_the_scale():
    x = np.array([19.0, 20.2, 21.0, 65.0, 109.0, 109.8, 111.0])
    assert curve().off_scale(x, 0, 20.0, 110.0).tolist() == [True, True, False, False, False, True, True]


def test_curves_of_two_classes_need_no_seeds_and_any_number_of_seeded_ones_may_share_a_class():
    solid = [curve(mnemonic=name, seeds=((5.0, x),)) for name, x in (("A", 10.0), ("B", 20.0), ("C", 30.0))]
    broken = curve(mnemonic="D", curve_class=2)
    assert len(Track(left_px=0, right_px=50, curves=(*solid, broken)).curves) == 4


def test_the_calibration_in_the_documentation_is_valid(read):
    text = (Path(__file__).resolve().parents[1] / "docs" / "calibration.md").read_text()
    calibration = read(text.partition("```toml\n")[2].partition("```")[0])
    assert [curve.mnemonic for curve in calibration.curves] == ["GR", "CALI", "ILD", "ILM"]
    calibration.check_fits(20400, 1200)


def test_tracks_that_share_an_edge_do_not_overlap_by_a_rounding_error():
    gamma, other = (CurveScale(curve_class=1, mnemonic=name, unit="", left=0.0, right=1.0) for name in ("A", "B"))
    edge = float(np.nextafter(1770.04, 2000.0))
    tracks = (
        Track(left_px=1020.04, right_px=edge, curves=(gamma,)),
        Track(left_px=1770.04, right_px=2520.04, curves=(other,)),
    )
    assert Section(depth=DepthScale(unit="ft", anchors=((0, 0), (9, 9))), tracks=tracks).tracks == tracks
