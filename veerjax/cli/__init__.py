"""The command line: arguments to function calls. `--help` answers without importing JAX."""

import sys
from collections.abc import Sequence

from veerjax import runtime
from veerjax.cli.arguments import Parser
from veerjax.cli.benchmark import add_benchmark
from veerjax.cli.checkpoint import add_checkpoint
from veerjax.cli.compare import add_compare
from veerjax.cli.data import add_data
from veerjax.cli.demo import add_demo
from veerjax.cli.digitize import add_digitize
from veerjax.cli.env import add_env
from veerjax.cli.evaluate import add_evaluate
from veerjax.cli.train import add_train
from veerjax.errors import InputError, Interrupted, NumericalFault
from veerjax.version import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; 0 done, 1 some inputs failed, 2 wrong use or no input succeeded, 3 fault, 75 stopped."""
    arguments = parser().parse_args(argv)
    runtime.prepare()
    try:
        return arguments.run(arguments)
    except (InputError, NumericalFault, Interrupted) as error:
        print(f"veerjax: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("veerjax: interrupted.", file=sys.stderr)
        return 130


def parser() -> Parser:
    """All commands and their arguments."""
    top = Parser(prog="veerjax", description="Scanned well logs to depth-indexed numbers.")
    top.add_argument("--version", action="version", version=f"veerjax {__version__}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in (
        add_demo,
        add_train,
        add_evaluate,
        add_benchmark,
        add_digitize,
        add_compare,
        add_data,
        add_checkpoint,
        add_env,
    ):
        add(commands)
    return top
