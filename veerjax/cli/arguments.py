"""What the commands' arguments share."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

Command = Callable[[argparse.Namespace], int]
WEIGHTS_HELP = "release, or WORKDIR[@best|last|STEP]"
SET_HELP = (
    "change a key of the config, such as batch=16, model.features=[8,16], devices.rows=4 or memory=auto; repeatable"
)

READ_HELP = "change how the weights are read: model.crf.iterations=5 and the like, or model.mirror=true; repeatable"


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence instead of printing the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help.\n")


def command(commands: Any, name: str, run: Command, text: str) -> argparse.ArgumentParser:
    """A sub-command whose help line and description are `text`."""
    made = commands.add_parser(name, help=text, description=text)
    made.set_defaults(run=run)
    return made


def add_reading(made: argparse.ArgumentParser) -> None:
    """`--set`, for a command that reads with weights as they were trained."""
    made.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help=READ_HELP)


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def check_outputs(json_file: Path | None, page: Path | None) -> None:
    """Refuses places that cannot be written to, before anything is computed for them."""
    from veerjax.config import require
    from veerjax.logs.atomic import check_folder

    if json_file is not None:
        require(not json_file.is_dir(), f"--json {json_file} is a folder; give a file.")
        check_folder(json_file.parent, "--json")
    if page is not None:
        require(not page.is_file(), f"--report {page} is a file; give a folder.")
        check_folder(page / "logs", "--report")
