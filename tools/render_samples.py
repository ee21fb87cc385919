"""Draws a sheet of samples: image above, label below. `python tools/render_samples.py OUT.png [N]`."""

import sys

import imageio.v3 as iio
import jax.numpy as jnp
import numpy as np

from veerjax.synthesis.draw import draw_batch

COLOURS = np.array([[255, 255, 255], [200, 30, 30], [30, 60, 200]], np.uint8)


def main(out: str, count: int = 12) -> None:
    batch = draw_batch(0, "train", jnp.arange(count), height=256, width=256)
    grey = np.repeat((np.asarray(batch.image) * 255).astype(np.uint8), 3, axis=-1)
    colour = COLOURS[np.asarray(batch.label)]
    rows = [np.concatenate([a, b], 0) for a, b in zip(grey, colour, strict=True)]
    padded = [np.pad(r, ((2, 2), (2, 2), (0, 0)), constant_values=128) for r in rows]
    columns = 6
    sheet = [np.concatenate(padded[i : i + columns], 1) for i in range(0, count - count % columns, columns)]
    iio.imwrite(out, np.concatenate(sheet, 0))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:3]))
