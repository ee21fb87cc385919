"""How many steps of training a number of operations buys, so that unlike networks train for equal work."""

from veerjax.config import Config
from veerjax.models import build_model

PASSES = 3  # forward passes that a training step costs: itself, and the gradients of inputs and of kernels


def step_flops(config: Config) -> int:
    """The operations of a training step by the definition of the layers, whatever is done again for want of memory."""
    model = build_model(config.model, config.loss)
    cost = model.training_cost or model.cost
    return PASSES * cost((config.batch, config.data.height, config.data.width, config.model.channels)).flops


def steps_within(flops: float, config: Config) -> int:
    """The steps of a config that take so many operations, and at least one."""
    return max(int(flops // step_flops(config)), 1)
