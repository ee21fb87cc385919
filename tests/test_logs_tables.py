"""CSV files are whole or absent, one line per row, empty where a curve is."""

import csv

import numpy as np
import pytest

from veerjax.errors import InputError
from veerjax.logs.atomic import replacing
from veerjax.logs.tables import PIXEL_COLUMNS, pixel_columns, write_pixels_csv, write_values_csv


def lines(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_a_pixel_table_has_one_line_per_row_and_is_empty_where_the_curve_is_absent(tmp_path):
    x = np.array([[10.126, 11.0, 12.0], [30.0, np.nan, 31.5]])
    presence = np.array([[True, True, False], [True, True, True]])
    columns = pixel_columns(x, x - 0.5, x + 0.5, confidence=np.full((2, 3), 0.87654), presence=presence)
    write_pixels_csv(tmp_path / "p.csv", columns)
    head, *rows = lines(tmp_path / "p.csv")
    assert ",".join(head) == (
        "row_px,curve_1_px,curve_1_lo_px,curve_1_hi_px,curve_2_px,curve_2_lo_px,curve_2_hi_px,confidence_1,confidence_2"
    )
    assert rows[0] == ["0.5", "10.13", "9.63", "10.63", "30.00", "29.50", "30.50", "0.877", "0.877"]
    assert rows[1] == ["1.5", "11.00", "10.50", "11.50", "", "", "", "0.877", ""]
    assert rows[2] == ["2.5", "", "", "", "31.50", "31.00", "32.00", "", "0.877"]


def test_columns_left_out_of_a_pixel_table_are_empty(tmp_path):
    write_pixels_csv(tmp_path / "p.csv", {"curve_1_px": np.arange(2.0)})
    assert lines(tmp_path / "p.csv")[1] == ["0.5", "0.00", *[""] * (len(PIXEL_COLUMNS) - 1)]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ({"curve_1": np.zeros(2)}, r"no column 'curve_1' \(did you mean 'curve_1_px'\?\)"),
        (
            {"curve_1_px": np.zeros(2), "curve_2_px": np.zeros(3)},
            r"columns of a pixel table have the lengths \[2, 3\]; they must be equal",
        ),
        ({}, r"a pixel table has no columns; give at least one of curve_1_px"),
    ],
)
def test_wrong_pixel_columns_are_refused(tmp_path, rows, sentence):
    with pytest.raises(InputError, match=sentence):
        write_pixels_csv(tmp_path / "p.csv", rows)
    assert not list(tmp_path.iterdir())


def test_a_value_table_has_the_columns_of_the_las(tmp_path):
    depth = np.round(np.arange(3) * 0.1 + 1234.5, 1)
    curves = {"GR": np.array([0.1, np.nan, 150.0]), "RT": np.array([0.2, 20.0, 2000.0])}
    write_values_csv(tmp_path / "v.csv", depth=depth, curves=curves)
    assert lines(tmp_path / "v.csv") == [
        ["DEPT", "GR", "RT"],
        ["1234.5", "0.1000", "0.2000"],
        ["1234.6", "", "20.0000"],
        ["1234.7", "150.0000", "2000.0000"],
    ]


def test_a_file_appears_whole_under_its_name_with_its_suffix_meanwhile(tmp_path):
    with replacing(tmp_path / "a.png") as temporary:
        temporary.write_text("new")
        assert temporary.suffix == ".png"
        assert temporary.parent == tmp_path
        assert not (tmp_path / "a.png").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_after_an_error_the_old_file_stands_and_nothing_else(tmp_path, error):
    (tmp_path / "a.csv").write_text("old")

    def fail_midway():
        with replacing(tmp_path / "a.csv") as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        fail_midway()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_path_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no folder"), replacing(tmp_path / "none" / "a.csv"):
        pass
    with pytest.raises(InputError, match="it is a folder; give the name of a file"), replacing(tmp_path):
        pass
