"""Whether a signal has come to any of the processes, known to all of them at the same step."""

import signal
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from veerjax.training import hosts
from veerjax.training.sharding import replicated
from veerjax.training.shares import spread
from veerjax.training.signals import StopRequest


class Asked:
    """Answers for the loop, between two steps, which signal asks it to stop.

    A process alone looks at its own. Several take the largest number over their devices, a reduction of four bytes a
    device that is begun at each question and read at the next one, so that no device waits for it.
    """

    def __init__(self, stop: StopRequest, mesh: Mesh) -> None:
        """Begins, in several processes at the same time."""
        self._stop = stop
        self._begun: jax.Array | None = None
        if not hosts.alone():
            self._split = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
            self._shape, self._here = (mesh.size,), len(mesh.local_devices)
            whole = jax.ShapeDtypeStruct(self._shape, jnp.int32, sharding=self._split)
            self._largest: Any = jax.jit(jnp.max, out_shardings=replicated(mesh)).lower(whole).compile()
            # gloo, by which CPUs speak, gives processes 30 s to find each other in the first of their reductions, and
            # the compilation of a step may take one of them longer: so they do it here, in step.
            hosts.exchanged(None)
            self._begun = jax.block_until_ready(self._largest(self._mine(0)))

    def _mine(self, number: int) -> jax.Array:
        return spread(np.full(self._here, number, np.int32), self._split, self._shape)

    def signal(self) -> str | None:
        """The signal's name; the same in all processes, which must ask at the same points."""
        if hosts.alone():
            return self._stop.requested
        before, name = self._begun, self._stop.requested
        self._begun = self._largest(self._mine(signal.Signals[name] if name else 0))
        number = int(jax.device_get(before))
        return signal.Signals(number).name if number else None
