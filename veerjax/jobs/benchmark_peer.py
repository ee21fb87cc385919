"""Our times and a peer's in one run, in turn, so that the machine's mood falls on both."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from veerjax.config import Config, CrfConfig, require
from veerjax.data.stream import built_batches
from veerjax.performance import equal_time
from veerjax.performance.peer import PEER_LOSSES, Peer, check_interpreter, check_parity, running_peer
from veerjax.performance.reading import built_examples, can_build
from veerjax.performance.stages import Bench
from veerjax.performance.timing import timed
from veerjax.training.sharding import data_mesh, over_examples

ROUNDS = 3
SETTLE_S = 0.3  # until the other process's threads have stopped waiting busily
THEIRS = {"train": "train", "predict": "predict", "end_to_end": "train_built", "built": "train_built"}

Report = dict[str, Any]
Run = Callable[[], Any]


def run_against(
    name: str,
    python: str,
    config: Config,
    *,
    steps: int = 30,
    warmup: int = 3,
    fit_seconds: float | None = None,
    compiled: bool | None = None,
    kept_heap: bool = True,
) -> Report:
    """Ours and a peer's times in one run, in turn.

    `torch` is the same network, whose forward pass must equal ours first; `smp` is what a user would pick instead, a
    U-Net with a ResNet-34 encoder at its defaults, which can also be trained for the same time as ours.

    Args:
        name: of `peer.PEERS`
        python: the peer's interpreter
        config: ours
        steps: timed ones
        warmup: before each round
        fit_seconds: train both from scratch for as long and compare F1; not at all if None
        compiled: whether the peer uses its compiler; on a GPU only if None
        kept_heap: whether the peer keeps freed memory as we do

    Raises:
        InputError: see `performance.peer` and `comparable`, or the two forward passes differ.
    """
    config = comparable(config)
    check_interpreter(name, python)
    bench = Bench.of(config, data_mesh(jax.devices()[:1]))
    stages = peer_stages(bench)  # what does not fit is refused here
    judged = [] if fit_seconds is None else equal_time.drawn_logs(bench, "validation", equal_time.JUDGED_LOGS)
    training = equal_time.drawn_logs(bench, "train", equal_time.TRAINING_LOGS if judged else config.batch * 2)
    variables = jax.device_get(bench.state().variables)
    arrays = equal_time.peer_arrays(training, judged or training)
    given = {"variables": variables, "arrays": arrays, "compiled": compiled, "kept_heap": kept_heap}
    with running_peer(name, python, config, batch=bench.batch, **given) as peer:
        about = {key: value for key, value in peer.about.items() if key != "ready"}
        found: Report = {"name": name, **about}
        if name == "torch":
            found["parity"] = check_parity(log_odds_of(bench, variables), relative(peer.logits()))
        with built_step(bench) as built:
            found |= turns(stages | built, peer, steps=steps, warmup=warmup)
        if fit_seconds is not None:
            found |= equal_times(bench, peer, judged, fit_seconds, found)
    return found


def comparable(config: Config) -> Config:
    """The config as a peer can match it: one forward pass a prediction.

    Raises:
        InputError: it is of a net that no peer has, weighs a loss that a peer does not have, or has another head.
    """
    name = config.model.name
    require(name == "unet", f"a peer is a U-Net, and model.name is {name!r}; give a config of unet.")
    others = [name for name, weight in config.loss.weights.items() if weight > 0 and name not in PEER_LOSSES]
    settings = " ".join(f"--set loss.{name}=0" for name in others)
    require(
        not others,
        f"a peer has {' and '.join(PEER_LOSSES)} for its loss, and the config weighs {', '.join(others)}; add "
        f"{settings}.",
    )
    head = config.model.head
    require(head == "softmax", f"a peer has three classes, and model.head is {head!r}; add --set model.head=softmax.")
    # A moving average costs a step of ours next to nothing, and the peer keeps none.
    once = replace(config.model, mirror=False, crf=CrfConfig())
    return replace(config, model=once, optimiser=replace(config.optimiser, ema_decay=0.0))


def peer_stages(bench: Bench) -> dict[str, Run]:
    """Our side of each turn, compiled."""
    return {
        "train": bench.train().run,
        "predict": bench.probability().run,
        "end_to_end": bench.end_to_end().run,
    }


def turns(stages: Mapping[str, Run], peer: Peer, *, steps: int, warmup: int) -> Report:
    """Medians of both sides and ours over theirs, from rounds in turn.

    The peer's step from its loader stands against ours that draws; the loader maps raw arrays, with nothing to decode.
    """
    seconds: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in stages}
    share = -(-steps // ROUNDS)
    for _ in range(ROUNDS):
        for name, run in stages.items():
            time.sleep(SETTLE_S)
            seconds[name][0].extend(timed(run, warmup=warmup, steps=share).seconds)
            time.sleep(SETTLE_S)
            seconds[name][1].extend(peer.timed(THEIRS[name], warmup=warmup, steps=share).seconds)
    ours, theirs = ({name: float(np.median(pair[side])) for name, pair in seconds.items()} for side in (0, 1))
    built = None if "built" not in ours else theirs["built"] / ours["built"]
    return {
        "ours_ms": {name: value * 1e3 for name, value in ours.items()},
        "theirs_ms": {name: value * 1e3 for name, value in theirs.items()},
        "time_ratio_train": ours["train"] / theirs["train"],
        "time_ratio_eval": ours["predict"] / theirs["predict"],
        "throughput_ratio_rendered": theirs["end_to_end"] / ours["end_to_end"],
        "throughput_ratio_built_data": built,
    }


@contextmanager
def built_step(bench: Bench) -> Iterator[dict[str, Run]]:
    """Our training step on stored examples, PNGs read by Grain; nothing where TFDS or Grain is missing."""
    if not can_build():
        yield {}
        return
    compiled = bench.train_step()
    held = [bench.state()]
    with built_examples(bench.config) as split:
        stream = built_batches(split, batch=bench.config.batch, seed=bench.config.seed)

        def step() -> Any:
            state, metrics = compiled(held.pop(), jax.device_put(next(stream), over_examples(bench.mesh)))
            held.append(state)
            return state, metrics

        yield {"built": step}


def equal_times(bench: Bench, peer: Peer, judged: list[Any], seconds: float, found: Report) -> Report:
    """F1 of both after training for the same time, and the steps that it paid for."""
    ours = equal_time.steps_within(seconds, found["ours_ms"]["end_to_end"] / 1e3)
    theirs = equal_time.steps_within(seconds, found["theirs_ms"]["end_to_end"] / 1e3)
    f1, our_seconds = equal_time.fitted(bench, judged, steps=ours)
    their_f1, their_seconds = equal_time.fitted_peer(peer, judged, steps=theirs)
    return {
        "fit_seconds": seconds,
        "fit_steps": {"ours": ours, "theirs": theirs},
        "fit_seconds_taken": {"ours": our_seconds, "theirs": their_seconds},
        "tolerance_f1_2px": {"ours": f1, "theirs": their_f1},
        "judged_logs": equal_time.JUDGED_LOGS,
    }


def log_odds_of(bench: Bench, variables: Any) -> np.ndarray:
    """Our logits of the curves over the background's, in float32 at the highest precision."""
    plain = replace(bench.config, model=replace(bench.config.model, dtype="float32"))
    with jax.default_matmul_precision("highest"):
        found = jax.jit(Bench.of(plain, bench.mesh).model.predict)(variables, bench.batch)
    masks = np.asarray(found.masks, np.float64)
    return np.moveaxis(np.log(masks) - np.log(1 - masks.sum(axis=1, keepdims=True)), 1, -1)


def relative(logits: np.ndarray) -> np.ndarray:
    """Logits of the curves over the background's."""
    return logits[..., 1:].astype(np.float64) - logits[..., :1]
