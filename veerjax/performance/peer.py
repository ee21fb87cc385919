"""Another framework's version of the same work, in a process of its own, obeying one command at a time.

The peer's script is not part of the package: it lies in tools/ of a checkout and imports its framework and NumPy alone,
so that it runs under an interpreter that has no JAX.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from veerjax import runtime
from veerjax.config import Config, require
from veerjax.errors import InputError
from veerjax.performance.timing import Timing
from veerjax.types import Batch

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "torch_peer.py"
PEERS = {"torch": "unet", "smp": "smp"}  # what `--against` takes, and the model that the script builds
MODULES = {"torch": "torch", "smp": "segmentation_models_pytorch"}  # what its interpreter must have
PEER_LOSSES = ("cross_entropy", "dice")  # terms that the script has
SAID = "said.txt"
PARITY = 1e-4  # largest difference of the two forward passes' logits that is called equal


@dataclass(frozen=True)
class Peer:
    """A running peer process."""

    folder: Path
    process: subprocess.Popen[str]
    about: dict[str, Any]  # its versions, device and number of parameters

    def ask(self, what: str, **more: int) -> dict[str, Any]:
        """The answer to one command.

        Raises:
            InputError: the peer could not do it, or has died.
        """
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({"do": what, **more}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # its last words say more
        return _answer(self.process, self.folder)

    def timed(self, what: str, *, warmup: int, steps: int) -> Timing:
        """Seconds of each step of `train`, `predict` or `train_built`."""
        return Timing(seconds=tuple(self.ask(what, warmup=warmup, steps=steps)["seconds"]))

    def logits(self) -> np.ndarray:
        """Its float32 logits for the fixed batch, `[batch, height, width, classes]`."""
        self.ask("logits")
        return np.load(self.folder / "logits.npy")


def check_interpreter(name: str, python: str) -> None:
    """Refuses an interpreter that could not run a peer, before anything is computed for it.

    Raises:
        InputError: no checkout, no such interpreter, or no torch in it.
    """
    require(SCRIPT.is_file(), f"--against needs the peer's script {SCRIPT.name}; run it in a checkout of veerjax.")
    module = MODULES[name]
    try:
        found = subprocess.run([python, "-c", f"import {module}"], capture_output=True, text=True, check=False)
    except OSError as error:
        raise InputError(f"--peer-python {python!r} does not start ({error.strerror}); give a Python.") from error
    said = found.stderr.strip().splitlines() or [""]
    require(
        found.returncode == 0,
        f"--against {name} needs {module}, and {python} cannot import it ({said[-1]}); install it there, or give "
        "another interpreter by --peer-python.",
    )


@contextmanager
def running_peer(
    name: str,
    python: str,
    config: Config,
    *,
    batch: Batch,
    variables: dict[str, Any],
    arrays: dict[str, np.ndarray] | None = None,
    compiled: bool | None = None,
    kept_heap: bool = True,
) -> Iterator[Peer]:
    """Starts a peer with the same weights and batch; it is gone when the block ends.

    Args:
        name: of `PEERS`
        python: its interpreter
        config: of our side
        batch: the fixed batch
        variables: parameters and running statistics of our side
        arrays: more for its folder, by file name without ending: images, labels, validation_images
        compiled: whether it uses its compiler; on a GPU only if None
        kept_heap: whether it keeps freed memory as our commands do (`runtime.keep_memory`)

    Raises:
        InputError: it could not start.
    """
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "spec.json").write_text(json.dumps(specification(name, config, compiled=compiled)))
        np.savez(folder / "batch.npz", image=np.asarray(batch.image), label=np.asarray(batch.label))
        np.savez(folder / "variables.npz", allow_pickle=False, **flat_variables(variables))
        for stem, array in (arrays or {}).items():
            np.save(folder / f"{stem}.npy", array)
        process = _started(python, folder, kept_heap=kept_heap)
        try:
            said = _answer(process, folder)
            spec = json.loads((folder / "spec.json").read_text())
            yield Peer(
                folder, process, said | {"compiled": spec["compile"], "dtype": spec["dtype"], "kept_heap": kept_heap}
            )
        finally:
            process.kill()
            process.wait()


def _started(python: str, folder: Path, *, kept_heap: bool) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    # What it says on the side goes to a file: nobody would empty a pipe.
    with (folder / SAID).open("w") as said:
        command = [python, str(SCRIPT), str(folder)]
        environment = os.environ | (runtime.heap_environment() if kept_heap else {})
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=said, text=True, env=environment)


def _answer(process: subprocess.Popen[str], folder: Path) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        last = (folder / SAID).read_text().strip().splitlines() or ["it said nothing"]
        raise InputError(f"the peer ended: {last[-1]}")
    answer = json.loads(line)
    require("error" not in answer, f"the peer cannot do this: {answer.get('error')}")
    return answer


def specification(name: str, config: Config, *, compiled: bool | None = None) -> dict[str, Any]:
    """What the peer builds: the same net, batch, optimiser and loss; on a GPU compiled, in bfloat16."""
    cpu = jax.default_backend() == "cpu"
    own = config.model.dtype
    return {
        "model": PEERS[name],
        "features": list(config.model.features),
        "stem": config.model.stem,
        "norm": config.model.norm,
        "batch": config.batch,
        "height": config.data.height,
        "width": config.data.width,
        "optimiser": asdict(config.optimiser),
        "loss": asdict(config.loss),
        "steps": config.steps,
        "device": "cpu" if cpu else "cuda",
        "dtype": own if own != "auto" else "float32" if cpu else "bfloat16",
        "compile": not cpu if compiled is None else compiled,
        "threads": None,
        "seed": config.seed,
    }


def flat_variables(variables: dict[str, Any]) -> dict[str, np.ndarray]:
    """Leaves by their path, such as `params/Block_0/Conv_0/kernel`."""
    leaves = jax.tree_util.tree_leaves_with_path(variables)
    return {"/".join(str(key.key) for key in path): np.asarray(leaf) for path, leaf in leaves}


def check_parity(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference of the logits.

    Raises:
        InputError: over `PARITY`, so that a time of another function is never compared.
    """
    difference = float(np.abs(ours - theirs).max())
    require(
        difference <= PARITY,
        f"the peer's logits differ by {difference:.2g} (at most {PARITY:g}), so it is another function; "
        "compare at float32 and with the peer's script of this version.",
    )
    return difference
