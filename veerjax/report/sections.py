"""The parts of the report's page, as HTML."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from math import isfinite
from string import Template
from typing import Any, NamedTuple

from veerjax.metrics.curve_distance import REACH_PX
from veerjax.report.paired import differences, paired_names, paired_note
from veerjax.report.tables import (
    BLANK_PAGE,
    HEADLINE,
    MISSING,
    Column,
    Headline,
    certainty,
    columns,
    headline_rows,
    look_up,
)

Report = Mapping[str, Any]
PLOTTED = ("strata.", "calibration.", "risk_coverage.", "tolerance_curve.")
DARK_PAPER = "(prefers-color-scheme: dark)"
CURVE_MARKS = ('<span class="one">curve 1</span>', '<span class="two">curve 2</span>')
OTHERS = {"log": "wells, pens or scanners", "well": "pens or scanners"}  # of which intervals over a unit do not speak
CARDS = {
    "Tolerance F1 within 2 px": ("tolerance_f1.2.0", "tolerance_f1.2.1"),
    "Rows covered": ("coverage.0", "coverage.1"),
    "Median row error": ("row_error_px.median.0", "row_error_px.median.1"),
    "Mean row error, missed rows included": ("row_error_all_px.mean.0", "row_error_all_px.mean.1"),
}


@dataclass(frozen=True)
class Section:
    """A part of the page, its title, and how the list of contents calls it."""

    anchor: str
    short: str
    title: str
    body: str


@dataclass(frozen=True)
class Picture:
    """A PNG for light paper, another for dark paper where it differs, and the words around it."""

    title: str
    caption: str
    words: str  # for those who cannot see it
    light: bytes
    dark: bytes | None = None
    name: str = ""
    kind: str = ""


class Head(NamedTuple):
    """The head of a column: its text, and whether the rows stand in its order."""

    text: str
    sort: str = "none"
    kind: str = ""


def headline(report: Report) -> Section:
    """The figures to judge by, large, and all headline figures with their intervals."""
    found = columns(report)
    cards = "".join(card(title, keys, found[0]) for title, keys in CARDS.items())
    heads = [Head("figure", "ascending"), *(Head(column.title) for column in found)]
    rows = [headline_row(place, row, found) for place, row in enumerate(headline_rows(report))]
    notes = " ".join(escape(f"{note}.") for note in [certainty(report), *(c.note for c in found if c.note)])
    body = (
        f'<div class="cards">{cards}</div>\n<p class="note">\u2191 higher is better, \u2193 lower is better.'
        f" {notes} {escape(BLANK_PAGE)}</p>\n{table(heads, rows, name='Headline figures', style='first mine')}"
    )
    return Section("headline", "Headline", "Headline figures", body)


def card(title: str, keys: Sequence[str], column: Column) -> str:
    """One figure of both curves, with its intervals."""
    by_key = {row.key: row for row in HEADLINE}
    lines = []
    for mark, key in zip(CURVE_MARKS, keys, strict=True):
        value, interval = written(column, by_key[key])
        unit = " px" if "_px" in key and value != MISSING else ""
        lines.append(f"<dt>{mark}</dt><dd>{value}{unit}{interval}</dd>")
    return f'<div class="card"><h3>{escape(title)}</h3><dl>{"".join(lines)}</dl></div>'


def written(column: Column, row: Headline) -> tuple[str, str]:
    """The figure, and its interval in small print."""
    value, _, between = column.text(row).partition(" ")
    return value, f" <small>{between.strip('[]').replace(', ', ' to ')}</small>" if between else ""


def headline_row(place: int, row: Headline, found: Sequence[Column]) -> str:
    arrow = {"higher": "\u2191", "lower": "\u2193"}[row.better]
    cells = "".join(cell("".join(written(column, row)), column.value(row.key)) for column in found)
    name = f'{escape(row.label)} <span class="direction" title="{row.better} is better">{arrow}</span>'
    return f'<tr><th scope="row" data-value="{place}">{name}</th>{cells}</tr>'


def cell(text: str, value: float | str | None, *, style: str = "") -> str:
    """A cell that knows by what it is sorted; `text` is HTML."""
    known = value is not None and (isinstance(value, str) or isfinite(value))
    by = f' data-value="{escape(str(value))}"' if known else ""
    return f"<td{by}{style and f' class={style}'}>{text}</td>"


def table(heads: Sequence[Head], rows: Iterable[str], *, name: str, style: str = "") -> str:
    """A table that a click on a column's head sorts, in a frame that scrolls on its own."""
    row = "".join(
        f'<th scope="col" aria-sort="{head.sort}"{head.kind and f" class={head.kind}"}>'
        f'<button type="button">{escape(head.text)}</button></th>'
        for head in heads
    )
    return (
        f'<div class="table {style}" role="region" aria-label="{escape(name)}" tabindex="0"><table>'
        f"<thead><tr>{row}</tr></thead>\n<tbody>\n{chr(10).join(rows)}\n</tbody></table></div>"
    )


def compared(report: Report) -> Section | None:
    """Two sets of weights on the same logs."""
    if "paired" not in report:
        return None
    heads = [Head("figure", "ascending"), *map(Head, ("A", "B", "B \u2212 A", "95 % interval", "verdict"))]
    rows = []
    for place, item in enumerate(differences(report)):
        figures = report["paired"]["difference"][item.row.key]
        low = (figures.get("interval95") or [None])[0]
        style = "better" if "better" in item.verdict else ""
        cells = [
            cell(item.a, figures.get("a")),
            cell(item.b, figures.get("b")),
            cell(item.difference, figures.get("difference")),
            cell(item.interval, low),
            cell(escape(item.verdict), item.verdict, style=style),
        ]
        rows.append(f'<tr><th scope="row" data-value="{place}">{escape(item.row.label)}</th>{"".join(cells)}</tr>')
    a, b = paired_names(report)
    body = f"<p>{escape(paired_note(report))}</p>\n{table(heads, rows, name='Paired differences', style='first')}"
    return Section("paired", "A and B", f"{b} against {a}", body)


def of_the_first(report: Report) -> str:
    """Whose pictures a page of two sets of weights shows."""
    return f" All are of the first weights, {escape(paired_names(report)[0])}." if "paired" in report else ""


def plotted(report: Report, pictures: Sequence[Picture]) -> Section:
    """The plots."""
    figures = "\n".join(framed(picture) for picture in pictures)
    note = f"Red is curve 1 (solid), blue is curve 2 (broken).{of_the_first(report)}"
    body = f'<p class="note">{note}</p>\n<div class="plots">{figures}</div>'
    return Section("plots", "Plots", "Where it is right and where it is not", body)


def framed(picture: Picture, *, above: str = "") -> str:
    """A picture with its title and caption; a click shows it larger."""
    dark = "" if picture.dark is None else f'<source media="{DARK_PAPER}" srcset="{data(picture.dark)}">'
    image = f'<img alt="{escape(picture.words)}" src="{data(picture.light)}">'
    title = escape(picture.title)
    return (
        f'<figure><h3>{title}</h3>{above}<button type="button" aria-label="Enlarge: {title}"><picture>{dark}{image}'
        f"</picture></button><figcaption>{escape(picture.caption)}</figcaption></figure>"
    )


def data(png: bytes) -> str:
    """A PNG as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def overlaid(report: Report, pictures: Sequence[Picture]) -> Section | None:
    """The logs to look at: the worst, a median one and the best."""
    if not pictures:
        return None
    body = '<p class="note">Left the truth, right what was read, over the pale scan; red is curve 1, blue curve 2,'
    body += f" paler where the other curve hides it. A click enlarges.{of_the_first(report)}</p>"
    sides = '<p class="sides"><span>truth</span><span>read</span></p>'
    for name, kinds in {"The worst first": ("worst",), "One in the middle, and the best": ("median", "best")}.items():
        chosen = [picture for picture in pictures if picture.kind in kinds]
        if chosen:
            figures = "\n".join(framed(picture, above=sides) for picture in chosen)
            body += f'\n<h3 class="kind">{name}</h3>\n<div class="logs">{figures}</div>'
    return Section("overlays", "Overlays", "Logs to look at", body)


def logs(report: Report) -> Section | None:
    """All logs, the worst first."""
    found = report.get("per_log")
    if not found:
        return None
    wells = found.get("well") or [None] * len(found["name"])
    parts = {"F1": "tolerance_f1_2px", "error": "row_error_all_px", "coverage": "coverage"}
    heads = [Head("log", kind="text"), Head("mean F1", "ascending")]
    heads += [Head(f"{name}, curve {k}" + " [px]" * (name == "error")) for name in parts for k in (1, 2)]
    heads += [Head("well", kind="text")] * any(wells)
    lines = []
    for place, (name, well) in enumerate(zip(found["name"], wells, strict=True)):
        f1 = [value for value in found["tolerance_f1_2px"][place] if value is not None]
        mean = sum(f1) / len(f1) if f1 else None
        cells = [cell(escape(name), name, style="text"), cell(number(mean, 3), mean)]
        for key in parts.values():
            digits = 2 if key.endswith("all_px") else 3
            cells += [cell(number(value, digits), value) for value in found[key][place]]
        cells += [cell(escape(well or MISSING), well, style="text")] * any(wells)
        lines.append((float("inf") if mean is None else mean, f"<tr>{''.join(cells)}</tr>"))
    lines.sort(key=lambda line: line[0])
    note = "F1 within 2 px, mean row error over all rows, and coverage. A click on a head sorts."
    body = f'<p class="note">{note}{of_the_first(report)}</p>\n'
    body += table(heads, [row for _, row in lines], name="All logs", style="tall")
    return Section("logs", "Every log", f"Every log ({len(lines):,})", body)


def number(value: float | None, digits: int) -> str:
    return MISSING if value is None else f"{value:,.{digits}f}"


def meaning(report: Report) -> Section:
    """What the figures that are shown mean, in plain words."""
    more = resource("meaning_all.html") if report.get("metrics") == "all" else ""
    unit = report.get("interval_unit", "log")
    body = Template(resource("meaning.html")).substitute(unit=unit, others=OTHERS[unit], reach=REACH_PX, more=more)
    return Section("meaning", "What it means", "What the figures mean", body)


def resource(name: str) -> str:
    """The text of a file that lies beside this one."""
    return files("veerjax.report").joinpath(name).read_text("utf-8")


def everything(report: Report) -> Section | None:
    """All other figures, by the keys of the JSON."""
    known = {row.key for row in headline_rows(report)}
    rest = [key for key in report.get("interval95", {}) if key not in known and not key.startswith(PLOTTED)]
    if not rest:
        return None
    found = [column for column in columns(report) if column.intervals]
    heads = [Head("key", "none", "text"), *(Head(column.title) for column in found)]
    rows = []
    for key in rest:
        row = Headline(key, key, "higher", 3)
        cells = "".join(cell("".join(written(column, row)), column.value(key)) for column in found)
        rows.append(f'<tr><th scope="row" data-value="{escape(key)}">{escape(key)}</th>{cells}</tr>')
    body = f"<details><summary>{len(rest):,} more figures, by their keys in the JSON</summary>"
    body += f"{table(heads, rows, name='All other figures', style='first tall')}</details>"
    return Section("everything", "The rest", "Everything else that was measured", body)


def timing(report: Report, command: str) -> Section:
    """Where the time went, and the command."""
    seconds = {name: value for name, value in (report.get("seconds") or {}).items() if value is not None}
    body = f"<p>The command:</p>\n<pre><code>{escape(command)}</code></pre>"
    if seconds:
        total, count = sum(seconds.values()), max(look_up(report, "n_logs"), 1)
        heads = [Head("part", kind="text"), Head("seconds"), Head("share"), Head("ms per log")]
        rows = []
        for name, value in seconds.items():
            cells = [cell(escape(name.replace("_", " ")), name, style="text"), cell(number(value, 1), value)]
            cells += [cell(f"{value / max(total, 1e-9):.0%}", value), cell(number(1000 * value / count, 1), value)]
            rows.append(f"<tr>{''.join(cells)}</tr>")
        body += f"\n<p>{total:,.1f} s in all, compiling included.</p>\n{table(heads, rows, name='Timing')}"
    return Section("timing", "Time and command", "Time, and how to get this page again", body)
