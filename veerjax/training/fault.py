"""What is left of a step whose loss or gradient was not finite: its batch in a file, and a sentence."""

import dataclasses
import io
import math
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
from etils import epath

from veerjax.errors import NumericalFault
from veerjax.training.whole import write_whole
from veerjax.types import Batch

TRY = "lower optimiser.learning_rate or clip_norm, or compute in model.dtype=float32"


def report_fault(
    workdir: str | Path | epath.Path,
    *,
    step: int,
    seed: int,
    batch: Batch,
    metrics: Mapping[str, float],
    setting: str | None = None,
) -> NumericalFault:
    """Saves the batch of a step to `<workdir>/fault-STEP.npz`, and returns the error to raise.

    Args:
        workdir: of the training
        step: counted from 1, as the log counts: the state had done `step - 1` before
        seed: of the training
        batch: what the step read
        metrics: what was logged of the step, some of it not finite
        setting: where the batch comes from
    """
    bad = {name: value for name, value in metrics.items() if not math.isfinite(value)}
    with jax.transfer_guard("allow"):  # the loop forbids it
        key = np.asarray(jax.random.key_data(jax.random.fold_in(jax.random.key(seed), step - 1)))
        fields = dataclasses.asdict(jax.device_get(batch))
    path = epath.Path(workdir) / f"fault-{step}.npz"
    arrays = {name: value for name, value in fields.items() if value is not None}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, step=np.int64(step), seed=np.int64(seed), key=key, **arrays)
    try:
        write_whole(path, buffer.getvalue())
        kept = f"is kept in {path}"
    except OSError as error:
        kept = f"could not be kept ({error.strerror or error})"
    first = (step - 1) * batch.size
    names = " and ".join(f"{name.replace('_', ' ')} is {value}" for name, value in bad.items())
    source = "" if setting is None else f" of {setting}"
    return NumericalFault(
        f"the {names} at step {step} (key {key.tolist()}, seed {seed}); its batch, examples {first} to "
        f"{first + batch.size - 1}{source}, {kept}. The last saved step stands: begin anew in another --workdir "
        f"with --init-from {workdir}@last, and {TRY}."
    )
