"""The tables of docs/tpu.md: `python tools/aot_table.py [--keep DIR]`.

Compiles the training step of the default and the large config for 1 to 256 TPU chips that are not there, each chip with
the same number of examples, and writes what the compiler says between the page's markers. Needs the extra `tpu`; a
compilation takes minutes. What was compiled is kept in DIR as JSON, and is not compiled again.
"""

import argparse
import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # no TPU is looked for

from veerjax.config import Config, load_config_file
from veerjax.errors import InputError
from veerjax.jobs.aot import Report, run_aot
from veerjax.logs.atomic import replacing, write_json
from veerjax.performance.aot import topology_of
from veerjax.performance.chips import parsed, size
from veerjax.report.aot_table import markdown_table

ROOT = Path(__file__).resolve().parents[1]
PER_CHIP = {"configs/unet.py": 8, "configs/unet_large.py": 4}  # examples
TOPOLOGIES = (
    "v5e:1x1",
    "v5e:2x2",
    "v5e:2x4",
    "v5e:4x4",
    "v5e:8x8",
    "v5e:16x16",
    "v5p:4x4x4",
    "v6e:4x4",
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One table."""

    config: Config
    per_chip: int
    topologies: list[str]

    def reports(self, keep: Path | None) -> list[Report]:
        """One of each topology, from the disk where it lies there."""
        return [
            self.report(name, keep and keep / f"{self.config.name}-{name.replace(':', '-')}.json")
            for name in self.topologies
        ]

    def report(self, name: str, kept: Path | None) -> Report:
        batch = self.per_chip * size(parsed(name)[1])
        if kept is not None and kept.exists():
            report = json.loads(kept.read_text())
            if report["batch"] == batch:
                return report
        topology = topology_of(name, rows=self.config.devices.rows)
        report = run_aot(
            replace(self.config, batch=batch), topology, progress=lambda text: print(text, file=sys.stderr)
        )
        if kept is not None:
            write_json(kept, report)
        return report


def written(page: str, name: str, table: str) -> str:
    """The page with a config's table between its markers.

    Raises:
        InputError: the markers are not there.
    """
    begin, end = f"<!-- aot {name}: begin -->", f"<!-- aot {name}: end -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise InputError(f"the page has no lines {begin} and {end}; put them where the table belongs.")
    return f"{before}{begin}\n{table}\n{end}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--config", type=Path, help="of one table; by default those of both")
    parser.add_argument("--per-chip", type=int, help="examples of a chip, with --config")
    parser.add_argument("--topology", action="append", help="such as v5e:2x4, several times; 1 to 256 chips by default")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "tpu.md")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where what was compiled is kept")
    arguments = parser.parse_args()
    configs = {ROOT / path: count for path, count in PER_CHIP.items()}
    if arguments.config:
        configs = {arguments.config: arguments.per_chip or PER_CHIP["configs/unet.py"]}
    try:
        for path, per_chip in configs.items():
            asked = Asked(
                config=load_config_file(path), per_chip=per_chip, topologies=arguments.topology or [*TOPOLOGIES]
            )
            table = markdown_table(asked.reports(arguments.keep))
            with replacing(arguments.page) as new:
                new.write_text(written(arguments.page.read_text(), asked.config.name, table))
    except InputError as error:
        print(f"aot_table: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
