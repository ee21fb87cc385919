"""A trained model with all that it takes to read a strip: scaling to the working width, windows, tracing, scales."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Float64, Int, UInt8

from veerjax.config import require
from veerjax.jobs.crop import as_levels, crop_of, section_part, shape_of
from veerjax.jobs.mapping import mapped_back, own_rows, side_changes
from veerjax.labels import CURVE_1
from veerjax.logs.page import Page
from veerjax.logs.scales import CurveScale
from veerjax.logs.sections import IGNORE, MAIN, Calibration, Section, Track
from veerjax.logs.track_shape import TrackShape, straight_shape
from veerjax.logs.working import rescaled, row_stretch
from veerjax.models.model import Variables
from veerjax.tracing.classical import classical_batch
from veerjax.tracing.joint import Crossing, TracedCurves, WantedCurve, trace_curves
from veerjax.tracing.trace import Trace, trace_strip
from veerjax.tracing.windows import predict_strip, predict_whole
from veerjax.training.sharding import DATA, ROWS, data_mesh, over_rows, replicated
from veerjax.training.weights import Weights, load_weights, read_with
from veerjax.types import Prediction, blank

CLASSICAL_WIDTH_PX = 256
WINDOWS, WINDOW_PX = 4, 512  # that are read at once, a multiple of the devices, and the height of each


@dataclass(frozen=True, kw_only=True)
class TrackCurves:
    """The curves of one track in one section, row by row of the scan: those declared, or one of each class."""

    shape: TrackShape  # the track's edges in the scan, and how its rows tilt
    curves: tuple[CurveScale, ...]  # what they are declared to be; empty without a calibration
    # [px of the scan] between the row's edges, where the curve crosses the row's centre; NaN where absent
    x: Float[np.ndarray, "curves height"]
    lo: Float[np.ndarray, "curves height"]  # [px] leftmost stroke in the row
    hi: Float[np.ndarray, "curves height"]  # [px] rightmost stroke in the row
    wrap: Int[np.ndarray, "curves height"]  # track widths to add to x; positive beyond the right edge
    presence: Bool[np.ndarray, "curves height"]
    confidence: Float[np.ndarray, "curves height"]  # 0 to 1
    occluded: Bool[np.ndarray, "curves height"]  # present, but under another curve
    crossings: tuple[Crossing, ...] = ()  # by the rows of the scan
    first_row: int = 0  # of the section in the scan
    section: int = 1  # its number in the calibration
    number: int = 1  # of the track in the section
    role: str = MAIN

    def row_px(self, x_px: Float[np.ndarray, "*curves height"]) -> Float64[np.ndarray, "*curves height"]:
        """The row of the scan [px] at which a point of each row lies: lower or higher than the row, where rows tilt."""
        return self.first_row + np.arange(self.x.shape[1]) + 0.5 + self.shape.lower_px(x_px)


class TrackReader(ABC):
    """Reads the curves of tracks; how, its kinds decide."""

    stretches: ClassVar[bool] = True  # whether small depth scales are drawn out for reading
    calibrated: ClassVar[bool] = True  # whether confidence is the probability that a row is right

    @property
    @abstractmethod
    def width_px(self) -> int:
        """The working width that tracks are rescaled to [px]."""

    @abstractmethod
    def trace(self, working: Float[np.ndarray, "height width"]) -> Trace:
        """The polylines of one curve of each class at the working width, as a batch of one."""

    @abstractmethod
    def trace_declared(
        self,
        working: Float[np.ndarray, "height width"],
        wanted: Sequence[WantedCurve],
        *,
        left_px: float,
        right_px: float,
    ) -> TracedCurves:
        """The polylines of declared curves in a track between two edges [px], at the working width.

        Raises:
            InputError: this kind of reader cannot tell such curves apart.
        """

    def digitize(
        self, image: UInt8[np.ndarray, "height width"] | Page, calibration: Calibration | None = None
    ) -> list[TrackCurves]:
        """The declared curves of every track of every section that is not ignored, in the order of the calibration.

        Without a calibration the whole image is one track with one curve of each class.

        Args:
            image: the scan, grey, paper light, of which one track at a time is taken
            calibration: where the sections and tracks lie, and what is drawn in them

        Raises:
            InputError: not two-dimensional, or rows, a track or a seed outside the image.
        """
        check_grey(image)
        if calibration is None:
            return [self.read_whole(image)]
        calibration.check_fits(*image.shape)
        return [
            self.read_track(image, section, track, name=(place, number))
            for place, section in enumerate(calibration.sections, start=1)
            if section.role != IGNORE
            for number, track in enumerate(section.tracks, start=1)
        ]

    def read_whole(self, grey: UInt8[np.ndarray, "height width"] | Page) -> TrackCurves:
        """One curve of each class, the whole image taken for a track."""
        height, width = grey.shape
        working = rescaled(as_levels(grey[:, 0:width]), self.width_px)
        found = jax.tree.map(lambda leaf: np.asarray(leaf)[0], self.trace(working))
        shape = straight_shape(0.0, width, height=height)
        rows = mapped_back(found, edges=(shape.left_px, shape.right_px), working_edges=(0.0, float(working.shape[1])))
        return TrackCurves(
            shape=shape,
            curves=(),
            wrap=np.zeros(rows["x"].shape, np.int32),
            crossings=side_changes(rows["x"], rows["presence"]),
            **rows,
        )

    def read_track(
        self,
        grey: UInt8[np.ndarray, "height width"] | Page,
        section: Section,
        track: Track,
        *,
        name: tuple[int, int] = (1, 1),
    ) -> TrackCurves:
        """The declared curves of one track: straightened, rescaled to the working width, traced and mapped back.

        Args:
            grey: the scan
            section: which rows
            track: which columns, and what is drawn there
            name: numbers of the section and of the track
        """
        rows = section.row_range(len(grey))
        part = section_part(grey, rows)
        shape = shape_of(part, track)
        crop = crop_of(part, shape)
        scale = self.width_px / crop.levels.shape[1]
        stretch = row_stretch(section.depth_scale.rows_per_ft, scale) if self.stretches else 1.0
        working = rescaled(crop.levels, self.width_px, stretch=stretch)
        across, down = working.shape[1] / crop.levels.shape[1], len(working) / len(rows)
        left_edge, right_edge = crop.left_px * across, crop.right_px * across
        right_edge = min(right_edge, working.shape[1])  # rounding may lift it above

        def seed(row_px: float, x_px: float) -> tuple[float, float]:
            row, fraction = shape.in_track(row_px - rows.start, x_px)
            return float(np.clip(row, 0, len(rows) - 0.5)) * down, float(crop.x(np.clip(fraction, 0, 1))) * across

        wanted = [
            WantedCurve(
                curve_class=curve.curve_class,
                wraps=curve.wrap or curve.backup is not None,
                seeds=tuple(seed(row, x) for row, x in curve.seeds),
            )
            for curve in track.curves
        ]
        found = self.trace_declared(working, wanted, left_px=left_edge, right_px=right_edge)
        return TrackCurves(
            shape=shape,
            curves=track.curves,
            wrap=found.wrap[:, own_rows(len(rows), len(working))],
            crossings=tuple(replace(meeting, row=rows.start + meeting.row / down) for meeting in found.crossings),
            first_row=rows.start,
            section=name[0],
            number=name[1],
            role=section.role,
            **mapped_back(
                found,
                edges=(shape.left_px, shape.right_px),
                working_edges=(left_edge, right_edge),
                wrapped_px=found.wrap * (right_edge - left_edge),
            ),
        )


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

    def trace_declared(
        self,
        working: Float[np.ndarray, "height width"],
        wanted: Sequence[WantedCurve],
        *,
        left_px: float,
        right_px: float,
    ) -> TracedCurves:
        return trace_curves(self.predict(working), wanted, left_px=left_px, right_px=right_px)

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

    stretches, calibrated = False, False

    @property
    def width_px(self) -> int:
        return CLASSICAL_WIDTH_PX

    def trace(self, working: Float[np.ndarray, "height width"]) -> Trace:
        return classical_batch(working[None])[1]

    def trace_declared(
        self,
        working: Float[np.ndarray, "height width"],
        wanted: Sequence[WantedCurve],
        *,
        left_px: float,
        right_px: float,
    ) -> TracedCurves:
        del left_px, right_px
        classes = [curve.curve_class for curve in wanted]
        require(
            len(set(classes)) == len(classes) and not any(curve.wraps for curve in wanted),
            "the classical tracer reads one curve of each class, and follows none that wraps or has a backup; use"
            " --tracer learned.",
        )
        found = self.trace(working)
        parts = ("x", "lo", "hi", "presence", "confidence", "occluded")
        rows = {name: np.asarray(getattr(found, name))[0, np.array(classes) - CURVE_1] for name in parts}
        met = side_changes(rows["x"], rows["presence"])
        return TracedCurves(**rows, wrap=np.zeros(rows["x"].shape, np.int32), crossings=met)


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
