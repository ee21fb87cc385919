"""Several processes that train as one: how they find each other, what they agree on, and how one ends them all.

They speak through the key-value store of `jax.distributed`, which is there before any device is and knows no deadlock
with what the devices compute. JAX gives it no public name; Orbax uses the same one.
"""

import itertools
import json
import os
import pickle
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import jax

from veerjax.config import require
from veerjax.errors import InputError, Interrupted, NumericalFault, PeerLost

T = TypeVar("T")
HEARTBEAT_S = 40  # without a sign of life from a process, after which it is dead: a busy machine may take some
LEAVE_S = 15  # that one waits for the others in the end
ANSWER_S = 900  # for what another process says: it may be reading a large checkpoint, or compiling
WORK_S = 7 * 24 * 3600  # for the end of another's work; where it is gone, the runtime notices within HEARTBEAT_S
PIECE = 2**20  # bytes of a message: gRPC takes 4 MiB
# What XLA, gloo and NCCL say in Python when another process is gone.
LOST = re.compile(r"Gloo|NCCL|UNAVAILABLE|heartbeat|coordination service|Connection (closed|reset)|Socket closed", re.I)
LAST = "veerjax/last"  # key of what a process says before it ends
_rounds = itertools.count()  # of what is said; the same in all processes


def join(coordinator: str | None, processes: int | None, process: int | None, *, timeout_s: int) -> None:
    """Finds the other processes; before anything is computed.

    Args:
        coordinator: `HOST:PORT` of process 0; None where the cluster tells (TPU pod, Slurm, Open MPI, Kubernetes)
        processes: in all, or None
        process: which of them this one is, or None
        timeout_s: that one waits for the others; the runtime may take twice as long, and then aborts the process

    Raises:
        InputError: there is no cluster to find here, others cannot be joined, or they were started as another number
            of processes.
    """
    # Its handler would take SIGTERM away from ours (`signals`), which saves and stops.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process,
            initialization_timeout=timeout_s,
            heartbeat_timeout_seconds=HEARTBEAT_S,
            shutdown_timeout_seconds=LEAVE_S,
        )
    except (ValueError, TypeError, KeyError, OSError, RuntimeError) as error:
        reason = _first_line(error)
        require(coordinator is None, f"the other processes cannot be joined at {coordinator} ({reason}).")
        require(
            "SLURM_JOB_ID" not in os.environ or "SLURM_STEP_NODELIST" in os.environ,
            "this is a Slurm job, but not a step of it; start veerjax by srun.",
        )
        raise InputError(
            f"no cluster can be made out here (TPU pod, Slurm, Open MPI or Kubernetes; {reason}); give --coordinator "
            "HOST:PORT --num-processes N --process-id I."
        ) from error
    _check_counts()


def make_devices() -> None:
    """Makes the devices, which all processes do together: one that needed none would keep the others waiting."""
    jax.devices()


def leave() -> None:
    """Waits, not for long, until all processes leave; the first one serves the others until then."""
    jax.distributed.shutdown()


def _client() -> Any:
    from jax._src import distributed

    return distributed.global_state.client


def _who() -> tuple[int, int]:
    """This process and how many there are, without making the devices."""
    from jax._src import distributed

    return distributed.global_state.process_id, distributed.global_state.num_processes


def alone() -> bool:
    """Whether there is no other process."""
    return _client() is None or _who()[1] == 1


def me() -> int:
    """The number of this process."""
    return _who()[0]


def is_first() -> bool:
    """Whether this process is the one that writes what is written once."""
    return me() == 0


def name_of(process: int, host: str) -> str:
    """A process, in words."""
    return f"process {process} on {host}"


def _check_counts() -> None:
    """Refuses processes that were told different numbers of processes: their devices would wait for ever."""
    mine, count = _who()
    _client().key_value_set(f"veerjax/count/{mine}", json.dumps([count, socket.gethostname()]))
    for other in range(count):
        theirs, host = json.loads(_heard(f"veerjax/count/{other}"))
        require(
            theirs == count,
            f"{name_of(other, host)} was started as one of {theirs} and {name_of(mine, socket.gethostname())} as one "
            f"of {count}; give all of them the same --num-processes.",
        )


def _heard(key: str, *, wait_s: int = ANSWER_S) -> str:
    """What a process has said, or will have said soon."""
    try:
        return _client().blocking_key_value_get(key, wait_s * 1000)
    except Exception as error:
        raise PeerLost(f"another process has said nothing for {wait_s} s ({_first_line(error)})") from error


def exchanged(value: T) -> list[T]:
    """What each process says at this point, in their order.

    Args:
        value: JSON

    Raises:
        PeerLost: one says nothing.
    """
    if alone():
        return [value]
    mine, count = _who()
    key = f"veerjax/said/{next(_rounds)}"
    _client().key_value_set(f"{key}/{mine}", json.dumps(value))
    return [json.loads(_heard(f"{key}/{other}")) for other in range(count)]


def from_first(say: Callable[[], T], *, wait_s: int = ANSWER_S) -> T:
    """What the first process says at this point; the others do not even ask themselves.

    Args:
        say: gives JSON
        wait_s: that the others wait

    Raises:
        PeerLost: it says nothing.
    """
    if alone():
        return say()
    key = f"veerjax/first/{next(_rounds)}"
    if is_first():
        value = say()
        _client().key_value_set(key, json.dumps(value))
        return value
    return json.loads(_heard(key, wait_s=wait_s))


def share(count: int, *, of: str) -> range:
    """Which of so many equal pieces of work this process does: every n-th where there are n processes.

    Args:
        count: pieces in all
        of: what they are, in words

    Raises:
        InputError: there are fewer than processes.
    """
    mine, processes = (0, 1) if alone() else _who()
    require(
        processes <= count,
        f"{processes} processes are too many for the number of {of}, {count}; start {count} at most.",
    )
    return range(mine, count, processes)


def collected(value: T) -> list[T]:
    """In the first process what each has found by its own work, in their order; in another one its own alone.

    Args:
        value: anything that can be pickled

    Raises:
        PeerLost: one says nothing.
    """
    if alone():
        return [value]
    mine, count = _who()
    key = f"veerjax/found/{next(_rounds)}"
    if not is_first():
        told = pickle.dumps(value)
        pieces = [told[start : start + PIECE] for start in range(0, len(told), PIECE)]
        for number, piece in enumerate(pieces):
            _client().key_value_set_bytes(f"{key}/{mine}/{number}", piece)
        _client().key_value_set(f"{key}/{mine}", str(len(pieces)))
        return [value]
    return [value, *(pickle.loads(_piecewise(f"{key}/{other}")) for other in range(1, count))]


def _piecewise(key: str) -> bytes:
    """A message whose number of pieces stands under `key`; they are taken from the store."""
    count = int(_heard(key, wait_s=WORK_S))
    found = b"".join(_client().blocking_key_value_get_bytes(f"{key}/{n}", ANSWER_S * 1000) for n in range(count))
    for number in range(count):
        _client().key_value_delete(f"{key}/{number}")
    return found


def agree(facts: Mapping[str, Any]) -> None:
    """Refuses to go on where any process has other facts than the first one.

    Args:
        facts: JSON by the name that the sentence gives

    Raises:
        InputError: in every process the same: the first fact that differs, and between whom.
    """
    said = exchanged({"host": socket.gethostname(), "facts": dict(facts)})
    first = said[0]
    for process, other in enumerate(said):
        names = [*first["facts"], *(name for name in other["facts"] if name not in first["facts"])]
        for name in names:
            here, there = first["facts"].get(name), other["facts"].get(name)
            if isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
                here, there = next(((a, b) for a, b in zip(here, there, strict=True) if a != b), (here, there))
            require(
                here == there,
                f"{name} is {here!r} for {name_of(0, first['host'])} and {there!r} for "
                f"{name_of(process, other['host'])}; start all processes with the same command, data and versions.",
            )


def check_devices(devices: Sequence[Any]) -> None:
    """Raises `InputError` unless each process has as many devices as any other."""
    counts = {process: 0 for process in range(jax.process_count())}
    for device in devices:
        counts[device.process_index] += 1
    process, fewest = min(counts.items(), key=lambda item: item[1])
    require(
        fewest == max(counts.values()),
        f"process {process} has {fewest} of the devices and another has {max(counts.values())}; start processes with "
        "equal numbers of devices.",
    )


def lost(error: BaseException | None) -> bool:
    """Whether an error, or what it was made of, means that another process is gone, and is not this one's own."""
    if error is None:
        return False
    if isinstance(error, PeerLost) or lost(error.__cause__):
        return True
    if isinstance(error, (InputError, NumericalFault, Interrupted)):
        return False  # whatever names its sentence holds
    return not alone() and isinstance(error, (ValueError, RuntimeError)) and bool(LOST.search(str(error)))


def last_words(text: str) -> None:
    """Leaves a text that the others find when they look for it; the first one that was left stands."""
    with suppress(Exception):  # such as: there is one, or nobody to take it
        _client().key_value_set(LAST, text)


def heard_last_words() -> str | None:
    """What another process, or this one, has left; None if nothing."""
    try:
        return _client().key_value_try_get(LAST)
    except Exception:  # there is none; of a store that is gone the runtime itself takes note
        return None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].strip().removesuffix(".")
