import pickle
from pathlib import Path

import numpy as np
import pytest
from las_files import write_las
from PIL import Image

from veerjax.cli import main
from veerjax.data.build.recipe import CONFIGS, Recipe, left_out
from veerjax.data.built import load_built
from veerjax.data.example import Example
from veerjax.data.logset import open_logs
from veerjax.data.rendered_source import CHUNK, RenderedSource
from veerjax.data.wells import source as wells_source
from veerjax.data.wells.source import LasSource, RealWindow, draw_windows
from veerjax.data.wells.variants import EDGE, STRETCH, variant
from veerjax.data.wells.windows import WindowSpec, bridged, interpolated, present_rows, windows_of_well
from veerjax.errors import InputError
from veerjax.logs.calibration import CurveScale
from veerjax.logs.las import read_las
from veerjax.logs.units import FT_PER_M
from veerjax.synthesis.draw import MARGIN_PX, SETTINGS

SIZE = {"height": 48, "width": 32}
DEPTH = np.arange(1000.0, 1400.0, 0.5)


def curves(phase: float = 0.0) -> dict[str, np.ndarray]:
    return {"GR": 75 + 50 * np.sin(DEPTH / 7 + phase), "CALI": 9 + 2 * np.cos(DEPTH / 5 + phase)}


def resistivities() -> dict[str, np.ndarray]:
    deep = 10 ** (0.8 + 0.5 * np.sin(DEPTH / 9))
    return {"ILD": deep, "ILM": deep * 10 ** (0.1 * np.cos(DEPTH / 4))}


def well(folder: Path, name: str, **changes) -> Path:
    """A well of that name in a file of that name."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.las"
    write_las(path, **{"well": name, "depth": DEPTH, "curves": curves(len(name))} | changes)
    return path


@pytest.fixture
def three_wells(tmp_path) -> Path:
    folder = tmp_path / "las"
    for name in ("a", "bb", "ccc"):
        well(folder, name)
    return folder


def windows(source: LasSource, split: str) -> list[RealWindow]:
    return [window for chunk in source.chunks()[split] for window in chunk]


def assert_same(first: Example, second: Example) -> None:
    for name, value in vars(first).items():
        np.testing.assert_array_equal(value, getattr(second, name), err_msg=name, strict=True)


def sources(folder: Path) -> list[tuple[RenderedSource | LasSource, str]]:
    rendered = RenderedSource(setting="standard", seed=3, count=CHUNK + 3, **SIZE)
    return [(rendered, "train"), (LasSource(folder=folder, augment=1, **SIZE), "train")]


def test_every_setting_and_every_real_source_has_a_config():
    assert set(CONFIGS) == {*SETTINGS, "las", "folder", "kgs"}


def test_a_source_and_its_chunks_survive_the_way_to_another_process(three_wells):
    for source, split in sources(three_wells):
        chunk = source.chunks()[split][-1]
        there, sent = pickle.loads(pickle.dumps((source, chunk)))
        for first, second in zip(source.make(split, chunk), there.make(split, sent), strict=True):
            assert_same(first, second)


def test_a_worker_needs_no_las_file(three_wells):
    source = LasSource(folder=three_wells, **SIZE)
    chunk = source.chunks()["train"][0]
    for path in three_wells.iterdir():
        path.unlink()
    assert [example.key for example in source.make("train", chunk)] == [window.key for window in chunk]
    assert len(pickle.dumps(chunk)) < 30_000


def test_the_last_chunk_is_shorter_and_drawn_by_the_same_function(three_wells):
    for source, split in sources(three_wells):
        chunks = source.chunks()[split]
        sizes = [len(source.make(split, chunk)) for chunk in chunks]
        assert sizes[:-1] == [CHUNK] * (len(sizes) - 1)
        assert 1 <= sizes[-1] <= CHUNK


def test_a_window_drawn_alone_is_the_one_drawn_among_others(three_wells):
    source = LasSource(folder=three_wells, **SIZE)
    chunk = source.chunks()["train"][0]
    alone = source.make("train", chunk[2:3])[0]
    among = source.make("train", chunk)[2]
    for name in ("strokes", "label", "centreline", "presence", "metadata", "key"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(among, name))
    difference = np.abs(alone.image.astype(int) - among.image.astype(int))
    assert difference.max() <= 1
    assert np.mean(difference > 0) <= 1e-4


def test_a_look_changes_the_picture_and_leaves_the_curves(three_wells):
    drawn = {}
    for look in ("standard", "clean"):
        source = LasSource(folder=three_wells, look=look, **SIZE)
        drawn[look] = source.make("train", source.chunks()["train"][0])
    for standard, clean in zip(drawn["standard"], drawn["clean"], strict=True):
        assert (standard.image != clean.image).any()
        assert standard.centreline.tobytes() == clean.centreline.tobytes()
        assert (standard.metadata["look"], clean.metadata["look"]) == ("standard", "clean")


def test_chunks_of_windows_are_a_sequence(three_wells):
    chunks = LasSource(folder=three_wells, **SIZE).chunks()["train"]
    keys = [[window.key for window in chunk] for chunk in chunks]
    assert [[window.key for window in chunk] for chunk in chunks[1:]] == keys[1:]
    assert [window.key for window in chunks[-1]] == keys[-1]
    with pytest.raises(IndexError):
        chunks[len(chunks)]


def test_only_training_windows_are_copied_as_often_as_asked(three_wells):
    plain, copied = (LasSource(folder=three_wells, augment=number, **SIZE) for number in (0, 2))
    for split in ("validation", "test"):
        assert [w.key for w in windows(copied, split)] == [w.key for w in windows(plain, split)]
    before, after = windows(plain, "train"), windows(copied, "train")
    assert len(after) == 3 * len(before)
    assert [w.key for w in after if w.provenance["augmentation"] is None] == [w.key for w in before]
    assert len({w.key for w in after}) == len(after)
    numbers = [(w.provenance["augmentation"] or {"copy": 0})["copy"] for w in after]
    assert numbers == [0, 1, 2] * len(before)


def test_copies_differ_with_the_seed_and_are_the_same_again(three_wells):
    first, again, other = (
        [window.x for window in windows(LasSource(folder=three_wells, augment=1, seed=seed, **SIZE), "train")]
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert all((a != b).any() for a, b in zip(first[1::2], other[1::2], strict=True))


def spec(tmp_path: Path, held: dict[str, np.ndarray], *, index: int = 2) -> tuple[WindowSpec, np.ndarray]:
    """A window in the middle of a well, and the well's depths."""
    found = read_las(well(tmp_path, "v", curves=held))
    return windows_of_well(found, file="v.las", height=48, width=32, px_per_ft=0.64)[index], found.depth


@pytest.mark.parametrize("held", [curves(), resistivities()], ids=["linear", "log"])
def test_a_copy_shows_the_wells_values_on_the_scales_and_depths_it_names(tmp_path, held):
    window, depth = spec(tmp_path, held)
    for number in range(1, 20):
        copy, change = variant(window, depth, number=number, seed=0)
        px_per_ft = 48 / (copy.depth_bottom_ft - copy.depth_top_ft)
        assert px_per_ft / 0.64 == pytest.approx(change["depth_stretch"])
        assert STRETCH[0] <= change["depth_stretch"] <= STRETCH[1]
        at = copy.depth_top_ft + (np.arange(48) + 0.5) / px_per_ft
        for curve, values, x in zip(copy.curves, held.values(), copy.centreline, strict=True):
            assert isinstance(curve.scale, CurveScale)
            read = curve.scale.value(x, 0, 32)
            logarithmic = curve.scale.scale == "log"
            expected = interpolated(depth, np.log10(values) if logarithmic else values, at)
            np.testing.assert_allclose(np.log10(read) if logarithmic else read, expected, rtol=1e-9)


def test_a_copy_stays_on_the_track(tmp_path):
    window, depth = spec(tmp_path, curves())
    mirrored = set()
    for number in range(1, 40):
        copy, change = variant(window, depth, number=number, seed=0)
        assert copy.presence.all()
        assert copy.centreline.min() >= EDGE * 32 - 1e-9
        assert copy.centreline.max() <= (1 - EDGE) * 32 + 1e-9
        assert all(0 < slope <= 1.3 for slope in change["gain"])
        mirrored.add(change["mirrored"])
        if change["mirrored"]:
            assert all(curve.scale.left > curve.scale.right for curve in copy.curves)
    assert mirrored == {True, False}


def test_deep_and_medium_resistivity_change_alike_and_other_pairs_do_not(tmp_path):
    window, depth = spec(tmp_path, resistivities())
    for number in range(1, 10):
        copy, change = variant(window, depth, number=number, seed=0)
        assert change["gain"][0] == change["gain"][1]
        assert copy.curves[0].scale.left == copy.curves[1].scale.left
    window, depth = spec(tmp_path, curves())
    assert (
        variant(window, depth, number=1, seed=0)[1]["gain"][0] != variant(window, depth, number=1, seed=0)[1]["gain"][1]
    )


def test_a_copy_that_would_show_too_little_is_stretched_less(tmp_path):
    held = curves()
    for values in held.values():
        values[:150] = np.nan
        values[301:] = np.nan
    window, depth = spec(tmp_path, held, index=0)
    for number in range(1, 20):
        copy, _ = variant(window, depth, number=number, seed=0)
        assert present_rows(copy.x, width=32).mean(axis=1).min() >= 0.5


def rewritten(path: Path, change) -> None:
    """A LAS file with its lines of data changed."""
    head, _, data = path.read_text().partition("~Ascii\n")
    path.write_text(head + "~Ascii\n" + "\n".join(change(data.splitlines())) + "\n")


def centrelines(folder: Path) -> dict[str, np.ndarray]:
    source = LasSource(folder=folder, **SIZE)
    held = [window for split in source.chunks() for window in windows(source, split)]
    return {window.key: window.x for window in held}


def test_odd_files_give_what_plain_ones_do(tmp_path):
    expected = centrelines(well(tmp_path / "plain", "a").parent)
    wrapped = well(tmp_path / "wrapped", "a")
    rewritten(wrapped, lambda lines: [part for line in lines for part in (line.split()[0], " ".join(line.split()[1:]))])
    wrapped.write_text(wrapped.read_text().replace("WRAP. NO", "WRAP. YES"))
    descending = well(tmp_path / "descending", "a")
    rewritten(descending, lambda lines: lines[::-1])
    no_step = well(tmp_path / "no_step", "a")
    no_step.write_text(no_step.read_text().replace("STEP.F 0.5", "STEP.F 0"))
    for path in (wrapped, descending, no_step):
        found = centrelines(path.parent)
        assert found.keys() == expected.keys()
        for key, x in found.items():
            np.testing.assert_array_equal(x, expected[key], err_msg=str(path))


def test_feet_and_metres_may_lie_side_by_side(tmp_path):
    well(tmp_path / "both", "feet")
    well(tmp_path / "both", "metres", depth=DEPTH / FT_PER_M, unit="M", curves=curves(len("feet")))
    found = centrelines(tmp_path / "both")
    feet = {key: x for key, x in found.items() if key.startswith("feet")}
    assert len(found) == 2 * len(feet)
    for key, x in feet.items():
        np.testing.assert_allclose(found[key.replace("feet", "metres")], x, atol=1e-6)


def test_a_long_null_stretch_has_no_windows_and_the_rest_keeps_its_places(tmp_path):
    whole = centrelines(well(tmp_path / "whole", "a").parent)
    held = curves(1)
    held["GR"][200:600] = np.nan
    gap = centrelines(well(tmp_path / "gap", "a", curves=held).parent)
    assert gap.keys() < whole.keys()
    assert "a.las/gr_cali/00000" in gap
    np.testing.assert_array_equal(gap["a.las/gr_cali/00000"], whole["a.las/gr_cali/00000"])


REFUSALS = {
    "no such curve": ({"curves": {"SONIC": curves()["GR"], "TEMP": curves()["CALI"]}}, "bad.las holds no known pair"),
    "nulls only": ({"curves": {**curves(), "GR": np.full(len(DEPTH), np.nan)}}, r"bad.las holds only nulls .*gr_cali"),
    "gamma ray in ohm.m": ({"units": {"GR": "OHMM"}}, r"bad.las .*GR is in OHMM, which does not convert to GAPI"),
    "neutron in furlongs": (
        {"curves": {"RHOB": curves()["CALI"] / 4, "NPHI": curves()["GR"] / 300}, "units": {"NPHI": "FURLONG"}},
        r"bad.las .*NPHI is in FURLONG, which does not convert to V/V",
    ),
}


@pytest.mark.parametrize(("changes", "sentence"), REFUSALS.values(), ids=REFUSALS)
def test_a_file_that_cannot_be_used_is_named(three_wells, changes, sentence):
    well(three_wells, "bad", **changes)
    with pytest.raises(InputError, match=f"1 of 4 LAS files cannot be used: {sentence}.*--keep-going"):
        LasSource(folder=three_wells, **SIZE).chunks()
    source = LasSource(folder=three_wells, keep_going=True, **SIZE)
    assert len(left_out(source)) == 1
    assert len(source.chunks()) == 3
    assert source.as_metadata()["left_out"] == list(left_out(source))


def test_a_file_of_one_row_is_named(three_wells):
    path = well(three_wells, "bad")
    rewritten(path, lambda lines: lines[:1])
    with pytest.raises(InputError, match=r"bad\.las has 1 row\(s\) with a depth"):
        LasSource(folder=three_wells, **SIZE).chunks()


def test_a_folder_without_a_usable_file_is_refused_whatever_is_asked(tmp_path):
    well(tmp_path / "las", "bad", units={"GR": "OHMM"})
    with pytest.raises(InputError, match=r"no LAS file in .* is usable: bad\.las"):
        LasSource(folder=tmp_path / "las", keep_going=True, **SIZE).chunks()


def test_a_changed_file_is_read_anew_by_the_next_source(three_wells):
    source = LasSource(folder=three_wells, **SIZE)
    before = source.as_metadata()["las_files"]
    held = len(windows(source, "train"))
    for path in three_wells.iterdir():
        well(three_wells, path.stem, depth=DEPTH[:400], curves={k: v[:400] for k, v in curves().items()})
    source = LasSource(folder=three_wells, **SIZE)
    assert len(windows(source, "train")) < held
    assert source.as_metadata()["las_files"] != before


def test_a_source_reads_each_file_once_to_digest_it(three_wells, monkeypatch):
    read = []
    digest = wells_source.file_digest
    monkeypatch.setattr(wells_source, "file_digest", lambda path: read.append(path.name) or digest(path))
    source = LasSource(folder=three_wells, augment=1, **SIZE)
    for split in source.chunks():
        windows(source, split)
    source.as_metadata()
    assert sorted(read) == ["a.las", "bb.las", "ccc.las"]


@pytest.mark.slow
def test_beside_a_gap_a_page_that_was_moved_shows_the_curve_where_it_is():
    height, width = 96, 48
    whole = np.repeat([[20.0], [38.0]], height + 2 * MARGIN_PX, axis=1)
    broken = whole.copy()
    broken[:, 60:72] = np.nan
    drawn = {}
    for name, x, there in (
        ("whole", whole, np.isfinite(whole)),
        ("gap", bridged(broken), np.isfinite(broken)),
    ):
        eight = np.repeat(x[None], 8, axis=0).astype(np.float32), np.repeat(there[None], 8, axis=0)
        drawn[name] = draw_windows(np.int32(0), np.arange(8, dtype=np.uint32), *eight, width=width, look="hard")
    present = np.asarray(drawn["gap"].presence)
    assert (present.sum() < np.asarray(drawn["whole"].presence).sum()).all()
    difference = np.abs(np.asarray(drawn["gap"].centreline) - np.asarray(drawn["whole"].centreline))
    assert difference[present].max() < 0.01


def test_in_identical_ink_the_left_curve_is_the_first_and_its_scale_follows(three_wells):
    source = LasSource(folder=three_wells, look="identical_ink", augment=2, **SIZE)
    plain = LasSource(folder=three_wells, look="clean", augment=2, **SIZE)
    exchanges = 0
    for held, usual in zip(windows(source, "train"), windows(plain, "train"), strict=True):
        (example,) = source.make("train", (held,))
        both = example.presence.all(axis=0)
        top = int(np.argmax(both))
        assert both[top]
        assert example.centreline[0, top] <= example.centreline[1, top]
        # Exact to the last bit: what is stored is the window's own, in the order that was drawn.
        assert example.centreline.tobytes() == bridged(held.x)[:, MARGIN_PX:-MARGIN_PX].tobytes()
        exchanged = not np.array_equal(held.x, usual.x, equal_nan=True)
        exchanges += exchanged
        order = slice(None, None, -1 if exchanged else 1)
        np.testing.assert_array_equal(held.x, usual.x[order])
        names = [scale["mnemonic"] for scale in usual.provenance["curves"]]
        assert [scale["mnemonic"] for scale in example.metadata["curves"]] == names[order]
        assert [scale["curve_class"] for scale in example.metadata["curves"]] == [1, 2]
        change, before = example.metadata["augmentation"], usual.provenance["augmentation"]
        assert (change is None) == (before is None)
        assert change is None or change["gain"] == before["gain"][order]
        for curve in range(2):
            rows = np.flatnonzero(example.presence[curve])
            columns = np.floor(example.centreline[curve, rows]).astype(int)
            assert example.strokes[curve, rows, columns].mean() > 0.99
    assert exchanges


def test_every_real_file_is_usable(real_data):
    source = LasSource(folder=real_data / "las", height=512, width=256)
    assert left_out(source) == ()
    assert len(source.splits()) == 5


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"config": "standard", "look": "standard"}, "--look was given, which is for las, not for 'standard'"),
        ({"config": "las", "las_dir": Path("x"), "folder": Path("y")}, "--folder .* is for folder, kgs, not for 'las'"),
        ({"config": "folder", "manifest": Path("x")}, "--manifest .* is for kgs, not for 'folder'"),
        ({"config": "standard", "keep_going": True}, "--keep-going .* is for las, folder, kgs, not for 'standard'"),
        ({"config": "las", "las_dir": Path("x"), "augment": -1}, "-1 copies of each window were asked for"),
        ({"config": "las", "las_dir": Path("x"), "look": "standart"}, "the look .* is 'standart'.*mean 'standard'"),
        ({"config": "las", "las_dir": Path("x"), "look": "four_curves"}, "look four_curves adds curves .* well_like"),
    ],
)
def test_an_option_of_another_config_is_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        Recipe(**options)


@pytest.mark.parametrize(("config", "flag"), [("las", "--las-dir"), ("folder", "--folder"), ("kgs", "--folder")])
def test_a_source_of_files_asks_for_their_folder(config, flag):
    with pytest.raises(InputError, match=flag):
        Recipe(config=config).source()


def test_the_command_names_what_it_leaves_out_and_exits_with_1(three_wells, tmp_path, capsys):
    well(three_wells, "bad", units={"GR": "OHMM"})
    command = ["data", "build", "--name", "raster_logs/las", "--las-dir", str(three_wells), "--data-dir"]
    size = ["--height", "48", "--width", "32", "--augment", "1", "--look", "standard"]
    assert main([*command, str(tmp_path / "data"), *size]) == 2
    assert "bad.las" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()
    assert main([*command, str(tmp_path / "data"), *size, "--keep-going"]) == 1
    assert "left out: bad.las cannot be plotted: GR is in OHMM" in capsys.readouterr().err
    built = load_built("raster_logs/las", data_dir=tmp_path / "data", split="train")
    assert sum(built[index].metadata["augmentation"] is not None for index in range(len(built))) * 2 == len(built)


def scan_with_label(folder: Path, name: str) -> None:
    """A picture of two straight curves."""
    folder.mkdir(exist_ok=True)
    label = np.zeros((96, 32), np.uint8)
    label[:, 8:11], label[:, 20:23] = 1, 2
    Image.fromarray(np.where(label > 0, 20, 240).astype(np.uint8)).save(folder / f"{name}.png")
    Image.fromarray(label).save(folder / f"{name}.label.png")


def test_the_command_builds_a_folder_of_scans_and_leaves_out_the_unpaired(tmp_path, capsys):
    folder = tmp_path / "scans"
    for name in ("a", "b", "c"):
        scan_with_label(folder, name)
    (folder / "lone.png").write_bytes((folder / "a.png").read_bytes())
    command = ["data", "build", "--name", "raster_logs/folder", "--folder", str(folder)]
    command += ["--data-dir", str(tmp_path / "data"), "--height", "48", "--width", "32"]
    assert main(command) == 2
    assert "lone.png" in capsys.readouterr().err
    assert main([*command, "--keep-going"]) == 1
    assert "left out: " in (said := capsys.readouterr().err)
    assert "lone.png" in said
    logs = open_logs("raster_logs/folder", data_dir=tmp_path / "data", split="all")
    assert len(logs) == 6
    batch = next(logs.portions(6)).batch
    assert batch.image.shape == (6, 48, 32, 1)
    np.testing.assert_array_equal(np.unique(batch.label), [0, 1, 2])


def test_the_command_refuses_what_is_not_for_the_config(tmp_path, capsys):
    assert main(["data", "build", "--name", "raster_logs/standard", "--data-dir", str(tmp_path), "--augment", "2"]) == 2
    assert capsys.readouterr().err.startswith("veerjax: --augment was given, which is for las")
