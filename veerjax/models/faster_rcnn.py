"""Faster R-CNN: `models.mask_rcnn` without masks; the mask of a curve is its box.

Reference: Ren, He, Girshick, Sun 2015, with the pyramid of Lin et al. 2017.
"""

from veerjax.config import LossConfig, ModelConfig
from veerjax.models.mask_rcnn import detector_of, model_of
from veerjax.models.model import Model


def build(config: ModelConfig, loss: LossConfig) -> Model:
    """A Faster R-CNN behind the seam of `models.model`.

    Raises:
        InputError: what it does not have, or a key that it does not read.
    """
    return model_of(detector_of(config, loss, masks=False))
