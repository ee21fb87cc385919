"""What the processes of one training must have in common before the first step."""

import hashlib
import time
from collections.abc import Mapping
from typing import Any

import jax
from etils import epath

from veerjax.config import Config, require, to_dict
from veerjax.models.model import Variables
from veerjax.training import hosts
from veerjax.training.identity import IDENTITY_FILE
from veerjax.training.kept import FOLDER, kept_steps
from veerjax.training.stored import digest
from veerjax.training.workdir import CONFIG_FILE
from veerjax.version import __version__

LATE_S = 75  # NFS may go on for a minute to say that a file is not there
SEEN = ("training.lock", CONFIG_FILE, IDENTITY_FILE)  # files of a work directory by which two are told apart


def facts_of(
    config: Config, identity: Mapping[str, str], workdir: epath.Path, *, warm: Variables | None
) -> dict[str, Any]:
    """All of it, by the name that a sentence gives it.

    Args:
        config: of the run
        identity: what it depends on besides
        workdir: of the run
        warm: weights that it starts from
    """
    return {
        **flat(to_dict(config)),
        **identity,
        "the content of the first weights": None if warm is None else digest(warm),
        "the work directory": str(workdir),
        "the newest step in the work directory": max(kept_steps(workdir / FOLDER), default=None),
    }


def check_config(config: Config) -> None:
    """Refuses processes of other configs or editions, before any of them compiles what only all can compile.

    Raises:
        InputError: in every process the same.
    """
    if not hosts.alone():
        editions = {"the edition of veerjax": __version__, "the edition of jax": jax.__version__}
        hosts.agree(editions | flat(to_dict(config)))


def flat(values: Mapping[str, Any], *, prefix: str = "") -> dict[str, Any]:
    """The keys of a config with those of its groups, such as `data.height`."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        inside = isinstance(value, Mapping)
        found |= flat(value, prefix=f"{prefix}{name}.") if inside else {f"{prefix}{name}": value}
    return found


def check_shared(workdir: epath.Path) -> None:
    """Refuses a work directory that is another folder for another process, as on the disk of its own machine.

    Raises:
        InputError: in every process the same.
    """
    if hosts.alone():
        return
    expected = hosts.from_first(lambda: token(workdir))
    seen, deadline = token(workdir), time.monotonic() + LATE_S
    while seen != expected and time.monotonic() < deadline:
        time.sleep(1)
        seen = token(workdir)
    blind = [process for process, same in enumerate(hosts.exchanged(seen == expected)) if not same]
    require(
        not blind,
        f"process {blind and blind[0]} does not see in {str(workdir)!r} what process 0 has written there; give a "
        "--workdir on a file system that all processes share.",
    )


def token(workdir: epath.Path) -> str:
    """What the work directory's first files hold, in short."""
    found = hashlib.sha256()
    for path in (workdir / name for name in SEEN):
        found.update(path.read_bytes() if path.exists() else b"")
    return found.hexdigest()
