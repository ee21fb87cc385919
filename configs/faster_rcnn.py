"""Faster R-CNN: boxes alone; otherwise the default run.

veerjax/models/faster_rcnn.py says what is as published and what is not. Not trained yet: no result is claimed for it.

`veerjax train --config configs/faster_rcnn.py --workdir runs/faster_rcnn`
"""

from veerjax.config import Config, ModelConfig


def get_config() -> Config:
    return Config(name="faster_rcnn", model=ModelConfig(name="faster_rcnn", head="sigmoid"))
