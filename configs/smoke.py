"""A small net that trains in about a minute on two CPU cores; `veerjax demo` uses it.

`veerjax train --config configs/smoke.py --workdir runs/smoke`
"""

from veerjax.config import Config
from veerjax.jobs.demo import small_config


def get_config() -> Config:
    return small_config()
