"""The names that LAS 2.0 knows, and what its header can hold."""

import re
from collections.abc import Mapping
from typing import Any

from veerjax.config import nearest, require

DEPTH_MNEMONICS = ("DEPT", "DEPTH", "DPTH", "DEP", "MD")
WELL_FIELDS = {
    "COMP": "COMPANY",
    "WELL": "WELL",
    "FLD": "FIELD",
    "LOC": "LOCATION",
    "PROV": "PROVINCE",
    "CNTY": "COUNTY",
    "STAT": "STATE",
    "CTRY": "COUNTRY",
    "SRVC": "SERVICE COMPANY",
    "DATE": "LOG DATE",
    "UWI": "UNIQUE WELL ID",
    "API": "API NUMBER",
}
PARAMETER_FIELDS = {
    "RUN": "RUN NUMBER",
    "PDAT": "PERMANENT DATUM",
    "LMF": "LOG MEASURED FROM",
    "DMF": "DRILLING MEASURED FROM",
    "EKB": "ELEVATION OF KELLY BUSHING",
    "EDF": "ELEVATION OF DERRICK FLOOR",
    "EGL": "ELEVATION OF GROUND LEVEL",
    "TDD": "TOTAL DEPTH DRILLER",
    "TDL": "TOTAL DEPTH LOGGER",
    "BS": "BIT SIZE",
    "CSGD": "CASING DEPTH",
    "DFT": "TYPE OF MUD",
    "DFD": "DENSITY OF MUD",
    "RM": "RESISTIVITY OF MUD",
    "RMF": "RESISTIVITY OF MUD FILTRATE",
    "RMC": "RESISTIVITY OF MUD CAKE",
    "BHT": "BOTTOM HOLE TEMPERATURE",
    "MATR": "MATRIX OF POROSITY",
}
HEADER_FIELDS = WELL_FIELDS | PARAMETER_FIELDS


def check_header(header: Mapping[str, Any]) -> None:
    """Refuses what ~W and ~P cannot hold.

    Raises:
        InputError: an unknown field, or a value that is not one line of ASCII text.
    """
    for name, value in header.items():
        require(
            name in HEADER_FIELDS,
            f"[well] has no field {name!r}{nearest(name, HEADER_FIELDS)}; it has {', '.join(HEADER_FIELDS)}.",
        )
        require(isinstance(value, str), f"the well field {name} is {value!r}; write it as text in quotes.")
        require(
            value.isascii() and value.isprintable(),
            f"the well field {name} is {value!r}; LAS holds one line of ASCII: write it without accents.",
        )


def check_curve_name(mnemonic: str, unit: str) -> None:
    """Refuses what ~C cannot hold.

    Raises:
        InputError: a mnemonic other than letters, digits, `_` and `-`, one of the index's names, or a unit
            with blanks, colons or non-ASCII letters.
    """
    require(
        re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", mnemonic) is not None,
        f"the mnemonic {mnemonic!r} is not a LAS name; write letters, digits, _ and - only, such as GR.",
    )
    require(
        mnemonic.upper() not in DEPTH_MNEMONICS,
        f"the mnemonic {mnemonic!r} is kept for the depth index; give the curve another name.",
    )
    require(
        re.fullmatch(r"[!-9;-~]*", unit) is not None,
        f"the unit {unit!r} of {mnemonic} cannot stand in LAS; write ASCII without blanks or colons.",
    )
