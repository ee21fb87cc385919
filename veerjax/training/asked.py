"""Whether a signal has come to any of the processes, known to all of them at the same step."""

import signal
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from veerjax.training import hosts
from veerjax.training.sharding import replicated
from veerjax.training.signals import StopRequest


class Asked:
    """Answers for the loop, between two steps, which signal asks it to stop.

    A process alone looks at its own. Several take the largest number over their devices, a reduction of four bytes a
    device that is begun at each question and read at the next one, so that no device waits for it.
    """

    def __init__(self, stop: StopRequest, mesh: Mesh) -> None:
        self._stop = stop
        self._begun: jax.Array | None = None
        if not hosts.alone():
            self._split = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
            self._shape, self._here = (mesh.size,), len(mesh.local_devices)
            self._largest: Any = jax.jit(jnp.max, out_shardings=replicated(mesh))

    def signal(self) -> str | None:
        """The signal's name; the same in all processes, which must ask at the same points."""
        if hosts.alone():
            return self._stop.requested
        before, name = self._begun, self._stop.requested
        mine = np.full(self._here, signal.Signals[name] if name else 0, np.int32)
        self._begun = self._largest(jax.make_array_from_process_local_data(self._split, mine, self._shape))
        number = 0 if before is None else int(jax.device_get(before))
        return signal.Signals(number).name if number else None
