"""LAS files of archives can be read, and ours pass an independent check."""

from decimal import Decimal

import lascheck
import lasio
import numpy as np
import pytest

from veerjax.errors import InputError
from veerjax.logs.las import WELL_FIELDS, read_las, value_decimals, write_las
from veerjax.logs.resample import las_index, regular_index

HEAD = """~V
 VERS. 2.0 :
 WRAP. NO :
~W
 NULL. -999.25 :
 WELL. {well} : name
~C
 DEPT.{unit} :
 GR.GAPI :
"""


def las_text(rows, *, unit="M", well="Deep 1", extra=""):
    return HEAD.format(unit=unit, well=well) + extra + "~A\n" + "\n".join(rows) + "\n"


@pytest.fixture
def las_file(tmp_path):
    def write(text, encoding="ascii"):
        path = tmp_path / "strange.las"
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    return write


def written(path, **changes):
    depth = regular_index(100.0, 120.0, 0.1)
    values = np.linspace(0.0, 150.0, len(depth))
    values[20:40] = np.nan
    curves = {"GR": values, "RT": np.geomspace(0.2, 2000.0, len(depth))}
    arguments = {
        "depth": depth,
        "curves": curves,
        "units": {"GR": "GAPI", "RT": "ohm.m"},
        "unit": "m",
        "step": 0.1,
        "header": {"WELL": "Scorpio E1", "API": "0042"},
        "provenance": "one\n\n~A two\n# drei é",
    }
    write_las(path, **(arguments | changes))
    return arguments | changes


REAL = {
    "6038187_v1.2.las": ("Scorpio E1", "m", 2732, 0.05),
    "F03-02.las": ("F/3-2", "m", 14069, 9.906),
    "P-135_out.LAS": ("Eastrock Lauren #1", "m", 4951, 197.5104),
    "38334746.las": ("UNIVERSITY 6-7 NO.1", "ft", 17735, 93.0),
    "38334774.las": ("UNIVERSITY 6-17 NO.1", "ft", 13047, 2587.0),
}


@pytest.mark.parametrize("name", REAL)
def test_real_wells_are_read_whole_and_ascending(real_data, name):
    well = read_las(real_data / "las" / name)
    assert (well.name, well.unit, len(well.depth), well.depth[0]) == REAL[name]
    assert (np.diff(well.depth) > 0).all()
    for values in well.curves.values():
        assert values.dtype == np.float64
        assert values.shape == well.depth.shape
        assert not np.isin(values, (-999.25, -999.0, -9999.0, -99999.0)).any()
    assert np.isfinite(well.curves["GAMN" if "GAMN" in well.curves else "GR"]).mean() > 0.9


def test_a_descending_well_holds_the_values_of_its_rows(real_data):
    well = read_las(real_data / "las" / "F03-02.las")
    raw = lasio.read(real_data / "las" / "F03-02.las")
    np.testing.assert_array_equal(well.depth, raw.index[::-1])
    shown = np.isfinite(well.curves["GR"])
    np.testing.assert_array_equal(well.curves["GR"][shown], raw["GR"][::-1][shown])


def test_every_usual_null_is_nan_whatever_the_header_says(las_file):
    rows = ["1 -999.25", "2 -9999", "3 -999", "4 -9999.00", "5 7.5", "6 -99999"]
    path = las_file(las_text(rows).replace("NULL. -999.25", "NULL. -99999"))
    np.testing.assert_array_equal(read_las(path).curves["GR"], [np.nan] * 4 + [7.5, np.nan])


def test_rows_without_a_depth_and_repeated_depths_are_left_out(las_file):
    well = read_las(las_file(las_text(["3 30", "-999.25 1", "2 20", "2 21", "1 10"])))
    np.testing.assert_array_equal(well.depth, [1, 2, 3])
    np.testing.assert_array_equal(well.curves["GR"], [10, 20, 30])


def test_duplicate_mnemonics_are_numbered_and_text_is_null(las_file):
    rows = ["1 10 11 sand", "2 20 21 shale"]
    well = read_las(las_file(las_text(rows, extra=" GR.GAPI :\n LITH. :\n")))
    assert list(well.curves) == ["GR", "GR:2", "LITH"]
    np.testing.assert_array_equal(well.curves["GR:2"], [11, 21])
    assert np.isnan(well.curves["LITH"]).all()


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig"])
def test_accents_are_read_in_every_usual_encoding(las_file, encoding):
    assert read_las(las_file(las_text(["1 1", "2 2"], well="Forêt 1"), encoding)).name == "Forêt 1"


@pytest.mark.parametrize("well", ["", "-999.25"])
def test_a_well_without_a_name_is_called_after_its_file(las_file, well):
    assert read_las(las_file(las_text(["1 1", "2 2"], well=well))).name == "strange"


@pytest.mark.parametrize(
    ("unit", "expected"), [("F", "ft"), ("FEET", "ft"), ("ft.", "ft"), ("m", "m"), ("METRES", "m")]
)
def test_depth_units_have_many_spellings(las_file, unit, expected):
    assert read_las(las_file(las_text(["1 1", "2 2"], unit=unit))).unit == expected


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", r"strange\.las is empty; give a LAS file"),
        ("  \n ", "is empty"),
        ("hello there\n", "is not a LAS file that can be read; it needs ~V, ~W, ~C and ~A sections"),
        (b"II*\0" + b"~C~A\0" * 20, "is not a LAS file"),
        (b"\x00~C\n~A\n", "is not a LAS file"),
        (HEAD.format(unit="M", well="x"), "is not a LAS file"),
        (
            las_text(["1 1", "2 2"]).replace("DEPT", "TIME"),
            r"has no depth curve among its curves \(TIME, GR\)",
        ),
        (
            las_text(["1 1", "2 2"], unit="S"),
            r"has its depth in 'S'; it must be in feet \(F or FT\) or metres",
        ),
        (las_text(["1 1", "2 2"], unit=""), "has its depth in ''"),
        (las_text(["1 1"]), r"has 1 row\(s\) with a depth; a well log needs at least two"),
        (las_text([]), "strange"),
    ],
)
def test_what_is_no_well_log_is_refused(las_file, content, sentence):
    with pytest.raises(InputError, match=sentence):
        read_las(las_file(content))


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match="there is no LAS file"):
        read_las(tmp_path / "none.las")
    with pytest.raises(InputError, match="there is no LAS file"):
        read_las(tmp_path)


STEPS = [("m", 0.1, 99.96), ("ft", 0.5, 12345.6), ("ft", 1.0, 0.0), ("m", 0.05, 538.59), ("m", 0.1524, 1873.72)]
STEPS += [("ft", 0.333333, 3087.05), ("m", 0.1, -12.34), ("ft", 0.01, 29999.99), ("ft", 2.5, 101.0)]


@pytest.mark.parametrize(("unit", "step", "top"), STEPS)
def test_a_written_file_conforms_and_its_depths_are_whole_steps_to_the_last_decimal(tmp_path, unit, step, top):
    depth = las_index(top, top + 100, step)
    written(tmp_path / "w.las", depth=depth, unit=unit, step=step, curves={"GR": depth / 3}, units={})
    checked = lascheck.read(str(tmp_path / "w.las"))
    assert checked.get_non_conformities() == []
    assert checked.check_conformity()
    head, _, data = (tmp_path / "w.las").read_text().partition("~A")
    fields = {line.partition(".")[0].strip(): line.partition(".")[2].split() for line in head.splitlines()}
    start, stop, exact = (Decimal(fields[name][1]) for name in ("STRT", "STOP", "STEP"))
    rows = [Decimal(line.split()[0]) for line in data.splitlines()[1:]]
    assert rows == [start + n * exact for n in range(len(rows))]
    assert rows[-1] == stop
    assert start % exact == 0
    np.testing.assert_array_equal(lasio.read(tmp_path / "w.las").index, depth)


def test_welly_reads_the_curves_that_were_written(tmp_path):
    welly = pytest.importorskip("welly", reason="welly is not installed; it needs pandas, and setuptools below 81")
    given = written(tmp_path / "w.las")
    well = welly.Well.from_las(str(tmp_path / "w.las"))
    for name, values in given["curves"].items():
        curve = well.data[name]
        assert curve.units == given["units"][name]
        np.testing.assert_allclose(curve.basis, given["depth"], rtol=1e-12)
        np.testing.assert_array_equal(np.isnan(np.ravel(curve.values)), np.isnan(values))
        np.testing.assert_allclose(np.ravel(curve.values), values, rtol=5e-4, atol=5e-5)


def test_depths_keep_their_decimals_over_a_whole_well(tmp_path):
    depth = regular_index(0.0, 3000.0, 0.1)
    written(tmp_path / "w.las", depth=depth, curves={"GR": np.full(len(depth), 0.1)})
    lines = (tmp_path / "w.las").read_text().partition("~A")[2].splitlines()[1:]
    assert [line.split()[0] for line in lines[:4]] == ["0.0", "0.1", "0.2", "0.3"]
    assert {len(line.split()[0].partition(".")[2]) for line in lines} == {1}
    assert {line.split()[1] for line in lines} == {"0.1000"}


def test_a_written_file_reads_back(tmp_path):
    given = written(tmp_path / "w.las")
    well = read_las(tmp_path / "w.las")
    assert (well.name, well.unit, well.units) == ("Scorpio E1", "m", given["units"])
    np.testing.assert_array_equal(well.depth, given["depth"])
    for name, values in given["curves"].items():
        np.testing.assert_array_equal(np.isnan(well.curves[name]), np.isnan(values))
        np.testing.assert_allclose(well.curves[name], values, rtol=5e-4, atol=5e-5)


def test_a_written_file_is_ascii_without_exponents_and_sections_stand_in_order(tmp_path):
    tiny = np.geomspace(1e-6, 1e6, len(regular_index(100.0, 120.0, 0.1)))
    written(tmp_path / "w.las", curves={"K": tiny}, units={"K": "mD"})
    text = (tmp_path / "w.las").read_bytes().decode("ascii")
    assert [line[1] for line in text.splitlines() if line.startswith("~")] == ["V", "W", "C", "P", "O", "A"]
    assert "e-" not in text.partition("~A")[2]
    assert "nan" not in text


def test_unknown_header_fields_are_empty_and_known_ones_kept(tmp_path):
    known = {"WELL": "A: 12:30 x.y", "API": "0042", "LOC": "sec 7, blk 6"}
    written(tmp_path / "w.las", header=known)
    las = lasio.read(tmp_path / "w.las")
    assert {name: las.well[name].value for name in WELL_FIELDS} == {name: known.get(name, "") for name in WELL_FIELDS}
    assert {las.well[name].unit for name in ("STRT", "STOP", "STEP")} == {las.curves[0].unit} == {"M"}
    assert las.other == "one\nA two\ndrei \\xe9"


def test_negative_zero_is_written_as_zero(tmp_path):
    depth = regular_index(0.0, 1.0, 0.5)
    written(tmp_path / "w.las", depth=depth, step=0.5, curves={"SP": np.array([-1e-7, 5.0, -3.0])}, units={})
    assert "-0.0" not in (tmp_path / "w.las").read_text()


def test_decimals_follow_the_size_of_the_values():
    assert value_decimals(np.array([0.0, 150.0])) == 4
    assert value_decimals(np.array([0.0002, 2000.0])) == 7
    assert value_decimals(np.array([np.nan, np.nan])) == 4
    assert value_decimals(np.array([-1e-12, 1e-12])) == 8


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"header": {"WEL": "x"}}, r"\[well\] has no field 'WEL' \(did you mean 'WELL'\?\)"),
        ({"header": {"WELL": "Forêt"}}, "LAS holds one line of ASCII: write it without accents"),
        ({"header": {"WELL": "a\nb"}}, "one line of ASCII"),
        ({"header": {"API": 42}}, "API is 42; write it as text in quotes"),
        ({"curves": {"G R": np.zeros(201)}}, "mnemonic 'G R' is not a LAS name"),
        ({"curves": {"DEPT": np.zeros(201)}}, "mnemonic 'DEPT' is kept for the depth index"),
        ({"units": {"GR": "µs/ft"}}, "unit 'µs/ft' of GR cannot stand in LAS"),
        ({"unit": "F"}, "depth unit is 'F'; write 'ft' or 'm'"),
        ({"depth": regular_index(100.0, 120.0, 0.1) + 0.03}, "not consecutive multiples of the step 0.1"),
        ({"step": 0.2}, "not consecutive multiples of the step 0.2"),
    ],
)
def test_what_las_cannot_hold_is_refused_and_nothing_written(tmp_path, changes, sentence):
    with pytest.raises(InputError, match=sentence):
        written(tmp_path / "w.las", **changes)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("values_a_line", [1, 2, 5])
def test_wrapped_data_may_have_any_number_of_values_on_a_line(tmp_path, values_a_line: int) -> None:
    rows = [(100.0 + i, 10.0 + i, 20.0 + i, -999.25 if i == 1 else 30.0 + i, 40.0 + i) for i in range(4)]
    head = "~V\nVERS. 2.0 :\nWRAP. YES :\n~W\nSTRT.F 100 :\nSTOP.F 103 :\nSTEP.F 1 :\nNULL. -999.25 :\nWELL. W :\n"
    head += "~C\nDEPT.F :\nGR.GAPI :\nCALI.IN :\nSP.MV :\nDT.US/F :\n~A\n"
    lines = []
    for depth, *values in rows:
        lines.append(str(depth))
        lines += [" ".join(map(str, values[k : k + values_a_line])) for k in range(0, len(values), values_a_line)]
    (tmp_path / "w.las").write_text(head + "\n".join(lines) + "\n")
    well = read_las(tmp_path / "w.las")
    np.testing.assert_array_equal(well.depth, [100, 101, 102, 103])
    np.testing.assert_array_equal(well.curves["SP"], [30, np.nan, 32, 33])
    np.testing.assert_array_equal(well.curves["DT"], [40, 41, 42, 43])
