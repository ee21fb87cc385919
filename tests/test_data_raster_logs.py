import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from las_files import write_las

from veerjax.data.build.raster_logs import RasterLogs, build
from veerjax.data.build.recipe import CONFIGS, Recipe
from veerjax.data.built import collated, load_built
from veerjax.data.example import Example
from veerjax.data.logset import open_logs
from veerjax.data.rendered import rendered_batches
from veerjax.data.source import LAS
from veerjax.data.wells.source import draw_windows, look_number
from veerjax.data.wells.windows import well_windows
from veerjax.errors import InputError
from veerjax.labels import CODINGS, label_of
from veerjax.synthesis.draw import RENDERER, SPLITS

SIZE = {"height": 48, "width": 32}
NUM = 5


@pytest.fixture(scope="module")
def las_dir(tmp_path_factory) -> Path:
    """Three wells of a few windows each; their values have all the digits of a float64."""
    folder = tmp_path_factory.mktemp("las")
    depth = np.arange(500.0, 1000.0, 0.5)
    for number in range(3):
        wave = np.sin(depth / 7 + number)
        caliper = 9 + 2 * np.cos(depth / 5)
        caliper[40:80] = np.nan
        curves = {"GR": 75 + 60 * wave, "CALI": caliper}
        write_las(folder / f"{number}.las", well=f"Well {number}", depth=depth, curves=curves)
    return folder


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory, las_dir) -> Path:
    """Both configs, built."""
    folder = tmp_path_factory.mktemp("data")
    build("raster_logs/standard", data_dir=folder, num=NUM, **SIZE)
    build("raster_logs/las", data_dir=folder, las_dir=las_dir, **SIZE)
    return folder


def by_key(name: str, data_dir: Path, split: str) -> dict[str, Example]:
    source = load_built(name, data_dir=data_dir, split=split)
    return {source[index].key: source[index] for index in range(len(source))}


def assert_same(first: Example, second: Example) -> None:
    for name, value in vars(first).items():
        np.testing.assert_array_equal(value, getattr(second, name), err_msg=name, strict=True)


@pytest.mark.parametrize("split", SPLITS)
def test_a_rendered_setting_reads_back_as_it_was_drawn(data_dir, split):
    drawn = jax.device_get(next(rendered_batches("standard", split=split, count=NUM, batch=8, **SIZE)))
    examples = by_key("raster_logs/standard", data_dir, split)
    assert len(examples) == NUM
    for example in examples.values():
        row = example.metadata["index"]
        coding = [CODINGS[number] for number in drawn.coding[row]]
        named = {"setting": "standard", "seed": 0, "split": split, "index": row, "coding": coding}
        assert example.metadata == named
        assert example.centreline.dtype == np.float64
        np.testing.assert_array_equal(example.centreline, drawn.centreline[row])
        np.testing.assert_array_equal(example.image, np.rint(drawn.image[row, :, :, 0] * 255))
        for name in ("strokes", "label", "presence"):
            np.testing.assert_array_equal(getattr(example, name), getattr(drawn, name)[row], strict=True)


def test_real_curves_read_back_bit_for_bit(data_dir, las_dir):
    windows = {window.name: window for window in well_windows(las_dir, **SIZE)}
    examples = {}
    for split in SPLITS:
        examples |= by_key("raster_logs/las", data_dir, split)
    assert examples.keys() == windows.keys()
    for key, example in examples.items():
        window = windows[key]
        assert example.centreline.tobytes() == window.centreline.tobytes()
        np.testing.assert_array_equal(example.presence, window.presence)
        np.testing.assert_array_equal(example.label, label_of(example.strokes))
        scales = [dataclasses.asdict(curve.scale) for curve in window.curves]
        assert example.metadata["curves"] == json.loads(json.dumps(scales))
        depths = window.depth_top_ft, window.depth_bottom_ft
        assert (example.metadata["depth_top_ft"], example.metadata["depth_bottom_ft"]) == depths


def test_the_stroke_of_a_real_curve_follows_its_centreline(data_dir):
    for example in by_key("raster_logs/las", data_dir, "test").values():
        for curve in range(2):
            rows = np.flatnonzero(example.presence[curve])
            columns = np.floor(example.centreline[curve, rows]).astype(int)
            assert example.strokes[curve, rows, columns].mean() > 0.99


def test_a_well_belongs_to_one_split(data_dir):
    wells = [
        {example.metadata["well"] for example in by_key("raster_logs/las", data_dir, split).values()}
        for split in SPLITS
    ]
    assert [len(names) for names in wells] == [1, 1, 1]
    assert len(set.union(*wells)) == 3


def test_the_look_of_a_window_depends_on_its_name_and_the_seed_alone(las_dir):
    windows = well_windows(las_dir, **SIZE)[:8]

    def images(order: list[int], *, seed: int) -> np.ndarray:
        chosen = [windows[i] for i in order]
        numbers = np.array([look_number(window.name) for window in chosen], np.uint32)
        x = np.stack([window.filled for window in chosen]).astype(np.float32)
        drawn = np.stack([window.drawn for window in chosen])
        return np.asarray(draw_windows(np.int32(seed), numbers, x, drawn, width=SIZE["width"], look="standard").image)

    forward, backward = images(list(range(8)), seed=0), images(list(range(7, -1, -1)), seed=0)
    np.testing.assert_array_equal(forward, backward[::-1])
    assert (images(list(range(8)), seed=1) != forward).any(axis=(1, 2, 3)).all()


def test_building_again_gives_the_same_content_wherever_the_folder_lies(data_dir, las_dir, tmp_path):
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in las_dir.iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    build("raster_logs/las", data_dir=tmp_path, las_dir=moved, num_shards=2, **SIZE)
    first, second = (by_key("raster_logs/las", folder, "validation") for folder in (data_dir, tmp_path))
    assert list(first) == list(second)
    for key in first:
        assert_same(first[key], second[key])
    assert build("raster_logs/las", data_dir=data_dir, las_dir=moved, **SIZE).is_dir()


def test_a_dataset_made_otherwise_is_not_taken_for_this_one(data_dir, las_dir, tmp_path):
    with pytest.raises(InputError, match="holds a dataset made with another num; delete it"):
        build("raster_logs/standard", data_dir=data_dir, num=NUM + 1, **SIZE)
    (tmp_path / "0.las").write_bytes((las_dir / "0.las").read_bytes())
    with pytest.raises(InputError, match="made with another las_files, wells"):
        build("raster_logs/las", data_dir=data_dir, las_dir=tmp_path, **SIZE)


def test_a_dataset_of_an_older_renderer_is_not_taken_for_this_one(tmp_path, monkeypatch):
    build("raster_logs/standard", data_dir=tmp_path, num=1, **SIZE)
    monkeypatch.setattr("veerjax.data.rendered_source.RENDERER", RENDERER + 1)
    with pytest.raises(InputError, match="holds a dataset made with another renderer; delete it or give another"):
        build("raster_logs/standard", data_dir=tmp_path, num=1, **SIZE)


def test_what_a_killed_build_left_is_cleared(tmp_path):
    leftover = tmp_path / "raster_logs" / "standard" / "incomplete.ABCDEF_1.0.0"
    leftover.mkdir(parents=True)
    (leftover / "part").write_text("half")
    folder = build("raster_logs/standard", data_dir=tmp_path, num=1, **SIZE)
    assert [path.name for path in folder.parent.iterdir()] == ["1.0.0"]


def test_a_dataset_has_the_shards_that_were_asked_for(tmp_path):
    folder = build("raster_logs/standard", data_dir=tmp_path, num=6, num_shards=3, **SIZE)
    for split in SPLITS:
        assert len(list(folder.glob(f"raster_logs-{split}.array_record-*-of-00003"))) == 3
        assert len(load_built("raster_logs/standard", data_dir=tmp_path, split=split)) == 6


def test_more_shards_than_windows_are_refused_and_leave_nothing(tmp_path, las_dir):
    with pytest.raises(InputError, match="500 shards were asked for, but a split has fewer examples"):
        build("raster_logs/las", data_dir=tmp_path, las_dir=las_dir, num_shards=500, **SIZE)
    assert not list((tmp_path / "raster_logs" / "las").iterdir())


def test_a_split_too_large_for_memory_is_sorted_on_disk_into_the_same_order(data_dir, tmp_path, monkeypatch):
    monkeypatch.setattr("veerjax.data.build.shuffling.MEMORY", 2000)
    folder = build("raster_logs/standard", data_dir=tmp_path, num=NUM, **SIZE)
    assert not list(folder.glob("*.tmp"))
    for split in SPLITS:
        first, second = (by_key("raster_logs/standard", where, split) for where in (data_dir, tmp_path))
        assert list(first) == list(second)
        for key in first:
            assert_same(first[key], second[key])


@pytest.mark.slow
def test_a_colour_dataset_has_three_channels(tmp_path):
    build("raster_logs/colour", data_dir=tmp_path, num=2, **SIZE)
    source = load_built("raster_logs/colour", data_dir=tmp_path, split="train")
    assert source[0].image.shape == (48, 32, 3)
    assert (source[0].image != source[0].image[..., :1]).any()
    assert collated([source[0], source[1]]).image.shape == (2, 48, 32, 3)
    portion = next(open_logs("raster_logs/colour", data_dir=tmp_path).portions(2))
    assert portion.batch.image.shape == (2, 48, 32, 3)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_card_names_licence_and_source(tmp_path, name):
    info = RasterLogs(data_dir=tmp_path, config=name).info
    real = {"las": "curves of LAS files", "folder": "a user's own scans", "kgs": "Kansas Geological Survey"}
    assert real.get(name, "Rendered") in info.description
    licence = {"las": "files it was built from", "folder": "files it was built from", "kgs": "credit the Kansas"}
    assert licence.get(name, "Apache-2.0") in str(info.redistribution_info.license)
    assert "veerjax" in info.citation
    assert info.features["image"].shape[-1] == (3 if name == "colour" else 1)
    uncoded = ("identical_ink", "blobs", "shifted", "meeting", "folder", "kgs")
    assert ("Curve 1 is drawn solid" in info.description) == (name not in uncoded)


def test_portions_count_every_example_once(data_dir):
    source = load_built("raster_logs/standard", data_dir=data_dir, split="test")
    logs = open_logs("raster_logs/standard", data_dir=data_dir)
    found = list(logs.portions(2))
    assert [portion.batch.valid.tolist() for portion in found] == [[True, True], [True, True], [True, False]]
    assert np.concatenate([portion.positions for portion in found]).tolist() == list(range(NUM))
    assert sum((portion.names for portion in found), ()) == tuple(source[index].key for index in range(NUM))
    assert found[0].batch.image.shape == (2, 48, 32, 1)
    np.testing.assert_array_equal(found[1].batch.strokes[0], source[2].strokes)
    np.testing.assert_allclose(found[2].batch.image[0, ..., 0], source[4].image / 255, atol=1e-7)
    assert len(open_logs("raster_logs/standard", data_dir=data_dir, limit=3)) == 3
    assert len(open_logs("raster_logs/standard", data_dir=data_dir, split="all")) == 3 * NUM


def test_built_and_rendered_batches_are_alike(data_dir):
    source = load_built("raster_logs/standard", data_dir=data_dir, split="test")
    built = next(open_logs("raster_logs/standard", data_dir=data_dir).portions(8)).batch
    rendered = next(rendered_batches("standard", split="test", count=NUM, batch=8, **SIZE))
    np.testing.assert_array_equal(built.valid, rendered.valid)
    order = [source[index].metadata["index"] for index in range(NUM)]
    for name, expected in vars(rendered).items():
        got = np.asarray(getattr(built, name))[:NUM]
        np.testing.assert_allclose(got, np.asarray(expected)[order], atol=1e-7, err_msg=name)
    kinds = [jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), batch) for batch in (built, rendered)]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"name": "raster_logs/standart"},
            "there is no dataset 'raster_logs/standart'.*mean 'raster_logs/standard'",
        ),
        ({"name": "raster_logs/las"}, "give the folder of LAS files with --las-dir"),
        ({"name": "raster_logs/las", "las_dir": "nowhere"}, "there is no folder 'nowhere'"),
        ({"name": "raster_logs/las", "las_dir": ".", "num": 3}, "--num was given, which is for .*not for 'las'"),
        ({"las_dir": "."}, "--las-dir was given, which is for las, not for 'standard'"),
        ({"num": 0}, "0 examples were asked for"),
        ({"height": 8}, "each side must be at least 16 px"),
        ({"seed": -1}, "the seed is -1; write a number from 0"),
        ({"engine": "baem"}, "--engine is 'baem'.*mean 'beam'"),
        ({"beam_args": "--runner=DirectRunner"}, "--beam-args are for Apache Beam; give --engine beam too"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(tmp_path, changes, sentence):
    with pytest.raises(InputError, match=sentence):
        build(**{"name": "raster_logs/standard", "data_dir": tmp_path / "data"} | changes)
    assert not (tmp_path / "data").exists()


def test_an_unknown_config_of_a_recipe_is_refused():
    with pytest.raises(InputError, match=r"the dataset's config is 'lass'.*did you mean 'las'"):
        Recipe(config="lass")


def test_a_builder_without_a_source_says_how_to_build(tmp_path):
    with pytest.raises(InputError, match="raster_logs needs a source; build it by veerjax data build"):
        RasterLogs(data_dir=tmp_path, config=LAS).download_and_prepare()


def test_what_is_not_built_cannot_be_read(tmp_path, data_dir):
    with pytest.raises(InputError, match=r"raster_logs/las is not built in .*; build it by veerjax data build"):
        load_built("raster_logs/las", data_dir=tmp_path, split="test")
    with pytest.raises(InputError, match=r"has no split 'tset'; it has .*did you mean 'test'"):
        load_built("raster_logs/las", data_dir=data_dir, split="tset")
    with pytest.raises(InputError, match="there is no dataset 'las'"):
        load_built("las", data_dir=data_dir, split="test")


def test_more_shards_than_examples_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match="7 shards were asked for, and 6 examples a split; write 6 shards or fewer"):
        build("raster_logs/standard", data_dir=tmp_path / "new", num=6, num_shards=7, **SIZE)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("damage", ["{", None])
def test_a_dataset_whose_metadata_cannot_be_read_is_called_damaged(tmp_path, damage):
    folder = build("raster_logs/standard", data_dir=tmp_path, num=1, **SIZE)
    (folder / "metadata.json").unlink()
    if damage is not None:
        (folder / "metadata.json").write_text(damage)
    with pytest.raises(InputError, match=r"is damaged: its metadata\.json cannot be read; delete the folder"):
        build("raster_logs/standard", data_dir=tmp_path, num=1, **SIZE)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"num": 10**14}, "a split holds at most 10,000,000"),
        ({"num": 8, "height": 10**5, "width": 10**5}, "at most 16,777,216 px are drawn at a time"),
    ],
)
def test_more_than_can_be_drawn_is_refused_at_once(tmp_path, options, sentence):
    with pytest.raises(InputError, match=sentence):
        build("raster_logs/standard", data_dir=tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


def test_a_data_folder_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file.*cannot be written to .*; give another data folder"):
        build("raster_logs/standard", data_dir=tmp_path / "file", num=1, **SIZE)
