"""Files in a work directory, local or remote, that are there whole or not at all."""

from etils import epath


def write_whole(path: epath.Path, content: bytes) -> None:
    """Writes a file beside `path` and moves it there; after an error what stood at `path` still does.

    Raises:
        OSError: such as a full disk.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
