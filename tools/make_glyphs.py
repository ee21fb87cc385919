"""Rasterises the letters of scans into veerjax/synthesis/glyphs.png. `python tools/make_glyphs.py [FONT_FOLDER ..]`.

Each face is one row of cells, each character one column; below a cell lies its ruler, a run of white as long as the
character's advance. The faces, from top to bottom, and their licences:

- sans: DejaVu Sans, Bitstream Vera licence (in matplotlib)
- serif: STIX General, SIL Open Font License 1.1 (in matplotlib)
- typewriter: Courier Prime, SIL Open Font License 1.1 (Debian package fonts-courier-prime)
- hand: Humor Sans, SIL Open Font License 1.1 (Debian package fonts-humor-sans)
- pen: Breip, SIL Open Font License 1.0 (Debian package fonts-breip)
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from veerjax.synthesis import glyphs

FONTS = {
    "sans": "DejaVuSans.ttf",
    "serif": "STIXGeneral.ttf",
    "typewriter": "Courier Prime.otf",
    "hand": "Humor-Sans.ttf",
    "pen": "Breip.ttf",
}
BASELINE = glyphs.ABOVE + glyphs.CAPITAL  # row of a cell
LICENCES = "Rasters of DejaVu Sans (Bitstream Vera), STIX, Courier Prime, Humor Sans and Breip (SIL OFL)."


def main(folders: Sequence[str]) -> None:
    places = [Path(folder) for folder in folders] or [Path("/usr/share/fonts")]
    places.append(Path(matplotlib.get_data_path()) / "fonts" / "ttf")
    rows = [face_row(found(FONTS[face], places)) for face in glyphs.FACES]
    note = PngInfo()
    note.add_text("Copyright", LICENCES)
    out = Path(glyphs.__file__).with_name("glyphs.png")
    Image.fromarray(np.concatenate(rows)).save(out, optimize=True, pnginfo=note)
    print(f"{out.name}: {out.stat().st_size} bytes")


def found(name: str, places: Sequence[Path]) -> Path:
    """The first file of that name under the places."""
    for place in places:
        for path in sorted(place.rglob(name)):
            return path
    raise SystemExit(f"there is no {name} here; install its package (see the docstring) or give its folder.")


def face_row(path: Path) -> np.ndarray:
    """The cells of one face, side by side, at the size at which its H is `CAPITAL` px high."""
    big = ImageFont.truetype(path, 1000).getbbox("H", anchor="ls")
    font = ImageFont.truetype(path, 1000 * glyphs.CAPITAL / (big[3] - big[1]))
    return np.concatenate([cell(font, character) for character in glyphs.CHARACTERS], axis=1)


def cell(font: ImageFont.FreeTypeFont, character: str) -> np.ndarray:
    """One character on its baseline, from its left margin, and its ruler; what is too wide is narrowed."""
    left, _, right, _ = font.getbbox(character, anchor="ls")
    advance = font.getlength(character)
    start, end = min(left, 0), max(right, advance)
    drawn = Image.new("L", (int(np.ceil(end - start)), glyphs.ROWS))
    ImageDraw.Draw(drawn).text((-start, BASELINE), character, font=font, fill=255, anchor="ls")
    if drawn.width > glyphs.COLUMNS:
        drawn, advance = drawn.resize((glyphs.COLUMNS, glyphs.ROWS), Image.Resampling.BOX), glyphs.COLUMNS
    out = np.zeros((glyphs.ROWS + 1, glyphs.COLUMNS), np.uint8)
    out[: glyphs.ROWS, : drawn.width] = np.asarray(drawn)
    out[glyphs.ROWS, : round(advance)] = 255
    return out


if __name__ == "__main__":
    main(sys.argv[1:])
