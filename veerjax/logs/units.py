"""Which units stand for each other, and by which factor."""

from veerjax.errors import InputError

FT_PER_M = 1 / 0.3048

# What a value in this unit is multiplied by to be in the unit of its scale.
UNIT_FACTORS = {
    "MM": 1 / 25.4,
    "CM": 1 / 2.54,
    "V": 1000.0,
    "KG/M3": 1e-3,
    "K/M3": 1e-3,
    "US/M": 0.3048,
    "USEC/M": 0.3048,
    "%": 0.01,
    "PU": 0.01,
    "LPU": 0.01,
    "PERCENT": 0.01,
}

# Units of one line convert; those without a factor in `UNIT_FACTORS` are the same unit under other names.
FAMILIES = (
    ("IN", "INCH", "INCHES", "INS", "MM", "CM"),
    ("MV", "MVOLT", "MVOLTS", "MILLIVOLT", "MILLIVOLTS", "V"),
    ("G/C3", "G/CC", "G/CM3", "GM/C3", "GM/CC", "GM/CM3", "GR/CC", "KG/M3", "K/M3"),
    ("US/F", "US/FT", "USEC/F", "USEC/FT", "MICS/FT", "US/M", "USEC/M"),
    ("V/V", "VOL/VOL", "M3/M3", "FT3/FT3", "CFCF", "DEC", "DECP", "FRAC", "FRACTION", "%", "PU", "LPU", "PERCENT"),
    ("OHMM", "OHM-M", "OHM.M", "OHM/M", "OHMS", "OHMSM", "OHM"),
    ("GAPI", "API", "APIU", "APIUNITS", "GAPIUNITS"),
    ("B/E", "BARN/E", "BARNS/E", "B/ELEC", "BARN", "BARNS"),
)


def factor_between(given: str, wanted: str) -> float:
    """What a value in one unit is multiplied by to be in another; 1 where either is not said.

    Raises:
        InputError: they do not convert.
    """
    given, wanted = ("".join(unit.upper().split()) for unit in (given, wanted))
    if not given or not wanted or given == wanted:
        return 1.0
    if not any(given in family and wanted in family for family in FAMILIES):
        raise InputError(f"{given} does not convert to {wanted}")
    return UNIT_FACTORS.get(given, 1.0) / UNIT_FACTORS.get(wanted, 1.0)
