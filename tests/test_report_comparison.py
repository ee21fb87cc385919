"""The report of a comparison and its exhibit: claims before results, and a page that shows what the JSON says."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import comparison_cases as cases
import pytest
from PIL import Image

from veerjax.cli import main
from veerjax.comparison import evidence
from veerjax.comparison.exhibited import EXHIBITED, stored_steps
from veerjax.comparison.summary import summary
from veerjax.errors import InputError
from veerjax.metrics.bootstrap import draw_weights
from veerjax.report import comparison, exhibit
from veerjax.report.comparison import evidence as in_words
from veerjax.report.exhibit import write_exhibit

CHROMIUM = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
needs_browser = pytest.mark.skipif(not all(CHROMIUM.values()), reason="no chromium and chromedriver here")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with everything that the exhibit shows."""
    out = tmp_path_factory.mktemp("comparison")
    made = [cases.trial(arm, 0, {**cases.GOOD[arm], "ceiling": cases.GOOD[arm]["native"]}) for arm in EXHIBITED]
    cases.folder_of(out, *made, cases.control(), cases.oracles())
    (out / "exhibit").mkdir()
    for arm in EXHIBITED:
        (out / "exhibit" / f"{arm}.json").write_text(json.dumps(cases.shown(arm)))
    return out


@pytest.fixture(scope="module")
def results(folder: Path) -> Iterator[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "weights_of", lambda units: draw_weights(units, draws=50))
        yield summary(folder)


@pytest.fixture(scope="module")
def written(folder: Path, results: dict[str, Any]) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("veerjax.comparison.summary.summary", lambda out: results)
        assert main(["compare", "report", str(folder)]) == 0
        assert main(["compare", "exhibit", str(folder), "--out", str(folder / "exhibit.html")]) == 0
    return folder


def test_claims_stand_before_results_and_are_answered(written: Path, results: dict[str, Any]) -> None:
    text = (written / "report.md").read_text()
    for found in results["falsifiers"]:
        first = text.index(found["criterion"])
        assert first < text.index("## The arms where curves meet") < text.index(f"| **{found['verdict']}** |")
    rows = [line for line in text.splitlines() if line.startswith("| B4 |")]
    assert "1,000" in rows[0]
    assert "0.950 [0.940, 0.960]" in rows[0]
    assert re.search(r"\| 1\.000 \[1\.000, 1\.000\] \|", rows[0])  # balanced continuity, every event right
    assert rows[0].endswith(" 3.00 [2.00, 4.00] |")
    for name in ("recall", "overlap", "seeds", "learning"):
        assert f"({name}.png)" in text
        with Image.open(written / f"{name}.png") as picture:
            assert picture.width > 500
    assert json.loads((written / "results.json").read_text()) == results
    assert "## What was not run, and why" in text


def test_evidence_is_told_in_words() -> None:
    found = {"0": {"verdict": "held", "gap": {"value": 0.5, "interval95": [0.4, 0.6]}, "n": 3}}
    assert in_words(found) == "seed 0: verdict: held; gap: 0.500 [0.400, 0.600]; n: 3"


def test_the_page_is_small_and_needs_nothing(written: Path) -> None:
    text = (written / "exhibit.html").read_text()
    assert len(text) < exhibit.MOST_BYTES
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")


def test_a_page_that_is_too_large_is_not_written(results: dict[str, Any], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(exhibit, "MOST_BYTES", 1000)
    with pytest.raises(InputError, match=r"the page would take 0\.\d MB, and 0 are allowed"):
        write_exhibit(results, {"A1": cases.shown("A1")}, tmp_path / "a.html")
    assert not list(tmp_path.iterdir())


def test_networks_that_were_not_trained_are_not_passed_off(results: dict[str, Any]) -> None:
    shown = {"B4": cases.shown("B4")}
    assert "networks that were not trained" in exhibit.page({**results, "result": False}, shown)
    assert "networks that were not trained" not in exhibit.page(results, shown)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    selenium = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    options = selenium.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--touch-events=enabled"):
        options.add_argument(argument)
    options.binary_location = str(CHROMIUM["chromium"])
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = selenium.Chrome(options=options, service=Service(str(CHROMIUM["chromedriver"])))
    driver.set_window_size(1400, 1100)
    yield driver
    driver.quit()


def text_of(browser: Any, name: str) -> str:
    return browser.find_element("id", name).text


def bars(browser: Any, side: str) -> list[str]:
    return [output.text for output in browser.find_elements("css selector", f"#{side}-bars output")]


def expected_bars(results: dict[str, Any], arm: str, ink: str, step: int) -> list[str]:
    of = results["sweep"][arm][ink][step]
    values = [*of["iou"]["value"], of["tolerance_f1_2px"]["value"], of["identity_accuracy"]["value"]]
    return ["-" if value is None else f"{value:.2f}" for value in values]


def check_numbers(
    browser: Any,
    results: dict[str, Any],
    *,
    boxes: str,
    pixels: str,
    ink: str,
    step: int,
    shown: Callable[[str], Any] = cases.shown,
) -> None:
    """What is on screen is what the results and the stored step say."""
    stored = [s for s in shown(boxes)["steps"] if s["ink"] == ink][step]
    assert text_of(browser, "apart") == f"{stored['separation']:g}"
    assert text_of(browser, "formula") == f"{stored['formula']:.2f}"
    assert text_of(browser, "overlap") == ("-" if stored["overlap"] is None else f"{stored['overlap']:.2f}")
    states = [box["state"] for box in stored["boxes"]]
    assert text_of(browser, "counts") == ", ".join(str(states.count(kind)) for kind in ("chosen", "kept", "dropped"))
    assert len(browser.find_elements("css selector", "#boxes rect")) == len(states)
    for side, arm in (("boxes", boxes), ("pixels", pixels)):
        assert text_of(browser, f"{side}-arm") == arm
        assert bars(browser, side) == expected_bars(results, arm, ink, step)


@needs_browser
@pytest.mark.slow
def test_the_slider_moves_by_keys_mouse_and_touch(written: Path, results: dict[str, Any], browser: Any) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser.get((written / "exhibit.html").as_uri())
    told = {"boxes": "A1", "pixels": "B4", "ink": "different"}
    check_numbers(browser, results, step=0, **told)
    slider = browser.find_element("id", "separation")
    slider.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    check_numbers(browser, results, step=2, **told)
    slider.send_keys(Keys.END)
    check_numbers(browser, results, step=9, **told)
    slider.send_keys(Keys.HOME)
    ActionChains(browser).move_to_element(slider).click().perform()
    assert slider.get_attribute("value") in ("4", "5")
    check_numbers(browser, results, step=int(slider.get_attribute("value")), **told)
    place = slider.rect
    point = {"x": place["x"] + 0.99 * place["width"], "y": place["y"] + place["height"] / 2}
    for kind, points in (("touchStart", [point]), ("touchEnd", [])):
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    assert slider.get_attribute("value") == "9"
    assert "0 of a box's width" in browser.find_element("id", "boxes").get_attribute("aria-label")
    assert [e for e in browser.get_log("browser") if e["level"] in ("SEVERE", "WARNING")] == []
    asked = [json.loads(e["message"])["message"] for e in browser.get_log("performance")]
    urls = {m["params"]["request"]["url"] for m in asked if m["method"] == "Network.requestWillBeSent"}
    assert urls
    assert all(url.startswith(("file:", "data:")) for url in urls)


@needs_browser
@pytest.mark.slow
def test_every_toggle_shows_another_network_or_ink(written: Path, results: dict[str, Any], browser: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.get((written / "exhibit.html").as_uri())

    def press(name: str) -> None:
        browser.find_element("css selector", f"label:has(#{name})").click()

    press("grid-tall")
    check_numbers(browser, results, boxes="A3", pixels="B4", ink="different", step=0)
    press("categories-one")
    check_numbers(browser, results, boxes="A2", pixels="B4", ink="different", step=0)
    assert not browser.find_element("id", "grid-tall").is_enabled()
    press("categories-two")
    press("head-sigmoid")
    browser.find_element("id", "ink-different").send_keys(Keys.ARROW_RIGHT)
    check_numbers(browser, results, boxes="A1", pixels="B7", ink="same", step=0)


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_on_any_screen(written: Path, browser: Any, width: int, scheme: str) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        browser.get((written / "exhibit.html").as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(245, 246, 248)", "dark": "rgb(15, 17, 20)"}[scheme]
        for name in ("boxes", "pixels"):
            picture = browser.find_element("id", name)
            assert picture.rect["height"] > 200
            assert picture.get_attribute("aria-label").startswith("Two copies of one curve, 1 of a box's width apart")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


ALL_DRAWS = evidence.weights_of
DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    """The results in the docs."""
    return json.loads((DOCS / "comparison" / "results.json").read_text())


def test_the_page_in_the_docs_is_made_of_the_results_beside_it(published: dict[str, Any]) -> None:
    assert (published["preset"], published["result"]) == ("cpu", True)
    text = (DOCS / "exhibit.html").read_text()
    found = re.search(r'<script type="application/json" id="data">(.*)</script>', text)
    assert found is not None
    shown = stored_steps(DOCS / "comparison")
    assert set(shown) == set(EXHIBITED)
    assert json.loads(found[1].replace("<\\/", "</")) == exhibit.data_of(published, shown)


def test_the_verdicts_of_the_write_up_are_those_of_the_results(published: dict[str, Any]) -> None:
    rows = re.findall(r"^\| (.+?) \| \*\*(\w+)\*\* \|", (DOCS / "comparison.md").read_text(), re.MULTILINE)
    assert rows == [(found["claim"], found["verdict"]) for found in published["falsifiers"]]


def test_the_table_of_the_write_up_holds_figures_of_the_results(published: dict[str, Any]) -> None:
    text = (DOCS / "comparison.md").read_text()
    for arm, of in published["arms"].items():
        [row] = re.findall(rf"^\| {arm}, .*$", text, re.MULTILINE)
        found = [float(number) for number in re.findall(r"(?<![\w.])\.\d{3}", row)]
        ends = of["interval95"]
        expected = [
            *of["iou"]["pooled"],
            *figure_and_ends(of["tolerance_f1_2px"], ends["tolerance_f1_2px"]),
            *figure_and_ends(of["identity_accuracy"], ends["identity_accuracy"]),
            *figure_and_ends(of["crossing_continuity"]["balanced"], ends["crossing_continuity.balanced"]),
        ]
        assert found == pytest.approx([value for value in expected if value is not None], abs=6e-4)
        assert f"| {of['steps']:,} |" in row


def figure_and_ends(value: float | None, ends: list[float | None]) -> list[float | None]:
    return [value, *ends]


def differences(a: Any, b: Any, where: str = "") -> list[str]:
    """Where two plain values differ by more than another machine's rounding."""
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return [found for key in a for found in differences(a[key], b[key], f"{where}.{key}")]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [found for k, pair in enumerate(zip(a, b, strict=True)) for found in differences(*pair, f"{where}.{k}")]
    if isinstance(a, float) and isinstance(b, (float, int)):
        return [] if a == pytest.approx(b, abs=2e-6, rel=2e-6) else [f"{where}: {a} and {b}"]
    return [] if a == b else [f"{where}: {a} and {b}"]


@pytest.mark.slow
def test_the_report_in_the_docs_follows_from_the_trainings_kept_there(
    published: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "weights_of", ALL_DRAWS)  # which other tests here have fewer of
    assert differences(summary(DOCS / "comparison"), published) == []
    told = comparison.markdown(published, plots=list(comparison.PLOTS))
    assert (DOCS / "comparison" / "report.md").read_text() == told


@needs_browser
@pytest.mark.slow
def test_the_page_in_the_docs_shows_its_numbers_at_every_step(published: dict[str, Any], browser: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    shown = stored_steps(DOCS / "comparison")
    browser.get((DOCS / "exhibit.html").as_uri())
    slider = browser.find_element("id", "separation")
    for step in range(len(published["sweep"]["A1"]["all"])):
        told = {"boxes": "A1", "pixels": "B4", "ink": "different", "step": step}
        check_numbers(browser, published, shown=shown.__getitem__, **told)
        slider.send_keys(Keys.ARROW_RIGHT)
    assert [e for e in browser.get_log("browser") if e["level"] in ("SEVERE", "WARNING")] == []
