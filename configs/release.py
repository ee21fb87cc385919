"""Release weights, second edition, not shipped yet: the first edition trained on, on a mixture, with two sigmoids.

`veerjax train --config configs/release.py --workdir runs/release --init-from release`
"""

from veerjax.config import Config, DataConfig, ModelConfig, OptimiserConfig, ValidationConfig


def get_config() -> Config:
    return Config(
        name="release",
        seed=2,
        steps=3200,
        batch=8,
        # Half of each batch in the look of the yardstick; one sample each of what a scan may also be.
        data=DataConfig(setting="standard+standard+standard+standard+well_like+hard+one_pixel+identical_ink"),
        model=ModelConfig(features=(24, 48, 96, 128, 160), head="sigmoid"),
        optimiser=OptimiserConfig(learning_rate=1.5e-3, warmup_steps=50),
        validation=ValidationConfig(examples=64, every=400),
    )
