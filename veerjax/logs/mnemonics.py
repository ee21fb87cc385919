"""What common mnemonics stand for, and which units and values are possible for them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from veerjax.errors import InputError
from veerjax.logs.scales import CurveScale
from veerjax.logs.units import factor_between


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """What a tool measures: the unit that logs give it in, and the values that rocks and holes have."""

    name: str
    mnemonics: tuple[str, ...]
    unit: str
    least: float  # [unit]
    most: float  # [unit]


QUANTITIES = (
    Quantity(
        name="gamma ray", mnemonics=("GR", "SGR", "CGR", "ECGR", "GRC", "GAMN"), unit="GAPI", least=-50, most=3000
    ),
    Quantity(name="a hole's diameter", mnemonics=("CALI", "CAL", "HCAL", "CALS", "BS"), unit="IN", least=0, most=60),
    Quantity(name="spontaneous potential", mnemonics=("SP", "SPC"), unit="MV", least=-1000, most=1000),
    Quantity(name="bulk density", mnemonics=("RHOB", "RHOZ", "ZDEN", "DEN"), unit="G/C3", least=0.8, most=4),
    Quantity(name="a density correction", mnemonics=("DRHO", "HDRA", "ZCOR"), unit="G/C3", least=-1, most=1),
    Quantity(
        name="porosity",
        mnemonics=("NPHI", "TNPH", "NPOR", "CNC", "DPHI", "SPHI", "PHIN", "PHID"),
        unit="V/V",
        least=-0.5,
        most=1,
    ),
    Quantity(name="slowness", mnemonics=("DT", "DTC", "DTCO", "AC", "DT24"), unit="US/F", least=20, most=400),
    Quantity(name="the photoelectric factor", mnemonics=("PE", "PEF", "PEFZ", "PDPE"), unit="B/E", least=0, most=20),
    Quantity(
        name="resistivity",
        mnemonics=(
            *("ILD", "ILM", "RILD", "RILM", "IDPH", "IMPH", "LLD", "LLS", "RLLD", "RLLS", "SFL", "SFLU", "MSFL", "RXO"),
            *("LL8", "SN", "LN", "RT", "RES", "AT10", "AT20", "AT30", "AT60", "AT90", "HLLD", "HLLS", "RLA3", "RLA5"),
        ),
        unit="OHMM",
        least=0.01,
        most=1e6,
    ),
)


def quantity_of(mnemonic: str) -> Quantity | None:
    """What a mnemonic stands for, where it is a common one."""
    return next((kind for kind in QUANTITIES if mnemonic.upper() in kind.mnemonics), None)


def scale_remarks(curves: Iterable[CurveScale]) -> list[str]:
    """What is impossible about the units and the edges of declared curves; one remark a curve."""
    found = {}
    for curve in curves:
        ends = (curve.left, curve.right, *(curve.backup or ()))
        remark = _remark(curve, np.array(ends, np.float64), said=f"is drawn from {curve.left:g} to {curve.right:g}")
        if remark:
            found.setdefault(curve.mnemonic.upper(), remark)
    return list(found.values())


def value_remarks(curves: Iterable[CurveScale], values: Mapping[str, Float[np.ndarray, " samples"]]) -> list[str]:
    """Which curves hold impossible values, though their scales do not.

    Args:
        curves: as declared
        values: by mnemonic, NaN where there is none
    """
    found = {}
    for curve in curves:
        known = values.get(curve.mnemonic, np.zeros(0))
        known = known[np.isfinite(known)]
        if len(known) and not scale_remarks([curve]):
            said = f"was read as {known.min():.4g} to {known.max():.4g}"
            found[curve.mnemonic] = _remark(curve, known, said=said)
    return [remark for remark in found.values() if remark]


def _remark(curve: CurveScale, values: Float[np.ndarray, " values"], *, said: str) -> str:
    """Why a curve cannot have such values; nothing if it can, or if nobody knows."""
    kind = quantity_of(curve.mnemonic)
    if kind is None:
        return ""
    try:
        factor = factor_between(curve.unit, kind.unit)
    except InputError:
        return f"{curve.mnemonic} is declared in {curve.unit}, and {kind.name} is measured in {kind.unit}"
    least, most = kind.least / factor, kind.most / factor
    if values.min() >= least and values.max() <= most:
        return ""
    unit = curve.unit or kind.unit
    return f"{curve.mnemonic} {said} {unit}, and {kind.name} lies between {least:g} and {most:g} {unit}"
