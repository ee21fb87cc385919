"""The weights that ship in the package, first edition.

`veerjax train --config configs/release.py --workdir runs/release`
"""

from veerjax.config import Config, ModelConfig, OptimiserConfig, ValidationConfig


def get_config() -> Config:
    return Config(
        name="release",
        steps=3300,
        batch=8,
        model=ModelConfig(features=(24, 48, 96, 128, 160)),
        optimiser=OptimiserConfig(learning_rate=2e-3, warmup_steps=100),
        validation=ValidationConfig(examples=64, every=300),
    )
