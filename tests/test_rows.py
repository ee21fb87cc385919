"""An image whose height several devices share is trained on and read as by one device, in its share of the memory."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from PIL import Image

from veerjax.config import Config, with_overrides
from veerjax.errors import InputError
from veerjax.jobs import reader
from veerjax.jobs.digitize import digitize_scans
from veerjax.jobs.methods import Clock, learned
from veerjax.models import build_model
from veerjax.models.model import Model
from veerjax.models.unet import UNet
from veerjax.performance.collectives import Collective, collectives
from veerjax.tracing.windows import predict_whole
from veerjax.training.loop import train
from veerjax.training.sharding import arranged, check_batch, check_height, data_mesh, over_rows, replicated
from veerjax.training.state import TrainState
from veerjax.training.stepper import drawn_step, initial, step_of
from veerjax.training.weights import Weights
from veerjax.types import Batch, blank

TALL = ["data.height=4096", "data.width=512", "batch=1", "model.features=[8,16,32]", "model.stem=full"]
TINY = ["data.height=32", "data.width=16", "batch=4", "model.features=[4,8]", "model.stem=full"]
MIB = 2**20


def config_of(*overrides: str) -> Config:
    return with_overrides(Config(name="x"), [*overrides, "optimiser.warmup_steps=0"])


def mesh_of(data: int, rows: int) -> Mesh:
    return data_mesh(jax.devices()[: data * rows], rows=rows)


def batch_of(config: Config) -> Batch:
    """Random grey levels and strokes."""
    make = np.random.default_rng(0)
    shape = (config.batch, config.data.height, config.data.width)
    strokes = make.random((config.batch, 2, *shape[1:])) < 0.05
    image = make.random((*shape, 1), dtype=np.float32)
    label = np.where(strokes[:, 0], 1, np.where(strokes[:, 1], 2, 0)).astype(np.uint8)
    return replace(blank(jnp.asarray(image), label=jnp.asarray(label)), strokes=jnp.asarray(strokes))


def compiled_step(config: Config, model: Model, mesh: Mesh) -> Any:
    """The training step on a given batch, compiled from shapes alone."""
    whole = replicated(mesh)
    step = jax.jit(step_of(config, model), in_shardings=(whole, over_rows(mesh)), out_shardings=whole)
    image = jax.ShapeDtypeStruct((config.batch, config.data.height, config.data.width, 1), jnp.float32)
    return step.lower(state_shape(config, model), jax.eval_shape(blank, image)).compile()


def state_shape(config: Config, model: Model) -> TrainState:
    return jax.eval_shape(partial(initial, config=config, model=model), jax.random.key(0))


def bytes_of(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def losses(config: Config, mesh: Mesh, *, step: Any = None, steps: int = 3) -> list[float]:
    model = build_model(config.model, config.loss)
    step = step or compiled_step(config, model, mesh)
    state = jax.device_put(initial(jax.random.key(0), config=config, model=model), replicated(mesh))
    batch = jax.device_put(batch_of(config), over_rows(mesh))
    found = []
    for _ in range(steps):
        state, metrics = step(state, batch)
        found.append(float(metrics["loss"]))
    return found


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> Weights:
    """A tiny net that was not trained, under any name."""
    config = config_of(*TINY, "data.height=512", "data.width=32")
    model = build_model(config.model, config.loss)
    weights = Weights(name="x", config=config, model=model, variables=model.init(jax.random.key(1)))
    monkeypatch.setattr(reader, "load_weights", lambda name: weights)
    return weights


def test_a_mesh_has_groups_of_devices_that_share_an_image() -> None:
    mesh = data_mesh(rows=4)
    assert dict(mesh.shape) == {"data": 2, "rows": 4}
    batch = jax.device_put(batch_of(config_of(*TINY)), over_rows(mesh))
    shares = {name: getattr(batch, name).addressable_shards[0].data.shape for name in ("image", "label", "strokes")}
    assert shares == {"image": (2, 8, 16, 1), "label": (2, 8, 16), "strokes": (2, 2, 8, 16)}
    assert batch.centreline.addressable_shards[0].data.shape == (2, 2, 8)
    assert batch.valid.addressable_shards[0].data.shape == (2,)


@pytest.mark.parametrize(
    ("rows", "nearest"),
    [(3, 2), (5, 4), (7, 8), (16, 8), (0, 1)],
)
def test_rows_that_do_not_divide_the_devices_are_refused_with_the_nearest(rows: int, nearest: int) -> None:
    with pytest.raises(InputError, match=f"rows is {rows}, which does not divide 8 devices.* does is {nearest}"):
        data_mesh(rows=rows)


def test_heights_and_batches_that_do_not_divide_are_refused_with_the_nearest() -> None:
    mesh = data_mesh(rows=4)
    check_height(256, mesh, stride=32)
    check_height(100, data_mesh(), stride=32)  # a device alone takes any height
    with pytest.raises(InputError, match=r"100 px high, and 4 devices .* stride 32 px .* multiple of 128; .* 128\."):
        check_height(100, mesh, stride=32)
    check_batch(6, mesh)
    with pytest.raises(InputError, match=r"batch is 3, .* 2 groups of 4 devices; .* is 4\."):
        check_batch(3, mesh)


def test_a_training_whose_height_does_not_divide_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"images are 36 px high, .* the nearest is 32\."):
        train(config_of(*TINY, "data.height=36", "devices.rows=8"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_logs_whose_height_does_not_divide_are_not_evaluated(untrained: Weights) -> None:
    config = config_of(*TINY, "data.height=36")
    with pytest.raises(InputError, match=r"images are 36 px high, .* the nearest is 32\."):
        learned(untrained, data_mesh(rows=8), Clock())(batch_of(config), ())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rows": 3}, r"rows is 3, which does not divide 8 devices; .* is 2\."),
        ({"rows": 2, "tracer": "classical"}, "--rows is for the learned tracer"),
        ({"overrides": ["model.mirror=true"], "tracer": "classical"}, "--set is for the learned tracer"),
        (
            {"overrides": ["model.norm=pixel"]},
            "weights stay what they were trained as; set model.mirror, model.crf.*, model.rcnn",
        ),
    ],
)
def test_a_scan_is_not_begun_with_options_that_cannot_be(
    untrained: Weights, tmp_path: Path, options: dict[str, Any], sentence: str
) -> None:
    scan = tmp_path / "scan.png"
    Image.fromarray(np.full((40, 30), 255, np.uint8)).save(scan)
    with pytest.raises(InputError, match=sentence):
        digitize_scans([scan], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@dataclass(frozen=True)
class Stub:
    """A device that is not there."""

    id: int
    platform: str
    slice_index: int
    device_kind: str = "NVIDIA H100"
    process_index: int = 0


def test_hosts_of_gpus_each_a_slice_to_jax_make_one_mesh() -> None:
    devices = [Stub(id=place, platform="gpu", slice_index=place // 8) for place in range(16)]
    with pytest.raises(ValueError, match="multi-slice"):
        jax.make_mesh((16,), ("data",), devices=devices)
    for rows in (1, 4):
        grid = arranged(devices, rows=rows)
        assert grid.shape == (16 // rows, rows)
        assert [device.id for device in grid.flat] == list(range(16))


def test_an_image_is_not_shared_across_tpu_slices() -> None:
    devices = [Stub(id=place, platform="tpu", slice_index=place // 4) for place in range(8)]
    with pytest.raises(InputError, match="rows is 8, which does not divide the 4 devices of a TPU slice"):
        arranged(devices, rows=8)


@pytest.mark.slow
@pytest.mark.parametrize(("data", "rows"), [(1, 4), (2, 4)])
def test_training_on_shared_images_is_training_on_whole_ones(data: int, rows: int) -> None:
    config = config_of(*TINY, "optimiser.name=sgd", "optimiser.learning_rate=0.05")
    one, shared = losses(config, mesh_of(1, 1)), losses(config, mesh_of(data, rows))
    print(f"\n{data} x {rows} devices: losses {one} and {shared}")
    assert len(set(one)) == len(one)
    np.testing.assert_allclose(shared, one, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("data", "rows"), [(4, 1), (1, 4), (2, 2)])
def test_a_step_reduces_its_gradients_once_an_axis_and_gathers_no_activation(data: int, rows: int) -> None:
    config = config_of(*TINY)
    model = build_model(config.model, config.loss)
    sent = collectives(compiled_step(config, model, mesh_of(data, rows)).as_text())
    shape = state_shape(config, model)
    parameters, statistics = bytes_of(shape.params), bytes_of(shape.extra)
    print(f"\n{data} x {rows}: parameters {parameters} bytes, statistics {statistics} bytes; {sent}")
    axes = (data > 1) + (rows > 1)
    # The norms' sums on the way there and back besides, and the sums of the loss.
    assert axes * parameters <= sent["all-reduce"].bytes <= axes * (parameters + 2 * statistics + 64)
    assert not sent.keys() & {"all-gather", "all-to-all", "reduce-scatter"}
    assert ("collective-permute" in sent) == (rows > 1)


@pytest.mark.slow
def test_a_loss_that_sorts_all_pixels_does_gather_them() -> None:
    """The check above can fail; and whoever asks for this loss pays for it."""
    config = config_of(*TINY, "loss.lovasz=1")
    sent = collectives(compiled_step(config, build_model(config.model, config.loss), mesh_of(1, 4)).as_text())
    pixels = config.batch * config.data.height * config.data.width
    print(f"\n{pixels} pixels: {sent}")
    assert sent["all-gather"].bytes >= 2 * 4 * pixels


@pytest.mark.slow
def test_a_tall_strip_on_four_devices_equals_one_device_in_a_quarter_of_the_memory() -> None:
    config = config_of(*TALL)
    model = build_model(config.model, config.loss)
    net = UNet(features=config.model.features, stem="full", norm="batch", dtype=jnp.dtype("float32"))
    batch, variables = batch_of(config), model.init(jax.random.key(0))
    logits, loss, memory = {}, {}, {}
    for rows in (1, 4):
        mesh = mesh_of(1, rows)
        placed = jax.device_put(batch, over_rows(mesh))
        whole = jax.device_put(variables, replicated(mesh))
        answer: Any = jax.jit(partial(net.apply, train=False)).lower(whole, placed.image).compile()
        logits[rows] = np.asarray(answer(whole, placed.image))
        step = compiled_step(config, model, mesh)
        memory[rows] = step.memory_analysis().temp_size_in_bytes / MIB
        loss[rows] = losses(config, mesh, step=step, steps=1)[0]
    for program in (answer, step):
        sent = collectives(program.as_text())
        print(f"\n{sent}")
        assert "all-gather" not in sent
        # A row or two of each level go to each neighbour and back: nothing near an activation of the whole image.
        assert sent["collective-permute"].bytes < 4096 * 512 * 4
    difference = np.max(np.abs(logits[1] - logits[4]))
    print(f"logits within {difference:.1e}, loss {loss[1]:.7f} and {loss[4]:.7f}, MiB of a device {memory}")
    assert difference < 1e-4
    assert abs(loss[1] - loss[4]) < 1e-6
    assert 0.2 < memory[4] / memory[1] < 0.3


@pytest.mark.slow
def test_a_strip_of_16384_rows_takes_a_quarter_of_the_memory_on_each_of_four_devices() -> None:
    config = config_of(*TALL, "data.height=16384")
    model = build_model(config.model, config.loss)
    memory = {}
    for rows in (1, 4):
        step = compiled_step(config, model, mesh_of(1, rows))
        memory[rows] = step.memory_analysis().temp_size_in_bytes / MIB
    print(f"\n16384 x 512 px: MiB of a device {memory}")
    assert 0.2 < memory[4] / memory[1] < 0.3


@pytest.mark.slow
def test_a_drawn_step_shares_its_images_too() -> None:
    config = config_of(*TINY, "data.setting=clean", "data.height=64", "optimiser.name=sgd")
    model = build_model(config.model, config.loss)
    found = {}
    for rows in (1, 4):
        mesh = mesh_of(1, rows)
        step = drawn_step(config, model, mesh, setting="clean").lower(state_shape(config, model)).compile()
        _, metrics = step(jax.device_put(initial(jax.random.key(0), config=config, model=model), replicated(mesh)))
        found[rows] = float(metrics["loss"])
        sent = collectives(step.as_text())
        print(f"\n{rows} rows: loss {found[rows]:.7f}, {step.memory_analysis().temp_size_in_bytes} bytes, {sent}")
    # The renderer's curves may be gathered, a number a row; never an image.
    assert sent.get("all-gather", Collective(0, 0)).bytes < 4 * config.batch * 64 * 16
    assert abs(found[1] - found[4]) < 1e-4


@pytest.mark.slow
def test_a_whole_strip_read_by_four_devices_is_what_one_device_reads(untrained: Weights) -> None:
    strip = np.random.default_rng(0).random((1500, 32), dtype=np.float32)
    shared = reader.load(rows=4).predict(strip)
    alone = predict_whole(reader.load(devices=jax.devices()[:1]).predict_images, strip, unit=512)
    windows = reader.load().predict(strip)
    for name in ("masks", "row_log_prob", "presence"):
        ours, theirs = np.asarray(getattr(shared, name)), np.asarray(getattr(alone, name))
        assert ours.shape[2] == 1500
        print(f"\n{name} within {np.max(np.abs(ours - theirs)):.1e}")
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    one, other, cut = (np.argmax(np.asarray(found.masks), axis=1) for found in (shared, alone, windows))
    np.testing.assert_array_equal(one, other)
    print(f"labels by windows differ in {np.mean(one != cut):.1e} of the pixels")
    assert np.mean(one != cut) < 1e-2


@pytest.mark.slow
def test_logs_evaluated_by_rows_get_the_same_answer(untrained: Weights) -> None:
    batch = batch_of(config_of(*TINY, "data.height=64"))
    answers = [learned(untrained, mesh_of(1, rows), Clock())(batch, ())[0] for rows in (1, 4)]
    for ours, theirs in zip(*(jax.tree.leaves(answer) for answer in answers), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
