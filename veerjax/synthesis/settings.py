"""The named settings: which curves and pens a log is drawn with, and which artefacts spoil it how often.

`standard` is frozen: its samples are the yardstick of every score. The others differ from it by what is written here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from veerjax.config import choice

# Every artefact and its place among the random numbers of a sample: add at the end, never reorder.
ARTEFACTS = (
    "margins",  # the track stands between blank paper, or the neighbouring track begins at its border
    "stretch",  # the paper moves unevenly under the scanner
    "skew",  # the strip lies askew: columns lean
    "tilt",  # and rows slope
    "drift",  # the border wanders sideways
    "splice",  # a fold or splice shifts the strip sideways and leaves a line
    "off_scale",  # curves leave the track: clipped, lost, or wrapped around once, twice, always
    "hug",  # a curve runs along the border or a grid line
    "pen_speed",  # fast kicks are thin and pale
    "hand",  # dashes drawn by hand vary
    "hiding",  # the later curve hides the earlier one
    "first_stranger",  # a further curve, a backup curve on a shifted scale, or the neighbour's
    "second_stranger",
    "patchy_ink",
    "grid_breaks",
    "grid_texture",
    "shading",  # between a curve and the border, or between both curves
    "depth_numbers",
    "words",  # call-outs, some with an arrow
    "handwriting",
    "stamp",
    "illumination",  # uneven, darker to one side
    "blots",  # stains
    "bleed",  # the other side shows through
    "stripes",  # of the scanner
    "missing",  # a strip of the paper is gone
    "speckle",
    "bloom",  # a 1-bit threshold too high: strokes grow; too low: they break up
    "dropout",  # a 1-bit threshold that varies over the page
    "runs",  # short horizontal runs of wrong pixels, as a damaged fax code leaves
    "jpeg",  # blocks of 8 px
)


@dataclass(frozen=True, kw_only=True)
class Dose:
    """How often an artefact occurs, and how strong it then is."""

    chance: float = 1.0  # of a sample
    least: float = 0.0  # strengths are spread evenly from here
    most: float = 1.0

    def __post_init__(self) -> None:
        assert 0 < self.chance <= 1
        assert 0 <= self.least <= self.most <= 1


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a sample of a setting is drawn from."""

    about: str  # one sentence for a data card
    invented: bool = False  # curves of `curves`, not those with the statistics of real wells
    second_pair: bool = False  # a second curve of each class: labelled too, but rows speak of the first one
    # Or "identical", "one pixel"; "blobs": ellipses in place of curves; "shifted" or "meeting": what `pairs` draws.
    pens: str = "solid and broken"
    plain_grid: bool = False  # linear, light, everywhere
    finest: float = 3.0  # times 100 dpi
    widest_px: int = 12  # of strokes
    any_grid: bool = False  # of every depth scale, some very bold, some of four decades, some going on beyond the track
    contrast: float = 1.0  # most of the heavy grid's against the ink's
    palest: float = 0.7  # of inks, before a power of 1.3 makes most of them darker
    wear: float = 1.0  # of the scanner's ordinary stains, blur and noise; 0 is none
    bitonal: float = 0.3  # share of 1-bit scans
    colour: bool = False  # inks, grid and paper are coloured
    artefacts: Mapping[str, Dose] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        assert not self.artefacts.keys() - set(ARTEFACTS)
        # Both pairs would share every dose, and strangers would know of the first one only.
        assert not self.second_pair or (self.pens == "solid and broken" and not self.artefacts)

    @property
    def has_geometry(self) -> bool:
        """Whether the drawing moves the curves that it is given."""
        return bool(
            self.artefacts.keys() & {"margins", "stretch", "skew", "tilt", "drift", "splice", "off_scale", "hug"}
        )

    @property
    def has_strangers(self) -> bool:
        return bool(self.artefacts.keys() & {"first_stranger", "second_stranger"})


_WORN_BITS = {
    "bloom": Dose(chance=0.7),
    "dropout": Dose(chance=0.6),
    "runs": Dose(chance=0.5),
    "speckle": Dose(chance=0.5),
}

_SETTINGS = {
    "standard": Setting(
        about="Two declared curves, all codings and grids, grey and 1-bit scans, ordinary kicks and noise. Frozen.",
        invented=True,
    ),
    "well_like": Setting(about="As standard, but the curves have the statistics of real wells."),
    "clean": Setting(about="Fresh prints without stains, blur, noise or threshold.", wear=0.0, bitonal=0.0),
    "hard": Setting(
        about="All that goes wrong in a scan, some of it at a time.",
        finest=4.0,
        widest_px=15,
        any_grid=True,
        contrast=1.1,
        palest=0.77,
        artefacts={
            "margins": Dose(chance=0.4),
            "stretch": Dose(chance=0.5),
            "skew": Dose(chance=0.5),
            "tilt": Dose(chance=0.5),
            "drift": Dose(chance=0.4),
            "splice": Dose(chance=0.15, least=0.2),
            "off_scale": Dose(chance=0.35),
            "hug": Dose(chance=0.2),
            "pen_speed": Dose(chance=0.6),
            "hand": Dose(chance=0.6),
            "hiding": Dose(chance=0.5),
            "first_stranger": Dose(chance=0.35, least=0.3),
            "second_stranger": Dose(chance=0.12, least=0.3),
            "patchy_ink": Dose(chance=0.4),
            "grid_breaks": Dose(chance=0.3),
            "grid_texture": Dose(chance=0.5),
            "shading": Dose(chance=0.15, least=0.2),
            "depth_numbers": Dose(chance=0.2, least=0.4),
            "words": Dose(chance=0.3, least=0.4),
            "handwriting": Dose(chance=0.12, least=0.4),
            "stamp": Dose(chance=0.06, least=0.3),
            "illumination": Dose(chance=0.5),
            "blots": Dose(chance=0.3),
            "bleed": Dose(chance=0.15),
            "stripes": Dose(chance=0.2),
            "missing": Dose(chance=0.05),
            **{name: Dose(chance=dose.chance / 2) for name, dose in _WORN_BITS.items()},
            "jpeg": Dose(chance=0.3),
        },
    ),
    "identical_ink": Setting(
        about="Both curves in identical ink; curve 1 is the left one at the top, after that continuity decides.",
        pens="identical",
    ),
    "one_pixel": Setting(
        about="Strokes of exactly 1 px on plain grids, the setting of published training sets.",
        pens="one pixel",
        plain_grid=True,
        wear=0.0,
        bitonal=0.0,
    ),
    "bitonal": Setting(
        about="1-bit scans with thresholds that are too high, too low or uneven, and damaged fax codes.",
        any_grid=True,
        contrast=1.1,
        palest=0.77,
        bitonal=1.0,
        artefacts={"skew": Dose(chance=0.3), "patchy_ink": Dose(chance=0.5), **_WORN_BITS},
    ),
    "colour": Setting(
        about="Coloured inks and grids on white, cream or blue paper, of which a grey scan keeps the luma alone.",
        bitonal=0.0,
        colour=True,
        artefacts={"jpeg": Dose(chance=0.5), "illumination": Dose(chance=0.3), "hand": Dose(chance=0.5)},
    ),
    "four_curves": Setting(
        about="Two solid and two broken curves in one track, else as well_like, to train on; strokes and label hold "
        "both of a class, centreline, presence and coding are the first one's.",
        second_pair=True,
    ),
    "blobs": Setting(
        about="No curves: a filled and a hatched ellipse, compact objects for detectors to prove themselves on.",
        pens="blobs",
    ),
    "shifted": Setting(
        about="Two copies of one curve, shifted apart by nothing to a whole width, on plain paper: the comparison's.",
        pens="shifted",
    ),
    "meeting": Setting(
        about="Two curves that cross once, or touch once and part, on plain paper: the comparison's.",
        pens="meeting",
    ),
}
SETTINGS = tuple(_SETTINGS)


def setting_of(name: str) -> Setting:
    """The setting of that name.

    Raises:
        InputError: unknown; the nearest one is named.
    """
    choice("the setting", name, SETTINGS)
    return _SETTINGS[name]


def has_second_pair(data: str) -> bool:
    """Whether data of that name, a setting or `raster_logs/SETTING`, has curves that its rows say nothing of."""
    name = data.removeprefix("raster_logs/")
    return name in _SETTINGS and _SETTINGS[name].second_pair


def settings_in(mixture: str) -> tuple[str, ...]:
    """The settings of a mixture: names joined by `+`, one of them as often as it is to be drawn.

    Raises:
        InputError: an unknown setting; the nearest one is named.
    """
    names = tuple(mixture.split("+"))
    for name in names:
        setting_of(name)
    return names
