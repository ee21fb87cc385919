"""What a sweep may vary, and how growth is measured."""

import numpy as np
import pytest

from veerjax.config import Config
from veerjax.errors import InputError
from veerjax.performance.sweep import growth, parsed, swept

CONFIG = Config(name="test")


def test_keys_and_values_are_read() -> None:
    assert parsed("batch=4,8") == ("batch", [4, 8])
    assert parsed("precision=float32,bfloat16") == ("precision", ["float32", "bfloat16"])
    assert parsed("model.stem=full,space_to_depth") == ("model.stem", ["full", "space_to_depth"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("batch", "write it as key=value,value"),
        ("batch=4", "write it as key=value,value"),
        ("bacth=1,2", "did you mean 'batch'"),
        ("model.features=1,2", "does not know 'model.features'"),
    ],
)
def test_a_sweep_that_means_nothing_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        parsed(text)


def test_a_size_is_height_and_width_and_features_are_a_factor() -> None:
    assert (swept(CONFIG, "size", 128).data.height, swept(CONFIG, "size", 128).data.width) == (128, 128)
    assert swept(CONFIG, "rows", 512).data.height == 512
    assert swept(CONFIG, "features", 0.5).model.features == tuple(w // 2 for w in CONFIG.model.features)
    assert swept(CONFIG, "devices", 2) == CONFIG


@pytest.mark.parametrize(
    ("key", "value"), [("precision", "float8"), ("devices", 0), ("features", "wide"), ("batch", 0)]
)
def test_a_value_that_the_key_does_not_take_is_refused(key: str, value: object) -> None:
    with pytest.raises(InputError):
        swept(CONFIG, key, value)


def test_growth_is_the_exponent() -> None:
    cost = [1.0, 2.0, 4.0]
    assert growth(cost, [3.0, 6.0, 12.0]) == pytest.approx(1)
    assert growth(cost, [1.0, 4.0, 16.0]) == pytest.approx(2)
    assert growth([2.0, 2.0], [1.0, 3.0]) is None
    assert np.isfinite(growth([1.0, 2.0], [0.1, 0.15]) or np.nan)
