"""Which device holds what: parameters everywhere, examples split over `"data"`, the height of each over `"rows"`.

With `rows` devices to an image, each holds a band of its height. What a convolution reads beyond its band, XLA has the
neighbours send (GSPMD), and a sum over pixels, such as a norm's statistics, is one over all bands.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from veerjax.config import require
from veerjax.types import Batch

DATA, ROWS = "data", "rows"


def data_mesh(devices: Sequence[Any] | None = None, *, rows: int = 1) -> Mesh:
    """Devices as (data, rows). Auto is spelled out: a confusion matrix over a sharded batch fails in Explicit.

    Args:
        devices: to use; all of them by default
        rows: neighbouring devices that share the height of an image

    Raises:
        InputError: the devices do not divide by `rows`; the nearest that does is named.
    """
    devices = jax.devices() if devices is None else list(devices)
    count = len(devices)
    nearest = min((n for n in range(1, count + 1) if count % n == 0), key=lambda n: (abs(n - rows), n))
    require(
        rows >= 1 and count % rows == 0,
        f"rows is {rows}, which does not divide {count} devices; the nearest that does is {nearest}.",
    )
    return Mesh(arranged(devices, rows=rows), (DATA, ROWS), axis_types=(AxisType.Auto, AxisType.Auto))


def arranged(devices: Sequence[Any], *, rows: int) -> np.ndarray:
    """Devices as an array (data, rows), neighbours near each other.

    `jax.make_mesh` would refuse several TPU slices, several hosts of GPUs, each of which JAX calls a slice, and rows
    that are a part of a side of a TPU slice.

    Raises:
        InputError: an image would be shared across TPU slices, which only a slow network joins.
    """
    count, slices = len(devices), len({getattr(device, "slice_index", 0) for device in devices})
    if slices == 1 or devices[0].platform != "tpu":
        shape = (count // rows, rows)
        return mesh_utils.create_device_mesh(shape, devices, allow_split_physical_axes=True)
    each = count // slices
    require(each % rows == 0, f"rows is {rows}, which does not divide the {each} devices of a TPU slice.")
    shape, joined = (each // rows, rows), (slices, 1)
    return mesh_utils.create_hybrid_device_mesh(shape, joined, devices, allow_split_physical_axes=True)


def replicated(mesh: Mesh) -> NamedSharding:
    """A whole copy on each device."""
    return NamedSharding(mesh, PartitionSpec())


def over_examples(mesh: Mesh) -> NamedSharding:
    """The leading axis split over `data`; each example is whole on all the devices that share it."""
    return NamedSharding(mesh, PartitionSpec(DATA))


def over_rows(mesh: Mesh) -> Batch:
    """The sharding of each field of a batch: examples over `data` and the height over `rows`."""
    first = NamedSharding(mesh, PartitionSpec(DATA, ROWS))
    behind_curves = NamedSharding(mesh, PartitionSpec(DATA, None, ROWS))
    shardings: dict[str, Any] = {
        **dict.fromkeys(("image", "label"), first),
        **dict.fromkeys(("strokes", "centreline", "presence"), behind_curves),
        **dict.fromkeys(("valid", "coding"), over_examples(mesh)),
    }
    return Batch(**shardings)


def check_batch(batch: int, mesh: Mesh) -> None:
    """Raises `InputError` unless the batch divides over the devices; names the nearest that does."""
    devices = mesh.shape[DATA]
    nearest = max(round(batch / devices), 1) * devices
    require(
        batch % devices == 0,
        f"batch is {batch}, which does not divide over {sharers(mesh)}; the nearest that does is {nearest}.",
    )


def sharers(mesh: Mesh) -> str:
    """Who shares a batch, in words: `8 devices`, or `2 groups of 4 devices`."""
    groups, rows = mesh.shape[DATA], mesh.shape[ROWS]
    return f"{groups} devices" if rows == 1 else f"{groups} groups of {rows} devices"


def check_height(height: int, mesh: Mesh, *, stride: int) -> None:
    """Refuses images of which the devices cannot hold equal bands.

    Args:
        height: of the images [px]
        mesh: whose `rows` share it
        stride: of the model [px]; a band of another height would begin within one of its coarsest places

    Raises:
        InputError: the height does not divide; the nearest that does is named.
    """
    rows = mesh.shape[ROWS]
    least = rows * stride
    require(
        rows == 1 or height % least == 0,
        f"images are {height} px high, and {rows} devices (rows) with a model of stride {stride} px need a multiple "
        f"of {least}; the nearest is {max(round(height / least), 1) * least}.",
    )
