"""A process's share of a stream of examples, as Grain reads it; imported where Grain is."""

from collections.abc import Sequence
from typing import Any

import grain


class AtPlaces(grain.MapDataset[Any]):
    """Of each run of `batch` elements, those at some places, one behind another.

    Unlike slices and `batch`, it reads nothing that it does not give.
    """

    def __init__(self, parent: "grain.MapDataset[Any]", *, batch: int, places: Sequence[int]) -> None:
        super().__init__(parent)
        self._batch, self._places = batch, tuple(places)

    def __len__(self) -> int:
        return len(self._parent) // self._batch * len(self._places)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.slice(index)
        run, place = divmod(index, len(self._places))
        return self._parent[run * self._batch + self._places[place]]
