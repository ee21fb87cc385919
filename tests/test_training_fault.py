"""What is left of a step that was not finite."""

import errno
import os
from pathlib import Path

import jax
import numpy as np
import pytest

from veerjax.data.rendered import rendered_examples
from veerjax.training import fault
from veerjax.training.fault import report_fault
from veerjax.types import Batch

METRICS = {"loss": float("nan"), "gradient_norm": float("inf"), "rate": 1.0}


@pytest.fixture(scope="module")
def batch() -> Batch:
    return rendered_examples("standard", split="train", indices=np.arange(84, 88), height=32, width=32, seed=5)


def test_the_batch_and_the_key_of_a_fault_are_read_back(tmp_path: Path, batch: Batch) -> None:
    with jax.transfer_guard("disallow"):  # as in the loop
        error = report_fault(tmp_path, step=22, seed=5, batch=batch, metrics=METRICS, setting="standard")
    key = jax.random.fold_in(jax.random.key(5), 21)
    data = jax.random.key_data(key).tolist()
    assert str(error) == (
        f"the loss is nan and gradient norm is inf at step 22 (key {data}, seed 5); its batch, examples 84 to 87 of "
        f"standard, is kept in {tmp_path}/fault-22.npz. The last saved step stands: begin anew in another --workdir "
        f"with --init-from {tmp_path}@last, and {fault.TRY}."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["fault-22.npz"]
    with np.load(tmp_path / "fault-22.npz") as kept:
        assert (int(kept["step"]), int(kept["seed"])) == (22, 5)
        again = jax.random.wrap_key_data(kept["key"])
        assert jax.random.uniform(again) == jax.random.uniform(key)
        read = Batch(**{name: kept[name] for name in kept.files if name not in ("step", "seed", "key")})
    jax.tree.map(np.testing.assert_array_equal, read, batch)


def test_a_full_disk_does_not_hide_the_fault(tmp_path: Path, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(fault, "write_whole", full)
    error = report_fault(tmp_path, step=1, seed=0, batch=batch, metrics=METRICS)
    assert "its batch, examples 0 to 3, could not be kept (No space left on device)." in str(error)
