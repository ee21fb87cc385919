"""Tracks of scans at the working resolution, and windows of them with their truth."""

import functools
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float64, UInt8

from veerjax.data.folder import traced
from veerjax.data.scans.opened import LabelledStrip, PlacedStrip, ScannedLog, TrackPlace, opened
from veerjax.data.scans.placed import WIDEST_STROKE_PX, PlacedCurves, Truth, padded_rows
from veerjax.data.scans.stroke_width import NARROWEST_PX, stroke_width
from veerjax.labels import NUM_CURVES, label_of
from veerjax.logs.working import Frame, rescaled, rescaled_mask

CONTEXT_ROWS = 64  # beyond a window's ends, in the light of which its label is traced
ASSUMED_STROKE = 1 / 64  # of the working width, where a scan shows no ink to measure
SCANS_HELD = 2  # at the working resolution, in each process


class StripTruth(Protocol):
    """The truth about a strip, window by window."""

    def window(self, start: int, height: int) -> Truth:
        """The truth about `height` rows; those past the strip's end hold nothing."""
        ...


@dataclass(frozen=True, kw_only=True)
class GivenTruth:
    """Strokes out of a label, and where a table says so the polylines."""

    strokes: Bool[np.ndarray, "2 rows width"]
    x: Float64[np.ndarray, "2 rows"] | None  # [px], NaN where absent

    def window(self, start: int, height: int) -> Truth:
        strokes = self.strokes[:, start : start + height]
        strokes = np.pad(strokes, ((0, 0), (0, height - strokes.shape[1]), (0, 0)))
        x = self.traced_x(start, height) if self.x is None else self.x[:, start : start + height]
        x = padded_rows(x, height, fill=np.nan)
        presence = (x >= 0) & (x < strokes.shape[2])
        x = np.where(presence, x, 0.0)
        widths = measured_strokes(strokes, x, presence)
        return Truth(strokes=strokes, centreline=x, presence=presence, stroke_px=widths)

    def traced_x(self, start: int, height: int) -> Float64[np.ndarray, "2 rows"]:
        """Where the label's curves run, traced with some rows around the window."""
        rows, wide = self.strokes.shape[1], height + 2 * CONTEXT_ROWS
        first = max(min(start - CONTEXT_ROWS, rows - wide), 0)
        around = self.strokes[:, first : first + wide]
        label = np.zeros((wide, self.strokes.shape[2]), np.uint8)
        label[: around.shape[1]] = label_of(around)
        x, presence = traced(label[None])
        known = np.where(presence[0], x[0], np.nan).astype(np.float64)
        return known[:, start - first : min(start - first + height, around.shape[1])]


@dataclass(frozen=True, kw_only=True)
class DrawnTruth:
    """Strokes to be drawn along the curves of a LAS file."""

    placed: PlacedCurves
    stroke_px: tuple[float, float]

    def window(self, start: int, height: int) -> Truth:
        return self.placed.truth(start, height=height, stroke_px=self.stroke_px)


@dataclass(frozen=True, kw_only=True)
class WorkingStrip:
    """One track at the working resolution."""

    place: TrackPlace
    well: str | None
    image: UInt8[np.ndarray, "rows width"]
    truth: StripTruth

    def window(self, start: int, height: int) -> tuple[UInt8[np.ndarray, "height width"], Truth]:
        """Image and truth of a window; a strip shorter than it is continued by blank paper."""
        image = self.image[start : start + height]
        missing = height - len(image)
        if missing:
            image = np.pad(image, ((0, missing), (0, 0)), constant_values=int(np.median(self.image)))
        return image, self.truth.window(start, height)


# Windows of one scan are made one after another: it is decoded once, and only its small tracks are kept.
@functools.lru_cache(maxsize=SCANS_HELD)
def working_strips(log: ScannedLog, *, width: int, stroke_px: float | None) -> dict[int, WorkingStrip]:
    """The tracks of a log by their numbers.

    Args:
        log: the files
        width: that tracks are rescaled to [px]
        stroke_px: width of the strokes to draw [px of the scan]; measured on the scan where None
    """
    found = opened(log, width=width)
    working = {}
    for strip in found.strips:
        place = strip.place
        image = np.rint(rescaled(found.grey[:, place.frame.columns], width) * 255).astype(np.uint8)
        truth = given_truth(strip) if isinstance(strip, LabelledStrip) else drawn_truth(strip, image, stroke_px)
        working[place.number] = WorkingStrip(place=place, well=found.well, image=image, truth=truth)
    return working


def given_truth(strip: LabelledStrip) -> GivenTruth:
    """A labelled strip at the working resolution."""
    frame = strip.place.frame
    strokes = [rescaled_mask(strip.label == k, frame.width) for k in range(1, NUM_CURVES + 1)]
    return GivenTruth(strokes=np.stack(strokes), x=None if strip.x is None else working_x(strip.x, frame))


def working_x(x: Float64[np.ndarray, "2 height"], frame: Frame) -> Float64[np.ndarray, "2 rows"]:
    """Polylines of a scan at the working rows [px], absent where the scan's own row holds none."""
    at = frame.scan_row(np.arange(frame.rows) + 0.5)
    own = np.clip(at.astype(int), 0, x.shape[1] - 1)
    result = np.full((len(x), frame.rows), np.nan)
    for curve, values in enumerate(x):
        known = np.flatnonzero(np.isfinite(values))
        here = np.isfinite(values[own])
        if here.any():
            result[curve, here] = frame.x(np.interp(at[here], known + 0.5, values[known]))
    return result


def drawn_truth(strip: PlacedStrip, image: UInt8[np.ndarray, "rows width"], stroke_px: float | None) -> DrawnTruth:
    """A strip's placed curves with the widths of their strokes, declared or measured."""
    placed, frame = strip.placed, strip.place.frame
    widths = []
    for x, presence in zip(placed.x, placed.presence, strict=True):
        found = stroke_width(image, x, presence) if stroke_px is None else stroke_px * frame.scale
        widths.append(float(np.clip(found or ASSUMED_STROKE * frame.width, NARROWEST_PX, WIDEST_STROKE_PX)))
    return DrawnTruth(placed=placed, stroke_px=(widths[0], widths[1]))


def measured_strokes(
    strokes: Bool[np.ndarray, "2 height width"],
    x: Float64[np.ndarray, "2 height"],
    presence: Bool[np.ndarray, "2 height"],
) -> tuple[float | None, ...]:
    """The mean width of each curve's stroke in a window [px]: its area by its length; None where it is absent."""
    widths = []
    for mask, line, present in zip(strokes, x, presence, strict=True):
        joined = present[:-1] & present[1:]
        length = float(np.sum(np.hypot(np.diff(line), 1.0)[joined]))
        widths.append(round(float(mask.sum()) / length, 2) if length > 0 else None)
    return tuple(widths)
