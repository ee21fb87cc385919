"""FCN-32s: the finest scores stand 32 px apart; otherwise the default run.

A norm follows each convolution, for it is trained from scratch; veerjax/models/fcn.py says what else is not as
published. Not trained yet: no result is claimed for it.

`veerjax train --config configs/fcn32s.py --workdir runs/fcn32s`
"""

from veerjax.config import Config, ModelConfig


def get_config() -> Config:
    model = ModelConfig(name="fcn", features=(16, 32, 64, 96, 128, 256), stem="full", output_stride=32, dropout=0.5)
    return Config(name="fcn32s", model=model)
