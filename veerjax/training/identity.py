"""What a run's numbers depend on besides its config: its precision, its first weights, and the content of its data."""

import json
from pathlib import Path

from etils import epath

from veerjax.config import Config, require
from veerjax.errors import InputError
from veerjax.models.blocks import compute_dtype
from veerjax.synthesis.draw import RENDERER
from veerjax.training.kept import FOLDER, kept_steps
from veerjax.training.stepper import BUILT
from veerjax.training.whole import write_whole

IDENTITY_FILE = "identity.json"
NOTHING = "nothing"  # that a run was begun from
ADVICE = {
    "compute_dtype": "write --set model.dtype={was}",
    "init_from": "give --init-from as it began",
    "data": "give the data, or the edition of veerjax, that it began with",
}


def identity_of(config: Config, *, data_dir: Path | None = None, init_from: str | None = None) -> dict[str, str]:
    """All of it, as this machine, this data folder and this command have it."""
    identity = {"compute_dtype": str(compute_dtype(config.model.dtype)), "init_from": init_from or NOTHING}
    if config.data.setting.startswith(BUILT):
        from veerjax.data.built import content_digest

        return {**identity, "data": content_digest(config.data.setting, data_dir=Path(str(data_dir)))}
    return {**identity, "data": f"renderer {RENDERER}"}


def adopt_identity(workdir: epath.Path, identity: dict[str, str]) -> None:
    """Makes the work directory's identity this one, or checks that it already is.

    Raises:
        InputError: the run began otherwise, what it began as cannot be read, or the folder cannot be written in.
    """
    path = workdir / IDENTITY_FILE
    try:
        if not path.exists():
            require(
                not kept_steps(workdir / FOLDER),
                f"{str(workdir)!r} has checkpoints and no {IDENTITY_FILE}, so nobody can tell what they are of; put it "
                f"back, or give another --workdir, with --init-from {workdir}.",
            )
            return write_whole(path, (json.dumps(identity, indent=2) + "\n").encode())
        before = dict(json.loads(path.read_text()))
    except OSError as error:
        raise InputError(
            f"the work directory {str(workdir)!r} cannot be used ({error.strerror or error}); make room, or give "
            "another --workdir."
        ) from error
    except InputError:
        raise
    except (ValueError, TypeError) as error:
        raise InputError(f"{path} cannot be read; give another --workdir, with --init-from {workdir}.") from error
    for name, value in identity.items():
        was = before.get(name)
        require(
            was == value,
            f"the run in {str(workdir)!r} began with the {name} {was} and would now go on with {value}; "
            f"{ADVICE[name].format(was=was)}, or give another --workdir.",
        )
    return None
