"""What a saved step consists of, file by file: written with it, and compared with it before it is read."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from etils import epath

from veerjax.training.whole import write_whole
from veerjax.version import __version__

MANIFEST = "manifest.json"
# Orbax writes these two at the top of a step when it commits it, after the manifest.
COMMIT_FILES = ("commit_success.txt", "_CHECKPOINT_METADATA")
PIECE = 2**20  # [bytes] read at a time


def write_manifest(folder: epath.Path, *, leaves: int) -> None:
    """Notes every file of a step with its size and sha256, how many arrays they hold, and who wrote them when.

    Args:
        folder: of the step, all of whose files are there
        leaves: arrays that were saved
    """
    names = sorted(name for name in files_below(folder) if name not in (*COMMIT_FILES, MANIFEST))
    files = {name: {"sha256": sha256(folder / name), "size": size(folder / name)} for name in names}
    saved_at = datetime.now(UTC).isoformat(timespec="seconds")
    noted = {"schema": 1, "veerjax": __version__, "saved_at": saved_at, "leaves": leaves, "files": files}
    write_whole(folder / MANIFEST, (json.dumps(noted, indent=2) + "\n").encode())


def read_manifest(folder: epath.Path) -> dict[str, Any] | None:
    """What was noted of a step, or None if nothing was or it cannot be read."""
    try:
        found = json.loads((folder / MANIFEST).read_text())
        return found if isinstance(found["files"], dict) and found["files"] else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def defect(folder: epath.Path) -> str:
    """What of a step is not as it was saved, in a few words; nothing if all is."""
    if not any(folder.iterdir()):
        return "its folder is empty"
    if not (folder / MANIFEST).exists():
        return f"it has no {MANIFEST}"
    manifest = read_manifest(folder)
    if manifest is None:
        return f"its {MANIFEST} cannot be read"
    return next(filter(None, (_difference(folder, *item) for item in manifest["files"].items())), "")


def _difference(folder: epath.Path, name: str, noted: Any) -> str:
    path = folder / name
    if not path.exists():
        return f"{name} is missing"
    same = isinstance(noted, dict) and size(path) == noted.get("size") and sha256(path) == noted.get("sha256")
    return "" if same else f"{name} differs from its manifest"


def files_below(folder: epath.Path) -> Iterator[str]:
    """The names of all files in a folder and the folders in it, relative to it."""
    for path in folder.iterdir():
        if path.is_dir():
            yield from (f"{path.name}/{name}" for name in files_below(path))
        else:
            yield path.name


def size(path: epath.Path) -> int:
    """Of a file [bytes]."""
    return int(path.stat().length)


def sha256(path: epath.Path) -> str:
    """Of a file's content, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()
