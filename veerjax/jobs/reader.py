"""A trained model with all that it takes to read a strip: scaling to the working width, windows, tracing, scales."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, UInt8

from veerjax.config import require
from veerjax.logs.calibration import Calibration, CurveScale
from veerjax.logs.page import Page
from veerjax.logs.working import rescaled
from veerjax.models.model import Variables
from veerjax.tracing.classical import classical_batch
from veerjax.tracing.trace import Trace, trace_strip
from veerjax.tracing.windows import predict_strip, predict_whole
from veerjax.training.sharding import DATA, ROWS, data_mesh, over_rows, replicated
from veerjax.training.weights import Weights, load_weights, read_with
from veerjax.types import Prediction, blank

CLASSICAL_WIDTH_PX = 256
WINDOWS, WINDOW_PX = 4, 512  # that are read at once, a multiple of the devices, and the height of each


@dataclass(frozen=True, kw_only=True)
class TrackCurves:
    """The two curves of one track, row by row of the scan."""

    left_px: float  # the track's edges in the scan
    right_px: float
    curves: tuple[CurveScale, ...]  # what they are declared to be; empty without a calibration
    x: Float[np.ndarray, "2 height"]  # [px of the scan] where the curve crosses the row's centre; NaN where absent
    lo: Float[np.ndarray, "2 height"]  # [px] leftmost stroke in the row
    hi: Float[np.ndarray, "2 height"]  # [px] rightmost stroke in the row
    presence: Bool[np.ndarray, "2 height"]
    confidence: Float[np.ndarray, "2 height"]  # 0 to 1
    occluded: Bool[np.ndarray, "2 height"]  # present, but under the other curve


class TrackReader(ABC):
    """Reads the two curves of tracks; how, its kinds decide."""

    @property
    @abstractmethod
    def width_px(self) -> int:
        """The working width that tracks are rescaled to [px]."""

    @abstractmethod
    def trace(self, working: Float[np.ndarray, "height width"]) -> Trace:
        """The polylines of one track at the working width, as a batch of one."""

    def digitize(
        self, image: UInt8[np.ndarray, "height width"] | Page, calibration: Calibration | None = None
    ) -> list[TrackCurves]:
        """The curves of every calibrated track, or of the whole image as one track.

        Args:
            image: the scan, grey, paper light, of which one track at a time is taken
            calibration: where the tracks lie

        Raises:
            InputError: not two-dimensional, or a track outside the image.
        """
        check_grey(image)
        if calibration is None:
            return [self.read_track(image, 0.0, float(image.shape[1]))]
        return [self.read_track(image, t.left_px, t.right_px, curves=t.curves) for t in calibration.tracks]

    def read_track(
        self,
        grey: UInt8[np.ndarray, "height width"] | Float[np.ndarray, "height width"] | Page,
        left_px: float,
        right_px: float,
        *,
        curves: tuple[CurveScale, ...] = (),
    ) -> TrackCurves:
        """One track: cropped, rescaled to the working width, predicted, traced, and mapped back.

        Raises:
            InputError: the track is not inside the image.
        """
        left, right = int(np.floor(left_px)), int(np.ceil(right_px))
        require(
            left >= 0 and right <= grey.shape[1],
            f"the track from {left_px:g} to {right_px:g} px is not inside the scan, which is {grey.shape[1]} px wide.",
        )
        crop = grey[:, left:right]
        crop = crop if crop.dtype == np.uint8 else crop.astype(np.float32)
        working = rescaled(crop, self.width_px)
        found = jax.tree.map(lambda leaf: np.asarray(leaf)[0], self.trace(working))
        rows = mapped_back(found, left=left, crop=crop.shape, working=working.shape)
        return TrackCurves(left_px=left_px, right_px=right_px, curves=curves, **rows)


@dataclass(frozen=True, kw_only=True)
class Reader(TrackReader):
    """Reads images with one set of weights; made by `load`."""

    weights: Weights
    mesh: Mesh  # windows are shared out over "data", or a whole strip over "rows"
    predict_images: Callable[[Float[np.ndarray, "batch height width"]], Prediction] = field(repr=False)

    @property
    def width_px(self) -> int:
        return self.weights.config.data.width

    def trace(self, working: Float[np.ndarray, "height width"]) -> Trace:
        return trace_strip(self.predict(working))

    def predict(self, image: UInt8[np.ndarray, "height width"] | Float[np.ndarray, "height width"]) -> Prediction:
        """What the model says of one track at its working resolution.

        Args:
            image: grey levels, 0 to 255 as bytes or 0 to 1 as floats, paper light

        Raises:
            InputError: not two-dimensional.
        """
        grey = as_unit_grey(image)
        stride, rows, devices = self.weights.model.stride, self.mesh.shape[ROWS], self.mesh.shape[DATA]
        if rows > 1:
            # Multiples of a window for most numbers of devices, so that all of them pad a strip alike.
            return predict_whole(self.predict_images, grey, unit=math.lcm(WINDOW_PX, rows * stride))
        batch = -(-WINDOWS // devices) * devices
        return predict_strip(self.predict_images, grey, window=WINDOW_PX, stride=stride, batch=batch)


@dataclass(frozen=True, kw_only=True)
class ClassicalReader(TrackReader):
    """Reads images without learning (`tracing.classical`), at the width that its lengths were chosen at."""

    @property
    def width_px(self) -> int:
        return CLASSICAL_WIDTH_PX

    def trace(self, working: Float[np.ndarray, "height width"]) -> Trace:
        return classical_batch(working[None])[1]


def load(
    name: str = "release", *, rows: int = 1, devices: Sequence[Any] | None = None, overrides: Sequence[str] = ()
) -> Reader:
    """A reader with the weights `release` or `WORKDIR[@best|last|STEP]`.

    Args:
        name: of the weights
        rows: devices that share the height of a strip, which is then read as a whole; with 1, all devices share the
            windows that a strip is cut into
        devices: to use; all of this process by default
        overrides: of keys of the config that change how weights are read, such as `model.crf.iterations=5`

    Raises:
        InputError: no such weights, a key that they are not read by, or devices that do not divide by `rows`.
    """
    mesh = data_mesh(jax.local_devices() if devices is None else devices, rows=rows)
    if rows > 1:
        mesh = data_mesh(list(mesh.devices[0]), rows=rows)  # strips are read one after the other
    weights = read_with(load_weights(name), overrides)
    oracle = weights.config.model.rcnn.oracle
    require(
        oracle == "none",
        f"model.rcnn.oracle is {oracle!r}, and a scan has no truth to take that from; --set model.rcnn.oracle=none.",
    )

    def predict(variables: Variables, images: Float[Array, "batch height width"]) -> Prediction:
        return weights.model.predict(variables, blank(images[..., None]))

    compiled = jax.jit(predict, in_shardings=(replicated(mesh), over_rows(mesh).label))
    variables = jax.device_put(weights.variables, replicated(mesh))
    return Reader(weights=weights, mesh=mesh, predict_images=partial(compiled, variables))


def check_grey(image: np.ndarray | Page) -> None:
    """Refuses what is not one grey picture."""
    require(
        image.ndim == 2 and image.size > 0,
        f"the image has the shape {image.shape}; give a grey one of (height, width).",
    )


def as_unit_grey(image: np.ndarray) -> Float[np.ndarray, "height width"]:
    """Grey levels from 0 black to 1 white as float32."""
    check_grey(image)
    return image.astype(np.float32) / 255 if image.dtype == np.uint8 else image.astype(np.float32)


def mapped_back(found: Trace, *, left: int, crop: Sequence[int], working: Sequence[int]) -> dict[str, np.ndarray]:
    """A trace at the working resolution as the row-wise fields of `TrackCurves`, in px of the scan.

    The centreline is interpolated between the working rows; a row's span is the union of those that it covers.
    """
    height, rows = crop[0], working[0]
    across, down = working[1] / crop[1], rows / height
    centres = (np.arange(height) + 0.5) * down
    own = np.clip(centres.astype(int), 0, rows - 1)
    first = np.clip(np.floor(np.arange(height) * down).astype(int), 0, rows - 1)
    last = np.clip(np.ceil((np.arange(height) + 1) * down).astype(int) - 1, first, rows - 1)
    presence = np.asarray(found.presence)[:, own]

    def columns(working_px: np.ndarray) -> np.ndarray:
        return np.where(presence, left + working_px / across, np.nan)

    known = np.asarray(found.presence)
    x = np.stack([interpolated(centres, *pair) for pair in zip(np.asarray(found.x), known, strict=True)])
    lo = np.stack([extreme(np.minimum, *pair, first, last) for pair in zip(np.asarray(found.lo), known, strict=True)])
    hi = np.stack([extreme(np.maximum, *pair, first, last) for pair in zip(np.asarray(found.hi), known, strict=True)])
    return {
        "x": columns(x),
        "lo": columns(np.minimum(lo, x)),
        "hi": columns(np.maximum(hi, x)),
        "presence": presence,
        "confidence": np.asarray(found.confidence)[:, own],
        "occluded": np.asarray(found.occluded)[:, own],
    }


def interpolated(
    centres: Float[np.ndarray, " height"], x: Float[np.ndarray, " rows"], presence: Bool[np.ndarray, " rows"]
) -> Float[np.ndarray, " height"]:
    """x at the given rows, linear between present neighbours; rows without one are not to be used."""
    if not presence.any():
        return np.zeros_like(centres)
    rows = np.flatnonzero(presence)
    return np.interp(centres, rows + 0.5, x[rows])


def extreme(
    better: np.ufunc,
    values: Float[np.ndarray, " rows"],
    presence: Bool[np.ndarray, " rows"],
    first: np.ndarray,
    last: np.ndarray,
) -> Float[np.ndarray, " height"]:
    """The extreme of the present values in rows first..last; infinite, on the harmless side, where none is."""
    neutral = np.inf if better is np.minimum else -np.inf
    usable = np.where(presence, values, neutral)
    result = usable[first]
    for offset in range(1, int(np.max(last - first)) + 1):
        result = better(result, usable[np.minimum(first + offset, last)])
    return result
