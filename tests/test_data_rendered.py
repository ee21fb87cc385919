import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.data.rendered import rendered_batches, rendered_examples
from veerjax.errors import InputError
from veerjax.synthesis.draw import draw_batch
from veerjax.types import Batch

SIZE = {"height": 48, "width": 32}


def test_every_sample_is_valid_once_and_the_last_batch_is_padded():
    batches = list(rendered_batches("standard", split="test", count=13, batch=8, **SIZE))
    assert [batch.size for batch in batches] == [8, 8]
    assert np.concatenate([batch.valid for batch in batches]).tolist() == [True] * 13 + [False] * 3


def test_a_sample_depends_on_its_index_and_on_nothing_else_of_the_stream():
    first, second = rendered_batches("standard", split="train", count=16, batch=8, seed=1, **SIZE)
    again = next(rendered_batches("standard", split="train", count=1, batch=8, seed=1, **SIZE))
    np.testing.assert_array_equal(first.image, again.image)
    assert (first.image != second.image).any(axis=(1, 2, 3)).all()


def test_the_seed_names_training_samples_and_no_others():
    def images(split: str, seed: int) -> np.ndarray:
        return np.asarray(next(rendered_batches("standard", split=split, count=1, batch=8, seed=seed, **SIZE)).image)

    np.testing.assert_array_equal(images("test", 0), images("test", 1))
    assert (images("train", 0) != images("train", 1)).any(axis=(1, 2, 3)).all()
    assert (images("validation", 0) != images("test", 0)).any(axis=(1, 2, 3)).all()


@pytest.mark.slow
def test_the_samples_are_those_of_draw_batch():
    whole = jax.jit(lambda i: draw_batch(3, "train", i, **SIZE))(jnp.arange(8))
    stream = next(rendered_batches("standard", split="train", count=8, batch=8, seed=3, **SIZE))
    for name, expected in vars(whole).items():
        np.testing.assert_array_equal(getattr(stream, name), expected, err_msg=name)


def by_index(names: tuple[str, ...], indices: list[int]) -> list[Batch]:
    """Each sample of a mixture, drawn with its own setting alone."""

    def one(index: int) -> Batch:
        name = names[index % len(names)]
        return rendered_examples(name, split="train", indices=jnp.array([index]), seed=3, **SIZE)

    return [one(index) for index in indices]


@pytest.mark.slow
def test_sample_i_of_a_mixture_is_of_its_setting_i_wherever_the_stream_begins():
    names = ("well_like", "clean", "well_like")
    mixture, indices = "+".join(names), [4, 2, 0, 7, 5]
    stream = rendered_examples(mixture, split="train", indices=jnp.array(indices), seed=3, **SIZE)
    whole = jax.jit(lambda i: draw_batch(3, "train", i, setting=mixture, **SIZE))(jnp.arange(3, 9))
    for place, alone in enumerate(by_index(names, indices)):
        np.testing.assert_array_equal(stream.strokes[place], alone.strokes[0])
        np.testing.assert_allclose(stream.image[place], alone.image[0], atol=1.01 / 255)
    for place, alone in enumerate(by_index(names, list(range(3, 9)))):
        np.testing.assert_array_equal(whole.strokes[place], alone.strokes[0])
        np.testing.assert_allclose(whole.image[place], alone.image[0], atol=1.01 / 255)


def test_a_batch_that_does_not_divide_among_a_mixture_is_refused():
    sentence = r"a batch of 7 does not divide among the 2 settings standard\+clean; write 8"
    with pytest.raises(InputError, match=sentence):
        draw_batch(0, "train", jnp.arange(7), setting="standard+clean", **SIZE)
    with pytest.raises(InputError, match=r"the setting is 'claen'.*did you mean 'clean'"):
        rendered_batches("standard+claen", split="train", count=2, batch=2, **SIZE)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"setting": "standart"}, "did you mean 'standard'"),
        ({"split": "tests"}, "did you mean 'test'"),
        ({"count": 0}, "0 examples were asked for"),
        ({"batch": 0}, "the batch is 0"),
    ],
)
def test_bad_arguments_are_refused_at_once(changes, sentence):
    arguments = {"setting": "standard", "split": "test", "count": 2, "batch": 2} | changes
    with pytest.raises(InputError, match=sentence):
        rendered_batches(arguments.pop("setting"), **arguments, **SIZE)


def test_drawing_imports_no_library_of_the_built_datasets():
    heavy = "'tensorflow', 'tensorflow_datasets', 'grain', 'lasio', 'matplotlib'"
    code = f"import sys, veerjax.data.rendered; print([name for name in ({heavy}) if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
