"""Examples out of a source, encoded: chunk by chunk in this process, which draws one while it encodes another."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from veerjax.data.example import features_of
from veerjax.data.source import Chunk, ExampleSource
from veerjax.errors import InputError

T = TypeVar("T")
Encoded = tuple[str, dict[str, Any]]  # key and features, as TFDS takes them

LOCAL, BEAM = "local", "beam"
ENGINES = (LOCAL, BEAM)
ENCODERS = 2  # threads; zlib lets go of the interpreter


def encoded_chunk(chunk: Chunk, *, source: ExampleSource, split: str) -> list[Encoded]:
    """The examples of one chunk."""
    return [(example.key, features_of(example)) for example in source.make(split, chunk)]


def encoded_examples(source: ExampleSource, split: str, chunks: Sequence[Chunk]) -> Iterator[Encoded]:
    """The examples of all chunks, in order.

    Raises:
        InputError: a key comes twice.
    """
    with ThreadPoolExecutor(1) as drawing, ThreadPoolExecutor(ENCODERS) as encoding:
        drawn = (drawing.submit(source.make, split, chunk) for chunk in chunks)
        seen: set[str] = set()
        for future in one_ahead(drawn):
            examples = future.result()
            for example, features in zip(examples, encoding.map(features_of, examples), strict=True):
                check_new(example.key, seen)
                yield example.key, features


def one_ahead(items: Iterable[T]) -> Iterator[T]:
    """Each item once the next was asked for."""
    held: list[T] = []
    for item in items:
        held.append(item)
        if len(held) > 1:
            yield held.pop(0)
    yield from held


def check_new(key: str, seen: set[str]) -> None:
    """Adds a key to those seen; TFDS would report a repeated one as a missing TensorFlow.

    Raises:
        InputError: it is there already.
    """
    if key in seen:
        raise InputError(repeated(key))
    seen.add(key)


def repeated(key: str) -> str:
    """What to say of a key that comes twice."""
    return f"two examples are called {key!r}; rename one of the files it comes from."
