"""Which curves share a track, under which names archives hold them, and the scales they are plotted on."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from veerjax.errors import InputError
from veerjax.logs.calibration import CurveScale
from veerjax.logs.las import Well
from veerjax.logs.units import factor_between


@dataclass(frozen=True, kw_only=True)
class TypicalCurve:
    """A kind of curve and its usual scale."""

    name: str
    mnemonics: tuple[str, ...]
    left: float  # the value at the left edge of the track
    right: float  # the value at the right edge
    unit: str
    scale: str = "linear"  # or "log"
    porosity: bool = False  # in fractions; archives hold percent as well, often without saying so
    baseline_step: float | None = None  # the zero is arbitrary: the scale may move by multiples of this


@dataclass(frozen=True, kw_only=True)
class PlottedCurve:
    """One curve of one well on its scale."""

    scale: CurveScale
    fraction: Float64[np.ndarray, " samples"]  # 0 at the track's left edge, 1 at its right; NaN where null


GR = TypicalCurve(name="GR", mnemonics=("GR", "GAMN", "GRC", "SGR", "ECGR", "GAM"), left=0, right=150, unit="GAPI")
CALI = TypicalCurve(name="CALI", mnemonics=("CALI", "CAL", "CAL1", "CAL2", "CALS", "HCAL"), left=6, right=16, unit="IN")
SP = TypicalCurve(name="SP", mnemonics=("SP", "SPC"), left=-160, right=40, unit="MV", baseline_step=20)
RHOB = TypicalCurve(name="RHOB", mnemonics=("RHOB", "RHOZ", "DEN", "ZDEN"), left=1.95, right=2.95, unit="G/C3")
NPHI = TypicalCurve(
    name="NPHI",
    mnemonics=("NPHI", "NPHI_LIM", "TNPH", "NPOR", "CNPOR", "CNC"),
    left=0.45,
    right=-0.15,
    unit="V/V",
    porosity=True,
)
DT = TypicalCurve(name="DT", mnemonics=("DT", "DTC", "DTCO", "AC", "DT24"), left=140, right=40, unit="US/F")


def resistivity(name: str, *others: str) -> TypicalCurve:
    """A curve on the four decades from 0.2 to 2000 ohm.m."""
    return TypicalCurve(name=name, mnemonics=(name, *others), left=0.2, right=2000, unit="OHMM", scale="log")


ILD = resistivity("ILD", "RILD", "IDPH", "AT90", "AF90", "AO90", "AHT90")
ILM = resistivity("ILM", "RILM", "IMPH", "AT30", "AF30", "AO30", "AHT30", "SN")
LLD = resistivity("LLD", "RLLD", "HLLD", "RLA5")
LLS = resistivity("LLS", "RLLS", "HLLS", "RLA3")

# Curve 1 is drawn solid, curve 2 in a broken coding.
TYPICAL_PAIRS = {
    "gr_cali": (GR, CALI),
    "gr_sp": (GR, SP),
    "sp_cali": (SP, CALI),
    "rhob_nphi": (RHOB, NPHI),
    "dt_gr": (DT, GR),
    "ild_ilm": (ILD, ILM),
    "lld_lls": (LLD, LLS),
}


def plotted(well: Well, kind: TypicalCurve, *, curve_class: int) -> PlottedCurve | None:
    """The well's curve of that kind on its scale, or None where it has none.

    Of several candidates the one with most values is taken, the earlier mnemonic where they are equal.

    Raises:
        InputError: its unit does not convert to the scale's.
    """
    present = candidates(well, kind)
    counts = [np.isfinite(well.curves[name]).sum() for name in present]
    if not any(counts):
        return None
    mnemonic = present[int(np.argmax(counts))]
    unit = well.units.get(mnemonic, "")
    try:
        values = in_unit_of(kind, well.curves[mnemonic], unit=unit)
    except InputError as error:
        raise InputError(
            f"{mnemonic} is in {unit}, which does not convert to {kind.unit}; correct the unit."
        ) from error
    left, right = shifted_edges(kind, values)
    scale = CurveScale(
        curve_class=curve_class, mnemonic=mnemonic, unit=kind.unit, left=left, right=right, scale=kind.scale
    )
    return PlottedCurve(scale=scale, fraction=scale.x(values, 0.0, 1.0))


def candidates(well: Well, kind: TypicalCurve) -> list[str]:
    """The mnemonics under which the well holds such a curve, with values or not."""
    by_name = {name.upper(): name for name in reversed(well.curves)}
    return [by_name[mnemonic] for mnemonic in kind.mnemonics if mnemonic in by_name]


def in_unit_of(
    kind: TypicalCurve, values: Float64[np.ndarray, " samples"], *, unit: str
) -> Float64[np.ndarray, " samples"]:
    """Values in the unit of the scale; a porosity with a median over 1 is in percent, whatever its unit.

    Raises:
        InputError: the unit does not convert; none at all is taken for the scale's own.
    """
    factor = factor_between(unit, kind.unit)
    if kind.porosity and factor == 1.0 and np.nanmedian(np.abs(values)) > 1:
        factor = 0.01
    return values * factor


def shifted_edges(kind: TypicalCurve, values: Float64[np.ndarray, " samples"]) -> tuple[float, float]:
    """The values at the left and right edges of the track.

    Where the zero is arbitrary (that of an SP electrode) and the median is off the track, the scale moves by
    whole steps until its middle is within half a step of the median, as an engineer sets it at the well.
    """
    median = float(np.nanmedian(values))
    if kind.baseline_step is None or kind.left <= median < kind.right:
        return kind.left, kind.right
    middle = (kind.left + kind.right) / 2
    shift = kind.baseline_step * round((median - middle) / kind.baseline_step)
    return kind.left + shift, kind.right + shift
