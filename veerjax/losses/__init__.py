"""Segmentation losses on logits: one number for a batch, float32 inside whatever the logits' type.

Every loss takes `(logits, label, valid)` and works for any number of classes from two on, class 0 being the background.
An example whose `valid` is False adds exactly nothing, neither to the loss nor to its gradient, even where its logits
are not finite; where no example is valid the loss is 0. Labels must be below the number of classes: under jit nothing
here can check it.
"""

from veerjax.losses.cldice import soft_cldice, soft_skeleton
from veerjax.losses.entropy import cross_entropy, focal, symmetric_cross_entropy
from veerjax.losses.lovasz import lovasz_softmax
from veerjax.losses.overlap import soft_dice, tversky
from veerjax.losses.segmentation import segmentation_loss

__all__ = [
    "cross_entropy",
    "focal",
    "lovasz_softmax",
    "segmentation_loss",
    "soft_cldice",
    "soft_dice",
    "soft_skeleton",
    "symmetric_cross_entropy",
    "tversky",
]
