"""A comparison says which weights are better by the figure fixed beforehand, and what is noise."""

import pytest
from report_cases import paired, sample_report

from veerjax.metrics.scores import graded
from veerjax.report.paired import SAID, differences, paired_table
from veerjax.report.tables import TEXT_WIDTH


def table(report: dict) -> list[str]:
    return [line for line in paired_table(report).splitlines() if not line.startswith("-")]


def note(report: dict) -> str:
    return " ".join(paired_table(report).split("\n\n")[0].split())


def test_the_paired_table_gives_differences_intervals_and_verdicts() -> None:
    text = paired_table(paired(sample_report()))
    assert "A is release, B is runs/b@best" in text
    rows = {line[:42].strip(): line.split("  ")[-1].strip() for line in text.splitlines()}
    assert rows["coverage, curve 1"] == "noise"
    assert rows["coverage, curve 2"] == "equal"
    assert rows["tolerance F1 @ 2 px, curve 2"] == "B better"
    assert "+0.100" in text
    assert "[+0.050, +0.150]" in text
    assert max(map(len, text.splitlines())) <= TEXT_WIDTH


def test_the_figure_to_decide_by_is_the_first_row_with_its_own_interval() -> None:
    first = next(line for line in table(paired(sample_report())) if line.startswith("tolerance"))
    assert first.split("  ")[0] == "tolerance F1 @ 2 px, mean of curves"
    assert "[+0.050, +0.150]  B better" in first
    assert differences(paired(sample_report()))[0].row.key == "tolerance_f1_2px"


@pytest.mark.parametrize("verdict", SAID)
def test_the_figure_to_decide_by_is_said_in_words(verdict: str) -> None:
    report = paired(sample_report())
    report["paired"]["difference"]["tolerance_f1_2px"]["verdict"] = verdict
    said = (
        f"fixed beforehand, is tolerance F1 @ 2 px, mean of curves: {SAID[verdict]}, B - A = +0.100 [+0.050, +0.150]."
    )
    assert said in note(report)


def test_a_comparison_without_the_figure_to_decide_by_names_none() -> None:
    report = paired(sample_report())
    report["paired"]["difference"].pop("tolerance_f1_2px")
    assert "fixed beforehand" not in note(report)


def test_a_difference_that_is_not_defined_is_a_dash() -> None:
    line = next(line for line in table(paired(sample_report())) if line.startswith("identity accuracy"))
    assert line.split()[-3:] == ["-", "-", "-"]


def test_facts_of_the_data_are_no_part_of_a_comparison() -> None:
    shown = [item.row.key for item in differences(paired(sample_report()))]
    assert not [key for key in shown if "ceiling" in key or not graded(key)]
    assert "stroke_iou.1" in shown


def test_average_precision_is_said_to_have_no_interval() -> None:
    report = paired(sample_report())
    assert "AP has no interval, for it does not add over logs, and is not compared" not in note(report)
    assert "AP has no interval, for it does not add over logs" in note(report | {"average_precision": {}})


def test_the_second_weights_may_be_named_alone() -> None:
    report = paired(sample_report())
    report["paired"]["weights"] = "B"
    assert "A is release, B is B" in paired_table(report)
