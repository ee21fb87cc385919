"""Checkpoints survive: what is not whole is passed over and kept, what fails is said, what does not fit is refused."""

import dataclasses
import errno
import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from saved_states import DAMAGES, flip, remove_manifest, save_steps, state

from veerjax.errors import InputError
from veerjax.training import checkpoint, manifest
from veerjax.training.checkpoint import (
    BEST,
    BEST_FIGURE,
    BEST_STEP,
    Checkpoints,
    checkpoint_folder,
    restore_variables,
    state_hashes,
)
from veerjax.training.kept import inventory
from veerjax.training.sharding import data_mesh, replicated
from veerjax.training.weights import load_weights, release_folder
from veerjax.types import blank

EDITION_1 = Path(__file__).parent / "golden" / "edition1"  # two steps of TINY, made by the code before manifests


@pytest.fixture
def cut_short(tmp_path: Path) -> Path:
    """A work directory with a checkpoint whose files of arrays end after 50 bytes, and no manifest."""
    workdir, tree = tmp_path / "run", tmp_path / "run" / "checkpoints" / "1" / "default"
    shutil.copytree(release_folder() / "weights", tree)
    shutil.copy(release_folder() / "config.json", workdir)
    for path in tree.rglob("d/*"):
        path.write_bytes(path.read_bytes()[:50])
    return workdir


def kept(workdir: Path) -> list[str]:
    return sorted(path.name for path in (workdir / "checkpoints").iterdir())


def assert_equal(found: Any, expected: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_a_checkpoint_that_is_cut_short_has_its_own_sentence(cut_short: Path) -> None:
    with pytest.raises(InputError, match="a file in it is missing or cut short; copy it again or give another step"):
        restore_variables(cut_short / "checkpoints" / "1" / "default")


def test_a_checkpoint_that_is_cut_short_prints_the_sentence_alone(cut_short: Path) -> None:
    code = f"from veerjax.cli import main\nmain(['evaluate', '--weights', {str(cut_short)!r}, '--limit', '1'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_other_errors_in_threads_are_still_shown_after_a_failed_read(
    cut_short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: shown.append(str(unraisable.exc_value)))
    with pytest.raises(InputError):
        restore_variables(cut_short / "checkpoints" / "1" / "default")

    class Unraisable:
        exc_value: RuntimeError

    for sentence in ("Event loop is closed", "another"):
        Unraisable.exc_value = RuntimeError(sentence)
        sys.unraisablehook(Unraisable)
    assert shown == ["another"]


def test_the_newest_state_comes_back_bit_for_bit(tmp_path: Path) -> None:
    save_steps(tmp_path, {10: None, 20: None})
    with Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore_newest(state(0))
    assert_equal(restored, state(20))


def test_an_empty_work_directory_has_no_state_and_no_best(tmp_path: Path) -> None:
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore_newest(state(0)) is None
        assert checkpoints.best() is None


def test_the_newest_and_the_best_are_kept_and_a_step_between_validations_is_never_the_best(tmp_path: Path) -> None:
    save_steps(tmp_path, {10: 0.9, 20: None, 30: 0.5, 40: None, 50: None}, keep=2)
    assert kept(tmp_path) == ["10", "40", "50"]
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.restore_newest(state(0))
        assert (checkpoints.best(), checkpoints.metrics(10), checkpoints.metrics(50)) == ((0.9, 10), {BEST: 0.9}, {})
        checkpoints.save(state(60), step=60, metrics=None)
    assert kept(tmp_path) == ["10", "60"]  # the best of an earlier start is known to the next one


def test_a_step_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    with Checkpoints(tmp_path) as checkpoints:
        for other in (10, 11):
            checkpoints.save(state(other), step=10, metrics=None)
        assert_equal(checkpoints.restore_newest(state(0)), state(10))


def test_a_step_comes_to_light_with_its_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def write(folder: Any, *, leaves: int) -> None:
        seen.append((tmp_path / "checkpoints" / "10").exists())
        manifest.write_manifest(folder, leaves=leaves)

    monkeypatch.setattr(checkpoint, "write_manifest", write)
    save_steps(tmp_path, {10: None})
    assert seen == [False]
    noted = manifest.read_manifest(Checkpoints(tmp_path).workdir / "checkpoints" / "10")
    assert noted is not None
    assert noted["leaves"] == len(jax.tree.leaves(state(10)))


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_whole_is_named_and_moved_aside_and_the_step_before_is_taken(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    harm, reason = DAMAGES[damage]
    save_steps(tmp_path, {10: None, 20: None, 30: None})
    harm(tmp_path / "checkpoints" / "30")
    with Checkpoints(tmp_path, keep=9) as checkpoints:
        assert_equal(checkpoints.restore_newest(state(0)), state(20))
        where = re.escape(str(tmp_path))
        line = rf"veerjax: step 30 in {where} is not whole \({reason}\); going on from step 20\.\n"
        assert re.fullmatch(line, capsys.readouterr().err)
        assert kept(tmp_path) == ["10", "20"]
        checkpoints.save(state(30), step=30, metrics=None)
    assert kept(tmp_path) == ["10", "20", "30"]
    harm(tmp_path / "checkpoints" / "30")
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.restore_newest(state(0))
    assert sorted(path.name for path in (tmp_path / "checkpoints.damaged").iterdir()) == ["30", "30-1"]


def test_an_older_step_that_is_damaged_is_found_at_the_start_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_steps(tmp_path, {10: 0.9, 20: 0.1})
    (tmp_path / "checkpoints" / "10" / "metrics" / "metrics").write_text("{")
    with Checkpoints(tmp_path) as checkpoints:
        assert_equal(checkpoints.restore_newest(state(0)), state(20))
        assert checkpoints.best() == (0.1, 20)
    assert "step 10" in capsys.readouterr().err


def test_where_all_are_damaged_nothing_starts_over_until_they_are_removed(tmp_path: Path) -> None:
    save_steps(tmp_path, {10: None, 20: None})
    for step in ("10", "20"):
        flip(tmp_path / "checkpoints" / step)
    for told in (r" \(step 20: default/\S+ differs from its manifest; step 10: .+\)", ""):
        with (
            pytest.raises(
                InputError,
                match=rf"all 2 steps in .* are damaged and lie in \S+checkpoints\.damaged{told}; "
                "give another --workdir, or remove that folder to start anew",
            ),
            Checkpoints(tmp_path) as checkpoints,
        ):
            checkpoints.restore_newest(state(0))
    shutil.rmtree(tmp_path / "checkpoints.damaged")
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore_newest(state(0)) is None


def test_one_damaged_step_alone_is_refused_too(tmp_path: Path) -> None:
    save_steps(tmp_path, {10: None})
    flip(tmp_path / "checkpoints" / "10")
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(
            InputError, match=r"the one step in \S+ is damaged and lies in \S+checkpoints\.damaged \(step 10: "
        ),
    ):
        checkpoints.restore_newest(state(0))


def test_leftovers_of_killed_saves_are_cleared(tmp_path: Path) -> None:
    save_steps(tmp_path, {10: None})
    unfinished = tmp_path / "checkpoints" / "20.orbax-checkpoint-tmp" / "default.orbax-checkpoint-tmp"
    unfinished.mkdir(parents=True)
    (unfinished / "d").write_text("half")
    (tmp_path / "checkpoints" / "10" / ".manifest.json.tmp").write_text("{")
    Checkpoints(tmp_path)
    assert kept(tmp_path) == ["10"]
    assert not list(tmp_path.rglob("*.tmp"))


FAILURES = {errno.ENOSPC: "No space left on device", errno.EROFS: "Read-only file system"}


@pytest.mark.parametrize("number", FAILURES)
@pytest.mark.parametrize("surfaces", ["wait", "save", "exit"])
def test_a_save_that_fails_says_so_and_the_last_good_step_stands(
    number: int, surfaces: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Any, content: bytes) -> None:
        path.write_bytes(content[:20])
        raise OSError(number, os.strerror(number))

    sentence = rf"step 20 could not be saved in \S+checkpoints: {FAILURES[number]}; step 10, the last good one, stands"
    save_steps(tmp_path, {10: 0.5})

    def run() -> None:
        with Checkpoints(tmp_path, keep=1) as checkpoints:
            checkpoints.restore_newest(state(0))
            checkpoints.save(state(20), step=20, metrics={BEST: 0.6})
            if surfaces == "wait":
                checkpoints.wait()
            elif surfaces == "save":
                checkpoints.save(state(30), step=30, metrics=None)

    with monkeypatch.context() as patched:
        patched.setattr(manifest, "write_whole", full)
        with pytest.raises(InputError, match=sentence):
            run()
    assert kept(tmp_path) == ["10"]
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        assert_equal(checkpoints.restore_newest(state(0)), state(10))
        checkpoints.save(state(20), step=20, metrics=None)
    assert kept(tmp_path) == ["10", "20"]


def test_what_the_array_store_says_of_a_full_disk_is_put_in_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise ValueError("RESOURCE_EXHAUSTED: Error writing ...: No space left on device [os_error_code='28']")

    with Checkpoints(tmp_path) as checkpoints:
        monkeypatch.setattr(ocp.CheckpointManager, "save", full)
        with pytest.raises(InputError, match=r"step 10 could not .*: No space left on device; there is no earlier one"):
            checkpoints.save(state(10), step=10, metrics=None)


def test_an_error_on_its_way_is_not_hidden_by_a_save_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_manifest", full)

    def run() -> None:
        with Checkpoints(tmp_path) as checkpoints:
            checkpoints.save(state(10), step=10, metrics=None)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run()
    assert "veerjax: step 10 could not be saved" in capsys.readouterr().err


def as_bfloat16(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16) if leaf.dtype == jnp.float32 else leaf, tree)


@pytest.mark.parametrize(
    ("like", "sentence"),
    [
        (state(0, width=5), r"params/Block_0/bias is float32 \[4\] there and float32 \[5\] here"),
        (as_bfloat16(state(0)), r"params/Block_0/bias is float32 \[4\] there and bfloat16 \[4\] here"),
        (state(0, averaging=False), "it holds ema/batch_stats/Block_0/mean, which is not trained here"),
        (
            dataclasses.replace(state(0), params={**state(0).params, "Block_1": jnp.zeros(2)}),
            "it holds no params/Block_1;",
        ),
    ],
)
def test_a_state_of_another_kind_is_refused_and_not_cast(like: Any, sentence: str, tmp_path: Path) -> None:
    save_steps(tmp_path, {10: None})
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(InputError, match=f"step 10 in .* does not fit .*{sentence}"),
    ):
        checkpoints.restore_newest(like)
    assert kept(tmp_path) == ["10"]


def test_a_state_moves_from_eight_devices_to_one_and_to_two(tmp_path: Path) -> None:
    before = state(10, width=8)
    for devices in (8, 1, 2):
        mesh = data_mesh(jax.devices()[:devices])
        split, whole = NamedSharding(mesh, PartitionSpec(None, "data")), replicated(mesh)
        layout = jax.tree.map(lambda leaf, s=split, w=whole: s if leaf.ndim == 2 else w, before)
        with Checkpoints(tmp_path / "run", keep=1) as checkpoints:
            restored = checkpoints.restore_newest(jax.device_put(state(0, width=8), layout))
            if restored is not None:
                assert_equal(restored, before)
                assert restored.params["Block_0"]["kernel"].sharding == split
            before = dataclasses.replace(before, step=before.step + 1)
            checkpoints.save(jax.device_put(before, layout), step=int(before.step), metrics=None)


def test_best_and_last_pass_over_what_is_damaged_and_a_step_by_its_number_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_steps(tmp_path, {10: 0.8, 20: 0.9, 30: 0.1})
    assert [checkpoint_folder(tmp_path, which).parent.name for which in ("best", "last", "10")] == ["20", "30", "10"]
    flip(tmp_path / "checkpoints" / "20")
    remove_manifest(tmp_path / "checkpoints" / "30")
    assert [checkpoint_folder(tmp_path, which).parent.name for which in ("best", "last")] == ["10", "10"]
    told = capsys.readouterr().err.splitlines()
    steps = [line.partition(" in ")[0].removeprefix("veerjax: ") for line in told]
    assert steps == ["step 20", "step 30", "step 20"]  # the best, then the last
    assert all(line.endswith("; reading step 10.") for line in told)
    with pytest.raises(InputError, match=r"has no whole checkpoint of that name \(step 20: .* differs from its manif"):
        checkpoint_folder(tmp_path, "20")
    assert [(step.step, bool(step.defect), step.marks) for step in inventory(tmp_path)] == [
        (10, False, ("best", "last")),
        (20, True, ()),
        (30, True, ()),
    ]


def test_the_variables_are_the_moving_average_where_one_was_kept(tmp_path: Path) -> None:
    save_steps(tmp_path / "averaged", {10: None})
    with Checkpoints(tmp_path / "plain") as checkpoints:
        checkpoints.save(state(10, averaging=False), step=10, metrics=None)
    for name, expected in (("averaged", state(10).ema), ("plain", state(10).variables)):
        assert_equal(restore_variables(checkpoint_folder(tmp_path / name, "last")), expected)


def test_hashes_tell_which_part_of_a_state_differs(tmp_path: Path) -> None:
    save_steps(tmp_path / "a", {10: None})
    save_steps(tmp_path / "b", {10: None})
    with Checkpoints(tmp_path / "c") as checkpoints:
        checkpoints.save(dataclasses.replace(state(10), step=jnp.int32(11)), step=10, metrics=None)
    a, b, c = (state_hashes(checkpoint_folder(tmp_path / name, "last")) for name in "abc")
    assert a == b
    assert {part for part in a if a[part] != c[part]} == {"step"}
    assert set(a) == {"step", "params", "extra", "opt_state", "ema"}


def test_weights_of_the_first_edition_are_read_and_answer_as_they_did(capsys: pytest.CaptureFixture[str]) -> None:
    weights = load_weights(str(EDITION_1))
    image = ((np.arange(32 * 32).reshape(1, 32, 32, 1) * 7) % 32 / 31).astype(np.float32)
    masks = weights.model.predict(weights.variables, blank(image)).masks
    with np.load(EDITION_1 / "expected.npz") as expected:
        np.testing.assert_allclose(masks, expected["masks"], atol=1e-5)
    assert capsys.readouterr().err == ""


def test_a_training_of_the_first_edition_is_not_gone_on_with(tmp_path: Path) -> None:
    shutil.copytree(EDITION_1, tmp_path / "run")
    with (
        pytest.raises(
            InputError, match=r"have no manifest.json, as in runs of an older edition.* with --init-from \S+run"
        ),
        Checkpoints(tmp_path / "run") as checkpoints,
    ):
        checkpoints.restore_newest(state(0))
    assert kept(tmp_path / "run") == ["2"]


SAVING = """
import sys
sys.path.insert(0, {tests!r})
import jax.numpy as jnp
from dataclasses import replace
from saved_states import state
from veerjax.training.checkpoint import Checkpoints
padding = jnp.arange(2_000_000.0)
with Checkpoints({workdir!r}, keep=1) as checkpoints:
    like = replace(state(0), extra={{"padding": padding}})
    found = checkpoints.restore_newest(like)
    first = 0 if found is None else int(found.step)
    print("from", first, flush=True)
    for step in range(first + 1, 10_000):
        checkpoints.save(replace(state(step), extra={{"padding": padding + step}}), step=step, metrics=None)
        checkpoints.wait()
        print("saved", step, flush=True)
"""


@pytest.mark.slow
def test_a_kill_in_the_middle_of_a_save_loses_that_save_alone(tmp_path: Path) -> None:
    code = SAVING.format(tests=str(Path(__file__).parent), workdir=str(tmp_path))
    chance, before = random.Random(0), 0
    for _ in range(6):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        # A save may have become whole after the last word of the process that was killed.
        assert process.stdout.readline() in (f"from {before}\n", f"from {before + 1}\n")
        for _ in range(3):
            before = int(process.stdout.readline().split()[1])
        time.sleep(chance.uniform(0, 0.3))
        process.kill()
        rest = process.stdout.read().splitlines()
        process.wait()
        before = int(rest[-1].split()[1]) if rest else before
    assert not (tmp_path / "checkpoints.damaged").exists()


def test_a_whole_step_that_cannot_be_read_is_not_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_steps(tmp_path, {10: None, 20: None})

    def fails(folder: Any) -> Any:
        raise ValueError("UNAVAILABLE: try again")

    monkeypatch.setattr(checkpoint, "stored_leaves", fails)
    sentence = "step 20 in .* is whole on disk and cannot be read: UNAVAILABLE: try again; .* nothing was moved"
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(InputError, match=sentence):
        checkpoints.restore_newest(state(0))
    assert kept(tmp_path) == ["10", "20"]
    assert not (tmp_path / "checkpoints.damaged").exists()


def test_the_best_figure_and_its_step_are_those_that_the_last_validation_knew(tmp_path: Path) -> None:
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        for step, figure, best in ((10, 0.6, 10), (20, 0.6, 10), (30, 0.5, 10)):
            checkpoints.save(state(step), step=step, metrics={BEST: figure, BEST_FIGURE: 0.6, BEST_STEP: best})
        checkpoints.wait()
        assert checkpoints.best() == (0.6, 10)  # an equal one is no better, whichever of them is kept
