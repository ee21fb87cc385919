"""Whether a scan lies as its calibration says: a grid that is not where it is declared, but is where it would be if the
scan were turned, is strong evidence that it is.

A page that looks alike when turned gives none: one track with ten divisions in the middle, say. Negatives are
recognised when a page is read (`page.checked`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from veerjax.logs.calibration import Track
from veerjax.logs.grid_lines import grid_share, track_lines
from veerjax.logs.page import Page

SAMPLE_PX = 3000  # of the depth that is looked at
ABSENT, CLEAR = 0.6, 0.8  # of the rows: what is seen in less may be chance, horizontal lines taken for vertical ones
TALL = 2  # times as tall as wide: no strip that was turned by a quarter


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a track is looked for."""

    left_px: float
    right_px: float
    lines: tuple[float, ...]  # fractions of the width

    def backwards(self, width: int) -> "Place":
        """The same in an image of a width that is turned from left to right."""
        lines = tuple(1 - line for line in reversed(self.lines))
        return Place(left_px=width - self.right_px, right_px=width - self.left_px, lines=lines)


def turned_remark(image: UInt8[np.ndarray, "height _"] | Page, tracks: Sequence[Track]) -> str | None:
    """How the scan is turned, for a person to read; None where it lies right, or nothing is certain.

    Args:
        image: the scan, grey, paper light
        tracks: as they are declared
    """
    (height, width), places = image.shape, [place_of(track) for track in tracks]
    down = image[middle(height), slice(None)]
    if least_share(down, places) >= ABSENT:
        return None
    turns = {"upside down or mirrored": least_share(down, [place.backwards(width) for place in places])}
    if height <= TALL * width:
        across = image[slice(None), middle(width)].T
        turns["turned clockwise by a quarter"] = least_share(across, places)
        turns["turned counter-clockwise by a quarter"] = least_share(across, [p.backwards(height) for p in places])
    clear = [turn for turn, share in turns.items() if share >= CLEAR]
    if len(clear) != 1:
        return None
    return f"the scan looks {clear[0]}: its grid lies where the declared tracks would then be; turn it"


def place_of(track: Track) -> Place:
    return Place(left_px=track.left_px, right_px=track.right_px, lines=track_lines(track))


def middle(length: int) -> slice:
    """At most `SAMPLE_PX` in the middle of a length."""
    first = max((length - SAMPLE_PX) // 2, 0)
    return slice(first, min(first + SAMPLE_PX, length))


def least_share(image: UInt8[np.ndarray, "height width"], places: Sequence[Place]) -> float:
    """In what share of the rows the grid is seen of the track that shows least of it; 0 for one beyond the image."""
    if any(place.left_px < 0 or place.right_px > image.shape[1] for place in places):
        return 0.0
    return min(grid_share(image, place.left_px, place.right_px, lines=place.lines) for place in places)
