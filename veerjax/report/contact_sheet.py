"""A contact sheet: of each sample the image, the label over it, and the strokes with their centrelines."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from veerjax.data.checks.health import wraps
from veerjax.data.checks.samples import Sample
from veerjax.labels import NUM_CURVES
from veerjax.report.overlay import COLOURS, OCCLUDED_COLOURS, PALE

TALL_PX = 512  # smaller images are enlarged by a whole number, up to this height or width
MAX_ROWS = 1024  # of a longer strip its beginning is shown
GAP_PX, MARGIN_PX = 6, 14
BAR_PX, BAR_GAP_PX = 7, 2  # of the presence bars
TEXT_PX, LINE_PX = 16, 21
PAPER, INK, MUTED, ABSENT = (255, 255, 255), (20, 24, 30), (95, 103, 115), (226, 229, 233)
LABEL_OPACITY, STROKE_OPACITY = 0.75, 0.85
BOTH, BOTH_WORDS = (205, 150, 215), (150, 40, 160)  # where two strokes overlap
ASPECT = 1.5  # of the sheet, about

Pixels = UInt8[np.ndarray, "height width 3"]


def contact_sheet(samples: Sequence[Sample], *, title: str) -> Pixels:
    """One picture of all samples, each with a caption.

    Args:
        samples: at least one, of any sizes
        title: what they are
    """
    cells = [cell(sample) for sample in samples]
    columns = columns_of(cells)
    rows = [beside(cells[start : start + columns], gap=3 * MARGIN_PX) for start in range(0, len(cells), columns)]
    return padded(below([heading(title), *rows], gap=2 * MARGIN_PX))


def columns_of(cells: Sequence[Pixels]) -> int:
    """How many cells to put side by side so that the sheet is a landscape page."""
    height, width = np.max([cell.shape[:2] for cell in cells], axis=0)
    return int(np.clip(round(np.sqrt(ASPECT * len(cells) * height / width)), 1, len(cells)))


def cell(sample: Sample) -> Pixels:
    """The caption of a sample, and its three pictures side by side with the presence bars on the right."""
    shown = min(sample.label.shape[0], MAX_ROWS)
    times = max(1, TALL_PX // max(shown, sample.label.shape[1]))
    image = colour_of(sample.image[:shown])
    strokes = sample.strokes[:, :shown]
    labelled = tinted(image, [sample.label[:shown] == k + 1 for k in range(NUM_CURVES)], COLOURS, LABEL_OPACITY)
    drawn = tinted(
        pale(image),
        [strokes[0], strokes[1], strokes[0] & strokes[1]],
        (*OCCLUDED_COLOURS, BOTH),
        STROKE_OPACITY,
    )
    there = sample.presence & np.isfinite(sample.centreline)
    joined = (there[:, 1:] & there[:, :-1] & ~wraps(sample))[:, : shown - 1]
    lines = with_centrelines(enlarged(drawn, times), sample.centreline, joined, times)
    bars = presence_bars(enlarged(sample.presence[:, :shown].T, times))
    pictures = beside([framed(enlarged(image, times)), framed(enlarged(labelled, times)), framed(lines), bars])
    return below([caption(sample, shown, width=pictures.shape[1]), pictures])


def colour_of(image: Float[np.ndarray, "height width channels"]) -> Pixels:
    """The image as red, green and blue bytes."""
    return np.rint(np.broadcast_to(image, (*image.shape[:2], 3)).clip(0, 1) * 255).astype(np.uint8)


def pale(image: Pixels) -> Pixels:
    """The image with less contrast, as in overlays."""
    return (255 - PALE * (255.0 - image)).astype(np.uint8)


def tinted(
    image: Pixels,
    masks: Sequence[Bool[np.ndarray, "height width"]],
    colours: Sequence[tuple[int, int, int]],
    opacity: float,
) -> Pixels:
    """The image with a colour over each mask; later ones replace earlier ones."""
    result = image.copy()
    for mask, colour in zip(masks, colours, strict=True):
        result[mask] = np.rint((1 - opacity) * image[mask] + opacity * np.asarray(colour)).astype(np.uint8)
    return result


def enlarged(pixels: Pixels | Bool[np.ndarray, "height curves"], times: int) -> np.ndarray:
    """Each pixel as a square of so many; of a table of rows, each row so many times."""
    tall = np.repeat(pixels, times, axis=0)
    return np.repeat(tall, times, axis=1) if pixels.ndim == 3 else tall


def with_centrelines(
    picture: Pixels, x: Float[np.ndarray, "2 height"], joined: Bool[np.ndarray, "2 steps"], times: int
) -> Pixels:
    """The centrelines as thin lines, from row centre to row centre where these are joined."""
    made = Image.fromarray(picture)
    pen = ImageDraw.Draw(made)
    for curve in (1, 0):
        for row in map(int, np.flatnonzero(joined[curve])):
            # ImageDraw puts pixel centres at whole numbers.
            ends = [(float(x[curve, r]) * times - 0.5, (r + 0.5) * times - 0.5) for r in (row, row + 1)]
            pen.line(ends, fill=COLOURS[curve], width=max(1, times // 2))
    return np.asarray(made)


def presence_bars(presence: Bool[np.ndarray, "height 2"]) -> Pixels:
    """A bar for each curve, in its colour where it is present."""
    height = presence.shape[0]
    bars = np.full((height + 2, NUM_CURVES * (BAR_PX + BAR_GAP_PX), 3), 255, np.uint8)
    for curve in range(NUM_CURVES):
        start = curve * (BAR_PX + BAR_GAP_PX)
        bars[1:-1, start : start + BAR_PX] = np.where(presence[:, curve, None], COLOURS[curve], ABSENT)[:, None]
    return bars


def framed(picture: Pixels) -> Pixels:
    """The picture in a thin frame, without which white paper would run into the sheet."""
    height, width, _ = picture.shape
    result = np.full((height + 2, width + 2, 3), 150, np.uint8)
    result[1:-1, 1:-1] = picture
    return result


def caption(sample: Sample, shown: int, *, width: int) -> Pixels:
    """The name, and of each curve its coding and how much of it is there."""
    name = sample.name if sample.well is None else f"{sample.name}, {sample.well}"
    if shown < sample.label.shape[0]:
        name += f" (rows 1 to {shown} of {sample.label.shape[0]})"
    told = []
    for curve in range(NUM_CURVES):
        coding = f" {sample.coding[curve]}," if sample.coding[curve] else ""
        share = f"present in {100 * sample.presence[curve].mean():.0f} % of rows"
        told.append((f"curve {curve + 1}:{coding} {share}     ", COLOURS[curve]))
    return written([[(name, INK)], told], width=width)


def heading(title: str) -> Pixels:
    """The title and what the pictures show."""
    legend = [
        ("Left: the image. Middle: the label over it (", MUTED),
        ("curve 1", COLOURS[0]),
        (" over ", MUTED),
        ("curve 2", COLOURS[1]),
        ("). Right: both strokes, ", MUTED),
        ("where they overlap", BOTH_WORDS),
        (", and the centrelines; bars: rows where each curve is present.", MUTED),
    ]
    return written([[(title, INK)], legend])


def written(lines: Sequence[Sequence[tuple[str, tuple[int, int, int]]]], *, width: int | None = None) -> Pixels:
    """Lines of coloured words; a line that is too wide is set smaller, down to half the size."""
    fonts = [font_for("".join(text for text, _ in line), width) for line in lines]
    widths = [font.getlength("".join(text for text, _ in line)) for font, line in zip(fonts, lines, strict=True)]
    made = Image.new("RGB", (width or int(max(widths)) + 1, LINE_PX * len(lines)), PAPER)
    pen = ImageDraw.Draw(made)
    for row, (font, line) in enumerate(zip(fonts, lines, strict=True)):
        at = 0.0
        for text, colour in line:
            pen.text((at, LINE_PX * row), text, fill=colour, font=font)
            at += font.getlength(text)
    return np.asarray(made)


def font_for(text: str, width: int | None) -> Any:
    """The largest font, from the usual size to half of it, in which the text fits."""
    size = TEXT_PX
    while width is not None and size > TEXT_PX // 2 and ImageFont.load_default(size).getlength(text) > width:
        size -= 1
    return ImageFont.load_default(size)


def beside(pictures: Sequence[Pixels], *, gap: int = GAP_PX) -> Pixels:
    """Pictures in a row, their tops aligned."""
    return np.swapaxes(below([np.swapaxes(picture, 0, 1) for picture in pictures], gap=gap), 0, 1)


def below(pictures: Sequence[Pixels], *, gap: int = GAP_PX) -> Pixels:
    """Pictures one under another, their left edges aligned."""
    width = max(picture.shape[1] for picture in pictures)
    filled = [np.pad(p, ((0, gap), (0, width - p.shape[1]), (0, 0)), constant_values=255) for p in pictures]
    return np.concatenate(filled)[:-gap]


def padded(picture: Pixels) -> Pixels:
    """The picture with a margin."""
    return np.pad(picture, ((MARGIN_PX, MARGIN_PX), (MARGIN_PX, MARGIN_PX), (0, 0)), constant_values=255)
