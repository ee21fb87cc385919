"""Remat, and `memory = "auto"`: a step that does not fit is made to, and its run keeps to that."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jaxlib.version
import numpy as np
import pytest

from veerjax.config import Config, LossConfig, ModelConfig, with_overrides
from veerjax.errors import InputError
from veerjax.jobs.dry_run import dry_run
from veerjax.models import build_model
from veerjax.training import loop, memory
from veerjax.training.memory import fitted, frugal, needed_bytes, resolved, unit_batch
from veerjax.training.sharding import data_mesh
from veerjax.training.workdir import load_config, write_config
from veerjax.types import Batch, blank

MIB = 2**20
# On a CPU, measured: jaxlib 0.10.2 needs as much with remat as without, 0.11.2 and 0.12.0 half.
CPU_SAVES_BY_REMAT = jaxlib.version.__version_info__ >= (0, 11)
TINY = with_overrides(
    Config(name="tiny", memory="auto"),
    [
        "steps=4",
        "batch=32",
        "data.setting=shifted",
        "data.height=32",
        "data.width=32",
        "model.features=[4,8]",
        "validation.every=2",
        "validation.examples=8",
    ],
)


@pytest.fixture(scope="module")
def batch() -> Batch:
    label = jax.random.randint(jax.random.key(1), (4, 128, 128), 0, 3).astype(np.uint8)
    return blank(jax.random.uniform(jax.random.key(2), (4, 128, 128, 1)), label=label)


def gradients(batch: Batch) -> Iterator[tuple[Any, int]]:
    """Loss, running statistics and gradients without and with remat, and the temporaries of each program [bytes]."""
    models = [
        build_model(ModelConfig(features=(8, 16, 32), dtype="float32", remat=remat), LossConfig())
        for remat in (False, True)
    ]
    plain, again = (jax.eval_shape(model.init, jax.random.key(0)) for model in models)
    assert plain == again, "remat has the same parameters"
    variables = jax.jit(models[0].init)(jax.random.key(0))
    for model in models:

        def loss(params: Any, model: Any = model) -> Any:
            return model.loss({**variables, "params": params}, batch, jax.random.key(0))

        compiled = jax.jit(jax.value_and_grad(loss, has_aux=True)).lower(variables["params"]).compile()
        yield compiled(variables["params"]), compiled.memory_analysis().temp_size_in_bytes


def test_remat_has_the_same_loss_and_gradients_in_less_memory(batch: Batch) -> None:
    (plain, held), (again, less) = gradients(batch)
    assert jax.tree.structure(plain) == jax.tree.structure(again)
    pairs = zip(jax.tree.leaves(plain), jax.tree.leaves(again), strict=True)
    worst = max(float(np.abs(a - b).max()) for a, b in pairs)
    print(f"\nremat: temporaries {held / MIB:.1f} -> {less / MIB:.1f} MiB, largest difference {worst:.1e}")
    assert worst <= 1e-6
    assert less < (0.7 if CPU_SAVES_BY_REMAT else 1.1) * held


def test_what_is_tried_is_the_config_then_remat_then_more_portions() -> None:
    tried = [(c.model.remat, c.optimiser.accumulate) for c in frugal(TINY, data_mesh())]
    assert tried == [(False, 1), (True, 1), (True, 2), (True, 4)]  # 32 examples over 8 devices are 4 each
    given = with_overrides(TINY, ["model.remat=true", "optimiser.accumulate=2"])
    assert [(c.model.remat, c.optimiser.accumulate) for c in frugal(given, data_mesh())] == [(True, 2), (True, 4)]
    mixed = with_overrides(TINY, ["data.setting=clean+standard+hard", "batch=48"])
    assert unit_batch(mixed, data_mesh()) == 24
    assert [c.optimiser.accumulate for c in frugal(mixed, data_mesh())] == [1, 1, 2]


def needs(gib: dict[tuple[bool, int], float | None]) -> Any:
    """A compiler that says so of remat and portions."""

    def needed(config: Config, mesh: Any) -> int | None:
        found = gib[config.model.remat, config.optimiser.accumulate]
        return None if found is None else int(found * 2**30)

    return needed


def test_the_first_that_fits_with_headroom_is_chosen_and_said() -> None:
    needed = needs({(False, 1): None, (True, 1): 9.5, (True, 2): 5.0, (True, 4): 2.0})
    chosen, line = fitted(TINY, data_mesh(), there=10 * 2**30, needed=needed)
    assert (chosen.model.remat, chosen.optimiser.accumulate) == (True, 2)
    assert line == (
        "memory = auto: remat, 2 portions (model.remat, optimiser.accumulate) needs 5.00 of 10.00 GiB on each device."
    )
    assert fitted(TINY, data_mesh(), there=1000 * 2**30, needed=needs({(False, 1): 1.0}))[0] == TINY


def test_where_nothing_fits_one_sentence_says_how_far_it_is() -> None:
    needed = needs({(False, 1): None, (True, 1): None, (True, 2): None, (True, 4): 12.0})
    with pytest.raises(InputError, match=r"nothing that fits: with remat, 4 portions .* batch 32 needs 12\.00 GiB"):
        fitted(TINY, data_mesh(), there=10 * 2**30, needed=needed)


def test_a_device_that_does_not_say_its_memory_takes_the_config_as_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "device_bytes", lambda mesh: None)
    chosen, line = fitted(TINY, data_mesh())
    assert chosen == TINY
    assert "does not say" in line


def test_a_run_goes_on_with_what_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "fitted", lambda *given, **more: pytest.fail("was chosen anew"))
    begun = with_overrides(TINY, ["model.remat=true", "optimiser.accumulate=4"])
    write_config(tmp_path, begun)
    assert resolved(TINY, data_mesh(), workdir=tmp_path) == begun
    given = replace(TINY, memory="given")
    assert resolved(given, data_mesh(), workdir=tmp_path) == given


def test_memory_is_given_or_auto() -> None:
    with pytest.raises(InputError, match=r"memory is 'atuo'; write one of given, auto .did you mean 'auto'"):
        with_overrides(TINY, ["memory=atuo"])


def test_remat_and_portions_need_less_by_the_compilers_account() -> None:
    # Of a built dataset, which need not be there to be compiled for: the renderer takes long to compile.
    sizes = ["data.setting=raster_logs/x", "model.features=[16,32]", "data.height=64", "data.width=64"]
    config, mesh = with_overrides(TINY, sizes), data_mesh(jax.devices()[:1])
    tried = [c for c, _ in zip(frugal(config, mesh), range(3), strict=False)]
    found = [needed_bytes(c, mesh) for c in tried]
    print(f"\nplain, remat, remat in 2 portions: {[f'{(n or 0) / MIB:.1f} MiB' for n in found]}")
    assert all(found)
    plain, remat, portions = (n or 0 for n in found)
    assert portions < 0.7 * remat
    assert remat < (0.7 if CPU_SAVES_BY_REMAT else 1.1) * plain


@pytest.mark.slow
def test_a_training_chooses_once_and_a_resume_keeps_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = jax.devices()[:1]
    tight = needs({(False, 1): 9.5, (True, 1): 3.0})
    monkeypatch.setattr(memory.fitted, "__kwdefaults__", {"there": 10 * 2**30, "needed": tight})
    loop.train(replace(TINY, steps=2), tmp_path, devices=devices)
    assert "veerjax: memory = auto: remat, 1 portion (model.remat" in capsys.readouterr().err
    assert load_config(tmp_path).model.remat
    monkeypatch.setattr(memory.fitted, "__kwdefaults__", {"there": 100 * 2**30, "needed": tight})
    loop.train(replace(TINY, steps=2), tmp_path, devices=devices)
    assert load_config(tmp_path).model.remat
    with pytest.raises(InputError, match="memory was 'auto' and is now 'given'"):
        loop.train(replace(TINY, steps=2, memory="given"), tmp_path, devices=devices)
    assert "auto: remat, 1 portion" in dry_run(replace(TINY, steps=2), workdir=str(tmp_path))
