"""A whole Mask R-CNN against torchvision's, in its random parameters: the file of tools/make_torchvision_golden.py."""

import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.config import ModelConfig, RcnnConfig
from veerjax.models.mask_rcnn import Detector
from veerjax.models.mask_rcnn.anchors import anchors
from veerjax.models.mask_rcnn.pasting import pasted
from veerjax.models.mask_rcnn.roi_align import pyramid_align
from veerjax.types import blank


class AsTorchvision(Detector):
    """With torchvision's anchors, on corners and of whole sides, and its RoIAlign, which is half a place off."""

    canonical_px: int

    def anchors(self, size):
        strides = (*self.net.strides, 2 * self.net.stride)
        (scale,), ratios = self.rcnn.anchor_scales, self.rcnn.anchor_ratios
        shapes = [(size[0] // stride, size[1] // stride) for stride in strides]
        how = {"ratios": ratios, "centre": 0, "whole": True}
        return [anchors(s, stride=k, scales=[scale * k], **how) for s, k in zip(shapes, strides, strict=True)]

    def _cut(self, levels, boxes, size):
        cut = partial(pyramid_align, strides=self.net.strides, size=size, canonical_px=self.canonical_px, aligned=False)
        regions = jax.vmap(cut)(levels.features, boxes)
        return regions.reshape(-1, *regions.shape[2:])


class State:
    """torchvision's parameters as Flax lays them out."""

    def __init__(self, golden):
        self.golden = golden

    def __call__(self, name):
        return self.golden[f"state/{name}"]

    def conv(self, name):
        return {"kernel": self(f"{name}.weight").transpose(2, 3, 1, 0), "bias": self(f"{name}.bias")}

    def dense(self, name):
        """A convolution of 1 x 1 or a linear layer."""
        weight = self(f"{name}.weight")
        return {"kernel": weight.reshape(len(weight), -1).T, "bias": self(f"{name}.bias")}

    def code(self, name):
        """Of a layer whose outputs are (x, y, width, height), box after box."""
        layer = self.dense(name)
        order = np.arange(len(layer["bias"])).reshape(-1, 4)[:, [1, 0, 3, 2]].ravel()
        return {key: array[..., order] for key, array in layer.items()}

    def norm(self, name):
        return (
            {"scale": self(f"{name}.weight"), "bias": self(f"{name}.bias")},
            {"mean": self(f"{name}.running_mean"), "var": self(f"{name}.running_var")},
        )

    def residual(self, name):
        params, statistics = {}, {}
        for k, (conv, norm) in enumerate((("conv1", "bn1"), ("conv2", "bn2"), ("downsample.0", "downsample.1"))):
            params[f"Conv_{k}"] = {"kernel": self(f"{name}.{conv}.weight").transpose(2, 3, 1, 0)}
            params[f"BatchNorm_{k}"], statistics[f"BatchNorm_{k}"] = self.norm(f"{name}.{norm}")
        return params, statistics

    def variables(self, *, stages):
        body = {f"Residual_{k}": self.residual(f"backbone.body.stages.{k}") for k in range(stages)}
        fpn = range(stages - 1)
        first = self.dense("roi_heads.box_head.fc6")
        rows = first["kernel"].reshape(-1, 7, 7, first["kernel"].shape[1])  # channels first
        up = self("roi_heads.mask_predictor.conv5_mask.weight")
        masks = self.dense("roi_heads.mask_predictor.mask_fcn_logits")
        params = {
            "backbone": {name: params for name, (params, _) in body.items()},
            "pyramid": {f"lateral_{k}": self.dense(f"backbone.fpn.inner_blocks.{k}.0") for k in fpn}
            | {f"level_{k}": self.conv(f"backbone.fpn.layer_blocks.{k}.0") for k in fpn},
            "rpn": {
                "hidden": self.conv("rpn.head.conv.0.0"),
                "objectness": self.dense("rpn.head.cls_logits"),
                "code": self.code("rpn.head.bbox_pred"),
            },
            "box": {
                "hidden_0": first | {"kernel": rows.transpose(1, 2, 0, 3).reshape(first["kernel"].shape)},
                "hidden_1": self.dense("roi_heads.box_head.fc7"),
                "scores": self.dense("roi_heads.box_predictor.cls_score"),
                "code": self.code("roi_heads.box_predictor.bbox_pred"),
            },
            "mask": {f"Conv_{k}": self.conv(f"roi_heads.mask_head.{k}.0") for k in range(4)}
            | {
                "up": {
                    "kernel": up.transpose(0, 2, 3, 1).reshape(len(up), -1),
                    "bias": np.tile(self("roi_heads.mask_predictor.conv5_mask.bias"), 4),
                },
                "masks": {key: array[..., 1:] for key, array in masks.items()},  # theirs has one of the background
            },
        }
        return {"params": params, "batch_stats": {"backbone": {name: stats for name, (_, stats) in body.items()}}}


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).with_name("golden") / "torchvision_mask_rcnn.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def found(golden):
    """What our network makes of the image in torchvision's parameters, by the golden file's names."""
    settings = json.loads(str(golden["settings"]))
    rcnn = RcnnConfig(
        anchor_scales=(settings["anchor_px"][0] / settings["strides"][0],),
        anchor_ratios=tuple(settings["ratios"]),
        proposals=settings["proposals"],
        samples=settings["proposals"],
        detections=settings["detections"],
        least_score=settings["least_score"],
        suppression_iou=settings["box_nms"],
    )
    config = ModelConfig(name="mask_rcnn", features=(8,) * 4, head="sigmoid", dtype="float32", rcnn=rcnn)
    detector = AsTorchvision(config, masks=True)
    detector.canonical_px = settings["canonical_px"]
    variables = State(golden).variables(stages=4)
    expected = jax.eval_shape(detector.init, jax.random.key(0))
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, expected)

    @jax.jit
    def whole(variables, image):
        batch = blank(image)
        levels = detector.read(variables, image)
        proposals, detections = detector.look(variables, batch)
        index = detections.kept.index
        boxes, category = (
            jnp.take_along_axis(a, i, axis=1)
            for a, i in ((detections.boxes, index[..., None]), (detections.category, index))
        )
        grids = jax.nn.sigmoid(detector.outline(variables, levels, boxes, category)[:, :, 0])
        answer = {
            "proposals": proposals.boxes,
            "boxes": boxes,
            "category": category,
            "scores": detections.kept.score,
            "grids": grids,
            "masks": pasted(grids[0], boxes[0], *image.shape[1:3])[None],
            "there": detections.kept.valid,
        }
        answer |= {f"level_{k}": level for k, level in enumerate(levels.features)}
        return {name: value[0] for name, value in answer.items()}

    with jax.default_matmul_precision("highest"):
        return jax.device_get(whole(variables, golden["image"][None, :, :, None]))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["level_0", "level_1", "level_2", "proposals", "boxes", "category", "scores", "grids"])
def test_each_step_of_the_network_is_that_of_torchvision(found, golden, name):
    assert set(golden["category"]) == {1, 2}
    assert found["there"].all()
    np.testing.assert_allclose(found[name], golden[name], atol=1e-4)


@pytest.mark.slow
def test_masks_in_the_image_are_those_of_torchvision(found, golden):
    size = found["masks"].size
    theirs = np.unpackbits(golden["masks"], count=size).astype(bool).reshape(found["masks"].shape)
    sure = np.abs(found["masks"] - 0.5) > 1e-3
    assert theirs.any()
    np.testing.assert_array_equal((found["masks"] > 0.5)[sure], theirs[sure])
