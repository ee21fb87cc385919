"""Commands as several real processes on this machine, each with simulated devices of its own."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from veerjax.config import Config, to_dict, with_overrides

WORKER = Path(__file__).parent / "hosts_worker.py"
LONG_S = 1800  # that a start may take here, where others compute too
TINY = with_overrides(
    Config(name="tiny"),
    [
        "steps=50",
        "batch=8",
        "data.height=32",
        "data.width=32",
        "data.setting=shifted",
        "model.features=[4,8]",
        "validation.examples=5",
        "validation.every=25",
        "optimiser.warmup_steps=2",
    ],
)


@dataclass
class Started:
    """Processes of one command, with what each has said in the end."""

    running: "list[subprocess.Popen[str]]"
    printed: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def end(self, seconds: float = LONG_S) -> list[int]:
        """Their exit codes."""
        try:
            for process in self.running:
                printed, said = process.communicate(timeout=seconds)
                self.printed.append(printed)
                self.said.append(said)
        finally:
            for process in self.running:
                process.kill()
        return [process.returncode for process in self.running]

    def sentences(self) -> list[list[str]]:
        """What each says as veerjax, without the bar."""
        return [re.findall(r"^veerjax: (.*)$", said, re.M) for said in self.said]


class Hosts:
    """Starts commands whose files lie below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.all: list[Started] = []

    def start(self, workdir: str, *changes: str, **how: Any) -> Started:
        """Processes that train the tiny config, changed, in a folder of this name."""
        config = self.folder / f"{workdir}.json"
        config.write_text(json.dumps(to_dict(with_overrides(TINY, changes))))
        return self.run(["train", "--config", str(config), "--workdir", str(self.folder / workdir)], **how)

    def run(
        self,
        arguments: list[str],
        *,
        processes: int = 2,
        devices: int = 4,
        port: int | None = None,
        flags: Callable[[int], list[str]] = lambda process: [],
        limit: Callable[[int], Callable[[], None] | None] = lambda process: None,
    ) -> Started:
        """So many processes of a command with so many devices each; `flags` and `limit` are those of one process."""
        command = [sys.executable, str(WORKER), *arguments]
        environment = {
            **os.environ,
            "PYTHONPATH": str(WORKER.parents[1]),
            "JAX_PLATFORMS": "cpu",
            # Tiny nets compile in less time than they would gain.
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0",
        }
        port = port or free_port()

        def one(process: int) -> "subprocess.Popen[str]":
            where = ["--coordinator", f"127.0.0.1:{port}", "--num-processes", str(processes)]
            others = ["--distributed", *where, "--process-id", str(process)] if processes > 1 else []
            return subprocess.Popen(
                [*command, *others, *flags(process)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                preexec_fn=limit(process),
            )

        self.all.append(Started([one(process) for process in range(processes)]))
        return self.all[-1]

    def trained(self, workdir: str, *changes: str, **how: Any) -> dict[int, float]:
        """The loss of each step that was done."""
        started = self.start(workdir, *changes, **how)
        codes = started.end()
        assert set(codes) == {0}, started.said
        return losses(self.folder / workdir)

    def end(self) -> None:
        """Ends what a failed test has left; children end with their parents."""
        for started in self.all:
            for process in started.running:
                process.kill()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def losses(workdir: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (workdir / "log.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if "loss" in line}
