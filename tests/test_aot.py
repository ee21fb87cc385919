"""`veerjax benchmark --aot`: a step compiled for TPU chips that are not there, and the estimate made of it."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import pytest

from veerjax.cli import main
from veerjax.config import Config, with_overrides
from veerjax.errors import InputError
from veerjax.models.cost import Layer, padded_flops
from veerjax.performance import aot
from veerjax.performance.aot import Compiled, TooLarge, largest_batch
from veerjax.performance.chips import CHIPS, parsed, sides, size
from veerjax.performance.collectives import Collective
from veerjax.performance.scaling import (
    HOP_S,
    Load,
    bound,
    collective_s,
    compute_s,
    hops,
    link_share,
    step_s,
    weak_scaling,
)
from veerjax.report.aot_table import markdown_table
from veerjax.training.sharding import data_mesh

TOOL = Path(__file__).resolve().parents[1] / "tools" / "aot_table.py"
V5E = CHIPS["v5e"]
TINY = with_overrides(
    Config(name="tiny"),
    ["batch=16", "data.setting=clean", "data.height=32", "data.width=32", "model.features=[4,8]"],
)
LOAD = Load(
    examples=8,
    flops=197e9,  # 1 ms of a v5e
    padded_flops=788e9,  # 4 ms
    bytes=1638e6,  # 2 ms
    collectives={"all-reduce": Collective(count=10, bytes=100_000_000)},
)
needs_libtpu = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="the extra is absent: pip install 'veerjax[tpu]'"
)


@pytest.mark.parametrize("name", CHIPS)
def test_a_chip_has_slices_from_1_to_256_chips(name: str) -> None:
    chip = CHIPS[name]
    counts = [size(sides(shape)) for shape in chip.slices]
    assert counts[0] == 1
    assert counts[-1] == 256
    assert counts == sorted(set(counts))
    assert chip.source.startswith("https://cloud.google.com/tpu/docs/")
    assert 100e12 < chip.flops_per_s < 1e15
    assert chip.ici_bytes_per_s < chip.hbm_bytes_per_s


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("v5e", "'v5e' is no topology; write CHIP:SHAPE, such as v5e:2x4"),
        ("v5e:8", "is no topology"),
        ("v5e:2x4;rm", "is no topology"),
        ("v5e:0x4", "is no topology"),
        (
            "v5e:2x4x4",
            "there is no slice 'v5e:2x4x4': v5e has two sides and up to 256 chips; write one such as v5e:16x16",
        ),
        ("v6e:16x32", "v6e has two sides and up to 256 chips; write one such as v6e:16x16"),
        ("v5p:2x4", "v5p has three sides and up to 8960 chips"),
        ("v5s:2x4", "unknown chip; there are v5e, v5p, v6e .did you mean"),
    ],
)
def test_a_mistyped_topology_is_one_sentence_with_examples(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        parsed(text)
    assert any(chip.slices[-1] in str(caught.value) for chip in CHIPS.values())


def test_the_tighter_ceiling_bounds_a_step() -> None:
    assert compute_s(LOAD, V5E) == pytest.approx(2e-3)
    assert bound(LOAD, V5E) == "memory"
    assert compute_s(LOAD, V5E, padded=True) == pytest.approx(4e-3)
    assert bound(LOAD, V5E, padded=True) == "arithmetic"


def test_a_message_goes_half_round_a_ring_and_all_along_a_line() -> None:
    assert [hops(shape, V5E) for shape in ((1, 1), (2, 4), (8, 16), (16, 16))] == [0, 4, 15, 16]
    assert [link_share(shape, V5E) for shape in ((1, 1), (2, 4), (8, 16), (16, 16))] == [0, 0.5, 0.75, 1]
    v5p = CHIPS["v5p"]
    assert [hops(shape, v5p) for shape in ((4, 4, 4), (4, 8, 8), (2, 4, 4))] == [6, 10, 7]
    assert [link_share(shape, v5p) for shape in ((4, 4, 4), (2, 4, 4))] == [1, 0.5]


def test_a_ring_all_reduce_sends_all_but_its_own_part_twice() -> None:
    assert collective_s(LOAD, V5E, (1, 1)) == 0
    expected = 2 * 255 / 256 * 100e6 / 200e9 + 10 * 2 * 16 * HOP_S
    assert collective_s(LOAD, V5E, (16, 16)) == pytest.approx(expected)
    other = Load(**{**vars(LOAD), "collectives": {"collective-permute": Collective(count=3, bytes=1_000_000)}})
    assert collective_s(other, V5E, (16, 16)) == pytest.approx(1e6 / 200e9 + 3 * HOP_S)


def test_efficiency_falls_from_1_and_examples_per_s_grow() -> None:
    rows = weak_scaling(LOAD, V5E)
    assert [row["chips"] for row in rows] == [1, 4, 8, 16, 32, 64, 128, 256]
    assert rows[0]["efficiency"] == 1
    assert rows[-1]["efficiency"] == pytest.approx(2e-3 / step_s(LOAD, V5E, (16, 16)))
    assert all(0 < float(row["efficiency"]) <= 1 for row in rows)
    rates = [float(row["examples_per_s"]) for row in rows]
    assert rates == sorted(rates)


def test_narrow_channels_fill_a_part_of_the_matrix_unit() -> None:
    layers = [Layer(flops=100, reads=64, makes=128), Layer(flops=10, reads=128, makes=129)]
    assert padded_flops(layers, side=128) == 200 + 10 * 256 // 129


class Chips:
    """A compiler of steps that need `base` and so much for each example, up to a memory of `there`."""

    def __init__(self, *, base: float, each: float, there: float, says: bool = True) -> None:
        self.base, self.each, self.there, self.says = base, each, there, says
        self.tried: list[int] = []

    def __call__(self, config: Config, mesh: Any) -> Compiled:
        self.tried.append(config.batch)
        needed = self.base + self.each * config.batch
        if needed > self.there:
            raise TooLarge(self.message(needed))
        figures = dict.fromkeys(("arguments_bytes", "outputs_bytes", "temporaries_bytes", "code_bytes"), 0)
        return Compiled(**figures, needed_bytes=int(needed), flops=0, bytes=0, collectives={}, compile_s=0)

    def message(self, needed: float) -> str:
        used = f"Used {needed / 2**30:.2f}G of {self.there / 2**30:.2f}G hbm." if self.says else ""
        return f"RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in memory space hbm. {used}"


@pytest.mark.parametrize("says", [True, False])
def test_the_largest_batch_that_fits_is_found_on_the_line_and_compiled(says: bool) -> None:
    chips = Chips(base=2**30, each=0.1 * 2**30, there=4 * 2**30, says=says)
    config = with_overrides(TINY, ["batch=64"])
    used = TooLarge(chips.message(2**30 + 6.4 * 2**30)).used
    found = largest_batch(config, data_mesh(), there=chips.there, used=used, compiled=chips)
    print(f"\ncompiled {chips.tried}, found {found}")
    assert found == 24  # of the multiples of 8 below 30
    assert found in chips.tried
    assert len(chips.tried) <= (2 if says else 5)


def test_where_nothing_fits_or_the_least_batch_was_asked_for_there_is_no_largest() -> None:
    chips = Chips(base=5 * 2**30, each=1, there=4 * 2**30)
    assert largest_batch(TINY, data_mesh(), there=chips.there, used=6.0 * 2**30, compiled=chips) == 0
    least = with_overrides(TINY, ["batch=8"])
    assert largest_batch(least, data_mesh(), there=chips.there, used=None, compiled=chips) == 0
    assert chips.tried == [8]


def test_the_compilers_refusal_is_read() -> None:
    error = TooLarge(
        "RESOURCE_EXHAUSTED: Ran out of memory. Used 20.50G of 15.75G hbm. Exceeded hbm capacity by 4.75G."
    )
    assert error.used == 20.5 * 2**30
    assert error.there == 15.75 * 2**30
    assert TooLarge("RESOURCE_EXHAUSTED").used is None


def test_a_batch_that_does_not_fit_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    chips = Chips(base=2**30, each=0.1 * 2**30, there=4 * 2**30)
    monkeypatch.setattr(aot, "compiled_step", chips)
    topology = aot.Topology(name="v5e:2x4", chip=V5E, shape=(2, 4), devices=jax.devices())
    with pytest.raises(
        InputError, match=r"needs 7\.4 GiB of each device's 4\.00 GiB; write --set batch=24, which fits"
    ):
        aot.compiled_or_refused(with_overrides(TINY, ["batch=64"]), topology, lambda text: None)


def test_with_memory_auto_a_tenth_of_the_memory_is_left_as_in_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aot, "compiled_step", Chips(base=0, each=15 * 2**30 / 32, there=16 * 2**30))
    topology = aot.Topology(name="v5e:2x4", chip=V5E, shape=(2, 4), devices=jax.devices())
    given = with_overrides(TINY, ["batch=32"])
    assert aot.compiled_or_refused(given, topology, lambda text: None)[0] == given
    with pytest.raises(
        InputError, match=r"with remat, 4 portions .* needs 15\.00 GiB, and a device has 16\.00 GiB, less"
    ):
        aot.compiled_or_refused(with_overrides(given, ["memory=auto"]), topology, lambda text: None)


def test_what_a_loop_over_portions_sends_counts_once_for_each() -> None:
    sent = {"all-reduce": Collective(count=14, bytes=7212)}
    figures = dict.fromkeys(("arguments_bytes", "outputs_bytes", "temporaries_bytes", "code_bytes", "needed_bytes"), 0)
    compiled = Compiled(**figures, flops=1e9, bytes=1e6, collectives=sent, compile_s=0)
    topology = aot.Topology(name="v5e:2x4", chip=V5E, shape=(2, 4), devices=jax.devices())
    config = with_overrides(TINY, ["batch=32", "optimiser.accumulate=4"])
    assert aot.load_of(compiled, config, topology).collectives == {"all-reduce": Collective(count=56, bytes=28848)}


def test_with_memory_auto_the_first_that_the_compiler_takes_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    chips = Chips(base=0, each=1, there=100)

    def compiled(config: Config, mesh: Any) -> Compiled:
        if not (config.model.remat and config.optimiser.accumulate == 2):
            raise TooLarge("RESOURCE_EXHAUSTED")
        return chips(config, mesh)

    monkeypatch.setattr(aot, "compiled_step", compiled)
    topology = aot.Topology(name="v5e:2x4", chip=V5E, shape=(2, 4), devices=jax.devices())
    asked = with_overrides(TINY, ["batch=32", "memory=auto"])
    chosen, found = aot.compiled_or_refused(asked, topology, lambda text: None)
    assert (chosen.model.remat, chosen.optimiser.accumulate, chosen.batch) == (True, 2, 32)
    assert found.needed_bytes == 32


@pytest.fixture
def config(tmp_path: Path) -> str:
    from veerjax.config import to_dict

    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(to_dict(TINY)))
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--aot", "v5e"], "is no topology; write CHIP:SHAPE"),
        (["--aot", "v7:2x4"], "unknown chip"),
        (["--aot", "v5e:2x4", "--start-up"], "different benchmarks"),
        (["--aot", "v5e:2x4", "--sweep", "batch=8,16"], "different benchmarks"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_2(
    config: str, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(["benchmark", "--config", config, *arguments]) == 2
    said = capsys.readouterr()
    assert sentence in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert not said.out


def test_without_the_extra_the_sentence_says_what_to_install(
    config: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "libtpu" else found(name, *more)
    )
    assert main(["benchmark", "--config", config, "--aot", "v5e:2x4"]) == 2
    assert "run pip install 'veerjax[tpu]'" in capsys.readouterr().err


@needs_libtpu
@pytest.mark.parametrize("name", ["v5e:1x1", "v5e:2x2", "v5p:2x2x1", "v6e:16x16"])
def test_libtpu_describes_slices_that_are_not_there(name: str) -> None:
    topology = aot.topology_of(name)
    assert len(topology.devices) == topology.chips
    assert topology.mesh.size == topology.chips


@needs_libtpu
@pytest.mark.parametrize(("name", "rows"), [("v6e:4x4", 2), ("v6e:16x16", 4), ("v6e:16x16", 8), ("v5p:4x4x4", 2)])
def test_rows_are_a_part_of_a_side_of_a_slice(name: str, rows: int) -> None:
    mesh = aot.topology_of(name, rows=rows).mesh
    assert mesh.shape == {"data": mesh.size // rows, "rows": rows}


@needs_libtpu
def test_a_slice_that_cannot_be_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"libtpu has no topology 'v5e:3x5' .*write one such as v5e:2x4") as caught:
        aot.topology_of("v5e:3x5")
    assert "\n" not in str(caught.value)


@needs_libtpu
@pytest.mark.slow
def test_a_step_is_compiled_for_eight_chips_of_v5e(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["benchmark", "--config", config, "--set", "data.setting=raster_logs/x", "--aot", "v5e:2x4"]
    assert main([*command, "--json", str(tmp_path / "a.json")]) == 0
    report = json.loads((tmp_path / "a.json").read_text())
    found = report["aot"]
    assert (found["topology"], found["chips"], report["device"]) == ("v5e:2x4", 8, "TPU v5 lite")
    assert 0 < found["hbm_bytes_per_chip"] < found["hbm_bytes_there"]
    # Two norms a block and three blocks, each reduced forward and backward, the loss, and the gradients once.
    reduced = found["collectives"]["all-reduce"]
    assert found["collectives"].keys() == {"all-reduce"}
    assert reduced["count"] <= 2 * 6 + 2
    parameters = 3300
    assert reduced["bytes"] < 4 * 2 * parameters
    assert found["estimated_examples_per_s"] >= found["estimated_examples_per_s_padded"] > 0
    assert found["weak_scaling"][0]["efficiency"] == 1
    table = capsys.readouterr().out
    assert "Left out: input that is read" in table
    print(f"\n{table}")
    assert markdown_table([report]).count("\n") == 2


@needs_libtpu
@pytest.mark.slow
def test_the_table_is_written_between_its_markers(config: str, tmp_path: Path) -> None:
    page = tmp_path / "tpu.md"
    page.write_text("above\n<!-- aot tiny: begin -->\nold\n<!-- aot tiny: end -->\nbelow\n")
    command = [
        sys.executable,
        str(TOOL),
        "--config",
        config,
        "--per-chip",
        "2",
        "--topology",
        "v5e:1x1",
        "--page",
        str(page),
    ]
    subprocess.run(command, check=True)
    text = page.read_text()
    assert text.startswith("above\n")
    assert text.endswith("below\n")
    assert "old" not in text
    assert "| v5e:1x1 | 1 | 2 |" in text
