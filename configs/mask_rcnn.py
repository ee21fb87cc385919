"""Mask R-CNN: boxes, and a mask in each; otherwise the default run.

veerjax/models/mask_rcnn/ says what is as published and what is not. docs/regions.md has how it does on `blobs`
and on curves that stand apart.

`veerjax train --config configs/mask_rcnn.py --workdir runs/mask_rcnn`
"""

from veerjax.config import Config, ModelConfig


def get_config() -> Config:
    return Config(name="mask_rcnn", model=ModelConfig(name="mask_rcnn", head="sigmoid"))
