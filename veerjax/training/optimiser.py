"""The optimiser and its schedule."""

import optax

from veerjax.config import OptimiserConfig


def build_optimiser(config: OptimiserConfig, *, steps: int) -> optax.GradientTransformation:
    """Clipped AdamW, or plain SGD, with a linear warm-up and a cosine that ends at the last of `steps`."""
    warmup = min(config.warmup_steps, steps // 2)
    schedule = optax.warmup_cosine_decay_schedule(
        0.0 if warmup else config.learning_rate,
        config.learning_rate,
        warmup,
        max(steps, warmup + 1),
        config.learning_rate * config.final_fraction,
    )
    if config.name == "sgd":
        return optax.chain(optax.clip_by_global_norm(config.clip_norm), optax.sgd(schedule))
    adamw = optax.adamw(schedule, weight_decay=config.weight_decay)
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), adamw)
