"""The page holds all it shows, needs no network, and works in a browser."""

import io
import json
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from report_cases import paired, sample_overlays, sample_report

from veerjax.errors import InputError
from veerjax.report import page, plot_list, sections
from veerjax.report.canvas import DARK, LIGHT, few_colours, numbers
from veerjax.report.overlay import COLOURS
from veerjax.report.page import Overlay, command, write_report

CHROMIUM = {name: shutil.which(name) for name in ("chromium", "chromedriver")}


class Elements(HTMLParser):
    """The attributes of all elements, by tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, list[dict[str, str | None]]] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.setdefault(tag, []).append(dict(attrs))


@pytest.fixture
def two_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of two plots, which are quicker to make."""
    monkeypatch.setattr(page, "plots_of", lambda report: plot_list.PLOTS[:2])


def test_the_page_holds_its_pictures_and_names_no_other_place(tmp_path: Path, two_plots: None) -> None:
    write_report(sample_report(), sample_overlays(), tmp_path / "a" / "report")
    text = (tmp_path / "a" / "report" / "index.html").read_text()
    found = Elements(text).found
    assert len(found["img"]) == 2 + 5
    assert all(image["src"].startswith("data:image/png;base64,") and image["alt"] for image in found["img"])
    assert all(source["srcset"].startswith("data:image/png;base64,") for source in found["source"])
    assert all(link["href"].startswith(("#", "data:")) for link in found["a"] + found["link"])
    assert "http" not in text.replace("http-equiv", "")
    assert "$" not in "".join(line for line in text.splitlines() if "base64" not in line)
    anchors = {link["href"][1:] for link in found["a"]}
    assert anchors == {section["id"] for section in found["section"]}


def test_plots_and_overlays_lie_beside_the_page(tmp_path: Path, two_plots: None) -> None:
    overlays = sample_overlays()
    write_report(sample_report(), overlays, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"index.html", "confusion.png", "tolerance_curve.png", "logs"}
    written = sorted((tmp_path / "logs").iterdir())
    assert [path.name for path in written][3:] == [
        "04-median-standard_test_00003.png",
        "05-best-standard_test_00004.png",
    ]
    with Image.open(written[0]) as image:
        np.testing.assert_array_equal(np.asarray(image), overlays[0].picture)


def test_nothing_that_was_there_is_lost(tmp_path: Path, two_plots: None, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "logs").mkdir()
    for name in ("notes.txt", "index.html", "logs/mine.png"):
        (tmp_path / name).write_text("before")
    stops = page.write

    def full(path: Path, content: bytes) -> None:
        if path.name == "tolerance_curve.png":
            raise OSError("no space left on device")
        stops(path, content)

    monkeypatch.setattr(page, "write", full)
    with pytest.raises(OSError, match="no space"):
        write_report(sample_report(), sample_overlays(), tmp_path)
    assert (tmp_path / "index.html").read_text() == "before"
    monkeypatch.setattr(page, "write", stops)
    write_report(sample_report(), sample_overlays(), tmp_path)
    assert (tmp_path / "index.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "notes.txt").read_text() == (tmp_path / "logs" / "mine.png").read_text() == "before"
    assert not [path for path in tmp_path.rglob(".*")]


def test_overlays_of_an_earlier_report_are_removed_and_nothing_else(tmp_path: Path, two_plots: None) -> None:
    write_report(sample_report(), sample_overlays(worst=5), tmp_path)
    for name in ("mine.png", "01-worst-notes.txt", "99-other-x.png"):
        (tmp_path / "logs" / name).write_text("mine")
    write_report(sample_report(), sample_overlays(worst=1), tmp_path)
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == [
        "01-worst-notes.txt",
        "01-worst-standard_test_00000.png",
        "02-median-standard_test_00001.png",
        "03-best-standard_test_00002.png",
        "99-other-x.png",
        "mine.png",
    ]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("")
    with pytest.raises(InputError, match="is a file; the report needs a folder of that name"):
        write_report(sample_report(), [], tmp_path / "report")


def test_names_cannot_write_into_the_page(tmp_path: Path, two_plots: None) -> None:
    report = sample_report(wells=2, weights='runs/<b id="x">&@best')
    report["per_log"]["name"][0] = "<script>alert(1)</script>"
    overlay = Overlay("worst", "../../<img src=y>", '"quoted" & more', np.zeros((8, 8, 3), np.uint8))
    write_report(report, [overlay], tmp_path)
    found = Elements((tmp_path / "index.html").read_text()).found
    assert len(found["script"]) == 1
    assert not [element for element in found["img"] if "alt" not in element]
    assert "x" not in [element.get("id") for elements in found.values() for element in elements]
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["01-worst-.._..__img_src_y_.png"]


def test_what_the_report_lacks_is_left_out(tmp_path: Path, two_plots: None) -> None:
    report = sample_report(baselines={}, survey=None, seconds={})
    report.pop("per_log")
    report.pop("interval95")
    write_report(report, [], tmp_path)
    text = (tmp_path / "index.html").read_text()
    for anchor in ("paired", "overlays", "logs", "everything"):
        assert f'id="{anchor}"' not in text
    assert 'id="headline"' in text
    assert plot_list.plots_of(report) == [plot for plot in plot_list.PLOTS if not plot.needs.startswith("per_log")]


def test_logs_without_curves_get_no_plots_of_curves() -> None:
    report = nothing_read()
    for part in report["strata"].values():
        part["rows"] = part["logs"] = [[0] * len(part["rows"][0])] * 2
    assert [plot.name for plot in plot_list.plots_of(report)] == ["confusion"]


def test_what_is_known_of_one_curve_alone_is_plotted() -> None:
    assert plot_list.known({"a": [[None, None], [None, 0.0]]})
    assert not plot_list.known({"a": [[None], []], "b": None})


def test_weights_that_read_nothing_get_a_page(tmp_path: Path, two_plots: None) -> None:
    write_report(nothing_read(), [], tmp_path)
    text = (tmp_path / "index.html").read_text()
    assert ">nan<" not in text.lower()
    assert ">none<" not in text.lower()


def test_two_weights_get_their_own_part(tmp_path: Path, two_plots: None) -> None:
    write_report(paired(sample_report()), [], tmp_path)
    text = (tmp_path / "index.html").read_text()
    assert "runs/b@best against release" in text
    assert text.count('<td data-value="B better" class=better>') > 20


def test_a_page_of_two_weights_says_whose_pictures_and_logs_it_shows(tmp_path: Path, two_plots: None) -> None:
    said = "All are of the first weights, release."
    write_report(paired(sample_report()), sample_overlays(), tmp_path)
    assert (tmp_path / "index.html").read_text().count(said) == 3
    write_report(sample_report(), sample_overlays(), tmp_path)
    assert said not in (tmp_path / "index.html").read_text()


def test_the_meaning_explains_what_is_shown_and_what_the_intervals_are_over() -> None:
    default, everything = (sections.meaning(sample_report(metrics=name)).body for name in ("default", "all"))
    for word in ("clDice", "HD95", "Panoptic", "Lane F1", "6a", "Pearson", "AP"):
        assert word in everything
        assert word not in default
    assert "Distances stop at 64 px" in default
    assert "The logs are drawn again" in default
    wells = sections.meaning(sample_report(wells=3)).body
    assert "The wells are drawn again" in wells
    assert "other pens or scanners" in wells


def test_risk_says_at_what_an_invented_row_counts() -> None:
    caption = next(plot.caption for plot in plot_list.PLOTS if plot.name == "risk_coverage")
    assert "an invented row, read where no curve is, counts at the width of the track" in caption


def test_the_command_makes_the_page_again() -> None:
    assert command(sample_report()) == (
        "veerjax evaluate --weights release --data standard --split test --limit 12 --metrics all --report DIR"
    )
    both = command(paired(sample_report(data="raster_logs/las")))
    assert "--weights release --weights runs/b@best --paired --data raster_logs/las" in both
    assert "--data-dir DATA_DIR" in both
    assert command(sample_report(command="as it was typed")) == "as it was typed"


def test_few_colours_keep_the_colours_of_the_curves() -> None:
    picture = sample_overlays(200, 200)[0].picture
    with Image.open(io.BytesIO(few_colours(picture, colours=page.OVERLAY_COLOURS))) as image:
        small = np.asarray(image.convert("RGB"))
    for colour, x in zip(COLOURS, (50, 100), strict=True):
        assert np.abs(small[:, x].astype(int) - colour).max() <= 8
    assert np.abs(small.astype(int) - picture).mean() < 4


def test_undefined_figures_are_nan() -> None:
    np.testing.assert_array_equal(numbers({"a": {"b": [1, None]}}, "a.b"), [1, np.nan])


def undefined(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: undefined(item) for key, item in value.items()}
    return [undefined(item) for item in value] if isinstance(value, list) else None


def nothing_read() -> dict[str, Any]:
    """What weights give that never read a curve: no figure but counts is defined."""
    report = sample_report(logs=2)
    told = ("weights", "data", "split", "metrics", "n_logs", "n_wells", "interval_unit", "interval_draws")
    kept = {key: report[key] for key in (*told, "confusion", "axes", "seconds")}
    nothing = {key: undefined(report[key]) for key in report if key not in kept and key not in ("baselines", "survey")}
    nothing["per_log"] |= {"name": report["per_log"]["name"]}
    nothing["interval95"] = {}
    nothing["strata"] = {
        name: part | {"rows": report["strata"][name]["rows"]} for name, part in nothing["strata"].items()
    }
    nothing["calibration"]["rows"] = [[0] * 50] * 2
    return kept | nothing


@pytest.mark.slow
@pytest.mark.parametrize("plot", plot_list.PLOTS, ids=lambda plot: plot.name)
@pytest.mark.parametrize("report", [sample_report(), nothing_read()], ids=["full", "empty"])
@pytest.mark.filterwarnings("error")
def test_every_plot_draws_on_either_paper_and_says_what_it_shows(plot: plot_list.Plot, report: dict) -> None:
    for theme in (LIGHT, DARK):
        made, words = plot.draw(report, theme)
        made.savefig(io.BytesIO(), dpi=40)
        assert len(words) > 30
        assert words.endswith(".")
        assert all(axes.get_facecolor() == made.get_facecolor() for axes in made.axes)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with everything, at the size of real ones."""
    out = tmp_path_factory.mktemp("report")
    report = paired(sample_report(logs=200, wells=3))
    report["per_log"]["row_error_all_px"][0] = [9.0, 1.0]
    report["per_log"]["row_error_all_px"][1] = [10.0, 1.0]  # as text it would stand before 9
    write_report(report, sample_overlays(512, 520, worst=12), out)
    return out / "index.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium without a window and without a network, that keeps a log of its console and its requests."""
    missing = [name for name, path in CHROMIUM.items() if path is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} are not installed: apt-get install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM["chromium"]
    profile = tmp_path_factory.mktemp("profile")
    for switch in (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", f"--user-data-dir={profile}",
    ):  # fmt: skip
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(CHROMIUM["chromedriver"]))
    offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    driver.get("about:blank")  # else the browser's own first page asks for its parts in the log of requests
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser: Any, whole: Path) -> Any:
    """The browser with the page open, as wide as a desk's."""
    browser.get_log("browser")
    browser.get_log("performance")
    look(browser, width=1280)
    browser.get(whole.as_uri())
    return browser


def look(browser: Any, *, width: int, scheme: str = "light") -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def values(browser: Any, table: str, column: int) -> list[str | None]:
    """What a column's cells are sorted by, from above."""
    rows = "Array.from(document.querySelectorAll(arguments[0] + ' tbody tr')"
    script = f"return {rows}, row => row.cells[arguments[1]].dataset.value ?? null)"
    return browser.execute_script(script, table, column)


def click(browser: Any, table: str, column: int) -> str:
    """Clicks a head; what the column then says of its order."""
    head = browser.find_elements("css selector", f"{table} thead th")[column]
    head.find_element("tag name", "button").click()
    return head.get_attribute("aria-sort")


@pytest.mark.slow
def test_the_page_is_below_four_megabytes(whole: Path) -> None:
    assert whole.stat().st_size < 4e6


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_opens_from_a_file_without_network_and_without_errors(opened: Any, scheme: str) -> None:
    look(opened, width=1280, scheme=scheme)
    opened.refresh()
    images = "return Array.from(document.images, i => [i.complete && i.naturalWidth, i.alt, i.currentSrc])"
    found = opened.execute_script(images)
    assert len(found) == len(plot_list.PLOTS) + 14
    assert all(width > 0 and len(alt) > 20 for width, alt, _ in found)
    plotted = found[0][2]
    look(opened, width=1280, scheme="dark" if scheme == "light" else "light")
    opened.refresh()
    assert opened.execute_script(images)[0][2] != plotted, "the plots follow the paper"
    assert not [entry for entry in opened.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    sent = [json.loads(entry["message"])["message"] for entry in opened.get_log("performance")]
    asked = [item["params"]["request"]["url"] for item in sent if item["method"] == "Network.requestWillBeSent"]
    assert asked
    assert {address.split(":")[0] for address in asked} <= {"file", "data"}


@pytest.mark.slow
def test_the_headline_table_shows_all_its_columns_on_a_desk(opened: Any) -> None:
    sizes = "const t = document.querySelector('#headline .table'); return [t.scrollWidth, t.clientWidth]"
    whole, shown = opened.execute_script(sizes)
    assert whole <= shown


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_phone(opened: Any, scheme: str) -> None:
    look(opened, width=360, scheme=scheme)
    opened.refresh()
    assert opened.execute_script("return innerWidth") == 360
    assert opened.execute_script("return document.documentElement.scrollWidth") <= 360
    opened.execute_script("document.querySelector('details').open = true")
    assert opened.execute_script("return document.documentElement.scrollWidth") <= 360


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "column"), [("#headline", 1), ("#headline", 3), ("#logs", 4), ("#logs", 1), ("#paired", 3)]
)
def test_a_click_on_a_head_sorts_by_number_both_ways(opened: Any, table: str, column: int) -> None:
    before = values(opened, table, column)
    orders = {}
    for _ in range(2):
        order = click(opened, table, column)
        shown = values(opened, table, column)
        assert sorted(map(str, shown)) == sorted(map(str, before)), "no row is lost"
        known = [float(value) for value in shown if value is not None]
        assert known == sorted(known, reverse=order == "descending")
        assert shown[len(known) :] == [None] * (len(shown) - len(known)), "what is not defined stays at the end"
        orders[order] = known
    assert set(orders) == {"ascending", "descending"}
    assert (
        len(opened.find_elements("css selector", f"{table} th[aria-sort=ascending], {table} th[aria-sort=descending]"))
        == 1
    )


@pytest.mark.slow
def test_the_first_head_brings_the_headline_back_to_its_order(opened: Any) -> None:
    before = values(opened, "#headline", 0)
    click(opened, "#headline", 1)
    assert values(opened, "#headline", 0) != before
    assert click(opened, "#headline", 0) == "ascending"
    assert values(opened, "#headline", 0) == before


@pytest.mark.slow
def test_logs_start_with_the_worst_and_sort_by_name(opened: Any) -> None:
    mean = [float(value) for value in values(opened, "#logs", 1) if value is not None]
    assert mean == sorted(mean)
    assert len(mean) == 199
    click(opened, "#logs", 0)
    assert values(opened, "#logs", 0) == [f"standard/test/{index:05d}" for index in range(200)]


@pytest.mark.slow
def test_the_keyboard_sorts_and_enlarges(opened: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    button = opened.find_element("css selector", "#headline thead th:nth-child(2) button")
    button.send_keys(Keys.ENTER)
    assert button.find_element("xpath", "..").get_attribute("aria-sort") == "ascending"
    picture = opened.find_element("css selector", "#overlays figure button")
    picture.send_keys(Keys.ENTER)
    larger = opened.find_element("id", "larger")
    assert larger.get_attribute("open")
    shown = larger.find_element("tag name", "img")
    assert shown.size["width"] > picture.size["width"]
    opened.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not larger.get_attribute("open")
