"""How strong each artefact of one sample is, and the random numbers that decide the rest about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from veerjax.synthesis.noise import between, dice
from veerjax.synthesis.settings import ARTEFACTS, Setting

T = TypeVar("T")

NUMBERS = 260  # of each artefact


@dataclass(frozen=True, kw_only=True)
class Doses:
    """The artefacts of one sample; the others are not even computed."""

    strength: Mapping[str, Float[Array, ""]]  # in [0, 1]
    numbers: Mapping[str, Float[Array, " n"]]  # `NUMBERS` in [0, 1]

    def __contains__(self, name: str) -> bool:
        return name in self.strength

    def applied(self, name: str, artefact: Callable[..., T], subject: T, **more: Any) -> T:
        """`artefact(numbers, subject, strength, **more)`, or the subject itself where the setting has none of it."""
        return artefact(self.numbers[name], subject, self.strength[name], **more) if name in self else subject

    def of(self, name: str) -> tuple[Float[Array, " n"], Float[Array, ""] | float]:
        """The numbers and the strength of one artefact; strength 0 where the setting has none of it."""
        return self.numbers.get(name, jnp.full(NUMBERS, 0.5)), self.strength.get(name, 0.0)


def random_doses(key: PRNGKeyArray, setting: Setting) -> Doses:
    """The doses of a sample of a setting."""
    if not setting.artefacts:
        return Doses(strength={}, numbers={})
    u = dice(key, len(ARTEFACTS), NUMBERS + 2)
    strength, numbers = {}, {}
    for name, dose in setting.artefacts.items():
        here = u[ARTEFACTS.index(name)]
        strength[name] = jnp.where(here[0] < dose.chance, between(here[1], dose.least, dose.most), 0.0)
        numbers[name] = here[2:]
    return Doses(strength=strength, numbers=numbers)
