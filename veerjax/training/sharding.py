"""Which device holds what: parameters everywhere, examples split over the axis `"data"`."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from veerjax.config import require


def data_mesh(devices: Sequence[Any] | None = None) -> Mesh:
    """One axis over all devices. Auto is spelled out: a confusion matrix over a sharded batch fails in Explicit."""
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh((len(devices),), ("data",), axis_types=(AxisType.Auto,), devices=devices)


def replicated(mesh: Mesh) -> NamedSharding:
    """A whole copy on each device."""
    return NamedSharding(mesh, PartitionSpec())


def over_examples(mesh: Mesh) -> NamedSharding:
    """The leading axis split over the devices."""
    return NamedSharding(mesh, PartitionSpec("data"))


def check_batch(batch: int, mesh: Mesh) -> None:
    """Raises `InputError` unless the batch divides over the devices; names the nearest that does."""
    devices = mesh.size
    nearest = max(round(batch / devices), 1) * devices
    require(
        batch % devices == 0,
        f"batch is {batch}, which does not divide over {devices} devices; the nearest that does is {nearest}.",
    )
