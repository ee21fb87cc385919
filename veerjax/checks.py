"""What a value must be, said in one sentence where it is not."""

import difflib
import typing

from veerjax.errors import InputError


def require(condition: bool, sentence: str) -> None:
    """Raises `InputError(sentence)` unless the condition holds."""
    if not condition:
        raise InputError(sentence)


def choice(key: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raises `InputError` naming the nearest allowed value unless `value` is one of them."""
    if value not in allowed:
        raise InputError(f"{key} is {value!r}; write one of {', '.join(allowed)}{nearest(value, allowed)}.")


def nearest(name: str, allowed: typing.Iterable[str]) -> str:
    """` (did you mean X?)` for the closest allowed name, or nothing."""
    close = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.4)
    return f" (did you mean {close[0]!r}?)" if close else ""
