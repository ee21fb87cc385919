"""Every architecture by its own config: trained, evaluated, timed, digitising, compiled for TPUs, learning by heart."""

import importlib.util
import json
from collections.abc import Iterator
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
SAME_MODULE = ("fcn32s", "fcn16s")  # as fcn8s, which has all of their layers
SIZE = ["data.setting=shifted", "data.height=64", "data.width=64"]
SLACK = 0.05  # of IoU that a net which learns four logs by heart may stay below the oracle of its stride
BETWEEN_LOOKS = 50  # steps; most networks are as good long before the last one
needs_libtpu = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="the extra is absent: pip install 'veerjax[tpu]'"
)


def small(name: str, *more: str) -> Config:
    return with_overrides(load_config_file(CONFIGS / f"{name}.py"), [*SIZE, *LINEAGE[name][0], *more])


def given(name: str, *more: str) -> list[str]:
    """The arguments of a command that say what `small` says."""
    overrides = [f"--set={item}" for item in (*SIZE, *LINEAGE[name][0], *more)]
    return ["--config", str(CONFIGS / f"{name}.py"), *overrides]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan, and beside it a folder of two pairs to evaluate on: `standard` itself is far larger, and slow here."""
    folder = tmp_path_factory.mktemp("drawn")
    batch = rendered_examples("shifted", split="test", indices=jnp.arange(3), height=100, width=64)
    images, labels = np.uint8(np.asarray(batch.image)[..., 0] * 255), np.uint8(batch.label)
    iio.imwrite(folder / "scan.png", images[0])
    (folder / "pairs").mkdir()
    for index in (1, 2):
        iio.imwrite(folder / "pairs" / f"{index}.png", images[index])
        iio.imwrite(folder / "pairs" / f"{index}.label.png", labels[index])
    return folder


def test_every_architecture_has_a_config_here() -> None:
    configs = {path.stem: load_config_file(path).model.name for path in CONFIGS.glob("*.py")}
    assert {configs[name] for name in LINEAGE} == set(architectures())


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in LINEAGE if name not in SAME_MODULE])
def test_it_trains_evaluates_is_timed_and_digitises(name: str, drawn: Path, tmp_path: Path) -> None:
    assert len(jax.devices()) == 8
    run, out, scan = tmp_path / "run", tmp_path / "out", drawn / "scan.png"
    short = ["steps=3", "batch=8", "validation.every=3", "validation.examples=8"]
    assert main(["train", *given(name, *short), "--workdir", str(run)]) == 0
    figures = tmp_path / "e.json"
    assert main(["evaluate", "--weights", str(run), "--data", str(drawn / "pairs"), "--json", str(figures)]) == 0
    found = json.loads(figures.read_text())
    assert found["n_logs"] == 2
    assert max(found["iou"]["pooled"]) > 0
    # The stages of `veerjax benchmark` that are the network's own: all of them compile for minutes.
    bench = Bench.of(small(name, "batch=8"), data_mesh())
    for stage in (bench.train(), bench.predict()):
        assert stage.work is not None
        assert stage.work.flops > 0
        assert timed(stage.run, warmup=1, steps=1).median_s > 0
    assert main(["digitize", str(scan), "--out", str(out), "--weights", str(run)]) == 0
    assert (out / "scan.pixels.csv").read_text().count("\n") == 101


@pytest.mark.slow
@pytest.mark.parametrize("name", PER_PIXEL)
def test_it_learns_four_logs_by_heart_as_well_as_its_stride_allows(name: str) -> None:
    config = small(name, "steps=500", "batch=4", "optimiser.warmup_steps=20", "optimiser.learning_rate=1e-2")
    batch = rendered_examples("one_pixel", split="train", indices=jnp.arange(4), height=64, width=64)
    stride = LINEAGE[name][1]
    best, ours = ceiling(batch, stride=stride), np.zeros(2)
    for ours in learning(config, batch):
        if as_good(ours, best, stride=stride):
            break
    print(f"\n{name}: IoU {np.round(ours, 3)}, the oracle of its stride {np.round(best, 3)}")
    assert as_good(ours, best, stride=stride)


def as_good(ours: np.ndarray, best: np.ndarray, *, stride: int) -> bool:
    if stride >= 16:
        # Cells this coarse hold both curves, and have one label: what one of them reaches, the other loses.
        ours, best = ours.mean(), best.mean()
    return bool(np.all(ours > best - SLACK))


def learning(config: Config, batch: Batch) -> Iterator[np.ndarray]:
    """The pooled IoU of both curves on the one batch that it is trained on, looked at now and then to the last step."""
    model = build_model(config.model, config.loss)
    state = jax.jit(lambda key: initial(key, config=config, model=model))(jax.random.key(0))
    step = jax.jit(step_of(config, model), donate_argnums=0)
    predict = jax.jit(lambda state: exclusive_label(model.predict(state.variables, batch)))
    for _ in range(config.steps // BETWEEN_LOOKS):
        for _ in range(BETWEEN_LOOKS):
            state, metrics = step(state, batch)
            jax.block_until_ready(metrics["loss"])  # a CPU that is asked for many steps at once runs out of threads
        yield iou(batch, predict(state))


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
