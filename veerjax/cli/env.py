"""The command `veerjax env`."""

import argparse
from typing import Any

from veerjax.cli.arguments import command
from veerjax.version import __version__


def add_env(commands: Any) -> None:
    command(commands, "env", env, "Versions and devices.")


def env(arguments: argparse.Namespace) -> int:
    import importlib.metadata as metadata
    import platform

    import jax

    print(f"veerjax {__version__}, Python {platform.python_version()}")
    for name in (
        "jax",
        "jaxlib",
        "flax",
        "optax",
        "orbax-checkpoint",
        "tensorflow-datasets",
        "grain",
        "lasio",
    ):
        try:
            print(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            print(f"{name} is missing")
    print("devices: " + ", ".join(f"{device.device_kind} {device.id}" for device in jax.devices()))
    return 0
