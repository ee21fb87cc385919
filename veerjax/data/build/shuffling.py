"""Room for TFDS to sort a split in, on disk and without TensorFlow."""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from tensorflow_datasets.core import shuffle

MEMORY = 64 << 20  # [bytes] of a split held in memory


class Bucket:
    """The examples of one range of keys, in a file until they are sorted.

    TFDS's own needs TensorFlow, and keeps a thousand files open.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.count = 0

    def __len__(self) -> int:
        return self.count

    def add(self, key: int, data: bytes) -> None:
        """One more example."""
        with self.path.open("ab") as file:
            pickle.dump((key, data), file)
        self.count += 1

    def read_values(self) -> Iterator[tuple[int, bytes]]:
        """All examples, in the order in which they came."""
        if self.count:
            with self.path.open("rb") as file:
                for _ in range(self.count):
                    yield pickle.load(file)

    def del_file(self) -> None:
        """Forgets them."""
        self.path.unlink(missing_ok=True)


@contextmanager
def shuffled_on_disk() -> Iterator[None]:
    """While this lasts, TFDS sorts splits of more than `MEMORY` on disk; by itself it holds 1 GB, then fails."""
    with mock.patch.multiple(shuffle, _Bucket=Bucket, MAX_MEM_BUFFER_SIZE=MEMORY):
        yield
