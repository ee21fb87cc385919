"""A small net that trains in about a minute on two CPU cores; `veerjax demo` uses it.

`veerjax train --config configs/smoke.py --workdir runs/smoke`
"""

from veerjax.config import Config, DataConfig, ModelConfig, OptimiserConfig, ValidationConfig


def get_config() -> Config:
    return Config(
        name="smoke",
        steps=250,
        batch=8,
        data=DataConfig(height=128, width=128),
        model=ModelConfig(features=(16, 32, 48, 64)),
        optimiser=OptimiserConfig(learning_rate=4e-3, warmup_steps=20),
        validation=ValidationConfig(examples=32, every=125),
    )
