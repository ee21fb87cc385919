"""Curves that metrics find hard."""

import numpy as np

HEIGHT, WIDTH = 24, 20
CASES = ("smooth", "spiky", "gaps", "absent", "one row", "off the image", "nan rows", "filled rows")


def curve(kind, *, seed=0):
    """`x` [px] and `presence` of one curve."""
    noise = np.random.default_rng([seed, CASES.index(kind)])
    x, presence = 10 + np.cumsum(noise.normal(0, 0.4, HEIGHT)), np.ones(HEIGHT, bool)
    if kind == "spiky":
        x = noise.uniform(0, WIDTH, HEIGHT)
    if kind == "gaps":
        presence = noise.random(HEIGHT) < 0.6
    if kind == "absent":
        presence[:] = False
    if kind == "one row":
        presence[:] = np.arange(HEIGHT) == 9
    if kind == "off the image":
        x = noise.uniform(-WIDTH, 2 * WIDTH, HEIGHT)
    if kind == "nan rows":
        x[noise.random(HEIGHT) < 0.4] = np.nan
    if kind == "filled rows":
        x = np.where(np.arange(HEIGHT) % 5 == 0, 0.25, WIDTH - 0.25)
    return x.astype(np.float32), presence
