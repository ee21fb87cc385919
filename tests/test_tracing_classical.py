"""The tracer without learning: clean drawings are read, and nothing is made of nothing."""

import sys
from pathlib import Path

import imageio.v3 as iio
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.cli import main
from veerjax.errors import InputError
from veerjax.polyline import distance_field
from veerjax.tracing.classical import classical_batch, grid_of, ink_of

HEIGHT, WIDTH, REACH = 192, 128, 8


def drawn(*curves, grid=0.0, stroke_px=3.0):
    """Dark lines on white; every other one is dashed, 10 px on and 6 off along its arc."""
    image = np.ones((HEIGHT, WIDTH), np.float32)
    image[::24], image[:, ::16] = 1 - grid, 1 - grid
    for number, x in enumerate(curves):
        padded, there = np.pad(x, REACH, mode="edge"), np.isfinite(np.pad(x, REACH, mode="edge"))
        distance, arc = distance_field(
            jnp.nan_to_num(jnp.asarray(padded)), jnp.asarray(there), width=WIDTH, reach=REACH
        )
        ink = np.clip(stroke_px / 2 + 0.5 - np.asarray(distance), 0, 1) * (np.mod(arc, 16) < 10 if number % 2 else 1)
        image = np.minimum(image, 1 - 0.9 * ink)
    return image


def read(image):
    """The first log's x, NaN where absent, and its label."""
    prediction, found = classical_batch(image[None])
    return np.where(found.presence[0], found.x[0], np.nan), np.asarray(prediction.label[0])


ROWS = np.arange(HEIGHT, dtype=np.float32)
WAVE = 40 + 14 * np.sin(ROWS / 25)


@pytest.mark.parametrize("grid", [0.0, 0.3])
def test_a_solid_and_a_dashed_curve_are_read_and_named(grid):
    x, label = read(drawn(WAVE, WAVE + 45, grid=grid))
    for curve, truth in enumerate((WAVE, WAVE + 45)):
        error = np.abs(x[curve] - truth)
        assert np.isfinite(error).mean() > 0.95
        assert np.nanmedian(error) < 0.7
        assert np.nanquantile(error, 0.9) < 1.5
    assert set(np.unique(label)) == {0, 1, 2}


def test_which_curve_is_solid_decides_the_names_not_which_is_left():
    x, _ = read(drawn(WAVE + 45, WAVE))
    assert np.nanmedian(np.abs(x[0] - WAVE - 45)) < 0.7
    assert np.nanmedian(np.abs(x[1] - WAVE)) < 0.7


def test_straight_curves_that_cross_keep_their_names():
    down, up = 20 + ROWS * 0.45, 106 - ROWS * 0.45
    x, _ = read(drawn(down, up))
    away = np.abs(down - up) > 12
    for curve, truth in enumerate((down, up)):
        assert np.nanmean((np.abs(x[curve] - truth) < 2)[away]) > 0.9


def test_a_curve_that_ends_is_absent_below():
    x, _ = read(drawn(WAVE, np.where(ROWS < 100, WAVE + 45, np.nan)))
    assert np.isfinite(x[1][:90]).mean() > 0.9
    assert np.isfinite(x[1][115:]).mean() < 0.1


@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0])
def test_nothing_is_made_of_an_even_page(grey):
    x, label = read(np.full((HEIGHT, WIDTH), grey, np.float32))
    assert not np.isfinite(x).any()
    assert not label.any()


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (40, 2)])
def test_tiny_images_are_read_without_a_crash(shape):
    x, label = read(np.random.default_rng(0).random(shape).astype(np.float32))
    assert x.shape == (2, shape[0])
    assert label.shape == shape


def test_lines_that_most_pixels_share_are_grid():
    page = drawn(grid=0.4)
    np.testing.assert_allclose(grid_of(1 - page), 1 - page, atol=1e-6)
    assert ink_of(page).max() < 0.5


def test_a_batch_is_read_as_its_logs_are():
    images = np.stack([drawn(WAVE, WAVE + 45), drawn(WAVE + 20, WAVE + 60)])
    _, together = classical_batch(images)
    for index, image in enumerate(images):
        _, alone = classical_batch(image[None])
        np.testing.assert_array_equal(together.presence[index], alone.presence[0])
        np.testing.assert_allclose(together.x[index], alone.x[0], atol=1e-4)


def test_without_scikit_image_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.filters", None)
    with pytest.raises(InputError, match="needs scikit-image; install it by pip install scikit-image"):
        ink_of(np.ones((4, 4), np.float32))


def test_the_command_digitises_without_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    iio.imwrite(tmp_path / "strip.png", np.round(drawn(WAVE, WAVE + 45) * 255).astype(np.uint8))
    arguments = ["digitize", str(tmp_path / "strip.png"), "--out", str(tmp_path / "out"), "--tracer", "classical"]
    assert main([*arguments, "--weights", "nowhere"]) == 0
    assert '"tracer": "classical"' in (tmp_path / "out" / "summary.json").read_text()
    assert (tmp_path / "out" / "strip.pixels.csv").is_file()
    with pytest.raises(SystemExit):
        main([*arguments[:-1], "clasical"])
    assert "invalid choice: 'clasical'" in capsys.readouterr().err
