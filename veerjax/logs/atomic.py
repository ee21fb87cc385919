"""Files that are there whole or not at all."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from veerjax.errors import InputError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, with its suffix, that replaces it when the block ends without an error.

    After an error nothing of the temporary file remains, and what stood at `path` before still does.

    Raises:
        InputError: the folder to write in is missing, or `path` is itself a folder.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {str(path.parent)!r}; create it first.")
    if path.is_dir():
        raise InputError(f"{path} cannot be written: it is a folder; give the name of a file.")
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:12]}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
