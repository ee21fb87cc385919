"""What a dataset is made of: the seam between where logs come from and how they are built."""

from collections.abc import Sequence
from typing import Any, Protocol

from veerjax.data.example import Example

LAS, FOLDER, KGS = "las", "folder", "kgs"  # the configs made of real files
Chunk = Any  # a small picklable value that names a few examples


class ExampleSource(Protocol):
    """Examples by name: any engine makes the same ones, in any order, in any process. Implementations pickle."""

    def chunks(self) -> dict[str, Sequence[Chunk]]:
        """The chunks of each split that has any, in the order of the dataset.

        Raises:
            InputError: unusable input; nothing has been written by then.
        """
        ...

    def make(self, split: str, chunk: Chunk) -> list[Example]:
        """The examples of one chunk, a function of its arguments alone."""
        ...

    def as_metadata(self) -> dict[str, Any]:
        """Plain values that say all that the examples depend on; input files count by digest, wherever they lie."""
        ...
