"""The tables say what was measured, on what, how surely, and nothing that was not."""

import pytest
from report_cases import sample_report, structure

from veerjax.metrics.bootstrap import flat
from veerjax.metrics.scores import lower_is_better
from veerjax.report.tables import (
    HEADLINE,
    README_KEYS,
    TEXT_WIDTH,
    headline_rows,
    look_up,
    markdown_table,
    text_table,
)

OF_ALL = (
    "cldice",
    "surface_px",
    "boundary_iou",
    "panoptic",
    "lane_f1",
    "chart",
    "values",
    "average_precision",
)


def without_all(report: dict) -> dict:
    """As with --metrics default."""
    kept = {key: value for key, value in report.items() if key not in OF_ALL}
    return kept | {"baselines": {name: without_all(figures) for name, figures in report.get("baselines", {}).items()}}


def test_every_headline_figure_is_measured() -> None:
    measured = flat(structure())
    # Average precision does not add over logs, and so is no part of `measure`.
    apart = tuple(f"average_precision.{kind}.{name}." for kind in ("mask", "box") for name in ("ap", "ap50"))
    assert not [row.key for row in HEADLINE if row.key not in measured and not row.key.startswith(apart)]
    assert set(README_KEYS) <= {row.key for row in HEADLINE}


@pytest.mark.parametrize("row", HEADLINE, ids=lambda row: row.key)
def test_the_direction_of_a_figure_is_the_one_that_decides_a_comparison(row) -> None:
    assert (row.better == "lower") == lower_is_better(row.key)


def test_the_text_table_shows_every_method_with_its_intervals() -> None:
    report = sample_report()
    text = text_table(report)
    assert text.startswith("release on 12 logs of standard (test); 95 % intervals over logs (10,000 draws)\n")
    line = next(line for line in text.splitlines() if line.startswith("tolerance F1 @ 2 px, curve 2"))
    for figures in (report, *report["baselines"].values()):
        value, (low, high) = figures["tolerance_f1"]["2"][1], figures["interval95"]["tolerance_f1.2.1"]
        assert f"{value:.3f} [{low:.3f}, {high:.3f}]" in line
    assert line.endswith("-")  # the survey gives no F1


def test_the_text_table_fits_its_width_whatever_the_names() -> None:
    long = "runs/" + "a_rather_long_name/" * 6 + "unet@best"
    many = {f"baseline_of_some_kind_{index}": sample_report() for index in range(5)}
    for report in (sample_report(), sample_report(weights=long), sample_report() | {"baselines": many}):
        lines = text_table(report).splitlines()
        assert max(map(len, lines)) <= TEXT_WIDTH
        assert sum(line.startswith("coverage, curve 1") for line in lines) == (2 if len(report["baselines"]) > 3 else 1)
    assert "unet@best" in text_table(sample_report(weights=long)).splitlines()[3]


def test_the_survey_is_marked_as_its_own_on_its_own_data() -> None:
    text = text_table(sample_report())
    assert "survey*" in text
    assert "* the survey's own figures, on its own data" in text
    assert "survey" not in text_table(sample_report(survey=None))


def test_what_was_not_measured_is_left_out_and_what_is_not_defined_is_a_dash() -> None:
    report = without_all(sample_report())
    report["baselines"]["classical"].pop("peak_recall")
    report.pop("swaps_per_1000_rows")
    for figures in report["baselines"].values():
        figures.pop("swaps_per_1000_rows")
    text = text_table(report)
    assert "swaps" not in text
    assert "clDice" not in text
    head, *lines = (line for line in text.splitlines() if "survey*" in line or line.startswith(("peak", "identity")))
    place = head.index("classical")
    recall = next(line for line in lines if line.startswith("peak recall, curve 1"))
    assert recall[place] == "-"
    identity = next(line for line in lines if line.startswith("identity"))
    assert identity[head.index("all background")] == "-"
    assert identity[head.index("release")] != "-"


def test_a_figure_without_interval_stands_alone() -> None:
    report = sample_report()
    report["interval95"]["coverage.0"] = [None, None]
    line = next(line for line in text_table(report).splitlines() if line.startswith("coverage, curve 1"))
    assert f"{report['coverage'][0]:.3f}  " in line


def test_extras_are_shown_where_they_were_measured() -> None:
    more = {
        "cldice": [0.5, 0.25],
        "surface_px": {"hd95": [3.0, None], "assd": [1.0, 2.0]},
        "chart": {"6a": 0.75, "6b": 0.5},
        "panoptic": {"pq": [0.9, 0.8, 0.7]},
        "average_precision": {"mask": {"ap": [0.125, 0.5]}, "box": {"ap50": [0.25, 0.75]}},
    }
    report = without_all(sample_report()) | more
    keys = [row.key for row in headline_rows(report)]
    for key in (
        "cldice.1",
        "surface_px.hd95.0",
        "surface_px.hd95.1",
        "chart.6b",
        "panoptic.pq.2",
        "average_precision.box.ap50.1",
    ):
        assert key in keys
    assert "panoptic.rq.0" not in keys
    assert "0.750" in next(line for line in text_table(report).splitlines() if line.startswith("line-chart score 6a"))


def test_wells_and_their_unit_are_named() -> None:
    assert "release on 12 logs from 4 wells of standard" in text_table(sample_report(wells=4))
    assert "95 % intervals over wells" in text_table(sample_report(wells=4))
    one = " ".join(text_table(sample_report(wells=1)).split())
    assert "12 logs from 1 well of" in one
    assert "the intervals say nothing about other wells" in one


def test_the_markdown_table_has_the_rows_that_were_asked_for() -> None:
    text = markdown_table(sample_report(), keys=("coverage.1", "iou.pooled.2"))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert [line.split("|")[1].strip() for line in lines] == [
        "figure",
        "---",
        "IoU pooled, curve 2",
        "coverage, curve 2",
    ]
    assert {line.count("|") for line in lines} == {7}
    assert text.splitlines()[-1] == "\\* the survey's own figures, on its own data"
    assert "95 % intervals over logs" in text.splitlines()[0]
    assert len(markdown_table(sample_report()).splitlines()) == 2 + 2 + len(README_KEYS) + 2


def test_a_single_log_has_no_interval_and_the_head_says_so() -> None:
    text = " ".join(text_table(sample_report(logs=1)).split())
    assert "no intervals: a single log says nothing about others" in text
    assert "95 % intervals" not in text


def test_the_figure_to_decide_by_comes_first() -> None:
    assert HEADLINE[0].key == "tolerance_f1_2px"
    lines = text_table(sample_report()).splitlines()
    assert lines[4].startswith("tolerance F1 @ 2 px, mean of curves")


def test_what_could_be_misread_is_named_in_full() -> None:
    text = text_table(sample_report(average_precision={"mask": {"ap50": [0.5, 0.25]}}))
    for label in (
        "IoU pooled, curve 1",
        "IoU per image, curve 1",
        "p95 distance capped at 64 px, curve 2",
        "mean depth lag, curve 1 [rows]",
        "Pearson by chance, curve 2",
        "mask AP at .5 (no interval), curve 1",
    ):
        assert any(line.startswith(label) for line in text.splitlines()), label


def test_a_dotted_key_finds_its_entry_or_says_that_there_is_none() -> None:
    figures = {"a": {"1%": [3, None]}}
    assert look_up(figures, "a.1%.0") == 3
    assert look_up(figures, "a.1%.1", absent=7) is None
    assert look_up(figures, "a.1%.2", absent=7) == 7
    assert look_up(figures, "a.b.c", absent=7) == 7
