"""DeepLab v3 of output stride 8, without a CRF; otherwise the default run.

The rates of the pyramid fit a map of 32 x 32 places; veerjax/models/deeplab.py says what else is not as published. Not
trained yet: no result is claimed for it.

`veerjax train --config configs/deeplab.py --workdir runs/deeplab`
"""

from veerjax.config import Config, ModelConfig


def get_config() -> Config:
    model = ModelConfig(name="deeplab", features=(16, 32, 64, 96, 128), stem="full", output_stride=8, rates=(3, 6, 12))
    return Config(name="deeplab", model=model)
