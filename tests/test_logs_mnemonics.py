"""Impossible units and values of common curves are remarked on; what nobody knows is left alone."""

import numpy as np
import pytest

from veerjax.logs.mnemonics import QUANTITIES, quantity_of, scale_remarks, value_remarks
from veerjax.logs.scales import CurveScale


def curve(mnemonic, unit, left, right, **how):
    return CurveScale(curve_class=1, mnemonic=mnemonic, unit=unit, left=left, right=right, **how)


USUAL = [
    ("GR", "GAPI", 0, 150),
    ("gr", "API", 0, 200),
    ("CALI", "IN", 6, 16),
    ("CALI", "MM", 125, 375),
    ("SP", "MV", -160, 40),
    ("RHOB", "G/CC", 1.95, 2.95),
    ("RHOB", "KG/M3", 1950, 2950),
    ("NPHI", "V/V", 0.45, -0.15),
    ("NPHI", "PU", 45, -15),
    ("DT", "US/F", 140, 40),
    ("DT", "US/M", 500, 100),
    ("PEF", "B/E", 0, 10),
    ("ILD", "ohm.m", 0.2, 2000),
    ("GR", "", 0, 150),
    ("XYZ", "FURLONG", -1e9, 1e9),
]


@pytest.mark.parametrize(("mnemonic", "unit", "left", "right"), USUAL)
def test_usual_scales_are_not_remarked_on(mnemonic, unit, left, right):
    assert scale_remarks([curve(mnemonic, unit, left, right)]) == []


@pytest.mark.parametrize(
    ("mnemonic", "unit", "left", "right", "remark"),
    [
        ("GR", "OHMM", 0, 150, "GR is declared in OHMM, and gamma ray is measured in GAPI"),
        ("ILD", "GAPI", 0.2, 2000, "ILD is declared in GAPI, and resistivity is measured in OHMM"),
        (
            "RHOB",
            "G/C3",
            1950,
            2950,
            "RHOB is drawn from 1950 to 2950 G/C3, and bulk density lies between 0.8 and 4 G/C3",
        ),
        ("NPHI", "V/V", 45, -15, "NPHI is drawn from 45 to -15 V/V, and porosity lies between -0.5 and 1 V/V"),
        ("CALI", "MM", 6, 16, ""),
        ("DT", "US/M", 500, 40, "DT is drawn from 500 to 40 US/M, and slowness lies between 65.6168 and 1312.34 US/M"),
    ],
)
def test_impossible_units_and_edges_are_remarked_on(mnemonic, unit, left, right, remark):
    assert scale_remarks([curve(mnemonic, unit, left, right)]) == ([remark] if remark else [])


def test_a_backup_scale_and_values_that_were_read_are_judged_too_each_once():
    backed = curve("RHOB", "G/C3", 1.95, 2.95, backup=(2.95, 29.5))
    assert len(scale_remarks([backed, backed])) == 1
    plain, wrapped = curve("RHOB", "G/C3", 1.95, 2.95), curve("NPHI", "V/V", 0.45, -0.15, wrap=True)
    values = {"RHOB": np.array([2.0, np.nan, 2.7]), "NPHI": np.array([np.nan, 0.3, -0.85])}
    remark = "NPHI was read as -0.85 to 0.3 V/V, and porosity lies between -0.5 and 1 V/V"
    assert value_remarks([plain, wrapped, curve("GR", "GAPI", 0, 150)], values) == [remark]
    assert value_remarks([backed], {"RHOB": np.array([20.0])}) == []  # said of its scale


def test_no_mnemonic_stands_for_two_quantities():
    names = [name for kind in QUANTITIES for name in kind.mnemonics]
    assert len(set(names)) == len(names)
    assert all(quantity_of(name.lower()) is not None for name in names)
