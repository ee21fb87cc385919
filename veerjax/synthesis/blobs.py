"""Two compact objects in place of curves: filled and hatched ellipses, the positive control of region proposals."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from veerjax.synthesis.noise import between, dice, log_between

ABSENT = 0.15  # share of images without the one, and without the other
NEIGHBOURS = 0.15  # share of images in which one may overlap the other, for they are near each other
LEAST_PX, MOST_PX = 7.0, 18.0  # of a semi-axis, whatever the image's size, so that a small image teaches a large one
MOST = 0.22  # of a semi-axis, in shorter sides of the image


def random_blobs(
    key: PRNGKeyArray, *, height: int, width: int, scale: Float[Array, ""]
) -> tuple[Float[Array, "2 height width"], Bool[Array, "2 height width"], Float[Array, ""]]:
    """A filled ellipse and an outlined, hatched one, wholly on the image; they may overlap, and each may be absent.

    Args:
        key: random key
        height: of the image [px]
        width: of the image [px]
        scale: how many times 100 dpi the drawing is, which widens the lines

    Returns:
        Ink in [0, 1]; the masks, the hatched one's with what is between its lines; and the width of those lines [px].
    """
    shape_key, line_key = jax.random.split(key)
    u, lines = dice(shape_key, 6, 2), dice(line_key, 4)
    side = min(height, width)
    axes = jnp.minimum(log_between(u[:2], LEAST_PX, MOST_PX), MOST * side)
    sides, reach = jnp.array([height, width]), jnp.max(axes, axis=0)[:, None]
    centres = between(u[2:4].T, reach, sides[None] - reach)
    beside = centres[0] + 2 * MOST_PX * (u[2:4, 1] - 0.5)
    centres = centres.at[1].set(jnp.where(lines[3] < NEIGHBOURS, beside, centres[1]))
    centres = jnp.clip(centres, reach, sides[None] - reach)
    distance = jax.vmap(signed_distance, in_axes=(1, 0, 0, None))(axes, jnp.pi * u[4], centres, (height, width))
    there = (u[5] >= ABSENT)[:, None, None]
    line = jnp.clip(log_between(lines[0], 1.0, 2.0) * scale, 1.0, LEAST_PX / 3)
    filled = jnp.clip(0.5 - distance, 0, 1)
    inked = jnp.stack([filled[0], filled[1] * hatching(distance[1], lines[1:3], line=line)])
    return inked * there, (distance <= 0) & there, line


def signed_distance(
    axes: Float[Array, " 2"], turn: Float[Array, ""], centre: Float[Array, " 2"], size: tuple[int, int]
) -> Float[Array, "height width"]:
    """About how far each pixel's centre lies outside an ellipse [px], to first order; negative inside.

    Args:
        axes: semi-axes [px], the first along the columns unless turned
        turn: [rad]
        centre: row and column [px]
        size: of the image [px]
    """
    y, x = (jnp.arange(side) + 0.5 - middle for side, middle in zip(size, centre, strict=True))
    y, x = y[:, None], x[None, :]
    along, across = jnp.cos(turn) * x + jnp.sin(turn) * y, jnp.cos(turn) * y - jnp.sin(turn) * x
    radius = jnp.hypot(along / axes[0], across / axes[1])
    slope = jnp.hypot(along / axes[0] ** 2, across / axes[1] ** 2) / jnp.maximum(radius, 1e-6)
    return (radius - 1) / jnp.maximum(slope, 1 / jnp.max(axes))


def hatching(
    distance: Float[Array, "height width"], u: Float[Array, " 2"], *, line: Float[Array, ""]
) -> Float[Array, "height width"]:
    """Ink of an outline and of parallel lines at an angle to it, 3 to 5 widths apart."""
    height, width = distance.shape
    angle, pitch = jnp.pi * u[0], line * between(u[1], 3.0, 5.0)
    rows, columns = jnp.arange(height)[:, None] + 0.5, jnp.arange(width)[None, :] + 0.5
    place = jnp.mod(jnp.cos(angle) * columns + jnp.sin(angle) * rows, pitch)
    ruled = line / 2 + 0.5 - jnp.abs(place - pitch / 2)
    outline = line + 0.5 + distance
    return jnp.clip(jnp.maximum(ruled, outline), 0, 1)


def rows_of(masks: Bool[Array, "2 height width"]) -> tuple[Float[Array, "2 height"], Bool[Array, "2 height"]]:
    """The middle of each mask in each row [px], and whether it has any there."""
    columns = jnp.arange(masks.shape[2]) + 0.5
    count = jnp.sum(masks, axis=2)
    return jnp.sum(masks * columns[None, None], axis=2) / jnp.maximum(count, 1), count > 0
