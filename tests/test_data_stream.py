"""Built examples as endless shuffled batches, addressed by a step."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

from veerjax.data.example import Example
from veerjax.data.stream import built_batches
from veerjax.errors import InputError


@dataclass(frozen=True)
class Numbered:
    """Examples whose only grey level is their position."""

    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int, /) -> Example:
        rows = np.zeros((2, 16))
        return Example(
            key=str(index),
            image=np.full((16, 16), index, np.uint8),
            strokes=np.zeros((2, 16, 16), bool),
            label=np.zeros((16, 16), np.uint8),
            centreline=rows,
            presence=rows.astype(bool),
            metadata={},
        )


def seen(count: int, *, batches: int, **where: int) -> list[int]:
    stream = built_batches(Numbered(count), batch=2, **{"seed": 0, **where})
    return [round(float(grey) * 255) for _ in range(batches) for grey in np.asarray(next(stream).image[:, 0, 0, 0])]


def test_every_example_comes_once_an_epoch_and_epochs_differ() -> None:
    order = seen(6, batches=6)
    first, second = order[:6], order[6:]
    assert Counter(first) == Counter(second) == Counter(range(6))
    assert first != second


def test_a_stream_goes_on_from_its_step_and_a_seed_names_its_order() -> None:
    assert seen(6, batches=2, step=3) == seen(6, batches=5)[6:]
    assert seen(6, batches=3, seed=1) != seen(6, batches=3)


def test_nothing_to_read_is_refused() -> None:
    with pytest.raises(InputError, match="no example"):
        built_batches(Numbered(0), batch=2, seed=0)
    with pytest.raises(InputError, match="batch is 0"):
        built_batches(Numbered(2), batch=0, seed=0)
