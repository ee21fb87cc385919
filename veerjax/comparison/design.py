"""The logs that every arm is judged on, as a table: each row names all that its picture depends on."""

import functools
import zlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from veerjax.comparison.presets import CLOSER_LOOK, Preset
from veerjax.data.logset import LogSet, Positions
from veerjax.synthesis.draw import sample_key
from veerjax.synthesis.pairs import MEETINGS, STYLES, Look, draw_pair
from veerjax.types import Batch


@dataclass(frozen=True, kw_only=True, order=True)
class Log:
    """A log of the comparison; those that differ in their separation alone are of one curve."""

    meeting: str  # of `pairs.MEETINGS`
    separation: float  # of shifted curves, 0 of others
    angle: float  # [degrees] of others, 0 of shifted ones
    stroke_px: float
    style: str  # of `pairs.STYLES`
    shape: str
    number: int

    @property
    def name(self) -> str:
        how = f"s{self.separation:g}" if self.meeting == "shifted" else f"a{self.angle:g}"
        return f"{self.meeting}/{how}/w{self.stroke_px:g}/{self.style}/{self.shape}/{self.number}"


def design(preset: Preset) -> tuple[Log, ...]:
    """The test logs of a preset, crossings and touches in equal number."""
    logs = []
    for stroke_px in preset.strokes_px:
        for style in STYLES:
            for shape in preset.shapes:
                cell = {"stroke_px": stroke_px, "style": style, "shape": shape}
                for separation in preset.separations:
                    count = preset.closer_logs if separation in CLOSER_LOOK else preset.logs
                    logs += [
                        Log(meeting="shifted", separation=separation, angle=0.0, number=number, **cell)
                        for number in range(count)
                    ]
                logs += [
                    Log(meeting=meeting, separation=0.0, angle=angle, number=number, **cell)
                    for meeting in MEETINGS[1:]
                    for angle in preset.angles
                    for number in range(preset.meeting_logs)
                ]
    return tuple(logs)


def tuning_design(preset: Preset) -> tuple[Log, ...]:
    """As many logs of every kind as the preset tunes on, spread over its test logs' kinds."""
    logs = design(preset)
    return tuple(logs[i] for i in np.linspace(0, len(logs) - 1, preset.tuning_logs).astype(int))


def shifted_at(logs: Sequence[Log], *separations: float) -> Bool[np.ndarray, " logs"]:
    """Which are shifted copies at one of these separations; at any, where none is named."""
    return np.array([log.meeting == "shifted" and (not separations or log.separation in separations) for log in logs])


def meeting(logs: Sequence[Log]) -> Bool[np.ndarray, " logs"]:
    """Which show curves that cross, or touch and part."""
    return np.array([log.meeting != "shifted" for log in logs])


def styled(logs: Sequence[Log], style: str) -> Bool[np.ndarray, " logs"]:
    """Which are drawn in a style."""
    return np.array([log.style == style for log in logs])


def log_set(logs: Sequence[Log], preset: Preset, *, split: str = "test") -> LogSet:
    """Logs of a design as logs that are drawn when they are read."""

    def read(positions: Positions) -> tuple[Batch, list[str], list[str | None]]:
        some = [logs[position] for position in positions]
        numbers = jnp.asarray([curve_number(log) for log in some])
        batch = _drawn(numbers, look_of(some), split=split, height=preset.height, width=preset.width)
        return batch, [log.name for log in some], [None] * len(some)

    return LogSet(data="comparison", split=split, sizes=[(preset.height, preset.width)] * len(logs), read=read)


def curve_number(log: Log) -> int:
    """Of its key in the split; logs that differ in separation, or in crossing for touching, share it."""
    angle, stroke_px, style, shape, number = astuple(log)[2:]
    return zlib.crc32(f"{angle:g} {stroke_px:g} {style} {shape} {number}".encode()) >> 1


def look_of(logs: Sequence[Log]) -> Look:
    """The looks of logs, along one axis."""
    return Look(
        meeting=jnp.asarray([MEETINGS.index(log.meeting) for log in logs]),
        separation=jnp.asarray([log.separation for log in logs], jnp.float32),
        angle=jnp.asarray([log.angle for log in logs], jnp.float32),
        stroke_px=jnp.asarray([log.stroke_px for log in logs], jnp.float32),
        style=jnp.asarray([STYLES.index(log.style) for log in logs]),
        spiky=jnp.asarray([log.shape == "spiky" for log in logs]),
    )


@functools.partial(jax.jit, static_argnames=("split", "height", "width"))
def _drawn(numbers: Array, looks: Look, *, split: str, height: int, width: int) -> Batch:
    def one(number: Array, look: Look) -> Batch:
        return draw_pair(sample_key(0, split, number), look, height=height, width=width)

    return jax.vmap(one)(numbers, looks)
