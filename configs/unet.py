"""The default: a U-Net on the `standard` setting.

`veerjax train --config configs/unet.py --workdir runs/unet`
"""

from veerjax.config import Config


def get_config() -> Config:
    return Config(name="unet")
