"""The contact sheet shows what the samples hold, pixel for pixel, and is written whole or not at all."""

import dataclasses
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from veerjax.cli import main
from veerjax.data.checks.samples import Sample
from veerjax.jobs.preview import positions, run_preview
from veerjax.report import contact_sheet as sheets
from veerjax.report.overlay import COLOURS

SIZE = ("--height", "64", "--width", "48")


def sample(*, height: int = 40, width: int = 30, channels: int = 1, name: str = "a") -> Sample:
    """Two upright curves; curve 2 is absent in the lower half."""
    presence = np.stack([np.ones(height, bool), np.arange(height) < height // 2])
    strokes = np.zeros((2, height, width), bool)
    strokes[0, :, 5:8] = True
    strokes[1, : height // 2, 20:23] = True
    label = np.where(strokes[0], 1, np.where(strokes[1], 2, 0)).astype(np.uint8)
    grey = np.random.default_rng(0).uniform(0, 1, (height, width, channels)).astype(np.float32)
    return Sample(
        name=name,
        split="train",
        image=grey,
        strokes=strokes,
        label=label,
        centreline=np.broadcast_to([[6.5], [21.5]], (2, height)),
        presence=presence,
        coding=("solid", "dash 2/2"),
    )


def places_of(sheet: np.ndarray, picture: np.ndarray) -> list[tuple[int, int]]:
    """Where the picture occurs in the sheet, pixel for pixel."""
    height, width, _ = picture.shape
    rows, columns = np.nonzero((sheet[: 1 - height, : 1 - width] == picture[0, 0]).all(axis=2))
    found = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(r, c) for r, c in found if np.array_equal(sheet[r : r + height, c : c + width], picture)]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_image_is_there_enlarged_by_a_whole_number(channels: int) -> None:
    one = sample(channels=channels)
    sheet = sheets.contact_sheet([one], title="t")
    pixels = np.rint(np.broadcast_to(one.image, (40, 30, 3)) * 255).astype(np.uint8)
    times = sheets.TALL_PX // 40
    assert len(places_of(sheet, np.kron(pixels, np.ones((times, times, 1), np.uint8)))) == 1


def test_a_large_image_is_shown_at_its_own_size() -> None:
    one = sample(height=600, width=40)
    pixels = np.rint(np.broadcast_to(one.image, (600, 40, 3)) * 255).astype(np.uint8)
    assert len(places_of(sheets.contact_sheet([one], title="t"), pixels)) == 1


def test_the_label_tints_its_pixels_and_no_other() -> None:
    white = dataclasses.replace(sample(), image=np.ones((40, 30, 1), np.float32))
    masks = [white.label == 1, white.label == 2]
    tinted = sheets.tinted(sheets.colour_of(white.image), masks, COLOURS, 1.0)
    for mask, colour in zip(masks, COLOURS, strict=True):
        assert (tinted[mask] == colour).all()
    assert (tinted[white.label == 0] == 255).all()


def test_absent_rows_have_no_centreline_and_an_empty_bar() -> None:
    one = sample()
    blank = np.full((40, 30, 3), 255, np.uint8)
    joined = one.presence[:, 1:] & one.presence[:, :-1]
    drawn = sheets.with_centrelines(blank, one.centreline, joined, 1)
    for curve, column in enumerate((6, 21)):
        assert ((drawn[:, column] == COLOURS[curve]).all(axis=1) == one.presence[curve]).all()
    bars = sheets.presence_bars(one.presence.T)[1:-1]
    assert (bars[:, 0] == COLOURS[0]).all()
    second = bars[:, sheets.BAR_PX + sheets.BAR_GAP_PX]
    assert ((second == COLOURS[1]).all(axis=1) == one.presence[1]).all()
    assert (second[~one.presence[1]] == sheets.ABSENT).all()


def test_a_centreline_does_not_cross_the_track_where_its_curve_wraps() -> None:
    one = sample()
    x = one.centreline.copy()
    x[0, 20:] = 28.0
    blank = dataclasses.replace(one, image=np.ones((40, 30, 1), np.float32), centreline=x)
    assert not (sheets.cell(blank) == COLOURS[0]).all(axis=2)[60:, -200:-100].any()
    across = one.strokes.copy()
    across[0, 20, 5:30] = True
    kick = sheets.cell(dataclasses.replace(blank, strokes=across))
    assert (kick == COLOURS[0]).all(axis=2)[60:, -200:-100].any()


def test_samples_of_several_sizes_share_a_sheet() -> None:
    images = [sample(), sample(height=64, width=100, name="b"), sample(height=600, width=20, name="c")]
    sheet = sheets.contact_sheet(images, title="t")
    for one in images:
        height, width = one.label.shape
        times = max(1, sheets.TALL_PX // max(height, width))
        pixels = np.rint(np.broadcast_to(one.image, (height, width, 3)) * 255).astype(np.uint8)
        assert len(places_of(sheet, np.kron(pixels, np.ones((times, times, 1), np.uint8)))) == 1


def test_of_a_long_strip_the_beginning_is_shown() -> None:
    assert sheets.contact_sheet([sample(height=5000)], title="t").shape[0] < sheets.MAX_ROWS + 200


def test_a_seed_picks_other_samples_and_the_same_ones_again() -> None:
    assert positions(100, 4, seed=None) == [0, 1, 2, 3]
    assert positions(2, 4, seed=None) == [0, 1]
    assert positions(100, 4, seed=1) == positions(100, 4, seed=1) == sorted(positions(100, 4, seed=1))
    assert positions(100, 4, seed=1) != positions(100, 4, seed=2)


@pytest.mark.parametrize("name", ["standard", "raster_logs/standard"])
def test_a_rendered_setting_needs_nothing_built(name: str, tmp_path: Path) -> None:
    out = tmp_path / "new" / "sheet.png"
    assert main(["data", "preview", "--name", name, "--out", str(out), "--count", "2", *SIZE]) == 0
    assert iio.imread(out).shape[2] == 3
    assert [path.name for path in out.parent.iterdir()] == ["sheet.png"]


def test_a_seed_names_other_samples_of_the_training_split(tmp_path: Path) -> None:
    for seed in (1, 2):
        chosen = ["--count", "1", "--seed", str(seed), *SIZE]
        assert main(["data", "preview", "--name", "standard", "--out", str(tmp_path / f"{seed}.png"), *chosen]) == 0
    assert not np.array_equal(iio.imread(tmp_path / "1.png"), iio.imread(tmp_path / "2.png"))


def test_a_folder_of_pairs_is_shown(tmp_path: Path) -> None:
    one = sample(height=64, width=48)
    for name in "ab":
        iio.imwrite(tmp_path / f"{name}.png", np.rint(one.image[..., 0] * 255).astype(np.uint8))
        iio.imwrite(tmp_path / f"{name}.label.png", one.label)
    assert run_preview(str(tmp_path), tmp_path / "sheets" / "s.png", count=5) == 2


@pytest.mark.slow
def test_a_built_dataset_is_shown(tmp_path: Path) -> None:
    from veerjax.data.build.raster_logs import build

    build("raster_logs/standard", data_dir=tmp_path, num=3, height=64, width=64)
    assert run_preview("raster_logs/standard", tmp_path / "s.png", data_dir=tmp_path, split="all", count=7, seed=1) == 7


WRONG_USE = {
    ("standrad", "s.png"): "there is no data 'standrad'",
    ("raster_logs/las", "s.png"): "say where it lies with --data-dir",
    ("standard", "s.jpg"): "is no PNG; give a name that ends in .png",
    ("standard", "file/s.png"): "is a file; give another path",
    ("standard", "s.png", "--split", "tset"): "--split is 'tset'",
    ("standard", "s.png", "--height", "8"): "--height is 8; it must be at least 16 px",
    (".", "s.png", "--width", "64"): "leave --height, --width and --channels out",
}


@pytest.mark.parametrize("arguments", WRONG_USE)
def test_wrong_use_is_one_sentence_and_writes_nothing(
    arguments: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    name, out, *more = arguments
    code = main(["data", "preview", "--name", name, "--out", str(tmp_path / out), *more])
    said = capsys.readouterr().err.strip()
    assert (code, len(said.splitlines())) == (2, 1)
    assert WRONG_USE[arguments] in said
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_stood_there_stays_when_a_pair_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs" / "a.png").write_text("no picture")
    (tmp_path / "s.png").write_text("mine")
    code = main(["data", "preview", "--name", str(tmp_path / "pairs"), "--out", str(tmp_path / "s.png")])
    assert (code, (tmp_path / "s.png").read_text()) == (2, "mine")
