"""How large the comparison is run: image, budget, seeds, and the logs that all arms are judged on."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from veerjax.checks import choice
from veerjax.comparison.arms import ARMS, CONTROL, ORACLES, Arm
from veerjax.config import Config, DataConfig, ModelConfig, OptimiserConfig, ValidationConfig, with_overrides
from veerjax.performance.equal_work import steps_within

HEADLINE = ("A2", "A3", "B4")
SEPARATIONS = (1.0, 0.75, 0.5, 0.33, 0.25, 0.18, 0.1, 0.05, 0.02, 0.0)  # the shift over the width of a curve's box
CLOSER_LOOK = (0.33, 0.18)  # separations of which there are more logs: two boxes overlap by .5 at 1/3
TRAINED_ON = "shifted+meeting"


@dataclass(frozen=True, kw_only=True)
class Preset:
    """All that is not an arm's own."""

    about: str
    result: bool = True  # or machinery alone, of which nothing may be claimed
    height: int  # [px]
    width: int  # [px]
    batch: int
    flops: float  # of each training
    widths: Mapping[str, tuple[int, ...]]  # channels, by the kind of network
    regions: int  # proposals an image
    samples: int  # of them, and of anchors, that a training step learns from
    warmup_steps: int
    learning_rate: float
    arms: tuple[str, ...]  # that `--arms` may narrow
    seeds: int  # of each arm
    headline_seeds: int
    separations: tuple[float, ...]
    strokes_px: tuple[float, ...]
    shapes: tuple[str, ...]  # "smooth", "spiky"
    angles: tuple[float, ...]  # [degrees]
    logs: int  # of each cell of shifted curves
    closer_logs: int  # of each cell of `CLOSER_LOOK`
    meeting_logs: int  # of each cell of curves that meet
    tuning_logs: int  # of validation
    control_logs: int

    def seeds_of(self, arm: str) -> int:
        """How often an arm is trained."""
        return 1 if arm in (ORACLES, CONTROL) else self.headline_seeds if arm in HEADLINE else self.seeds


ALL = (CONTROL, ORACLES, *ARMS)
PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "smoke": Preset(
            about="two steps of three tiny networks: whether the machinery runs",
            result=False,
            height=64,
            width=64,
            batch=4,
            flops=1.0,
            widths={"levels": (4, 8, 8), "convolutions": (4, 4, 4, 4, 4, 4), "stages": (4, 4, 8, 8, 8)},
            regions=8,
            samples=8,
            warmup_steps=1,
            learning_rate=2e-3,
            arms=(ORACLES, "A1", "B4"),
            seeds=1,
            headline_seeds=1,
            separations=(1.0, 0.33, 0.1),
            strokes_px=(3.0,),
            shapes=("smooth",),
            angles=(90.0,),
            logs=1,
            closer_logs=2,
            meeting_logs=1,
            tuning_logs=4,
            control_logs=4,
        ),
        "cpu": Preset(
            about="small images and networks, for two cores",
            height=128,
            width=64,
            batch=4,
            flops=1e13,
            widths={
                "levels": (16, 32, 48, 64),
                "convolutions": (16, 32, 48, 64, 64, 128),
                "stages": (16, 32, 48, 64, 96),
            },
            regions=16,
            samples=16,
            warmup_steps=50,
            learning_rate=2e-3,
            arms=ALL,
            seeds=1,
            headline_seeds=3,
            separations=SEPARATIONS,
            strokes_px=(1.0, 3.0),
            shapes=("smooth", "spiky"),
            angles=(90.0, 45.0, 20.0),
            logs=3,
            closer_logs=6,
            meeting_logs=4,
            tuning_logs=32,
            control_logs=64,
        ),
        "full": Preset(
            about="the protocol's images, for an accelerator",
            height=512,
            width=256,
            batch=16,
            flops=2e15,
            widths={
                "levels": (32, 64, 96, 128, 192),
                "convolutions": (32, 64, 96, 128, 192, 256),
                "stages": (32, 64, 96, 128, 192),
            },
            regions=64,
            samples=64,
            warmup_steps=500,
            learning_rate=1e-3,
            arms=ALL,
            seeds=3,
            headline_seeds=5,
            separations=SEPARATIONS,
            strokes_px=(1.0, 3.0, 5.0),
            shapes=("smooth", "spiky"),
            angles=(90.0, 45.0, 20.0, 10.0, 5.0, 2.0),
            logs=40,
            closer_logs=200,
            meeting_logs=10,
            tuning_logs=500,
            control_logs=1000,
        ),
    }
)


def preset_of(name: str) -> Preset:
    """The preset of that name.

    Raises:
        InputError: unknown; the nearest one is named.
    """
    choice("--preset", name, tuple(PRESETS))
    return PRESETS[name]


def config_of(name: str, arm: Arm, preset: Preset, *, seed: int, overrides: tuple[str, ...] = ()) -> Config:
    """The whole training of an arm: the common config, what the arm changes, and as many steps as the budget buys.

    Args:
        name: of the arm
        arm: which changes the network alone
        preset: of all arms
        seed: of the initial parameters and of the data, which all arms read in one order
        overrides: items of --set, for every arm
    """
    common = Config(
        name=name,
        seed=seed,
        steps=1,
        batch=preset.batch,
        data=DataConfig(setting=TRAINED_ON, height=preset.height, width=preset.width),
        model=ModelConfig(features=preset.widths[arm.widths]),
        optimiser=OptimiserConfig(learning_rate=preset.learning_rate, warmup_steps=preset.warmup_steps, ema_decay=0.99),
        validation=ValidationConfig(examples=8, every=2**30),
    )
    regions = (f"model.rcnn.proposals={preset.regions}", f"model.rcnn.samples={preset.samples}") if arm.boxes else ()
    config = with_overrides(common, [*arm.config, *regions, *overrides])
    if any(item.startswith("steps=") for item in overrides):
        return config
    return with_overrides(config, [f"steps={max(steps_within(preset.flops, config), 2)}"])
