"""Which split a well belongs to: all its windows, pairs and scans to one."""

import hashlib
import itertools
from collections.abc import Iterable

TEST_SHARE = 0.2  # of the wells; validation takes as many


def split_of_wells(wells: Iterable[str]) -> dict[str, str]:
    """The split of each well.

    Names are taken in the order of their hashes, so that no split gathers one field. Two wells give a test
    well, three a validation well too.
    """
    key = {name: well_key(name) for name in wells}
    ordered = sorted(set(key.values()), key=lambda name: hashlib.sha256(name.encode()).digest())
    share = max(1, round(TEST_SHARE * len(ordered)))
    tests = share if len(ordered) >= 2 else 0
    validations = share if len(ordered) >= 3 else 0
    names = itertools.chain(["test"] * tests, ["validation"] * validations, itertools.repeat("train"))
    split = dict(zip(ordered, names, strict=False))
    return {name: split[key[name]] for name in key}


def well_key(name: str) -> str:
    """A well's name without regard to case and blanks: names with one key are of one well."""
    return " ".join(name.upper().split())
