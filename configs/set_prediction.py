"""Set prediction: two queries, each with a class and a mask; otherwise the default run.

veerjax/models/set_prediction.py says what is as published and what is not. Not trained yet: no result is claimed for
it.

`veerjax train --config configs/set_prediction.py --workdir runs/set_prediction`
"""

from veerjax.config import Config, ModelConfig


def get_config() -> Config:
    return Config(name="set_prediction", model=ModelConfig(name="set_prediction", head="sigmoid"))
