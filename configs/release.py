"""The recipe of the release weights: the weights shipped before, trained on, on a mixture, with two sigmoids.

`veerjax train --config configs/release.py --workdir runs/release --init-from release`

The shipped ones had less time, in several runs with fewer four_curves at first; the model card says which.
"""

from veerjax.config import Config, DataConfig, ModelConfig, OptimiserConfig, ValidationConfig


def get_config() -> Config:
    return Config(
        name="release",
        seed=3,
        steps=4000,
        batch=12,
        # Half in the look of the yardstick; one or two examples each of what a scan may also be.
        data=DataConfig(
            setting="standard+standard+standard+standard+standard+well_like+"
            "bitonal+hard+one_pixel+identical_ink+four_curves+four_curves"
        ),
        model=ModelConfig(features=(24, 48, 96, 128, 160), head="sigmoid"),
        optimiser=OptimiserConfig(learning_rate=1.5e-3, warmup_steps=50),
        validation=ValidationConfig(examples=64, every=1000),
    )
