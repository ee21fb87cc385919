"""FCN-8s: the finest scores stand 8 px apart; otherwise the default run.

A norm follows each convolution, for it is trained from scratch; veerjax/models/fcn.py says what else is not as
published. Not trained yet: no result is claimed for it.

`veerjax train --config configs/fcn8s.py --workdir runs/fcn8s`
"""

from veerjax.config import Config, ModelConfig


def get_config() -> Config:
    model = ModelConfig(name="fcn", features=(16, 32, 64, 96, 128, 256), stem="full", output_stride=8, dropout=0.5)
    return Config(name="fcn8s", model=model)
