"""Files that are there whole or not at all."""

import errno
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from veerjax.errors import InputError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def check_folder(folder: str | Path, name: str) -> None:
    """Refuses a folder that cannot be made, before work is done that it should hold.

    Args:
        folder: to make, with its parents
        name: what the user calls it, such as `--report`

    Raises:
        InputError: the folder or one of its parents is a file, or may not be written in.
    """
    folder = Path(folder)
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise InputError(f"{name} needs the folder {str(folder)!r}, but {str(there)!r} is a file; give another path.")
    if not os.access(there, os.W_OK):
        raise InputError(f"{name} needs the folder {str(folder)!r}, but {str(there)!r} may not be written in.")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, with its suffix, that replaces it when the block ends without an error.

    After an error nothing of the temporary file remains, and what stood at `path` before still does.

    Raises:
        InputError: the folder to write in is missing, `path` is itself a folder, or the disk is full or read-only.
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
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise InputError(f"{path} cannot be written ({error.strerror}); make room, or give another path.") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | Path, values: Any) -> None:
    """Writes plain values as JSON, whole or not at all; the folder is made. NaN is refused: write None."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n")
