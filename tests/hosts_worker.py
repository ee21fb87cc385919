"""The program `veerjax` with examples and a validation figure that compile in a second; `test_hosts` runs it."""

import os
import sys
from typing import Any

from veerjax.cli import main


def make_easy() -> None:
    """Noise whose bright pixels are ink in place of rendered scans; in place of the figures, how well they are told."""
    import jax
    import jax.numpy as jnp

    from veerjax.training import checkpoint, loop, stepper, validation
    from veerjax.types import Batch

    def example(seed: Any, index: Any, height: int, width: int) -> Batch:
        noise = jax.random.normal(jax.random.fold_in(jax.random.key(seed), index), (height, width))
        strokes = jnp.stack([noise > 1, noise < -1])
        return Batch(
            image=jax.nn.sigmoid(noise)[..., None],
            strokes=strokes,
            label=(strokes[0] + 2 * strokes[1]).astype(jnp.uint8),
            centreline=jnp.full((2, height), index, jnp.float32),
            presence=jnp.ones((2, height), bool),
            valid=jnp.asarray(True),
        )

    def draw_batch(
        seed: Any, split: str, indices: Any, *, height: int, width: int, setting: str, channels: int
    ) -> Batch:
        assert (split, channels) == ("train", 1), setting
        return jax.vmap(lambda index: example(seed, index, height, width))(indices)

    def validation_batches(config: Any, *, data_dir: Any) -> Any:
        count = config.validation.examples
        for start in range(0, count, config.batch):
            indices = jnp.arange(start, start + config.batch)
            batch = jax.vmap(lambda i: example(2**20, i, config.data.height, config.data.width))(indices)
            yield Batch(**{**vars(batch), "valid": indices < count})

    def measure(prediction: Any, traces: Any, batch: Any, *, parts: Any) -> Any:
        right = (prediction.masks > 0.5) == batch.strokes
        return {"right": right.mean(axis=(1, 2, 3))}

    loop.LOG_EVERY = 1
    stepper.draw_batch = draw_batch
    stepper.rendered_examples = lambda setting, *, split, indices, height, width, seed, channels: draw_batch(
        seed, split, indices, height=height, width=width, setting=setting, channels=channels
    )
    validation.validation_batches = validation_batches
    validation.measure, validation.trace = measure, lambda prediction: None
    validation.pooled_sums = lambda sums: sums
    validation.figures_of = lambda sums, *, parts: sums
    validation.watched_figures = lambda sums: {checkpoint.BEST: float(sums["right"].mean())}


if __name__ == "__main__":
    if "--distributed" not in sys.argv or "VEERJAX_CHILD_PIPE" in os.environ:
        make_easy()
    raise SystemExit(main())
