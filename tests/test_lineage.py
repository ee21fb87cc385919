"""Every architecture by its own config: trained, evaluated, timed, digitising, compiled for TPUs, learning by heart."""

import importlib.util
import json
from pathlib import Path

import imageio.v3 as iio
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_cases import CONFIGS

from veerjax.cli import main
from veerjax.config import Config, load_config_file, with_overrides
from veerjax.data.rendered import rendered_examples
from veerjax.metrics.ceilings import best_strokes
from veerjax.metrics.confusion import confusion_counts, pooled_iou
from veerjax.models import architectures, build_model
from veerjax.performance.stages import Bench
from veerjax.performance.timing import timed
from veerjax.training.sharding import data_mesh
from veerjax.training.stepper import initial, step_of
from veerjax.types import Batch, exclusive_label

# What makes each config small, and the stride of its scores [px].
LINEAGE = {
    "fcn32s": (["model.features=[8,8,8,8,16,16]", "model.dropout=0"], 32),
    "fcn16s": (["model.features=[8,8,8,8,16,16]", "model.dropout=0"], 16),
    "fcn8s": (["model.features=[8,16,16,16,16,16]", "model.dropout=0"], 8),
    "deeplab": (["model.features=[8,16,16,16,32]", "model.rates=[1,2,3]"], 8),
    "veernet": (["model.features=[8,8,16,16,32]"], 1),
    "unet": (["model.features=[16,32,48]"], 1),
    "rowwise": (["model.features=[16,32,48]"], 1),
    "set_prediction": (["model.features=[16,32,48]"], 1),
}
PER_PIXEL = tuple(LINEAGE)
FEW = ["model.features=[8,16,16]", "model.rcnn.proposals=16", "model.rcnn.samples=16", "data.setting=blobs"]
LINEAGE |= {"faster_rcnn": (FEW, 1), "mask_rcnn": (FEW, 1)}
SIZE = ["data.setting=shifted", "data.height=64", "data.width=64"]
SLACK = 0.05  # of IoU that a net which learns four logs by heart may stay below the oracle of its stride
needs_libtpu = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="the extra is absent: pip install 'veerjax[tpu]'"
)


def small(name: str, *more: str) -> Config:
    return with_overrides(load_config_file(CONFIGS / f"{name}.py"), [*SIZE, *LINEAGE[name][0], *more])


def given(name: str, *more: str) -> list[str]:
    """The arguments of a command that say what `small` says."""
    overrides = [f"--set={item}" for item in (*SIZE, *LINEAGE[name][0], *more)]
    return ["--config", str(CONFIGS / f"{name}.py"), *overrides]


def test_every_architecture_has_a_config_here() -> None:
    configs = {path.stem: load_config_file(path).model.name for path in CONFIGS.glob("*.py")}
    assert {configs[name] for name in LINEAGE} == set(architectures())


@pytest.mark.slow
@pytest.mark.parametrize("name", LINEAGE)
def test_it_trains_evaluates_is_timed_and_digitises(name: str, tmp_path: Path) -> None:
    assert len(jax.devices()) == 8
    run, out = tmp_path / "run", tmp_path / "out"
    short = ["steps=3", "batch=8", "validation.every=3", "validation.examples=8"]
    assert main(["train", *given(name, *short), "--workdir", str(run)]) == 0
    assert main(["evaluate", "--weights", str(run), "--limit", "4", "--json", str(tmp_path / "e.json")]) == 0
    figures = json.loads((tmp_path / "e.json").read_text())
    assert figures["n_logs"] == 4
    assert max(figures["iou"]["pooled"]) > 0
    # The stages of `veerjax benchmark` that are the network's own: all of them compile for minutes.
    bench = Bench.of(small(name, "batch=8"), data_mesh())
    for stage in (bench.train(), bench.predict()):
        assert stage.work is not None
        assert stage.work.flops > 0
        assert timed(stage.run, warmup=1, steps=1).median_s > 0
    [log] = rendered_examples("standard", split="test", indices=jnp.arange(1), height=100, width=64).image
    iio.imwrite(tmp_path / "scan.png", np.uint8(np.asarray(log)[..., 0] * 255))
    assert main(["digitize", str(tmp_path / "scan.png"), "--out", str(out), "--weights", str(run)]) == 0
    assert (out / "scan.pixels.csv").read_text().count("\n") == 101


@pytest.mark.slow
@pytest.mark.parametrize("name", PER_PIXEL)
def test_it_learns_four_logs_by_heart_as_well_as_its_stride_allows(name: str) -> None:
    config = small(name, "steps=500", "batch=4", "optimiser.warmup_steps=20", "optimiser.learning_rate=1e-2")
    batch = rendered_examples("one_pixel", split="train", indices=jnp.arange(4), height=64, width=64)
    ours, best = learnt(config, batch), ceiling(batch, stride=LINEAGE[name][1])
    print(f"\n{name}: IoU {np.round(ours, 3)}, the oracle of its stride {np.round(best, 3)}")
    if LINEAGE[name][1] >= 16:
        # Cells this coarse hold both curves, and have one label: what one of them reaches, the other loses.
        ours, best = ours.mean(), best.mean()
    assert np.all(ours > best - SLACK)


def learnt(config: Config, batch: Batch) -> np.ndarray:
    """The pooled IoU of both curves on the one batch that it is trained on."""
    model = build_model(config.model, config.loss)
    state = jax.jit(lambda key: initial(key, config=config, model=model))(jax.random.key(0))
    step = jax.jit(step_of(config, model), donate_argnums=0)
    for _ in range(config.steps):
        state, metrics = step(state, batch)
        jax.block_until_ready(metrics["loss"])  # a CPU that is asked for many steps at once runs out of threads
    predict = jax.jit(lambda state: exclusive_label(model.predict(state.variables, batch)))
    return iou(batch, predict(state))


def ceiling(batch: Batch, *, stride: int) -> np.ndarray:
    """The same of the oracle, each curve's shown ink by itself."""
    shown = jnp.stack([batch.label == k for k in (1, 2)], axis=1)
    best = best_strokes(shown, stride=stride)
    return np.stack([iou(batch, jnp.where(best[:, k - 1], k, 0))[k - 1] for k in (1, 2)])


def iou(batch: Batch, label: jax.Array) -> np.ndarray:
    return pooled_iou(np.asarray(jax.vmap(confusion_counts)(batch.label, label)))[1:]


@needs_libtpu
@pytest.mark.slow
@pytest.mark.parametrize("name", LINEAGE)
def test_its_step_is_compiled_for_eight_chips_of_v5e(name: str, tmp_path: Path) -> None:
    target = ["--aot", "v5e:2x4", "--json", str(tmp_path / "a.json")]
    assert main(["benchmark", *given(name, "batch=8"), "--set=data.setting=raster_logs/x", *target]) == 0
    found = json.loads((tmp_path / "a.json").read_text())["aot"]
    assert found["chips"] == 8
    # Images stay where they are: no chip gathers what another holds of them.
    assert "all-reduce" in found["collectives"]
    assert found["collectives"].keys() <= {"all-reduce", "collective-permute"}
    assert found["estimated_examples_per_s"] > 0
