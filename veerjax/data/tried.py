"""Inputs of which some may be unusable: those are named, and the others used."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from veerjax.errors import InputError

T = TypeVar("T")
R = TypeVar("R")


def tried(items: Iterable[T], use: Callable[[T], R], *, keep_going: bool) -> tuple[list[R], tuple[str, ...]]:
    """What becomes of each item, and a sentence for each that was refused.

    Raises:
        InputError: an item is refused, unless `keep_going`.
    """
    results, refused = [], []
    for item in items:
        try:
            results.append(use(item))
        except InputError as error:
            if not keep_going:
                raise
            refused.append(str(error))
    return results, tuple(refused)
