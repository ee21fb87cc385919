from pathlib import Path

import pytest

from veerjax.config import Config, from_dict, load_config_file, to_dict, with_overrides
from veerjax.errors import InputError

CONFIGS = sorted((Path(__file__).resolve().parents[1] / "configs").glob("*.py"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_every_config_loads_and_survives_json(path: Path) -> None:
    config = load_config_file(path)
    assert from_dict(Config, to_dict(config)) == config


def test_overrides_reach_into_groups_and_are_checked() -> None:
    config = with_overrides(
        Config(name="x"), ["optimiser.learning_rate=1e-3", "model.features=[8,16]", "steps=7", "loss.dice=.5"]
    )
    assert config.optimiser.learning_rate == 1e-3
    assert config.loss.dice == 0.5
    assert with_overrides(Config(name="x"), ["name=2024_01"]).name == "2024_01"
    assert with_overrides(Config(name="x"), ["name=nan"]).name == "nan"
    assert config.model.features == (8, 16)
    assert config.steps == 7


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        ("steps", "write it as key=value"),
        ("stepz=3", "no key 'stepz' .did you mean 'steps'"),
        ("modle.norm=batch", "no group 'modle' .did you mean 'model'"),
        ("model.norms=batch", "no key 'model.norms' .did you mean 'norm'"),
        ("steps=many", "steps is 'many'; it must be of type int"),
        ("steps=0", "steps is 0; it must be at least 1"),
        ("batch=0", "batch is 0; it must be at least 1"),
        ("model.norm=layer", "model.norm is 'layer'; write one of batch, pixel, group, none"),
        ("model.stem=half", "model.stem is 'half'"),
        ("model.dtype=float8", "model.dtype is 'float8'"),
        ("model.features=[]", "needs at least one positive channel width"),
        ("model.features=3", "must be a list"),
        ("optimiser.learning_rate=-1", "it must be above 0"),
        ("optimiser.clip_norm=0", "clip_norm is 0.0; it must be above 0"),
        ("optimiser.warmup_steps=-1", "warmup_steps is -1; it must be >= 0"),
        ("optimiser.name=lion", "optimiser.name is 'lion'"),
        ("loss.dice=-1", "each must be >= 0"),
        ("validation.every=0", "validation.every is 0"),
        ("validation.examples=0", "validation.examples is 0"),
        ("data.height=3", "data.height is 3; it must be at least 16 px"),
        ("model=3", "model is 3; it must be a group of keys"),
    ],
)
def test_a_wrong_override_is_one_sentence(item: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        with_overrides(Config(name="x"), [item])


def test_a_config_without_its_name_is_refused() -> None:
    with pytest.raises(InputError, match="needs the key 'name'"):
        from_dict(Config, {})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "from veerjax.config import Config\ndef get_config(): return Config(name='x', stepz=3)",
            "stepz.*did you mean 'steps'",
        ),
        ("def get_config(): return 3", "must return a veerjax.config.Config"),
        ("x = 1", "no attribute 'get_config'"),
        ("def (", "cannot be read"),
    ],
)
def test_a_wrong_config_file_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "c.py"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence) as caught:
        load_config_file(path)
    assert "\n" not in str(caught.value)


def test_a_missing_or_broken_config_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no config file"):
        load_config_file(tmp_path / "absent.py")
    (tmp_path / "c.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        load_config_file(tmp_path / "c.json")
    (tmp_path / "c.txt").write_text("steps: 3")
    with pytest.raises(InputError, match=r"neither a \.py nor a \.json"):
        load_config_file(tmp_path / "c.txt")
