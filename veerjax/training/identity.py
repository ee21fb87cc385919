"""What a run's numbers depend on besides its config: the precision it computes in, and the content of its dataset."""

import json
from pathlib import Path

from etils import epath

from veerjax.config import Config, require
from veerjax.models.unet import compute_dtype
from veerjax.training.stepper import BUILT
from veerjax.training.whole import write_whole

IDENTITY_FILE = "identity.json"
WORDS = {"compute_dtype": "computes in", "data": "reads the dataset of digest"}


def identity_of(config: Config, *, data_dir: Path | None = None) -> dict[str, str]:
    """Both, as this machine and this data folder have them."""
    identity = {"compute_dtype": str(compute_dtype(config.model.dtype))}
    if config.data.setting.startswith(BUILT):
        from veerjax.data.built import content_digest

        identity["data"] = content_digest(config.data.setting, data_dir=Path(str(data_dir)))
    return identity


def adopt_identity(workdir: epath.Path, identity: dict[str, str]) -> None:
    """Makes the work directory's identity this one, or checks that it already is.

    Raises:
        InputError: the run began in another precision or on other data; both are named.
    """
    path = workdir / IDENTITY_FILE
    if not path.exists():
        write_whole(path, (json.dumps(identity, indent=2) + "\n").encode())
        return
    before = json.loads(path.read_text())
    for name, value in identity.items():
        was = before.get(name)
        advice = f"write --set model.dtype={was}" if name == "compute_dtype" else "give the --data-dir it began with"
        require(
            was == value,
            f"the run in {str(workdir)!r} {WORDS[name]} {was} and would now go on with {value}; {advice}, or another "
            "--workdir.",
        )
