"""Which network, and its size: the config's group `model`."""

from dataclasses import dataclass, field

from veerjax.checks import choice, require


@dataclass(frozen=True, kw_only=True)
class CrfConfig:
    """The fully connected CRF behind a prediction: by default none, and kernels of the sizes that DeepLab searched."""

    iterations: int = 0  # of the mean field; 0: no CRF
    appearance_weight: float = 5.0  # [nats] for a label that all near pixels of like grey have, >= 0
    appearance_px: float = 50.0  # bandwidth over places, at least 0.5
    appearance_grey: float = 0.04  # bandwidth over grey levels 0 to 1, 0.004 to 1
    smoothness_weight: float = 3.0  # [nats] for a label that all near pixels have, >= 0
    smoothness_px: float = 3.0  # bandwidth over places, at least 0.5

    def __post_init__(self) -> None:
        for name, least in (("iterations", 0), ("appearance_weight", 0), ("smoothness_weight", 0)):
            require(getattr(self, name) >= least, f"model.crf.{name} is {getattr(self, name)}; it must be >= {least}.")
        for name in ("appearance_px", "smoothness_px"):
            require(getattr(self, name) >= 0.5, f"model.crf.{name} is {getattr(self, name)}; it must be at least 0.5.")
        grey = self.appearance_grey
        require(0.004 <= grey <= 1, f"model.crf.appearance_grey is {grey}; it must be from 0.004 to 1.")


@dataclass(frozen=True, kw_only=True)
class RcnnConfig:
    """What mask_rcnn and faster_rcnn propose and keep; of other networks nothing."""

    categories: int = 2  # of objects: each curve its own, or 1: "curve"
    anchor_scales: tuple[float, ...] = (8.0,)  # root of an anchor's area [strides of its level], each > 0
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)  # its height over its width, each > 0
    clip_anchors: bool = False  # cut them to the image, so that tall ones can hold a curve from edge to edge
    proposals: int = 64  # boxes an image that the box head judges
    samples: int = 64  # anchors, and then proposals, an image that a training step learns from; at most `proposals`
    detections: int = 8  # that are kept of an image, at least 2
    least_score: float = 0.05  # of a detection, 0 to below 1
    suppression: str = "nms"  # of detections that overlap: "nms", "soft" or "off"
    suppression_iou: float = 0.5  # above which nms drops one, 0 to 1
    head: str = "mask"  # of a box: a "mask", or "rows": where the curve is in each row of the grid
    mask_grid: tuple[int, ...] = (28, 28)  # [cells] rows and columns of a box's mask or rows, both even
    mask_threshold: float = 0.5  # above which a cell is ink, above 0 to below 1
    oracle: str = "none"  # of a prediction: true "boxes", true "masks" in the boxes found, or "both"

    def __post_init__(self) -> None:
        require(self.categories in (1, 2), f"model.rcnn.categories is {self.categories}; write 1 or 2.")
        for name in ("anchor_scales", "anchor_ratios"):
            values = getattr(self, name)
            require(
                len(values) >= 1 and min(values) > 0,
                f"model.rcnn.{name} is {values}; it needs at least one number, each above 0.",
            )
        for name, least in (("proposals", 2), ("samples", 4), ("detections", 2)):
            require(getattr(self, name) >= least, f"model.rcnn.{name} is {getattr(self, name)}; it must be >= {least}.")
        require(
            self.samples <= self.proposals,
            f"model.rcnn.samples is {self.samples}, and there are {self.proposals} model.rcnn.proposals to draw them "
            "from; write fewer samples or more proposals.",
        )
        require(
            0 <= self.least_score < 1, f"model.rcnn.least_score is {self.least_score}; it must be from 0 to below 1."
        )
        choice("model.rcnn.head", self.head, ("mask", "rows"))
        choice("model.rcnn.suppression", self.suppression, ("nms", "soft", "off"))
        require(
            0 <= self.suppression_iou <= 1,
            f"model.rcnn.suppression_iou is {self.suppression_iou}; it must be from 0 to 1.",
        )
        require(
            len(self.mask_grid) == 2 and all(side >= 2 and side % 2 == 0 for side in self.mask_grid),
            f"model.rcnn.mask_grid is {self.mask_grid}; it needs two even numbers, rows and columns, such as [28,28].",
        )
        require(
            0 < self.mask_threshold < 1,
            f"model.rcnn.mask_threshold is {self.mask_threshold}; it must be above 0 and below 1.",
        )
        choice("model.rcnn.oracle", self.oracle, ("none", "boxes", "masks", "both"))
        require(
            self.head == "mask" or self.oracle in ("none", "boxes"),
            f"model.rcnn.oracle is {self.oracle!r}, and the head 'rows' has no masks to take from the truth; write "
            "none or boxes.",
        )


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Which network, and its size."""

    name: str = "unet"
    features: tuple[int, ...] = (16, 32, 64, 96, 128)  # channel widths, finest level first; multiples of 16 are fast
    stem: str = "space_to_depth"  # "full", or blocks of 2 or 4 px a side as channels: also "space_to_depth_4"
    head: str = (
        "softmax"  # "softmax" over three classes, or "sigmoid": each curve by itself, so that both own a crossing
    )
    norm: str = "batch"  # "batch" (running statistics), "pixel" (over channels only), "group" or "none"
    padding: str = "same"  # of unet's convolutions: "same", or "valid" as published: the image is mirrored, no zeros
    output_stride: int = 0  # [px] of the scores of fcn (8, 16, 32) and deeplab (4, 8, 16); 0: the architecture's own
    rates: tuple[int, ...] = ()  # [places] between the taps of deeplab's pyramid, each >= 1; none: as published
    assignment: str = "hungarian"  # of set_prediction's queries to curves: the cheapest, or "fixed": query k is curve k
    dropout: float = 0.0  # share of the wide layers' outputs of fcn that a training step leaves out, 0 to below 1
    channels: int = 1  # of the images that it reads: 1 grey, or 3 red, green and blue
    mirror: bool = False  # predict from the left-right mirror image too and average; twice the time
    crf: CrfConfig = field(default_factory=CrfConfig)  # that a prediction passes through; training does not
    rcnn: RcnnConfig = field(default_factory=RcnnConfig)  # of mask_rcnn and faster_rcnn
    dtype: str = "auto"  # of the computation: "float32", "bfloat16", or "auto": bfloat16 on accelerators
    remat: bool = False  # in training, compute each block a second time for the gradient instead of keeping it

    def __post_init__(self) -> None:
        require(
            len(self.features) >= 1 and all(width > 0 for width in self.features),
            f"model.features is {self.features}; it needs at least one positive channel width.",
        )
        require(self.channels in (1, 3), f"model.channels is {self.channels}; write 1 for grey or 3 for RGB.")
        choice("model.head", self.head, ("softmax", "sigmoid"))
        choice("model.stem", self.stem, ("full", "space_to_depth", "space_to_depth_4"))
        choice("model.norm", self.norm, ("batch", "pixel", "group", "none"))
        choice("model.padding", self.padding, ("same", "valid"))
        choice("model.assignment", self.assignment, ("hungarian", "fixed"))
        require(min(self.rates, default=1) >= 1, f"model.rates is {self.rates}; each must be at least 1.")
        require(0 <= self.dropout < 1, f"model.dropout is {self.dropout}; it must be from 0 to below 1.")
        choice("model.dtype", self.dtype, ("auto", "float32", "bfloat16"))
