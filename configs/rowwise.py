"""A row-wise head on the default U-Net; otherwise the default run.

It labels no pixels but says of each row where a curve is; veerjax/models/rowwise.py says how, and what differs from
what was published. Not trained yet: no result is claimed for it.

`veerjax train --config configs/rowwise.py --workdir runs/rowwise`
"""

from veerjax.config import Config, ModelConfig


def get_config() -> Config:
    return Config(name="rowwise", model=ModelConfig(name="rowwise", head="sigmoid"))
