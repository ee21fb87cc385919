"""Which examples of a batch a process reads, and the one array over all devices that the processes' shares make."""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from veerjax.training.sharding import DATA
from veerjax.types import Batch


def places_here(mesh: Mesh, batch: int) -> list[int]:
    """The places of a batch, in order, of which a device of this process holds a part.

    They follow the mesh alone, so that the batch is the same, in the same order, however many processes share it.
    """
    split = NamedSharding(mesh, PartitionSpec(DATA))
    slices = split.addressable_devices_indices_map((batch,)).values()
    return sorted({place for index in slices if index is not None for place in range(batch)[index[0]]})


def placed(share: Batch, shardings: Any, *, batch: int) -> Batch:
    """The whole batch, split over the devices of all processes; each part goes straight to its device.

    Args:
        share: the examples at `places_here`, on the host
        shardings: of the batch's fields, or one for all of them
        batch: examples in all
    """

    def put(sharding: NamedSharding, field: Any) -> Any:
        return jax.tree.map(lambda leaf: spread(leaf, sharding, (batch, *leaf.shape[1:])), field)

    return jax.tree.map(put, shardings, share)


def spread(leaf: Any, sharding: NamedSharding, shape: tuple[int, ...]) -> jax.Array:
    """One array over the devices of all processes, from what this process has of it on the host."""
    with jax.transfer_guard_host_to_device("allow"):  # the loop forbids it: this one is meant
        return jax.make_array_from_process_local_data(sharding, np.asarray(leaf), shape)
