"""What a user asks a dataset to be made of, and the source of examples that meets it."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from veerjax.config import choice, require
from veerjax.data.source import FOLDER, KGS, LAS, ExampleSource
from veerjax.errors import InputError
from veerjax.synthesis.draw import SETTINGS
from veerjax.synthesis.settings import has_second_pair

CONFIGS = (*SETTINGS, LAS, FOLDER, KGS)
DEFAULT_NUM = 500
MAX_EXAMPLES = 10_000_000  # of a split
MAX_PIXELS = 2**24  # of an example
DEFAULT_LOOK = "standard"
# Which configs an option is for; the other options are for all.
OPTIONS = {
    "num": SETTINGS,
    "las_dir": (LAS,),
    "look": (LAS,),
    "augment": (LAS,),
    "folder": (FOLDER, KGS),
    "manifest": (KGS,),
    "stroke_px": (FOLDER, KGS),
    "keep_going": (LAS, FOLDER, KGS),
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The options of a dataset; None and False are for those not given."""

    config: str  # one of `CONFIGS`
    height: int = 512  # [px]
    width: int = 256  # [px], of a whole track
    seed: int = 0  # of the training split of a rendered setting; of the looks and copies of real curves
    num: int | None = None  # examples of a rendered setting in each split
    las_dir: Path | None = None  # whose curves `las` draws
    look: str | None = None  # the rendered setting that `las` draws them under
    augment: int | None = None  # changed copies of each training window of `las`
    folder: Path | None = None  # of scans
    manifest: Path | None = None  # of `kgs`: which files belong together; `manifest.csv` in the folder if None
    stroke_px: float | None = None  # of strokes drawn on scans [px of the scan]; measured if None
    keep_going: bool = False  # leave out files that cannot be used

    def __post_init__(self) -> None:
        choice("the dataset's config", self.config, CONFIGS)
        size = f"examples of {self.height} x {self.width} px were asked for"
        require(min(self.height, self.width) >= 16, f"{size}; each side must be at least 16 px.")
        pixels = self.height * self.width
        require(
            pixels <= MAX_PIXELS, f"{size}; at most {MAX_PIXELS:,} px are drawn at a time: cut strips into windows."
        )
        require(self.num is None or self.num >= 1, f"{self.num} examples were asked for; at least 1 is needed.")
        require(
            self.num is None or self.num <= MAX_EXAMPLES,
            f"{self.num} examples were asked for; a split holds at most {MAX_EXAMPLES:,}.",
        )
        require(0 <= self.seed < 2**31, f"the seed is {self.seed}; write a number from 0 to {2**31 - 1}.")
        require((self.augment or 0) >= 0, f"{self.augment} copies of each window were asked for; write 0 or more.")
        if self.look is not None:
            choice("the look of real curves", self.look, SETTINGS)
            require(
                not has_second_pair(self.look),
                f"the look {self.look} adds curves of its own to those that it is given; write well_like, or another.",
            )
        for field in dataclasses.fields(self):
            owners = OPTIONS.get(field.name, CONFIGS)
            unused = getattr(self, field.name) in (None, False)
            flag = "--" + field.name.replace("_", "-")
            require(
                unused or self.config in owners,
                f"{flag} was given, which is for {', '.join(owners)}, not for {self.config!r}; leave it out.",
            )

    def source(self) -> ExampleSource:
        """The examples of a dataset made so.

        Raises:
            InputError: a folder is missing or unusable.
        """
        if self.config == LAS:
            return self.las_source()
        if self.config in (FOLDER, KGS):
            return self.scan_source()
        from veerjax.data.rendered_source import RenderedSource

        count = self.num or DEFAULT_NUM
        return RenderedSource(setting=self.config, height=self.height, width=self.width, seed=self.seed, count=count)

    def las_source(self) -> ExampleSource:
        """Real curves, drawn."""
        from veerjax.data.wells.source import LasSource

        if self.las_dir is None:
            raise InputError(f"{LAS!r} draws real curves; give the folder of LAS files with --las-dir.")
        return LasSource(
            folder=Path(self.las_dir),
            height=self.height,
            width=self.width,
            seed=self.seed,
            look=self.look or DEFAULT_LOOK,
            augment=self.augment or 0,
            keep_going=self.keep_going,
        )

    def scan_source(self) -> ExampleSource:
        """Scans."""
        from veerjax.data.scans.source import folder_source, kgs_source

        if self.folder is None:
            raise InputError(f"{self.config!r} is made of scans; give their folder with --folder.")
        if self.config == FOLDER:
            return folder_source(
                self.folder,
                height=self.height,
                width=self.width,
                keep_going=self.keep_going,
                stroke_px=self.stroke_px,
            )
        return kgs_source(
            self.folder,
            manifest=self.manifest,
            height=self.height,
            width=self.width,
            keep_going=self.keep_going,
            stroke_px=self.stroke_px,
        )


def left_out(source: ExampleSource) -> tuple[str, ...]:
    """A sentence on each input file that a source leaves out; settings have none."""
    return tuple(getattr(source, "refused", ()))
