import warnings
from pathlib import Path

import numpy as np
import pytest
from las_files import write_las

from veerjax.data.wells.split import split_of_wells
from veerjax.data.wells.windows import WindowSpec, bridged, interpolated, well_windows
from veerjax.errors import InputError
from veerjax.logs.units import FT_PER_M
from veerjax.synthesis.draw import MARGIN_PX

HEIGHT, WIDTH, PX_PER_FT = 64, 100, 2.0
DEPTH = np.arange(1000.0, 1096.5, 0.5)  # three windows of 32 ft


def windows_of(folder: Path, *, px_per_ft: float | None = PX_PER_FT, **las) -> list[WindowSpec]:
    """The windows of one well with these curves."""
    write_las(folder / "a.las", **{"well": "A", "depth": DEPTH, **las})
    return well_windows(folder, height=HEIGHT, width=WIDTH, px_per_ft=px_per_ft)


def ramp(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, len(DEPTH))


def test_a_straight_line_of_values_is_drawn_where_its_scale_puts_it(tmp_path):
    windows = windows_of(tmp_path, curves={"GR": ramp(15, 135), "CALI": ramp(14, 8)})
    assert [window.index for window in windows] == [0, 1, 2]
    for window in windows:
        depth = window.depth_top_ft + (np.arange(HEIGHT) + 0.5) / PX_PER_FT
        share = (depth - DEPTH[0]) / (DEPTH[-1] - DEPTH[0])
        np.testing.assert_allclose(window.centreline[0], (0.1 + 0.8 * share) * WIDTH, atol=1e-9)
        np.testing.assert_allclose(window.centreline[1], (0.8 - 0.6 * share) * WIDTH, atol=1e-9)
        assert window.presence.all()
        assert window.depth_bottom_ft - window.depth_top_ft == HEIGHT / PX_PER_FT


def test_margin_rows_are_the_neighbouring_windows_rows(tmp_path):
    above, below, _ = windows_of(tmp_path, curves={"GR": ramp(15, 135), "CALI": ramp(14, 8)})
    np.testing.assert_allclose(above.x[:, -2 * MARGIN_PX :], below.x[:, : 2 * MARGIN_PX], atol=1e-9)


def test_the_default_depth_scale_is_five_inches_per_hundred_feet_beside_a_track_of_two_and_a_half(tmp_path):
    write_las(tmp_path / "a.las", well="A", depth=DEPTH, curves={"GR": ramp(15, 135), "CALI": ramp(14, 8)})
    window = well_windows(tmp_path, height=512, width=256)[0]
    assert window.depth_bottom_ft - window.depth_top_ft == pytest.approx(512 / 5.12)


def test_metres_and_feet_give_the_same_windows(tmp_path):
    curves = {"GR": ramp(15, 135), "CALI": ramp(14, 8)}
    feet = windows_of(tmp_path, curves=curves)
    metres = windows_of(tmp_path, curves=curves, depth=DEPTH / FT_PER_M, unit="M")
    assert len(feet) == len(metres)
    for a, b in zip(feet, metres, strict=True):
        np.testing.assert_array_equal(a.drawn, b.drawn)
        np.testing.assert_allclose(a.centreline, b.centreline, atol=1e-6)


@pytest.mark.parametrize(
    ("names", "unit", "factor"),
    [(("GR", "CALI"), "MM", 25.4), (("RHOB", "NPHI"), "%", 100.0), (("RHOB", "NPHI"), "", 100.0)],
)
def test_values_in_other_units_are_converted(tmp_path, names, unit, factor):
    values = {"GR": ramp(15, 135), "CALI": ramp(7, 15), "RHOB": ramp(2, 2.9), "NPHI": ramp(0.4, -0.1)}
    first, second = names
    curves = {first: values[first], second: values[second]}
    usual = windows_of(tmp_path, curves=curves)
    other = windows_of(tmp_path, curves={**curves, second: values[second] * factor}, units={second: unit})
    for a, b in zip(usual, other, strict=True):
        np.testing.assert_allclose(a.centreline, b.centreline, atol=1e-9)


def test_ten_times_the_resistivity_is_a_quarter_of_the_track_further_right(tmp_path):
    window = windows_of(tmp_path, curves={"ILD": 10 * (values := ramp(1, 9)), "ILM": values})[0]
    np.testing.assert_allclose(window.centreline[0] - window.centreline[1], WIDTH / 4, atol=1e-9)


def test_a_resistivity_of_zero_is_null(tmp_path):
    values = ramp(1, 9)
    values[10:20] = 0
    window = windows_of(tmp_path, curves={"ILD": values, "ILM": ramp(1, 9)})[0]
    assert not window.drawn[0].all()
    assert window.drawn[1, MARGIN_PX:].all()


def test_values_off_the_scale_are_drawn_but_not_present(tmp_path):
    window = windows_of(tmp_path, curves={"GR": np.where(DEPTH < 1010, 200.0, 75.0), "CALI": ramp(14, 8)})[0]
    rows = np.arange(HEIGHT) / PX_PER_FT + 1000
    assert not window.presence[0, rows < 1009].any()
    assert window.presence[0, rows > 1011].all()
    assert window.drawn[0, MARGIN_PX:-MARGIN_PX].all()
    assert window.centreline[0, 0] > WIDTH


def test_one_lost_sample_is_bridged_and_a_longer_gap_is_not():
    depth = np.arange(10.0)
    values = np.array([0, 1, np.nan, 3, 4, np.nan, np.nan, 7, 8, np.nan])
    at = np.array([-0.1, 0.0, 2.0, 2.5, 4.0, 4.1, 5.5, 6.9, 7.0, 8.0, 8.1, 9.0])
    expected = [np.nan, 0, 2, 2.5, 4, np.nan, np.nan, np.nan, 7, 8, np.nan, np.nan]
    np.testing.assert_array_equal(interpolated(depth, values, at), expected)


def test_a_curve_without_values_stays_without():
    assert np.isnan(interpolated(np.arange(3.0), np.full(3, np.nan), np.arange(3.0))).all()


def test_windows_with_a_curve_on_less_than_half_of_the_rows_are_left_out(tmp_path):
    caliper = ramp(14, 8)
    caliper[DEPTH > 1040] = np.nan
    assert [w.index for w in windows_of(tmp_path, curves={"GR": ramp(15, 135), "CALI": caliper})] == [0]


def test_null_rows_lie_on_a_straight_line_and_have_no_presence(tmp_path):
    caliper = ramp(14, 8)
    whole = windows_of(tmp_path, curves={"GR": ramp(15, 135), "CALI": caliper})[0]
    caliper[5:15] = np.nan
    window = windows_of(tmp_path, curves={"GR": ramp(15, 135), "CALI": caliper})[0]
    null = ~window.drawn[1, MARGIN_PX:-MARGIN_PX]
    assert null.any()
    assert not window.presence[1, null].any()
    np.testing.assert_allclose(window.centreline[1], whole.centreline[1], atol=1e-9)
    assert np.isfinite(window.filled).all()


def test_gaps_are_bridged_by_straight_lines_and_held_at_the_ends():
    nan = np.nan
    x = np.array([[nan, nan, 0.1, 0.3, nan, nan, nan, 0.7, nan], [nan] * 9])
    np.testing.assert_allclose(bridged(x)[0], [0.1, 0.1, 0.1, 0.3, 0.4, 0.5, 0.6, 0.7, 0.7], atol=1e-12)
    assert not bridged(x)[1].any()
    known = np.isfinite(x)
    assert bridged(x)[known].tobytes() == x[known].tobytes()


def test_the_sp_scale_follows_the_baseline_in_whole_divisions(tmp_path):
    curves = {"SP": ramp(-30, 30), "CALI": ramp(14, 8)}
    usual = windows_of(tmp_path, curves=curves)[0].curves[0].scale
    moved = windows_of(tmp_path, curves={**curves, "SP": curves["SP"] - 500})[0].curves[0].scale
    assert (usual.left, usual.right) == (-160, 40)
    assert (moved.left, moved.right) == (-600, -400)


def test_of_two_candidates_the_fuller_one_is_plotted(tmp_path):
    short = ramp(14, 8)
    short[10:] = np.nan
    windows = windows_of(tmp_path, curves={"GAMN": ramp(15, 135), "CAL1": short, "CAL2": ramp(14, 8)})
    assert [curve.scale.mnemonic for curve in windows[0].curves] == ["GAMN", "CAL2"]


def test_a_file_without_a_known_pair_is_named_in_a_warning(tmp_path):
    write_las(tmp_path / "b.las", well="B", depth=DEPTH, curves={"GR": ramp(15, 135)})
    (tmp_path / "c.las").write_text("no log")
    with pytest.warns(UserWarning, match=r"2 of 3 LAS files left out: b\.las holds no known pair .*c\.las"):
        windows = windows_of(tmp_path, curves={"GR": ramp(15, 135), "CALI": ramp(14, 8)})
    assert {window.file for window in windows} == {"a.las"}


def test_a_folder_without_a_known_pair_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no LAS file in .* is usable: a\.las holds no known pair"):
        windows_of(tmp_path, curves={"GR": ramp(15, 135)})


def test_a_folder_with_curves_off_their_scales_only_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"a\.las \(gr_cali\) has no window of 64 rows with both curves"):
        windows_of(tmp_path, curves={"GR": ramp(15, 135), "CALI": ramp(2, 3)})


def test_a_missing_or_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"there is no folder .*nowhere"):
        well_windows(tmp_path / "nowhere", height=64, width=64)
    with pytest.raises(InputError, match="holds no LAS file"):
        well_windows(tmp_path, height=64, width=64)


@pytest.mark.parametrize(("wells", "sizes"), [(1, (1, 0, 0)), (2, (1, 0, 1)), (3, (1, 1, 1)), (5, (3, 1, 1))])
def test_wells_are_shared_out_over_the_splits(wells, sizes):
    split = list(split_of_wells(f"well {number}" for number in range(wells)).values())
    assert tuple(split.count(name) for name in ("train", "validation", "test")) == sizes


def test_a_wells_split_depends_neither_on_order_nor_on_spelling():
    names = [f"well {number}" for number in range(20)]
    split = split_of_wells(names)
    assert split_of_wells(reversed(names)) == split
    again = split_of_wells([*names, "WELL  7"])
    assert again.pop("WELL  7") == again["well 7"]
    assert again == split


def test_every_real_well_gives_windows_in_a_fixed_order(real_data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        windows = well_windows(real_data / "las", height=512, width=256)
    names = [window.name for window in windows]
    assert len({window.well for window in windows}) == 5
    assert len(set(names)) == len(names)
    assert [window.file for window in windows] == sorted(window.file for window in windows)
    assert min(window.presence.mean(axis=1).min() for window in windows) >= 0.5
    pairs = {(window.file, window.pair) for window in windows}
    # The wrapped file and the one that descends with STEP 0 are among them.
    assert {("P-135_out.LAS", "rhob_nphi"), ("F03-02.las", "lld_lls"), ("6038187_v1.2.las", "gr_sp")} <= pairs
