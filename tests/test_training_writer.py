"""What a person watches: the log, the bar, and TensorBoard's events."""

import errno
import io
import json
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from etils import epath
from PIL import Image

from veerjax.errors import InputError
from veerjax.report import overlay
from veerjax.training import appended
from veerjax.training import events as events_module
from veerjax.training.appended import Lines
from veerjax.training.writer import COLOURS, LOG_FILE, Writer, overlays


def log(workdir: Path | epath.Path) -> list[dict]:
    return [json.loads(line) for line in (workdir / LOG_FILE).read_text().splitlines()]


def without_rate(workdir: Path) -> list[dict]:
    return [{name: value for name, value in line.items() if name != "examples_per_s"} for line in log(workdir)]


def events(workdir: Path | epath.Path) -> Iterator:
    """All events of all files, the oldest file first, as TensorBoard reads them."""
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted((workdir / "tensorboard").iterdir()):
        with path.open("rb") as file:
            while header := file.read(12):
                (length,) = struct.unpack("<Q", header[:8])
                yield Event.FromString(file.read(length))
                file.read(4)


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_each_line_has_its_step_its_figures_and_the_rate(tmp_path: Path) -> None:
    with Writer(tmp_path, start=0, steps=4, batch=8) as writer:
        writer.advance()
        writer.advance()
        writer.log(2, {"loss": 0.5, "gradient_norm": float("inf")})
        writer.log(2, {"centreline_f1": 0.25})
    first, second = log(tmp_path)
    assert first.pop("examples_per_s") > 0
    assert first == {"step": 2, "loss": 0.5, "gradient_norm": None}
    assert second == {"step": 2, "centreline_f1": 0.25}


def test_a_run_that_goes_on_keeps_the_log_and_says_from_where(tmp_path: Path) -> None:
    with Writer(tmp_path, start=0, steps=9, batch=1) as writer:
        writer.log(3, {"loss": 3.0})
        writer.log(6, {"loss": 2.0})
    (tmp_path / LOG_FILE).open("a").write('{"step": 9, "lo')  # killed in the middle of a line
    with Writer(tmp_path, start=3, steps=9, batch=1) as writer:
        writer.log(6, {"loss": 1.0})
    *lines, torn, resumed, last = (tmp_path / LOG_FILE).read_text().splitlines()
    assert [json.loads(line)["loss"] for line in lines] == [3.0, 2.0]
    assert torn == '{"step": 9, "lo'
    assert json.loads(resumed) == {"step": 3, "resumed": True}
    assert json.loads(last)["loss"] == 1.0


def test_the_bar_shows_steps_figures_and_the_stage(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with Writer(tmp_path, start=5, steps=8, batch=1) as writer:
        writer.advance(stage="clean")
        writer.advance(stage="hard")
        writer.log(7, {"loss": 0.5})
    shown = capsys.readouterr().err
    assert "train hard: " in shown
    assert "7/8" in shown
    assert "loss=0.500" in shown


def test_tensorboard_has_the_figures_and_the_pictures_and_hides_what_is_done_again(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (6, 9, 3), np.uint8)
    with Writer(tmp_path, start=0, steps=9, batch=1) as writer:
        writer.log(3, {"loss": 0.5, "gradient_norm": float("nan")})
        writer.picture(3, "validation", picture)
    with Writer(tmp_path, start=3, steps=9, batch=1) as writer:
        writer.log(4, {"loss": 0.25})
    found = list(events(tmp_path))
    assert [event.file_version for event in found if event.file_version] == ["brain.Event:2"] * 2
    assert [event.step for event in found if event.HasField("session_log")] == [1, 4]
    values = [(event.step, value) for event in found for value in event.summary.value]
    losses = [(step, value.simple_value) for step, value in values if value.tag == "loss"]
    assert losses == [(3, 0.5), (4, 0.25)]
    assert {value.tag for _, value in values} == {"loss", "examples_per_s", "validation"}
    [(step, shown)] = [(step, value) for step, value in values if value.tag == "validation"]
    assert step == 3
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(shown.image.encoded_image_string))), picture)


def test_without_tensorboardx_the_log_is_still_written_and_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with Writer(tmp_path, start=0, steps=1, batch=1) as writer:
        writer.log(1, {"loss": 0.5})
        writer.picture(1, "validation", np.zeros((2, 2, 3), np.uint8))
    assert "veerjax: no events for TensorBoard are written (pip install tensorboardX)." in capsys.readouterr().err
    assert len(log(tmp_path)) == 1
    assert not (tmp_path / "tensorboard").exists()


SENTENCE = r"the log in .* cannot be written \(No space left on device\); the last saved step stands: make room"


def test_a_disk_that_fills_up_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(tmp_path, start=0, steps=1, batch=1)
    monkeypatch.setattr(Lines, "flush", full)
    with pytest.raises(InputError, match=SENTENCE), writer:
        writer.log(1, {"loss": 0.5})
    monkeypatch.undo()
    writer = Writer(tmp_path, start=0, steps=1, batch=1)
    monkeypatch.setattr(writer._events._file, "write", full)
    with pytest.raises(InputError, match=SENTENCE), writer:
        writer.picture(1, "validation", np.zeros((2, 2, 3), np.uint8))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's ever full device")
def test_a_full_device_ends_a_run_without_a_word_from_the_collector(
    tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    (tmp_path / LOG_FILE).symlink_to("/dev/null")
    writer = Writer(tmp_path, start=0, steps=1, batch=1)
    (tmp_path / LOG_FILE).unlink()
    (tmp_path / LOG_FILE).symlink_to("/dev/full")
    with pytest.raises(InputError, match=SENTENCE), writer:
        writer.log(1, {"loss": 0.5})
    assert "Exception" not in capfd.readouterr().err


@pytest.fixture
def remote(tmp_path: Path) -> epath.Path:
    """A folder of a bucket that is kept in memory and, as buckets do, appends nothing."""
    fsspec = pytest.importorskip("fsspec", reason="remote folders need fsspec")
    from fsspec.implementations.memory import MemoryFileSystem

    class Bucket(MemoryFileSystem):
        store: dict = {}  # noqa: RUF012
        pseudo_dirs = [""]  # noqa: RUF012

        def open(self, path: str, mode: str = "rb", **options: object) -> object:
            assert "a" not in mode
            return super().open(path, mode, **options)

    for name in ("gs", "gcs"):
        fsspec.register_implementation(name, Bucket, clobber=True)
    return epath.Path(f"gs://bucket/{tmp_path.name}")


def test_a_remote_log_is_written_whole_from_time_to_time(remote: epath.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote.mkdir(parents=True)
    with Writer(remote, start=0, steps=9, batch=1) as writer:
        writer.log(3, {"loss": 3.0})
        writer.log(6, {"loss": 2.0})
        assert [line["step"] for line in log(remote)] == [3]
    assert [line["step"] for line in log(remote)] == [3, 6]
    monkeypatch.setattr(appended, "REWRITE_S", 0.0)
    with Writer(remote, start=3, steps=9, batch=1) as writer:
        writer.log(4, {"loss": 1.0})
        assert [line["step"] for line in log(remote)] == [3, 6, 3, 4]


def test_remote_events_are_written_in_parts(remote: epath.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "FLUSH_S", 0.0)
    monkeypatch.setattr(events_module, "PART", 100)
    with Writer(remote, start=0, steps=9, batch=1) as writer:
        for step in range(1, 9):
            writer.log(step, {"loss": float(step)})
    assert len(list((remote / "tensorboard").iterdir())) > 2
    values = [(event.step, value) for event in events(remote) for value in event.summary.value]
    assert [step for step, value in values if value.tag == "loss"] == list(range(1, 9))


def test_of_very_many_pictures_some_are_left_out_but_not_the_last(tmp_path: Path) -> None:
    with Writer(tmp_path, start=0, steps=1000, batch=1) as writer:
        for step in (1, 2, 11, 990, 999, 1000):
            writer.picture(step, "validation", np.zeros((2, 2, 3), np.uint8))
    assert [event.step for event in events(tmp_path) if event.summary.value] == [1, 11, 990, 1000]


def test_an_overlay_tints_what_is_seen_of_each_curve_and_pales_the_rest() -> None:
    image, masks = np.ones((2, 4, 3, 1), np.float32), np.zeros((2, 2, 4, 3), np.float32)
    image[:, 0] = 0.0
    masks[0, 0, 1, 1] = masks[1, 1, 2, 0] = 1.0
    masks[1, :, 3, 2] = 1.0
    masks[0, 0, 3, 0] = np.nan
    picture = overlays(image, masks)
    assert picture.shape == (4, 6, 3)
    assert picture.dtype == np.uint8
    assert set(np.unique(picture[0])) == {round(255 * 0.45)}
    red, blue, both = picture[1, 1].astype(int), picture[2, 3].astype(int), picture[3, 5].astype(int)
    assert np.abs(red - COLOURS[0]).max() <= 40
    assert np.abs(blue - COLOURS[1]).max() <= 40
    assert both[1] < 80 < min(both[0], both[2])
    tinted = (picture[1:] != 255).any(axis=-1)
    assert tinted.sum() == 3


def test_an_overlay_has_the_colours_of_the_reports_and_takes_colour() -> None:
    assert COLOURS == overlay.COLOURS
    colour = np.random.default_rng(0).random((1, 5, 7, 3), np.float32)
    picture = overlays(colour, np.zeros((1, 2, 5, 7), np.float32))
    assert np.abs(picture / 255 - (0.45 + 0.55 * colour[0])).max() < 0.01
