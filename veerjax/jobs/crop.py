"""A track taken out of its scan for reading: as it is where it runs straight, else straightened by its grid."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, UInt8

from veerjax.logs.grid_lines import track_lines, track_shape
from veerjax.logs.page import Page
from veerjax.logs.sections import Track
from veerjax.logs.track_shape import TrackShape, straight_shape, straightened

ACCURACY_PX = 1.0  # of edges that are found by a grid; those nearer to the declared ones tell nothing
LEAST_TILT_PX = 0.5  # likewise


@dataclass(frozen=True, kw_only=True)
class Crop:
    """Grey levels of a track, its edges upright; its rows are those of the section."""

    levels: Float[np.ndarray, "height width"] | UInt8[np.ndarray, "height width"]
    left_px: float  # of the track's left edge in the crop
    right_px: float

    def x(self, fraction: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The x in the crop [px] of fractions of the track's width."""
        return self.left_px + np.asarray(fraction, np.float64) * (self.right_px - self.left_px)


def section_part(grey: UInt8[np.ndarray, "height _"] | Page, rows: range) -> UInt8[np.ndarray, "rows _"] | Page:
    """The rows of a section, not copied."""
    part = slice(rows.start, rows.stop)
    return replace(grey, data=grey.data[part]) if isinstance(grey, Page) else grey[part]


def shape_of(part: UInt8[np.ndarray, "height _"] | Page, track: Track) -> TrackShape:
    """Where the edges of a declared track run: where its grid shows them, if that differs from the declaration.

    Args:
        part: the rows of a section, grey
        track: as declared
    """
    declared = straight_shape(track.left_px, track.right_px, height=len(part))
    if not track.straighten:
        return declared
    found = track_shape(as_bytes(part), track.left_px, track.right_px, lines=track_lines(track))
    off = max(np.abs(found.left_px - track.left_px).max(), np.abs(found.right_px - track.right_px).max())
    tilt, remarks = np.abs(found.tilt_px).max(), list(found.remarks)
    if off > ACCURACY_PX:
        remarks.append(f"its grid shows the edges up to {off:.0f} px from where they are declared, and they follow it")
    else:
        found = replace(found, left_px=declared.left_px, right_px=declared.right_px)
    if tilt > LEAST_TILT_PX:
        remarks.append(f"its rows tilt by up to {tilt:.1f} px from edge to edge, and are levelled")
    else:
        found = replace(found, tilt_px=declared.tilt_px)
    return replace(found, remarks=tuple(remarks))


def crop_of(part: UInt8[np.ndarray, "height _"] | Page, shape: TrackShape) -> Crop:
    """The track of a shape in the rows of a section.

    Args:
        part: of the scan, grey
        shape: of the track in it
    """
    if not shape.is_straight:
        return Crop(levels=straightened(as_bytes(part), shape), left_px=0.0, right_px=float(shape.width_px))
    left_px, right_px = float(shape.left_px[0]), float(shape.right_px[0])
    left, right = int(np.floor(left_px)), min(int(np.ceil(right_px)), part.shape[1])
    levels = as_levels(part[0 : len(part), left:right])
    return Crop(levels=levels, left_px=left_px - left, right_px=min(right_px, right) - left)


def as_levels(grey: np.ndarray) -> np.ndarray:
    """Bytes as they are, other grey levels as float32."""
    return grey if grey.dtype == np.uint8 else grey.astype(np.float32)


def as_bytes(grey: np.ndarray | Page) -> UInt8[np.ndarray, "height _"] | Page:
    """Grey levels from 0 to 1 as bytes, and bytes as they are."""
    if grey.dtype == np.uint8:
        return grey
    return np.round(np.clip(np.asarray(grey), 0, 1) * 255).astype(np.uint8)
