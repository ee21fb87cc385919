"""A net for a pod slice: 20.6 M parameters at 512 x 512 px, four times the width and pixels of the default.

Wide enough that the finest levels fill a TPU's matrix unit by half and the others wholly; docs/tpu.md says what it
would need and do on 1 to 256 chips. Compiled for TPUs, not trained yet: no result is claimed for it.

`veerjax train --config configs/unet_large.py --workdir runs/large --distributed`
"""

from veerjax.config import Config, DataConfig, ModelConfig, OptimiserConfig, ValidationConfig


def get_config() -> Config:
    return Config(
        name="unet_large",
        steps=20_000,
        batch=256,
        data=DataConfig(height=512, width=512),
        model=ModelConfig(features=(64, 128, 256, 512, 512)),
        optimiser=OptimiserConfig(learning_rate=1e-3, warmup_steps=1000),
        validation=ValidationConfig(examples=256, every=1000),
        # Where fewer chips than 32 share the batch, it is fitted to their memory.
        memory="auto",
    )
