"""Writes tests/golden_torchvision.json: what torchvision's detection code says of tests/torchvision_cases.py; and
tests/golden/torchvision_mask_rcnn.npz: the parameters and detections of a whole, small MaskRCNN.

torchvision's wheels hold operators for one build of PyTorch, and the CPU build is not it: then only their Python loads,
with these two operators put in the place of those, which the files name. The wheel must not bring a PyTorch with it:

    pip install --target /tmp/tv --no-deps torchvision
    PYTHONPATH=/tmp/tv python tools/make_torchvision_golden.py

- `nms`: the plain loop below.
- `roi_align`: torchvision's own transcription of its CUDA kernel to Python. Points more than a place outside the
  features, 0 to the kernel, read the border there; the cases have none.

The network's arrays are `state/` and the name in the state dict; `image`; `level_0` to `level_3` of the pyramid; then
`proposals`, `boxes`, `category` (from 1), `scores`, `grids` (probabilities within the boxes) and `masks` (what is above
one half in the image, packed bits). Boxes and levels are ours, (y0, x0, y1, x1) and [H, W, C]; the state is theirs: a
box's code is (x, y, width, height), a kernel [out, in, height, width], and fc6 reads [C, H, W]. `settings` is JSON.
"""

import inspect
import json
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path.insert(0, str(TESTS))

import torchvision_cases as given  # noqa: E402

DIGITS = 6  # of a number in the JSON
SIDE = 64  # [px] of the image that the whole network reads
WIDTH, STAGES = 8, 4  # channels of every stage and of the pyramid; stages, of which the pyramid reads all but the first
SEED = 5  # of parameters by which some of both categories are found
SETTINGS = {
    "strides": (4, 8, 16),  # of the levels that regions are cut from [px]
    "anchor_px": (8, 16, 32, 64),  # one scale a level, that of half the coarsest's resolution included
    "ratios": (0.5, 1.0, 2.0),
    "candidates": 80,  # of each level, before suppression
    "proposals": 40,  # of all levels, behind it
    "rpn_nms": 0.7,
    "detections": 12,
    "least_score": 0.05,
    "box_nms": 0.5,
    "hidden": 32,
    "canonical_px": 28,  # so that boxes of such an image are read from all levels
    "samples": 2,
    "aligned": False,
}
# Of layers that say how boxes move and which categories they are, so that boxes stay boxes and scores differ.
GAINS = {"bbox_pred": 0.2, "cls_score": 0.5}


def loop_nms(boxes, scores, threshold):
    """Greedy suppression, one box after another, by the IoU of boxes as torchvision's kernel computes it."""
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = []
    for i in torch.sort(scores, descending=True, stable=True).indices.tolist():
        for j in kept:
            sides = torch.minimum(boxes[i, 2:], boxes[j, 2:]) - torch.maximum(boxes[i, :2], boxes[j, :2])
            both = sides.clamp(min=0).prod()
            if both / (areas[i] + areas[j] - both) > threshold:
                break
        else:
            kept.append(i)
    return torch.tensor(kept, dtype=torch.int64)


def load():
    """torchvision, and the names of the operators that are not its own."""
    try:
        import torchvision
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        # What fails: shapes of absent operators under torch.compile, which is not used here.
        sys.modules["torchvision._meta_registrations"] = type(sys)("torchvision._meta_registrations")
        import torchvision
    if torchvision.extension._has_ops():
        return torchvision, []
    align = sys.modules["torchvision.ops.roi_align"]
    align._roi_align = inspect.unwrap(align._roi_align)  # as it is written: it would compile itself
    sys.modules["torchvision.ops.boxes"].nms = loop_nms
    return torchvision, ["nms", "roi_align"]


def turned(boxes):
    """(y0, x0, y1, x1) from (x0, y0, x1, y1), or the reverse; a code likewise."""
    return torch.as_tensor(boxes)[..., [1, 0, 3, 2]]


def planes(features):
    """[H, W, C] as a batch of one of channels first."""
    return torch.from_numpy(features).permute(2, 0, 1)[None]


def plain(tensor):
    """Lists of rounded numbers."""
    return np.round(np.asarray(tensor, np.float64), DIGITS).tolist()


def pieces():
    """torchvision's answer to each case."""
    from torchvision.models.detection._utils import BoxCoder, Matcher
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.image_list import ImageList
    from torchvision.models.detection.roi_heads import paste_masks_in_image, project_masks_on_boxes
    from torchvision.ops import MultiScaleRoIAlign, roi_align
    from torchvision.ops.poolers import LevelMapper

    case, found = given.cases(), {}
    levels = given.LEVELS
    height, width = (side * levels["strides"][0] for side in levels["shapes"][0])
    images = ImageList(torch.zeros(1, 1, height, width), [(height, width)])
    generator = AnchorGenerator(tuple(levels["scales"]), (levels["ratios"],) * len(levels["scales"]))
    found["anchors"] = plain(turned(generator(images, [torch.zeros(1, 1, *shape) for shape in levels["shapes"]])[0]))

    coder = BoxCoder(weights=[weight for weight in given.WEIGHTS for _ in range(2)])
    boxes, anchors, code = (turned(case[name]) for name in ("boxes", "anchors", "code"))
    found["encoded"] = plain(turned(coder.encode_single(boxes, anchors)))
    found["decoded"] = plain(turned(coder.decode_single(code, anchors)))

    for name, (low, high, low_quality) in given.MATCHERS.items():
        matcher = Matcher(high, low, allow_low_quality_matches=low_quality)
        found[f"matched_{name}"] = torch.stack([matcher(torch.from_numpy(iou)) for iou in case["iou"]]).tolist()

    for aligned in (False, True):
        cut = roi_align(
            planes(case["features"]),
            [turned(case["regions"])],
            given.GRID,
            given.ALIGN["scale"],
            given.ALIGN["samples"],
            aligned,
        )
        found[f"aligned_{aligned}"] = plain(cut.permute(0, 2, 3, 1))

    first, last = (int(np.log2(given.PYRAMID_STRIDES[end])) for end in (0, -1))
    found["levels"] = LevelMapper(first, last)([turned(case["levels"])]).tolist()
    pooler = MultiScaleRoIAlign(["0", "1", "2"], list(given.GRID), 2, canonical_scale=given.CANONICAL_PX)
    maps = OrderedDict((str(k), planes(features)) for k, features in enumerate(case["pyramid"]))
    found["pyramid"] = plain(pooler(maps, [turned(case["regions"])], [(64, 48)]).permute(0, 2, 3, 1))

    masks = torch.from_numpy(case["masks"]).float()
    found["projected"] = plain(
        project_masks_on_boxes(masks, turned(case["mask_boxes"]), torch.arange(len(masks)), given.MASK_GRID)
    )
    grids = torch.from_numpy(case["grids"])[:, None]
    found["pasted"] = plain(paste_masks_in_image(grids, turned(case["pasted_boxes"]), given.PASTED_SIZE)[:, 0])
    return found


class Body(torch.nn.Module):
    """A stem of 2 x 2 px and one basic residual block a stage; the maps of all stages but the first."""

    def __init__(self):
        super().__init__()
        from torchvision.models.resnet import BasicBlock, conv1x1

        def stage(k):
            channels, stride = (4, 1) if k == 0 else (WIDTH, 2)
            shortcut = torch.nn.Sequential(conv1x1(channels, WIDTH, stride), torch.nn.BatchNorm2d(WIDTH))
            return BasicBlock(channels, WIDTH, stride, shortcut)

        self.stages = torch.nn.ModuleList(stage(k) for k in range(STAGES))

    def forward(self, image):
        x, maps = torch.nn.functional.pixel_unshuffle(image, 2), OrderedDict()
        for k, stage in enumerate(self.stages):
            x = stage(x)
            maps[str(k)] = x
        del maps["0"]
        return maps


class Backbone(torch.nn.Module):
    """`Body` and torchvision's pyramid."""

    def __init__(self):
        super().__init__()
        from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

        self.body = Body()
        self.fpn = FeaturePyramidNetwork([WIDTH] * (STAGES - 1), WIDTH, LastLevelMaxPool())
        self.out_channels = WIDTH

    def forward(self, image):
        return self.fpn(self.body(image))


def network():
    """torchvision's MaskRCNN of two categories in random parameters, none of which is what it starts with."""
    from torchvision.models.detection import MaskRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
    from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
    from torchvision.ops import MultiScaleRoIAlign

    def pool(side):
        return MultiScaleRoIAlign(
            [str(k) for k in range(1, STAGES)], side, SETTINGS["samples"], canonical_scale=SETTINGS["canonical_px"]
        )

    model = MaskRCNN(
        Backbone(),
        min_size=SIDE,
        max_size=SIDE,
        image_mean=[0.5],
        image_std=[1.0],
        rpn_anchor_generator=AnchorGenerator(
            tuple((px,) for px in SETTINGS["anchor_px"]), (SETTINGS["ratios"],) * STAGES
        ),
        rpn_pre_nms_top_n_test=SETTINGS["candidates"],
        rpn_post_nms_top_n_test=SETTINGS["proposals"],
        rpn_nms_thresh=SETTINGS["rpn_nms"],
        box_roi_pool=pool(7),
        box_head=TwoMLPHead(WIDTH * 7 * 7, SETTINGS["hidden"]),
        box_predictor=FastRCNNPredictor(SETTINGS["hidden"], 3),
        box_score_thresh=SETTINGS["least_score"],
        box_nms_thresh=SETTINGS["box_nms"],
        box_detections_per_img=SETTINGS["detections"],
        mask_roi_pool=pool(14),
        mask_head=MaskRCNNHeads(WIDTH, (WIDTH,) * 4, 1),
        mask_predictor=MaskRCNNPredictor(WIDTH, WIDTH, 3),
    )
    torch.manual_seed(SEED)
    for name, value in model.state_dict().items():
        if value.ndim > 1:
            value.normal_(0, GAINS.get(name.split(".")[-2], 1.0) * (2 / value[0].numel()) ** 0.5)
        elif name.endswith("running_var") or (value.ndim and name.rpartition(".")[0].endswith(("bn1", "bn2"))):
            value.uniform_(0.5, 1.5)
        elif value.ndim:
            value.normal_(0, 0.1)
    return model.eval()


@torch.no_grad()
def read(model, image):
    """What the network makes of an image, step by step."""
    images, _ = model.transform([image])
    levels = model.backbone(images.tensors)
    proposals, _ = model.rpn(images, levels)
    (found,), _ = model.roi_heads(levels, proposals, images.image_sizes)
    grids = found["masks"][:, 0]
    (found,) = model.transform.postprocess([found], images.image_sizes, [(SIDE, SIDE)])
    return {
        **{f"level_{k}": level[0].permute(1, 2, 0) for k, level in enumerate(levels.values())},
        "proposals": turned(proposals[0]),
        "boxes": turned(found["boxes"]),
        "category": found["labels"],
        "scores": found["scores"],
        "grids": grids,
        "masks": found["masks"][:, 0],
    }


def whole():
    """The arrays of the network's file; it must find the same in double precision."""
    model, image = network(), torch.rand((1, SIDE, SIDE), generator=torch.Generator().manual_seed(1))
    state = {f"state/{name}": value.clone() for name, value in model.state_dict().items() if value.ndim}
    found, sure = read(model, image), read(model.double(), image.double())
    for name, value in found.items():
        assert value.shape == sure[name].shape, f"{name} depends on rounding: take another seed"
        assert torch.allclose(value.double(), sure[name].double(), atol=1e-4), f"{name} depends on rounding"
    arrays = {name: value.numpy() for name, value in {**state, "image": image[0], **found}.items()}
    arrays["masks"] = np.packbits(arrays["masks"] > 0.5)
    return arrays


def main():
    torchvision, replaced = load()
    made = {"version": torchvision.__version__, "torch": torch.__version__, "replaced": replaced}
    golden = {**made, "fingerprint": given.fingerprint(), **pieces()}
    (TESTS / "golden_torchvision.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    settings = np.array(json.dumps({**made, **SETTINGS}))
    np.savez_compressed(TESTS / "golden" / "torchvision_mask_rcnn.npz", settings=settings, **whole())


if __name__ == "__main__":
    main()
