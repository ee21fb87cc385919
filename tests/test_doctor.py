"""A sound dataset passes the doctor; each planted defect is found, under its own name and no other."""

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from veerjax.cli import main
from veerjax.data.checks import alignment, duplicates, health
from veerjax.data.checks.samples import Sample, SampleSplit, open_samples
from veerjax.jobs.doctor import CHECKS, examined, summary
from veerjax.report.health_table import TITLES, health_table

HEIGHT, WIDTH, STROKE_PX = 128, 96, 4
KEYS = {
    "examples",
    "unreadable",
    "class_share",
    "examples_with_curve",
    "presence",
    "stroke_width_px",
    "slope_px_per_row",
    "wraps",
    "crossings_per_1000_rows",
    "touches_per_1000_rows",
    "grey",
    "label_offset_px",
}


def drawn(
    number: int, *, split: str = "train", well: str | None = None, height: int = HEIGHT, width: int = WIDTH
) -> Sample:
    """Two smooth curves of `STROKE_PX` on noisy paper; curve 2 is absent below three quarters of the height."""
    random = np.random.default_rng(number)
    rows = np.arange(height)
    phase, rate = random.uniform(0, 6, (2, 1)), random.uniform(0.02, 0.08, (2, 1))
    x = width / 2 + 0.3 * width * np.sin(phase + rate * rows)
    presence = np.stack([rows >= 0, rows < 3 * height // 4])
    across = np.abs(np.arange(width) + 0.5 - x[..., None]) / np.hypot(1, np.gradient(x, axis=1))[..., None]
    strokes = (across < STROKE_PX / 2) & presence[..., None]
    paper = 0.85 + random.normal(0, 0.03, (height, width))
    image = np.where(strokes.any(axis=0), 0.2, paper).clip(0, 1)
    label = np.where(strokes[0], 1, np.where(strokes[1], 2, 0)).astype(np.uint8)
    return Sample(
        name=f"{split}/{number}",
        split=split,
        image=image[..., None].astype(np.float32),
        strokes=strokes,
        label=label,
        centreline=x,
        presence=presence,
        well=well,
    )


def split_of(samples: Sequence[Sample], split: str) -> SampleSplit:
    """Samples as a split, read from memory."""
    return SampleSplit(data="planted", split=split, count=len(samples), read=lambda at: [samples[i] for i in at])


def defects_of(train: Sequence[Sample], test: Sequence[Sample] = ()) -> list[tuple[str, str, str | None]]:
    """Check, example and other example of each defect."""
    found = examined([split_of(train, "train"), split_of(test, "test")]).defects
    return [(defect.check, defect.example, defect.other) for defect in found]


SOUND = [drawn(number) for number in range(12)]
TEST = [drawn(number, split="test") for number in range(100, 108)]


def first(**changed: object) -> list[Sample]:
    """The sound samples, the first one changed."""
    return [dataclasses.replace(SOUND[0], **changed), *SOUND[1:]]


def test_sound_examples_have_no_defect() -> None:
    assert defects_of(SOUND, TEST) == []


def test_every_check_has_its_title() -> None:
    assert TITLES.keys() == set(CHECKS)


def moved(sample: Sample, dy: int, dx: int) -> dict[str, np.ndarray]:
    """The truth of a sample moved against its image."""
    return {
        "strokes": np.roll(sample.strokes, (dy, dx), axis=(1, 2)),
        "label": np.roll(sample.label, (dy, dx), axis=(0, 1)),
        "centreline": np.roll(sample.centreline, dy, axis=1) + dx,
        "presence": np.roll(sample.presence, dy, axis=1),
    }


def with_nan(values: np.ndarray) -> np.ndarray:
    changed = values.copy()
    changed[0, 5] = np.nan
    return changed


ONE = SOUND[0]
PLANTED: dict[str, tuple[str, dict[str, object]]] = {
    "NaN in the image": ("not_finite", {"image": with_nan(ONE.image)}),
    "NaN in a centreline": ("not_finite", {"centreline": with_nan(ONE.centreline)}),
    "a grey level of 1.5": ("out_of_range", {"image": ONE.image * 1.7}),
    "a label of other strokes": ("wrong_label", {"label": SOUND[1].label}),
    "curve 2 over curve 1": (
        "wrong_label",
        {"label": np.where(ONE.strokes[1], 2, np.where(ONE.strokes[0], 1, 0)).astype(np.uint8)},
    ),
    "absent where there is ink": ("wrong_presence", {"presence": ONE.presence & (np.arange(HEIGHT) < 60)}),
    "present where there is none": ("wrong_presence", {"presence": np.ones((2, HEIGHT), bool)}),
    "a centreline 5 px aside": ("centreline_off_stroke", {"centreline": ONE.centreline + np.array([[5], [0]])}),
    "a label 4 px too far right": ("shifted_label", moved(ONE, 0, 4)),
    "a label 6 px too high": ("shifted_label", moved(ONE, -6, 0)),
    "the name of another": ("repeated_name", {"name": SOUND[3].name}),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_defect_is_found_and_nothing_else(name: str) -> None:
    check, changed = PLANTED[name]
    found = defects_of(first(**changed), TEST)
    assert {entry[0] for entry in found} == {check}
    assert len(found) <= 2  # one for each curve


def test_an_empty_label_is_found() -> None:
    blank = {"label": np.zeros_like(ONE.label), "strokes": np.zeros_like(ONE.strokes)}
    empty = first(**blank, presence=np.zeros_like(ONE.presence))
    assert defects_of(empty) == [("empty_label", "train/0", None)]


def test_a_class_that_is_none_is_found() -> None:
    wrong = ONE.label.copy()
    wrong[0, 0] = 7
    assert {check for check, _, _ in defects_of(first(label=wrong))} == {"out_of_range", "wrong_label"}


def test_curves_with_exchanged_centrelines_are_found() -> None:
    swapped = defects_of(first(centreline=ONE.centreline[::-1]))
    assert ("centreline_off_stroke", "train/0", None) in swapped


def test_a_size_unlike_the_others_is_found() -> None:
    assert defects_of([*SOUND, drawn(50, height=HEIGHT + 16)]) == [("odd_size", "train/50", None)]


def test_a_small_shift_of_all_labels_is_found_though_each_alone_is_none() -> None:
    found = defects_of([dataclasses.replace(sample, **moved(sample, 0, 1)) for sample in SOUND], TEST)
    assert found == [("shifted_split", "", None)]


def test_the_same_image_is_found_within_and_between_splits() -> None:
    again = dataclasses.replace(ONE, name="again")
    elsewhere = dataclasses.replace(drawn(60, split="test"), image=SOUND[5].image)
    found = defects_of([*SOUND, again], [*TEST, elsewhere])
    assert ("same_image", "again", "train/0") in found
    assert ("same_image", "test/60", "train/5") in found
    assert "alike_image" not in {check for check, _, _ in found}


@pytest.mark.parametrize("name", ["noise", "JPEG", "darker"])
def test_nearly_the_same_image_is_found_apart_from_equal_ones(name: str) -> None:
    def jpeg(image: np.ndarray) -> np.ndarray:
        grey = np.rint(image[..., 0] * 255).astype(np.uint8)
        return iio.imread(iio.imwrite("<bytes>", grey, extension=".jpg", quality=60))[..., None] / 255

    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "noise": lambda image: image + np.random.default_rng(0).normal(0, 0.05, image.shape),
        "JPEG": jpeg,
        "darker": lambda image: image * 0.8,
    }
    image = ways[name](SOUND[4].image).clip(0, 1).astype(np.float32)
    copy = dataclasses.replace(SOUND[4], name="test/copy", split="test", image=image)
    found = defects_of(SOUND, [*TEST, copy])
    assert ("alike_image", "test/copy", "train/4") in found
    assert "same_image" not in {check for check, _, _ in found}


def test_a_curve_of_another_split_is_found_in_either_place_of_the_pair() -> None:
    other = drawn(70, split="test")
    exchanged = {"strokes": SOUND[2].strokes[::-1], "presence": SOUND[2].presence[::-1]}
    label = np.where(exchanged["strokes"][0], 1, np.where(exchanged["strokes"][1], 2, 0)).astype(np.uint8)
    x = SOUND[2].centreline[::-1]
    image = np.where(label[..., None] > 0, 0.3, other.image).astype(np.float32)
    shared = dataclasses.replace(other, label=label, centreline=x, image=image, **exchanged)
    assert ("shared_curve", "test/70", "train/2") in defects_of(SOUND, [*TEST, shared])


def test_straight_and_short_curves_are_nobodys_own() -> None:
    rows = np.ones(200, bool)
    assert not duplicates.own(np.full(200, 40.0), rows)
    assert not duplicates.own(np.linspace(0, 90, 200), rows & (np.arange(200) < 20))
    assert duplicates.own(np.linspace(0, 90, 200), rows)


def test_a_well_in_two_splits_is_named_once_whatever_its_spelling() -> None:
    train = [drawn(number, well="Smith  1") for number in range(4)]
    test = [drawn(number, split="test", well=well) for number, well in ((20, "SMITH 1"), (21, "smith 1"), (22, "B"))]
    assert defects_of(train, test) == [("leaking_well", "test/20", "train/0")]


def test_figures_are_those_of_the_drawing() -> None:
    figures = health.figures(health.tally(drawn(1)))
    assert figures["examples"] == 1
    assert figures["presence"] == [1.0, 0.75]
    assert figures["stroke_width_px"][0]["p50"] == pytest.approx(STROKE_PX, abs=0.6)
    steps = np.abs(np.diff(drawn(1).centreline[0]))
    assert figures["slope_px_per_row"][0]["p50"] == pytest.approx(np.median(steps), rel=0.05)
    assert figures["slope_px_per_row"][0]["max"] == pytest.approx(steps.max(), rel=0.05)
    assert figures["grey"]["ink"]["p50"] == pytest.approx(51, abs=1)
    assert figures["grey"]["paper"]["p50"] == pytest.approx(217, abs=2)
    assert sum(figures["class_share"].values()) == pytest.approx(1)


def test_a_percentile_is_within_its_bin_of_the_exact_one() -> None:
    values = np.random.default_rng(0).gamma(2, 3, 4000)
    counts, edges = np.histogram(values, np.arange(0, 80, 0.5))
    for percent in (5, 50, 95, 100):
        assert health.percentile(counts, edges, percent) == pytest.approx(np.percentile(values, percent), abs=0.5)
    assert health.percentile(np.array([0, 0, 7, 0]), np.arange(5.0), 50) == 2.5
    assert health.percentile(np.zeros(4, int), np.arange(5.0), 50) is None


def test_a_step_across_the_track_is_a_wrap_unless_there_is_a_stroke() -> None:
    sample = drawn(1)
    x = sample.centreline.copy()
    x[0] = np.where(np.arange(HEIGHT) < 60, 2.0, WIDTH - 2.0)
    figures = health.figures(health.tally(dataclasses.replace(sample, centreline=x)))
    assert figures["wraps"] == [1, 0]
    assert figures["slope_px_per_row"][0]["max"] < 1
    strokes = sample.strokes.copy()
    strokes[0, 60] = True
    kick = health.figures(health.tally(dataclasses.replace(sample, centreline=x, strokes=strokes)))
    assert kick["wraps"] == [0, 0]
    assert kick["slope_px_per_row"][0]["max"] > WIDTH / 2


def test_sums_of_tallies_are_the_tally_of_all() -> None:
    total = health.tally(SOUND[0]) + health.tally(SOUND[1])
    assert total.examples == 2
    assert total.pixels.sum() == 2 * HEIGHT * WIDTH
    assert health.figures(total)["presence"] == [1.0, 0.75]


@pytest.mark.parametrize(("dy", "dx"), [(0, 0), (0, 3), (-2, 0), (5, -4)])
def test_the_contrast_is_greatest_where_the_ink_is(dy: int, dx: int) -> None:
    contrast = alignment.contrast_map(dataclasses.replace(ONE, strokes=np.roll(ONE.strokes, (dy, dx), axis=(1, 2))))
    assert contrast is not None
    found = np.unravel_index(np.argmax(contrast), contrast.shape)
    assert (found[0] - alignment.REACH_PX, found[1] - alignment.REACH_PX) == (-dy, -dx)
    assert alignment.offset_px(contrast) == pytest.approx((-dy, -dx), abs=0.2)


def test_the_contrast_is_the_difference_of_two_means() -> None:
    contrast = alignment.contrast_map(ONE)
    assert contrast is not None
    strokes, edge = ONE.strokes.any(axis=0), alignment.REACH_PX
    rim = alignment.grown(strokes, alignment.SURROUNDINGS_PX) & ~alignment.grown(strokes, 1)
    inner, dark = (slice(edge, -edge),) * 2, 1 - ONE.image[..., 0]
    under = np.roll(dark, (-3, 2), axis=(0, 1))[inner]
    expected = under[strokes[inner]].mean() - under[rim[inner]].mean()
    assert contrast[edge + 3, edge - 2] == pytest.approx(expected, abs=1e-4)


def test_a_mask_grows_by_a_square() -> None:
    mask = np.zeros((7, 9), bool)
    mask[2, 3] = True
    expected = np.zeros((7, 9), bool)
    expected[0:5, 1:6] = True
    np.testing.assert_array_equal(alignment.grown(mask, 2), expected)


def write_pair(folder: Path, sample: Sample, name: str) -> None:
    """A sample as a pair of PNGs."""
    iio.imwrite(folder / f"{name}.png", np.rint(sample.image[..., 0] * 255).astype(np.uint8))
    iio.imwrite(folder / f"{name}.label.png", sample.label)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    folder = tmp_path / "pairs"
    folder.mkdir()
    for number in range(5):
        write_pair(folder, SOUND[number], f"log{number}")
    return folder


def doctor(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Exit code and what was printed."""
    code = main(["data", "doctor", *map(str, arguments)])
    return code, capsys.readouterr().out


def test_a_sound_folder_has_nothing_wrong(pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = doctor(capsys, "--data", pairs, "--json", tmp_path / "new" / "health.json")
    assert (code, "nothing wrong" in out) == (0, True), out
    report = json.loads((tmp_path / "new" / "health.json").read_text())
    assert report.keys() == {"schema", "data", "seconds", "splits", "checks", "defects"}
    assert report["splits"]["all"].keys() == KEYS
    assert report["checks"] == dict.fromkeys(CHECKS, 0)


def test_what_is_wrong_in_a_folder_is_listed_by_name(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(pairs / "log1.png", pairs / "copy.png")
    shutil.copy(pairs / "log1.label.png", pairs / "copy.label.png")
    iio.imwrite(pairs / "log2.label.png", np.roll(SOUND[2].label, 5, axis=1))
    (pairs / "log3.label.png").unlink()
    iio.imwrite(pairs / "log4.label.png", np.full((HEIGHT, WIDTH), 7, np.uint8))
    code, out = doctor(capsys, "--data", pairs, "--json", tmp_path / "health.json")
    assert code == 1
    report = json.loads((tmp_path / "health.json").read_text())
    expected = {"unreadable": 2, "same_image": 1, "shifted_label": 1}
    assert {check: count for check, count in report["checks"].items() if count} == expected
    for words in ("log1 (split all): is the same image", "log2 (split all): the ink lies", "log3.png has no label"):
        assert words in out
    assert "holds the class 7" in out
    assert report["splits"]["all"]["unreadable"] == 2


def test_a_folder_without_a_readable_pair_still_gives_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_text("no picture")
    code, out = doctor(capsys, "--data", tmp_path)
    assert code == 1
    assert "cannot be read: 1" in out


@pytest.mark.slow
def test_a_rendered_setting_has_nothing_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = doctor(capsys, "--data", "standard", "--limit", 8)
    assert (code, "nothing wrong" in out) == (0, True), out
    assert out.splitlines()[2].split() == ["train", "validation", "test"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "count"), [("standard", 200), ("hard", 48), ("four_curves", 48)]
)  # hard takes minutes to compile
def test_sound_rendered_examples_give_no_false_alarm(setting: str, count: int) -> None:
    splits = open_samples(setting, split="train", count=count)
    assert examined(splits).defects == []


@pytest.mark.slow
def test_a_built_dataset_is_examined_split_by_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from veerjax.data.build.raster_logs import build

    build("raster_logs/standard", data_dir=tmp_path, num=3, height=64, width=64)
    code, out = doctor(capsys, "--data", "raster_logs/standard", "--data-dir", tmp_path)
    assert (code, "nothing wrong" in out) == (0, True), out
    code, out = doctor(capsys, "--data", "standard", "--data-dir", tmp_path, "--split", "test")
    assert out.splitlines()[2].split() == ["test"]


WRONG_USE = {
    ("--data", "standrad"): "there is no data 'standrad'",
    ("--data", "standard", "--split", "tset"): "--split is 'tset'; write one of train, validation, test, all",
    ("--data", "raster_logs/las"): "say where it lies with --data-dir",
    ("--data", "standard", "--limit", "0"): "'0' is not a whole number",
}


@pytest.mark.parametrize("arguments", WRONG_USE)
def test_wrong_use_is_one_sentence(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(["data", "doctor", *arguments])
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr().err.strip()
    assert (code, len(said.splitlines())) == (2, 1)
    assert WRONG_USE[arguments] in said


def test_a_long_list_is_cut_in_the_table_but_says_so() -> None:
    found = examined(
        [
            split_of(
                [dataclasses.replace(sample, name="one") for sample in [*SOUND, *TEST, drawn(40), drawn(41)]], "train"
            )
        ]
    )
    report = {"data": "planted", "seconds": 1.0, **summary(found)}
    assert report["checks"]["repeated_name"] == 21
    assert "and 1 more; --json FILE writes them all" in health_table(report)
