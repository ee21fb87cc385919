"""Scanned well logs to depth-indexed numbers.

import veerjax
reader = veerjax.load("release")
prediction = reader.predict(image)
tracks = reader.digitize(image, calibration)
"""

from typing import TYPE_CHECKING, Any

from veerjax.errors import InputError
from veerjax.version import __version__

if TYPE_CHECKING:
    from veerjax.jobs.reader import Reader, load

__all__ = ["InputError", "Reader", "__version__", "load"]


def __getattr__(name: str) -> Any:
    # Imported when asked for, so that `import veerjax` and `veerjax --help` do not wait for JAX.
    if name in ("Reader", "load"):
        from veerjax.jobs import reader

        return getattr(reader, name)
    raise AttributeError(f"module 'veerjax' has no attribute {name!r}")
