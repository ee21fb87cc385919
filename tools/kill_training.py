"""Kills a training again and again, and checks that nothing but the steps since its last save is ever lost.

`python tools/kill_training.py [--kills 50] [--seed 0] [--every 3]`

Each time: `veerjax train` is started on the same work directory and killed with SIGKILL at a random moment, while it
starts up, steps or saves. What must hold: the next start goes on from the newest checkpoint that was whole on disk when
the process died, and no more is lost than the steps since; no checkpoint reads as damaged; and in the end, the state
equals that of a run which nobody killed, bit for bit.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from etils import epath

from veerjax.config import Config, to_dict, with_overrides
from veerjax.training.checkpoint import checkpoint_folder, state_hashes
from veerjax.training.manifest import MANIFEST, defect

EARLY = 0.25  # share of the kills at any time after the start; the others come after a first save
LONGEST_S = 2.0  # that a kill waits
TINY = [
    "batch=8",
    "data.setting=shifted",
    "data.height=32",
    "data.width=32",
    "model.features=[8,8]",
    "validation.examples=8",
    "optimiser.warmup_steps=5",
]


@dataclass
class Tally:
    """What the kills came to."""

    kills: int = 0
    while_starting: int = 0
    lost: list[int] = field(default_factory=list)  # steps between the last in the log and the one gone on from
    wrong: list[str] = field(default_factory=list)


def newest_whole(workdir: Path) -> int:
    """The newest step whose files are all as its manifest says, 0 if there is none; read from the disk alone."""
    steps = [p for p in (workdir / "checkpoints").glob("*") if p.name.isdigit()]
    whole = [int(p.name) for p in steps if (p / MANIFEST).exists() and not defect(epath.Path(p))]
    return max(whole, default=0)


def newest_saved(workdir: Path) -> int:
    """The newest step on disk, 0 if there is none."""
    return max((int(p.name) for p in (workdir / "checkpoints").glob("*") if p.name.isdigit()), default=0)


def last_logged(workdir: Path) -> int:
    """The last step in the log, which is at or before the last one that was done."""
    file = workdir / "log.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return max((json.loads(line)["step"] for line in lines if line.endswith("}")), default=0)


def start(config: Path, workdir: Path) -> "subprocess.Popen[str]":
    arguments = [sys.executable, "-m", "veerjax", "train", "--config", str(config), "--workdir", str(workdir)]
    return subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def starts(workdir: Path) -> list[dict]:
    file = workdir / "run.json"
    return json.loads(file.read_text())["starts"] if file.exists() else []


def kill_once(config: Path, workdir: Path, chance: random.Random, tally: Tally, *, every: int) -> bool:
    """One start and one kill; False if the training had come to its end."""
    before, expected, logged = len(starts(workdir)), newest_whole(workdir), last_logged(workdir)
    process = start(config, workdir)
    if chance.random() > EARLY:
        while newest_saved(workdir) <= expected and process.poll() is None:
            time.sleep(0.02)
    time.sleep(chance.uniform(0, LONGEST_S))
    ended = process.poll() is not None
    process.send_signal(signal.SIGKILL)
    words = process.communicate()[1]
    tally.wrong += [line for line in words.replace("\r", "\n").splitlines() if line.startswith("veerjax:")]
    if ended and process.returncode not in (0, -signal.SIGKILL):
        tally.wrong.append(f"the training ended with {process.returncode}: {words[-300:]}")
    tally.kills += not ended
    began = starts(workdir)[before:]
    if not began:
        tally.while_starting += 1
        return not ended
    begun = began[0]["step"]
    tally.lost.append(max(logged - begun, 0))
    if begun != expected:
        tally.wrong.append(f"went on from step {begun}, and step {expected} was whole")
    if logged - begun > 2 * every:  # one save may have been under way
        tally.wrong.append(f"step {logged} was done, and it went on from step {begun}, with a save every {every} steps")
    return not ended


def run(folder: Path, *, kills: int, seed: int, every: int, steps: int) -> Tally:
    """All of it; the tally's `wrong` is empty if everything held."""
    config = folder / "config.json"
    changes = [*TINY, f"steps={steps}", f"validation.every={10 * every}", f"checkpoint.every={every}"]
    config.write_text(json.dumps(to_dict(with_overrides(Config(name="kill"), changes))))
    chance, tally, workdir = random.Random(seed), Tally(), folder / "killed"
    while tally.kills < kills and kill_once(config, workdir, chance, tally, every=every):
        print(
            f"kill {tally.kills}: step {newest_whole(workdir)} is whole; {tally.wrong[-1:] or 'all well'}", flush=True
        )
    if newest_whole(workdir) == 0:
        tally.wrong.append("nothing was ever saved")
    for name in ("killed", "whole"):
        process = start(config, folder / name)
        words = process.communicate()[1]
        if process.returncode != 0:
            tally.wrong.append(f"{name}: ended with {process.returncode}: {words[-300:]}")
    hashes = [state_hashes(checkpoint_folder(folder / name, "last")) for name in ("killed", "whole")]
    if hashes[0] != hashes[1]:
        tally.wrong.append("the state after the kills is not that of a run which nobody killed")
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=3, help="steps between saves")
    parser.add_argument("--steps", type=int, default=3000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="veerjax-kill-") as folder:
        tally = run(Path(folder), **vars(arguments))
    print(
        f"{tally.kills} kills, {tally.while_starting} of them before training had started; steps lost, by the log: "
        f"at most {max(tally.lost, default=0)}"
    )
    print("\n".join(tally.wrong) or "every restart went on from the newest whole step; the end is bit-equal")
    return 1 if tally.wrong or tally.kills < arguments.kills else 0


if __name__ == "__main__":
    raise SystemExit(main())
