"""The arms as data: one network each, the same in all that a network does not decide."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from veerjax.checks import require
from veerjax.config import nearest

# The ways to read the weights of a box network once more: suppression, and the truth in place of a part of it.
BOXES = MappingProxyType(
    {
        "soft": ("model.rcnn.suppression=soft",),
        "off": ("model.rcnn.suppression=off",),
        "oracle boxes": ("model.rcnn.oracle=boxes",),
        "oracle masks": ("model.rcnn.oracle=masks",),
        "oracle both": ("model.rcnn.oracle=both",),
    }
)
ROWS_IN_BOXES = MappingProxyType({name: BOXES[name] for name in ("soft", "off", "oracle boxes")})
# Anchors that are as tall as the image where they are cut, and as wide as a curve's box.
FITTING = (
    "model.rcnn.anchor_scales=[2.5,3.5,5.0]",
    "model.rcnn.anchor_ratios=[4,8,16]",
    "model.rcnn.clip_anchors=true",
)
MASK_RCNN = ("model.name=mask_rcnn", "model.head=sigmoid")
FCN = ("model.name=fcn", "model.stem=full", "model.dropout=0.5")


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A network, how its answer is read, and what is read of it besides."""

    about: str
    config: tuple[str, ...] = ()  # what it changes in the common config, as items of --set
    widths: str = "levels"  # of its features: a key of `Preset.widths`
    variants: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    joint: bool = False  # its own output is a joint path, not a row at a time
    anonymous: bool = False  # it gives its curves no names: the better of both orders is scored
    tuned: bool = False  # the threshold of its masks is chosen on validation
    stride: int = 1  # [px] of its finest scores

    @property
    def boxes(self) -> bool:
        """Whether it proposes regions."""
        return self.config[:1] == MASK_RCNN[:1]


ARMS: Mapping[str, Arm] = MappingProxyType(
    {
        "A1": Arm(about="Mask R-CNN, two categories", config=MASK_RCNN, variants=BOXES),
        "A2": Arm(
            about="Mask R-CNN, one category, best permutation",
            config=(*MASK_RCNN, "model.rcnn.categories=1"),
            variants=BOXES,
            anonymous=True,
        ),
        "A3": Arm(
            about="Mask R-CNN, fitting anchors, masks of 112 x 28, tuned threshold",
            config=(*MASK_RCNN, *FITTING, "model.rcnn.mask_grid=[112,28]"),
            variants=BOXES,
            tuned=True,
        ),
        "A4": Arm(
            about="boxes with a row-coordinate head",
            config=(*MASK_RCNN, *FITTING, "model.rcnn.mask_grid=[112,28]", "model.rcnn.head=rows"),
            variants=ROWS_IN_BOXES,
        ),
        "A5": Arm(about="set prediction, two queries", config=("model.name=set_prediction", "model.head=sigmoid")),
        "B1": Arm(about="FCN-32s", config=(*FCN, "model.output_stride=32"), widths="convolutions", stride=32),
        "B2": Arm(about="FCN-16s", config=(*FCN, "model.output_stride=16"), widths="convolutions", stride=16),
        "B3": Arm(about="FCN-8s", config=(*FCN, "model.output_stride=8"), widths="convolutions", stride=8),
        "B4": Arm(about="U-Net"),
        "B5": Arm(
            about="DeepLab, output stride 8",
            config=("model.name=deeplab", "model.stem=full", "model.output_stride=8", "model.rates=[1,2,3]"),
            widths="stages",
            stride=8,
            variants=MappingProxyType({"crf": ("model.crf.iterations=5",)}),
        ),
        "B6": Arm(
            about="VeerNet", config=("model.name=veernet", "model.stem=full", "model.norm=group"), widths="stages"
        ),
        "B7": Arm(about="U-Net, two sigmoids", config=("model.head=sigmoid",)),
        "C1": Arm(
            about="row-wise positions, joint Viterbi", config=("model.name=rowwise", "model.head=sigmoid"), joint=True
        ),
    }
)
PIXELS = ("B1", "B2", "B3", "B4", "B5", "B6", "B7")
ORACLES = "O"  # what needs no training: ceilings and baselines
CONTROL = "control"  # A1 on compact objects


def chosen_arms(text: str | None, default: tuple[str, ...]) -> tuple[str, ...]:
    """The arms of `--arms A1,A2`, in the order of the protocol.

    Raises:
        InputError: an arm that is not there.
    """
    known = (*ARMS, ORACLES, CONTROL)
    names = default if text is None else tuple(name for name in text.split(",") if name)
    require(len(names) > 0, "--arms names none; write some of " + ",".join(known) + ".")
    for name in names:
        require(name in known, f"--arms names {name!r}; write some of {','.join(known)}{nearest(name, known)}.")
    return tuple(name for name in known if name in names)
