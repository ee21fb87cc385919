"""What a process sets up before it computes: memory that is kept between steps, and compilations that are kept on disk.

Only the commands do this. A program that uses veerjax as a library decides for itself.
"""

import ctypes
import os
import sys

# glibc's numbers of mallopt's options (malloc.h), and what they are set to: one heap for all threads, which large
# buffers share, which is never given back to the system, and which grows by large pieces.
LARGEST = 2**31 - 1
HEAP = {"ARENA_MAX": (-8, 1), "MMAP_MAX": (-4, 0), "TRIM_THRESHOLD": (-1, LARGEST), "TOP_PAD": (-2, 2**26)}
PRIVATE = 0o700  # mode of a folder that its owner alone reads and writes
CACHED_FROM_S = "0.2"  # of compilation; what takes less is not worth a file


def prepare() -> None:
    """Both, before JAX is imported."""
    keep_memory()
    keep_compilations()


def keep_memory() -> None:
    """Lets the C library keep freed memory instead of giving it back to the system; does nothing without glibc.

    On a CPU, XLA allocates the buffers of each execution anew. Given back and fetched again, their pages are cleared by
    the kernel at every step: a fifth to a quarter of the time of a training step of the default net.
    """
    if not sys.platform.startswith("linux"):
        return
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        for option, value in HEAP.values():
            set_option(option, value)


def heap_environment() -> dict[str, str]:
    """The same as environment variables, for another program that is to be compared on equal terms."""
    ending = {"ARENA_MAX": ""}  # glibc writes the others with an underscore behind
    return {f"MALLOC_{name}{ending.get(name, '_')}": str(value) for name, (_, value) in HEAP.items()}


def keep_compilations() -> None:
    """Keeps what is compiled for the next process: in `JAX_COMPILATION_CACHE_DIR`, or the user's cache folder.

    What lies there is run, so nobody else may write it: nothing is kept where the folder cannot be had private.
    """
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        folder = os.path.join(base, "veerjax")
        if not is_private(folder):
            return
        os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", CACHED_FROM_S)


def is_private(folder: str) -> bool:
    """Makes the folder, if it is not there, this user's alone; False where that cannot be."""
    try:
        os.makedirs(folder, mode=PRIVATE, exist_ok=True)
        if os.stat(folder).st_uid != os.getuid():
            return False
        os.chmod(folder, PRIVATE)  # it may be older than this rule
    except OSError:
        return False
    return True
