"""What weights get wrong, in one picture: `python tools/failure_modes.py --weights W --out docs/failures.png`.

Of each setting the validation logs that are read worst, by F1 within 2 px: on the left the truth, on the right what was
read, curve 1 in red and curve 2 in blue, paler where the other curve hides it.
"""

import argparse
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from veerjax.jobs.evaluate import run_evaluation
from veerjax.jobs.gallery import gallery

SETTINGS = ("standard", "hard", "one_pixel", "identical_ink")
EACH, LOGS = 2, 64
GAP_PX, HEADING_PX, TEXT_PX = 12, 24, 14

Pixels = UInt8[np.ndarray, "height width 3"]


def headed(picture: Pixels, text: str) -> Pixels:
    """A picture with a line of text above it."""
    page = Image.new("RGB", (picture.shape[1] + GAP_PX, picture.shape[0] + HEADING_PX), "white")
    page.paste(Image.fromarray(picture), (0, HEADING_PX))
    ImageDraw.Draw(page).text((0, 3), text, fill=(20, 24, 30), font=ImageFont.load_default(TEXT_PX))
    return np.asarray(page)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out", required=True, type=Path)
    arguments = parser.parse_args()
    rows = []
    for setting in SETTINGS:
        evaluation = run_evaluation(arguments.weights, setting, split="validation", limit=LOGS, baselines=())
        worst = [found for found in gallery(evaluation) if found.kind == "worst"][:EACH]
        rows.append(np.concatenate([headed(w.picture, f"{w.name}   {w.caption}") for w in worst], axis=1))
    iio.imwrite(arguments.out, np.concatenate(rows, axis=0))


if __name__ == "__main__":
    main()
