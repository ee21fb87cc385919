"""The examples in the docstrings of the metrics are true."""

import doctest
import importlib
import pkgutil

import pytest

import veerjax.metrics

MODULES = [module.name for module in pkgutil.iter_modules(veerjax.metrics.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_every_example_gives_what_it_says(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"veerjax.metrics.{name}")).failed == 0


def test_there_are_examples() -> None:
    modules = [importlib.import_module(f"veerjax.metrics.{name}") for name in MODULES]
    assert sum(len(found.examples) for module in modules for found in doctest.DocTestFinder().find(module)) >= 10
