"""The two endless streams: addressed by a step, the same for any number of processes."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.data.augment import Augmentation
from veerjax.data.example import Example
from veerjax.data.stream import Batches, built_batches, drawn_batches
from veerjax.errors import InputError
from veerjax.synthesis.draw import draw_batch
from veerjax.types import Batch

STRONG = Augmentation(mirror=0.5, shift=1, crop=1, noise=1, blur=1, threshold=0.2)
GREYS_ONLY = Augmentation(mirror=0, shift=0, crop=0)
SIZE = {"height": 48, "width": 32}


@dataclass(frozen=True)
class Numbered:
    """Examples whose centreline is their position, with a picture of their own."""

    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int, /) -> Example:
        picture = np.random.default_rng(index)
        strokes = picture.random((2, 32, 32)) < 0.1
        return Example(
            key=str(index),
            image=picture.integers(0, 256, (32, 32), np.uint8),
            strokes=strokes,
            label=(strokes[0] + 2 * (strokes[1] & ~strokes[0])).astype(np.uint8),
            centreline=np.full((2, 32), index, float),
            presence=np.ones((2, 32), bool),
            metadata={},
        )


def taken(stream: Batches, count: int) -> list[Batch]:
    """The first batches of a stream, which is closed."""
    try:
        return [jax.device_get(batch) for batch in islice(stream, count)]
    finally:
        stream.close()


def seen(count: int, *, batches: int, seed: int = 0, step: int = 0, augment: Augmentation | None = None) -> list[int]:
    """The numbers of the examples of the first batches of two."""
    stream = built_batches(Numbered(count), batch=2, seed=seed, step=step, augment=augment)
    return [int(number) for batch in taken(stream, batches) for number in batch.centreline[:, 0, 0]]


def stacked(batches: list[Batch]) -> Batch:
    """Batches one behind another."""
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *batches)


def assert_same(one: Batch, other: Batch, *, redrawn: bool = False) -> None:
    """Equal batches; drawn again in a batch of another size, greys may differ by one level and x by rounding."""
    tolerances = {"image": 1.01 / 255, "centreline": 1e-3} if redrawn else {}
    for name, expected in vars(one).items():
        tolerance = tolerances.get(name, 0)
        np.testing.assert_allclose(getattr(other, name), expected, rtol=0, atol=tolerance, err_msg=name)


def places_of(process: int, processes: int, *, batch: int) -> range:
    """The places of a batch that the mesh gives a process: one run for each, in their order."""
    share = batch // processes
    return range(process * share, (process + 1) * share)


def assert_shares(whole: list[Batch], shares: list[list[Batch]], *, redrawn: bool = False) -> None:
    """The shares of the processes, one behind another, are the batch."""
    for step, batch in enumerate(whole):
        assert_same(batch, stacked([share[step] for share in shares]), redrawn=redrawn)


def digest(numbers: list[Any], labels: list[Any]) -> str:
    """Of examples in their order: which they are, and what is in them."""
    found = hashlib.sha256()
    for number, label in zip(numbers, labels, strict=True):
        found.update(np.asarray(number, np.int64).tobytes() + np.asarray(label, np.uint8).tobytes())
    return found.hexdigest()


def test_every_example_comes_once_an_epoch_and_epochs_differ() -> None:
    order = seen(6, batches=6)
    first, second = order[:6], order[6:]
    assert Counter(first) == Counter(second) == Counter(range(6))
    assert first != second


def test_a_stream_goes_on_from_its_step_and_a_seed_names_its_order() -> None:
    assert seen(6, batches=2, step=3) == seen(6, batches=5)[6:]
    assert seen(6, batches=3, seed=1) != seen(6, batches=3)


def test_augmentation_changes_the_pictures_and_not_the_order() -> None:
    assert seen(6, batches=6, augment=GREYS_ONLY) == seen(6, batches=6)


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_the_batches_of_one(processes: int) -> None:
    def of(process: int, processes: int) -> list[Batch]:
        places = places_of(process, processes, batch=8)
        return taken(built_batches(Numbered(10), batch=8, seed=5, augment=STRONG, places=places), 4)

    assert_shares(of(0, 1), [of(process, processes) for process in range(processes)])


def test_the_order_of_a_built_stream_has_one_hash_for_one_two_and_four_processes() -> None:
    def order(processes: int) -> str:
        shares = [
            taken(built_batches(Numbered(10), batch=8, seed=5, places=places_of(p, processes, batch=8)), 5)
            for p in range(processes)
        ]
        batches = [stacked([share[step] for share in shares]) for step in range(5)]
        return digest([n for b in batches for n in b.centreline[:, 0, 0]], [la for b in batches for la in b.label])

    hashes = {processes: order(processes) for processes in (1, 2, 4)}
    print(f"\nbuilt, 40 examples: {hashes}")
    assert len(set(hashes.values())) == 1


def test_a_share_reads_nothing_that_is_not_its_own() -> None:
    read: list[int] = []

    class Watched(Numbered):
        def __getitem__(self, index: int, /) -> Example:
            read.append(index)
            return super().__getitem__(index)

    taken(built_batches(Watched(16), batch=16, seed=5, places=range(4, 8)), 1)
    batches = taken(built_batches(Numbered(16), batch=16, seed=5), 12)
    mine = [{int(n) for n in batch.centreline[4:8, 0, 0]} for batch in batches]
    assert len(read) % 4 == 0
    assert set(read) <= set().union(*mine[: len(read) // 4 + 2])
    assert set(read[:4]) <= mine[0] | mine[1]  # two threads read


@pytest.mark.parametrize("step", [1, 2, 5])
def test_resuming_an_augmented_share_is_going_on(step: int) -> None:
    where = {"batch": 4, "seed": 2, "augment": STRONG, "places": [2, 3]}
    whole = taken(built_batches(Numbered(6), **where), step + 2)
    for expected, found in zip(whole[step:], taken(built_batches(Numbered(6), step=step, **where), 2), strict=True):
        assert_same(expected, found)


def test_augmentation_is_a_function_of_seed_epoch_and_position() -> None:
    def epochs(seed: int) -> list[dict[int, np.ndarray]]:
        batches = taken(built_batches(Numbered(6), batch=6, seed=seed, augment=GREYS_ONLY), 2)
        return [{int(x[0, 0]): image for x, image in zip(b.centreline, b.image, strict=True)} for b in batches]

    one, again, other = epochs(0), epochs(0), epochs(1)
    for number in range(6):
        np.testing.assert_array_equal(one[0][number], again[0][number])
        assert not np.array_equal(one[0][number], one[1][number])
        assert not np.array_equal(one[0][number], other[0][number])


def test_a_closed_stream_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    stream = built_batches(Numbered(6), batch=2, seed=0)
    next(stream)
    assert threading.active_count() > before
    stream.close()
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"source": Numbered(0)}, "no example"),
        ({"batch": 0}, "batch is 0"),
        ({"step": -1}, "the step is -1; it must be at least 0"),
        ({"places": [0, 2]}, "there is no place 2 in a batch of 2; they count from 0"),
        ({"places": []}, "there are no places; a process needs at least one example"),
    ],
)
def test_what_cannot_be_streamed_is_refused_at_once(changes: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        built_batches(**({"source": Numbered(2), "batch": 2, "seed": 0} | changes))
    if "source" not in changes:
        with pytest.raises(InputError, match=sentence):
            drawn_batches("standard", **({"batch": 2, "seed": 0} | SIZE | changes))


def test_an_unknown_setting_is_refused_at_once() -> None:
    with pytest.raises(InputError, match=r"the setting is 'standart'.*did you mean 'standard'"):
        drawn_batches("standart", seed=0, batch=2, **SIZE)


@pytest.fixture(scope="module")
def trained() -> list[Batch]:
    """The batches of four that three steps of a training draw."""
    step_fn = jax.jit(lambda step: draw_batch(3, "train", step * 4 + jnp.arange(4), **SIZE))
    return [jax.device_get(step_fn(step)) for step in range(3)]


def drawn(count: int, **where: Any) -> list[Batch]:
    return taken(drawn_batches("standard", seed=3, **where, **SIZE), count)


def test_drawn_batches_are_those_that_training_draws(trained: list[Batch]) -> None:
    assert_same(stacked(trained), stacked(drawn(6, batch=2)), redrawn=True)


def test_processes_share_the_drawn_batches_of_one_and_each_can_resume(trained: list[Batch]) -> None:
    shares = [drawn(3, batch=4, places=places_of(process, 2, batch=4)) for process in range(2)]
    assert_shares(trained, shares, redrawn=True)
    [resumed] = drawn(1, batch=4, step=2, places=[2, 3])
    assert_same(shares[1][2], resumed)


def test_the_order_of_a_drawn_stream_has_one_hash_for_one_two_and_four_processes(trained: list[Batch]) -> None:
    def order(processes: int) -> str:
        shares = [drawn(3, batch=4, places=places_of(p, processes, batch=4)) for p in range(processes)]
        return digest(list(range(12)), [la for step in range(3) for share in shares for la in share[step].label])

    hashes = {processes: order(processes) for processes in (1, 2, 4)}
    print(f"\ndrawn, 12 examples: {hashes}")
    assert set(hashes.values()) == {digest(list(range(12)), [la for batch in trained for la in batch.label])}


WORKER = """
import sys, json, jax, numpy as np
sys.path.insert(0, sys.argv[4])
address, count, process = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(address, num_processes=count, process_id=process)
from jax.sharding import NamedSharding, PartitionSpec
from test_data_stream import STRONG, Numbered
from veerjax.data.stream import built_batches
from veerjax.training.sharding import data_mesh, over_examples
from veerjax.training.shares import placed, places_here

split = over_examples(data_mesh())
places = places_here(data_mesh(), 8)
stream = built_batches(Numbered(10), batch=8, seed=5, augment=STRONG, places=places)
for _ in range(3):
    image = placed(next(stream), split, batch=8).image
    assert image.shape == (8, 32, 32, 1), image.shape
    print("mean", json.dumps(float(jax.jit(lambda image: image.mean())(image))), flush=True)
stream.close()
"""


@pytest.mark.slow
def test_two_real_processes_form_the_batches_of_one() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    here = os.path.dirname(__file__)
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    commands = [[sys.executable, "-c", WORKER, address, "2", str(process), here] for process in range(2)]
    workers = [
        subprocess.Popen(c, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for c in commands
    ]
    outputs = [worker.communicate(timeout=300) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], outputs
    alone = taken(built_batches(Numbered(10), batch=8, seed=5, augment=STRONG), 3)
    for out, _ in outputs:
        means = [json.loads(line.split()[1]) for line in out.splitlines() if line.startswith("mean")]
        np.testing.assert_allclose(means, [batch.image.mean() for batch in alone], rtol=1e-5)
