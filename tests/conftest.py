"""Eight simulated devices, strict ranks, compilations that the whole run shares, and where the real data lies."""

import atexit
import os
import shutil
import sys
import tempfile

import jaxlib.version

os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_force_host_platform_device_count=8",
        # LLVM's costly passes make most of a test's time: without them the suite takes half as long.
        "--xla_backend_optimization_level=1",
        # jaxlib 0.10 compiles in two thirds of the time without its fusion emitters; 0.12 has no others, and ends
        # at a flag that it does not know.
        *(["--xla_cpu_use_fusion_emitters=false"] if jaxlib.version.__version_info__ < (0, 11) else []),
    ]
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")

# Most of the suite's time is compilation, so its modules, workers and commands share what they compile.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="veerjax-compiled-")
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
# The smallest programs too: there are thousands, and one is read in a quarter of the time that it is compiled in.
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import pytest

if TYPE_CHECKING:
    from host_processes import Hosts

jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="module", autouse=True)
def _programs_end_with_their_module() -> Iterator[None]:
    """XLA maps what it compiles into memory, and Linux allows a process 65,530 maps: too few for the whole suite."""
    yield
    jax.clear_caches()


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator["Hosts"]:
    """Starts commands as several processes whose files lie in the test's folder."""
    from host_processes import Hosts

    made = Hosts(tmp_path)
    yield made
    made.end()


@pytest.fixture(scope="module")
def tools_on_path() -> Iterator[None]:
    """Modules of tools/ can be imported."""
    folder = str(Path(__file__).resolve().parents[1] / "tools")
    sys.path.insert(0, folder)
    yield
    sys.path.remove(folder)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real logs; the test is skipped where it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("VEERJAX_REAL_DATA", beside))
    if not folder.is_dir():
        pytest.skip("no real logs here: set VEERJAX_REAL_DATA to their folder")
    return folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What this run found of each metric's largest difference from its oracle."""
    import oracles

    if oracles.COMPARISONS:
        terminalreporter.section("metrics against their oracles: largest absolute difference")
        for line in oracles.table():
            terminalreporter.write_line(line)
