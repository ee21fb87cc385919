"""The arguments of a command that works with other processes, and what such a process does besides the command."""

import argparse
import os
import socket
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from veerjax.cli import parent
from veerjax.cli.arguments import positive
from veerjax.config import require
from veerjax.errors import InputError, Interrupted, NumericalFault

if TYPE_CHECKING:
    from veerjax.training.signals import StopRequest

CONNECT_S = 300
# What the user can do where another process is gone.
GO_ON = "The last saved step stands, and the same command for all processes goes on from there, on fewer devices too."
ANEW = "Give the same command for all processes again."


def add_hosts(made: argparse.ArgumentParser) -> None:
    """The arguments `--distributed` and those that go with it."""
    group = made.add_argument_group("several processes", "one on each host; see docs/hosts.md")
    group.add_argument(
        "--distributed",
        action="store_true",
        help="work with the other processes of a TPU pod, Slurm, Open MPI or Kubernetes, or of the coordinator given",
    )
    group.add_argument("--coordinator", metavar="HOST:PORT", help="of process 0, as all others reach it")
    group.add_argument("--num-processes", type=positive, metavar="N", help="in all")
    group.add_argument("--process-id", type=int, metavar="I", help="of this one, from 0")
    group.add_argument(
        "--connect-timeout",
        type=positive,
        default=CONNECT_S,
        metavar="S",
        help=f"seconds to wait for the others (default {CONNECT_S})",
    )


def check_hosts(arguments: argparse.Namespace) -> None:
    """Refuses arguments that do not go together.

    Raises:
        InputError: which, and what to write instead.
    """
    coordinator, count, process = arguments.coordinator, arguments.num_processes, arguments.process_id
    given = [value is not None for value in (coordinator, count, process)]
    require(
        arguments.distributed or not any(given),
        "--coordinator, --num-processes and --process-id are for --distributed; give it too, or leave them out.",
    )
    require(
        all(given) or not any(given),
        "--coordinator, --num-processes and --process-id go together; give all three, or none where the cluster tells.",
    )
    if all(given):
        host, _, port = coordinator.rpartition(":")
        require(
            bool(host) and port.isdecimal() and 0 < int(port) < 2**16,
            f"--coordinator is {coordinator!r}; write HOST:PORT of process 0, such as 10.0.0.1:8476.",
        )
        require(
            0 <= process < count,
            f"--process-id is {process}; of {count} processes (--num-processes) it is from 0 to {count - 1}.",
        )


def with_others(
    arguments: argparse.Namespace, run: "Callable[[StopRequest], int]", *, workdir: str | None = None
) -> int:
    """Runs a command as one of several processes.

    Args:
        arguments: those of `add_hosts`
        run: the command, once the others are found
        workdir: of a training, in which `run` looks for the signal that asks it to save there and stop; a signal to
            another command ends it

    Raises:
        InputError: the port of this process, which the others are to find, is in use.
    """
    if parent.is_child():
        _child(arguments, run, saves=workdir is not None)
    known = arguments.coordinator is not None
    if known and arguments.process_id == 0:
        check_free(arguments.coordinator)
    who = f"process {arguments.process_id} of {arguments.num_processes}" if known else "the process"
    return parent.supervised(
        who=f"{who} on {socket.gethostname()}",
        where=arguments.coordinator or "the cluster's coordinator",
        workdir=workdir,
        again=ANEW if workdir is None else GO_ON,
        timeout_s=arguments.connect_timeout,
    )


def check_free(coordinator: str) -> None:
    """Raises `InputError` if another program listens where the others are to find this process."""
    port = int(coordinator.rpartition(":")[2])
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    try:
        socket.create_server(("", port), family=family, dualstack_ipv6=family == socket.AF_INET6).close()
    except OSError as error:
        raise InputError(
            f"port {port} of this machine, where --coordinator {coordinator} lets the others find process 0, cannot be "
            f"listened at ({(error.strerror or str(error)).lower()}); give all processes another port."
        ) from error


def _child(arguments: argparse.Namespace, run: "Callable[[StopRequest], int]", *, saves: bool) -> NoReturn:
    """The work; ends the process, since a thread may be left in C++ that waits for who is gone."""
    parent.begin()
    from veerjax.training import hosts
    from veerjax.training.ending import Ending
    from veerjax.training.signals import StopRequest

    with StopRequest(again=GO_ON if saves else ANEW) as stop:
        ending = Ending(announce)

        def farewell(code: int, sentence: str) -> None:
            announce(code)
            ending.tell_and_wait(code, sentence)

        def work() -> int:
            stop.meanwhile, stop.farewell = "the others were looked for", lambda code, _: announce(code)
            numbers = (arguments.coordinator, arguments.num_processes, arguments.process_id)
            hosts.join(*numbers, timeout_s=arguments.connect_timeout)
            parent.say("joined")
            stop.farewell = farewell
            ending.listen()
            hosts.make_devices()
            stop.meanwhile = None if saves else "the work was under way"
            return run(stop)

        code, sentence = _outcome(work)
        if code != parent.LOST:
            if sentence:
                print(f"\nveerjax: {sentence}", file=sys.stderr)
                ending.tell(code, sentence)
            announce(code)
            ending.close()
            hosts.leave()
    sys.stdout.flush()
    os._exit(code)


def announce(code: int) -> None:
    """Tells the parent with which exit code this process ends, whatever the runtime makes of that."""
    parent.say(f"ends {code}")


def _outcome(work: Callable[[], int]) -> tuple[int, str]:
    """The exit code of some work, and a sentence where it failed."""
    from veerjax.training import hosts

    try:
        return work(), ""
    except (InputError, NumericalFault, Interrupted) as error:
        if hosts.lost(error):
            return parent.LOST, ""
        return error.exit_code, str(error)
    except Exception as error:
        if hosts.lost(error):
            # For the parent's log: what the runtime said to Python.
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            return parent.LOST, ""
        traceback.print_exc()
        return 1, f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
