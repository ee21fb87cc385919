"""The protocol with a peer, spoken to a stand-in; and the real PyTorch peer where torch is installed."""

import functools
import importlib.util
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
import pytest

from veerjax.config import Config, DataConfig, LossConfig, ModelConfig
from veerjax.errors import InputError
from veerjax.jobs.benchmark_peer import comparable, log_odds_of, relative, turns
from veerjax.performance import peer as peers
from veerjax.performance.peer import check_interpreter, check_parity, running_peer
from veerjax.performance.stages import Bench
from veerjax.performance.timing import Timing
from veerjax.training.sharding import data_mesh

STAND_IN = """
import json, sys
from pathlib import Path
folder = Path(sys.argv[1])
spec = json.loads((folder / "spec.json").read_text())
print("a library chats", file=sys.stderr)
print(json.dumps({"ready": True, "torch": "0", "parameters": spec["batch"]}), flush=True)
for line in sys.stdin:
    command = json.loads(line)
    if command["do"] == "die":
        sys.exit("the last words")
    if command["do"] == "fail":
        print(json.dumps({"error": "no such thing"}), flush=True)
    else:
        print(json.dumps({"seconds": [0.5] * command["steps"]}), flush=True)
"""


def bench(**model) -> Bench:
    config = Config(
        name="test",
        batch=2,
        data=DataConfig(height=32, width=64),
        model=ModelConfig(features=(8, 16), dtype="float32", **model),
    )
    return Bench.of(config, data_mesh(jax.devices()[:1]))


def randomised(variables):
    """Running statistics away from 0 and 1, so that parity tests them."""
    statistics = jax.tree.map(lambda leaf: leaf + 0.3, variables["batch_stats"])
    return jax.device_get({**variables, "batch_stats": statistics})


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    script = tmp_path / "peer.py"
    script.write_text(STAND_IN)
    monkeypatch.setattr(peers, "SCRIPT", script)
    made = bench()
    with running_peer("torch", sys.executable, made.config, batch=made.batch, variables={}) as peer:
        yield peer


def test_a_peer_gets_the_config_and_answers_times(stand_in: peers.Peer) -> None:
    assert stand_in.about["parameters"] == 2
    assert stand_in.timed("train", warmup=1, steps=3).seconds == (0.5, 0.5, 0.5)


def test_what_a_peer_cannot_do_is_said_in_its_words(stand_in: peers.Peer) -> None:
    with pytest.raises(InputError, match="the peer cannot do this: no such thing"):
        stand_in.ask("fail")
    with pytest.raises(InputError, match="the peer ended: the last words"):
        stand_in.ask("die")
    with pytest.raises(InputError, match="the peer ended"):
        stand_in.ask("train", warmup=0, steps=1)


class Clockwork:
    """A peer whose times are known."""

    def timed(self, what: str, *, warmup: int, steps: int) -> Timing:
        del warmup
        return Timing(seconds=(0.1 if what == "predict" else 0.2,) * steps)


def test_ratios_are_ours_over_theirs_for_times_and_for_throughput(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("veerjax.jobs.benchmark_peer.SETTLE_S", 0.0)
    ours = {name: functools.partial(time.sleep, 0.05) for name in ("train", "predict", "end_to_end", "built")}
    found = turns(ours, cast(Any, Clockwork()), steps=3, warmup=0)
    assert found["time_ratio_train"] == pytest.approx(0.25, rel=0.2)
    assert found["time_ratio_eval"] == pytest.approx(0.5, rel=0.2)
    assert found["throughput_ratio_rendered"] == pytest.approx(4, rel=0.2)
    assert found["throughput_ratio_built_data"] == pytest.approx(4, rel=0.2)


def test_a_peer_is_gone_when_its_block_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "peer.py").write_text(STAND_IN)
    monkeypatch.setattr(peers, "SCRIPT", tmp_path / "peer.py")
    made = bench()
    with running_peer("torch", sys.executable, made.config, batch=made.batch, variables={}) as peer:
        assert peer.process.poll() is None
    assert peer.process.poll() is not None
    assert not peer.folder.exists()


@pytest.mark.parametrize(
    ("python", "sentence"),
    [("/no/such/python", "does not start"), ("false", "cannot import it")],
)
def test_an_interpreter_that_cannot_run_the_peer_is_refused(python: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        check_interpreter("torch", python)


def test_a_peer_that_computes_something_else_is_refused() -> None:
    logits = np.zeros((1, 2, 2, 2))
    assert check_parity(logits, logits + 5e-5) == pytest.approx(5e-5)
    with pytest.raises(InputError, match="it is another function"):
        check_parity(logits, logits + 2e-4)


def test_a_peer_gets_the_weights_of_its_two_losses_and_no_config_with_others() -> None:
    config = bench().config
    spec = peers.specification("torch", comparable(replace(config, loss=LossConfig(cross_entropy=0.5, dice=0.2))))
    assert [spec["loss"][name] for name in peers.PEER_LOSSES] == [0.5, 0.2]
    with pytest.raises(InputError, match=r"weighs lovasz, cldice; add --set loss\.lovasz=0 --set loss\.cldice=0"):
        comparable(replace(config, loss=LossConfig(lovasz=1.0, cldice=0.5)))


def test_a_net_that_no_peer_has_is_refused() -> None:
    config = replace(bench().config, model=ModelConfig(name="fcn"))
    with pytest.raises(InputError, match=r"a peer is a U-Net, and model\.name is 'fcn'; give a config of unet"):
        comparable(config)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed here")
@pytest.mark.parametrize(
    "model",
    [{}, {"stem": "full"}, {"stem": "space_to_depth_4"}, {"norm": "pixel"}],
    ids=["default", "full", "space_to_depth_4", "pixel"],
)
def test_the_torch_peer_computes_the_same_logits_and_trains(model: dict[str, str]) -> None:
    made = bench(**model)
    variables = made.model.init(jax.random.key(3))
    variables = randomised(variables) if "batch_stats" in variables else jax.device_get(variables)
    with running_peer("torch", sys.executable, made.config, batch=made.batch, variables=variables) as peer:
        assert check_parity(log_odds_of(made, variables), relative(peer.logits())) < 1e-4
        first, third = (peer.ask("train", warmup=0, steps=steps)["loss"] for steps in (1, 2))
    step, state, losses = made.train_step(), replace(made.state(), params=variables["params"]), []
    state = replace(state, extra={name: leaf for name, leaf in variables.items() if name != "params"})
    for _ in range(3):
        state, metrics = step(state, made.batch)
        losses.append(float(metrics["loss"]))
    assert first == pytest.approx(losses[0], abs=1e-4)
    assert third == pytest.approx(losses[2], abs=2e-3)
