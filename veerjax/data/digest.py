"""What follows from a name or a content alone, the same in every process and on every machine."""

import hashlib
from pathlib import Path


def file_digest(path: Path) -> str:
    """The sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def name_number(name: str, *, bits: int = 64) -> int:
    """A number that depends on a name alone.

    Args:
        name: of an example, say, whose look then stays when others come and go
        bits: of the number, a multiple of 8 up to 256
    """
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[: bits // 8], "big")
