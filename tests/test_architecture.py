"""Imports go down the house, never up; heavy libraries stay in the rooms that need them."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "veerjax"
ROOMS = [
    {"errors", "version", "types", "labels", "config", "checks", "model_config", "polyline", "runtime"},
    {"logs"},
    {"synthesis"},
    {"losses", "metrics", "tracing"},
    {"models"},
    {"data"},
    {"training"},
    {"performance"},
    {"report"},
    {"jobs"},
    {"comparison"},
    {"cli", "__main__", "__init__"},
]
RANK = {name: rank for rank, names in enumerate(ROOMS) for name in names}
ONLY = {
    "flax": "models",
    "matplotlib": "report",
    "orbax": "training",
    "lasio": "logs",
    "tensorflow_datasets": "data",
}
BANNED = {"tensorflow", "torch"}
FILES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down_the_house(path: Path) -> None:
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "veerjax" and len(parts) > 1:
            target = parts[1] if parts[1] in RANK else "__init__"
            assert RANK[target] <= RANK[room(path)], f"{path.name} imports {name}, which is above it"
        assert parts[0] not in BANNED, f"{path.name} imports {name}"
        owner = ONLY.get(parts[0])
        assert owner in (None, room(path)), f"{path.name} imports {name}, which belongs to {owner}"


def test_every_room_has_its_rank() -> None:
    unknown = {room(path) for path in FILES} - RANK.keys()
    assert not unknown, f"say in this test where {unknown} stand"


def test_no_module_is_a_drawer_for_everything() -> None:
    assert not [path for path in FILES if path.stem in ("utils", "helpers", "common", "misc")]
    long = {path.name: n for path in FILES if (n := len(path.read_text().splitlines())) > 350}
    assert not long, f"cut these into one noun each: {long}"


def test_config_knows_no_jax() -> None:
    assert not {name for name in imported(PACKAGE / "config.py") if name.split(".")[0] in ("jax", "numpy", "flax")}
