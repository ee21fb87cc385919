"""VeerNet, with GroupNorm; otherwise the default run.

veerjax/models/veernet.py says what was published and what is chosen. Not trained yet: no result is claimed for it.

`veerjax train --config configs/veernet.py --workdir runs/veernet`
"""

from veerjax.config import Config, ModelConfig


def get_config() -> Config:
    model = ModelConfig(name="veernet", features=(16, 32, 64, 96, 128), stem="full", norm="group")
    return Config(name="veernet", model=model)
