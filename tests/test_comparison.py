"""The comparison: arms that can be built, a run that is stopped and goes on, verdicts that known figures give."""

import json
from pathlib import Path
from typing import Any

import comparison_cases as cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.cli import main
from veerjax.comparison import claims, evidence, run, summary
from veerjax.comparison.arms import ARMS, CONTROL, ORACLES, chosen_arms
from veerjax.comparison.claims import FALSIFIED, HELD, UNDECIDED
from veerjax.comparison.design import design, look_of, meeting, shifted_at
from veerjax.comparison.evidence import load_results
from veerjax.comparison.oracles import formula, in_boxes, sure_of
from veerjax.comparison.presets import PRESETS, config_of
from veerjax.comparison.reading import best_order, box_counts, native_trace
from veerjax.errors import InputError
from veerjax.metrics.bootstrap import draw_weights
from veerjax.models import build_model
from veerjax.models.mask_rcnn.ceilings import taught_masks
from veerjax.performance.equal_work import step_flops
from veerjax.types import blank

DRAWS = 200


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bootstraps of a moment."""
    monkeypatch.setattr(evidence, "weights_of", lambda units: draw_weights(units, draws=DRAWS))


@pytest.mark.parametrize("name", ARMS)
def test_every_arm_is_a_network_of_equal_work(name: str) -> None:
    preset = PRESETS["cpu"]
    config = config_of(name, ARMS[name], preset, seed=3)
    once = step_flops(config)
    assert preset.flops - once < once * config.steps <= preset.flops
    assert config.seed == 3


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_s_arms_can_be_built(preset: str) -> None:
    for name, arm in ARMS.items():
        config = config_of(name, arm, PRESETS[preset], seed=0, overrides=("steps=2",))
        model = build_model(config.model, config.loss)
        assert min(config.data.height, config.data.width) >= model.least_px
        assert config.data.height % model.stride == 0


def test_arms_differ_in_their_network_alone() -> None:
    configs = [config_of(name, arm, PRESETS["cpu"], seed=0, overrides=("steps=2",)) for name, arm in ARMS.items()]
    for part in ("data", "optimiser", "loss", "validation", "batch"):
        assert len({getattr(config, part) for config in configs}) == 1


def test_a_detector_learns_more_masks_than_it_answers_with() -> None:
    config = config_of("A3", ARMS["A3"], PRESETS["cpu"], seed=0)
    model = build_model(config.model, config.loss)
    assert model.training_cost is not None
    shape = (1, 64, 64, 1)
    assert model.training_cost(shape).flops > model.cost(shape).flops
    assert model.training_cost(shape).parameters == model.cost(shape).parameters


def test_unknown_arms_and_presets_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert chosen_arms("B4,A1,O", ()) == ("A1", "B4", "O")
    with pytest.raises(InputError, match=r"--arms names 'B9'; write some of .* \(did you mean 'B"):
        chosen_arms("A1,B9", ())
    assert main(["compare", "run", "--preset", "cpuu", "--out", str(tmp_path / "a")]) == 2
    assert "did you mean 'cpu'" in capsys.readouterr().err
    assert (
        main(["compare", "run", "--preset", "smoke", "--out", str(tmp_path / "a"), "--set", "model.featurs=[8]"]) == 2
    )
    assert "the config has no key 'model.featurs'" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
    for command in ("report", "exhibit"):
        assert main(["compare", command, str(tmp_path)]) == 2
        assert "holds no comparison; make one with veerjax compare run" in capsys.readouterr().err


def test_crossings_and_touches_are_as_many_and_cells_share_their_curves() -> None:
    logs = design(PRESETS["cpu"])
    kinds = [log.meeting for log in logs]
    assert kinds.count("crossing") == kinds.count("touching") > 100
    assert len({log.name for log in logs}) == len(logs)
    assert shifted_at(logs, 0.33).sum() == 2 * shifted_at(logs, 0.5).sum()
    assert shifted_at(logs).sum() + meeting(logs).sum() == len(logs)
    assert look_of(logs[:3]).stroke_px.shape == (3,)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Trials that are written without training; a list of those that were run."""
    done: list[tuple[str, int]] = []

    def run_one(trial: tuple[str, int], *given: Any, **more: Any) -> dict[str, Any]:
        if trial == ("B4", 1) and done.count(trial) == 0:
            done.append(trial)
            raise KeyboardInterrupt
        done.append(trial)
        return {"arm": trial[0], "seed": trial[1]}

    monkeypatch.setattr(run, "run_one", run_one)
    monkeypatch.setattr(run, "config_of", lambda *given, **more: None)
    monkeypatch.setattr(run, "times_of", lambda arms, *given, **more: dict.fromkeys(arms))
    return done


def test_a_run_that_was_stopped_goes_on_with_what_is_not_done(tmp_path: Path, stand_in: list[Any]) -> None:
    arms = "O,A1,B4"
    with pytest.raises(KeyboardInterrupt):
        run.run_comparison("cpu", tmp_path, arms=arms)
    assert stand_in == [(ORACLES, 0), ("A1", 0), ("B4", 0), ("B4", 1)]
    assert sorted(path.name for path in (tmp_path / "trials").iterdir()) == [
        "A1-0.json.gz",
        "B4-0.json.gz",
        "O-0.json.gz",
    ]
    run.run_comparison("cpu", tmp_path, arms=arms)
    assert stand_in[4:] == [("B4", 1), ("B4", 2)]
    run.run_comparison("cpu", tmp_path, arms=arms)
    assert len(stand_in) == 6
    run.run_comparison("cpu", tmp_path, arms="A2", seeds=1)
    assert stand_in[6:] == [("A2", 0)]


def test_another_comparison_is_not_mixed_in(tmp_path: Path, stand_in: list[Any]) -> None:
    run.run_comparison("smoke", tmp_path, arms="O")
    with pytest.raises(InputError, match="comparison of preset smoke, and --preset cpu is another; give another"):
        run.run_comparison("cpu", tmp_path, arms="O")
    with pytest.raises(InputError, match=r"holds a comparison of overrides \[\], and --set \['batch=4'\] is another"):
        run.run_comparison("smoke", tmp_path, arms="O", overrides=["batch=4"])


def verdicts(folder: Path, *wanted: int) -> list[str]:
    """Of the claims at these places."""
    results = load_results(folder)
    return [claims.judged(claims.CLAIMS[place], results)["verdict"] for place in wanted]


def test_a_recall_that_drops_without_suppression_too_holds_the_claim_on_boxes(tmp_path: Path) -> None:
    falls = {"native": 0.9, "off": 0.9, "off near": 0.4}
    a2 = cases.trial("A2", 0, {**falls, "ceiling": 0.9})
    assert verdicts(cases.folder_of(tmp_path, a2, cases.control()), 0) == [HELD]
    stays = cases.trial("A2", 0, {"native": 0.9, "native near": 0.4, "off": 0.9, "ceiling": 0.9})
    assert verdicts(cases.folder_of(tmp_path, stays), 0) == [FALSIFIED]
    # Seeds that do not agree decide nothing.
    assert verdicts(cases.folder_of(tmp_path, cases.trial("A2", 1, {**falls, "ceiling": 0.9})), 0) == [UNDECIDED]


def test_an_untrained_arm_or_a_failing_control_decides_nothing(tmp_path: Path) -> None:
    falls = {"native": 0.7, "off": 0.9, "off near": 0.4}
    low = cases.trial("A2", 0, {**falls, "ceiling": 1.0})
    results = load_results(cases.folder_of(tmp_path, low, cases.control()))
    found = claims.judged(claims.CLAIMS[0], results)
    assert found["verdict"] == UNDECIDED
    assert found["evidence"]["0"]["untrained"]["A2"] == pytest.approx(1 - 2 * 0.7 / 1.7, abs=0.02)
    good = cases.trial("A2", 0, {**falls, "ceiling": 0.7})
    assert verdicts(cases.folder_of(tmp_path, good, cases.control(0.5)), 0) == [UNDECIDED]
    assert verdicts(cases.folder_of(tmp_path, good, cases.control(0.95)), 0) == [HELD]


def test_the_verdicts_of_a_world_in_which_pixels_win(tmp_path: Path) -> None:
    good = {arm: {**cases.GOOD[arm], "ceiling": cases.GOOD[arm]["native"]} for arm in ("A1", "A3", "B1", "B3", "B5")}
    made = [cases.trial(arm, 0, share) for arm, share in good.items()]
    b4 = cases.trial("B4", 0, {"native": 0.95, "ceiling": 0.95})
    a5 = cases.trial("A5", 0, {"native": 0.6, "ceiling": 0.6}, continuity=0.2)
    c1 = cases.trial("C1", 0, {"native": 0.7, "ceiling": 0.7})
    folder = cases.folder_of(tmp_path, *made, b4, a5, c1, cases.control(), cases.oracles())
    # The box; identity; A5; C1; skips and CRF, which loses ink; a spread wider than the gap; a blank page.
    expected = [HELD, HELD, HELD, HELD, FALSIFIED, FALSIFIED, FALSIFIED]
    assert verdicts(folder, 1, 2, 3, 4, 7, 8, 9) == expected
    side = cases.trial("B4", 0, {"native": 0.95, "ceiling": 0.95}, continuity=0.3)
    assert verdicts(cases.folder_of(tmp_path, side), 2) == [FALSIFIED]


def test_the_verdicts_of_a_world_in_which_boxes_queries_and_rows_are_as_good(tmp_path: Path) -> None:
    b4 = cases.trial("B4", 0, {"native": 0.95, "ceiling": 0.95})
    equal = [{**cases.trial(arm, 0, {"native": 0.95, "ceiling": 0.95}), "logs": b4["logs"]} for arm in ("A3", "A5")]
    a1 = cases.trial("A1", 0, {"native": 0.7, "ceiling": 0.7})
    c1 = cases.trial("C1", 0, {"native": 0.99, "ceiling": 0.99})
    folder = cases.folder_of(tmp_path, a1, b4, *equal, c1, cases.control(), cases.oracles())
    assert verdicts(folder, 1, 3, 4) == [FALSIFIED, FALSIFIED, FALSIFIED]


def test_low_iou_is_judged_by_where_the_curve_is(tmp_path: Path) -> None:
    lost = cases.trial("B4", 0, {"native": 0.25, "ceiling": 0.25})
    assert verdicts(cases.folder_of(tmp_path, lost, cases.oracles()), 5) == [FALSIFIED]
    placed = {**lost, "logs": {**lost["logs"], "all_px": np.ones((len(lost["logs"]["all_px"]), 2)).tolist()}}
    assert verdicts(cases.folder_of(tmp_path, placed), 5) == [HELD]


def test_the_preset_of_the_machinery_claims_nothing(tmp_path: Path) -> None:
    (tmp_path / "trials").mkdir()
    folder = cases.folder_of(tmp_path, cases.oracles(), preset="smoke")
    found = summary.findings(load_results(folder))
    assert {f["verdict"] for f in found} == {UNDECIDED}
    assert "proves machinery alone" in found[0]["evidence"]["reason"]


def test_results_of_another_edition_are_refused(tmp_path: Path) -> None:
    made = cases.trial("B4", 0, {"native": 0.9})
    made["logs"]["tolerance"] = made["logs"]["tolerance"][:5]
    with pytest.raises(InputError, match=r"B4 of .* was measured on 5 logs, and the preset cpu now has"):
        load_results(cases.folder_of(tmp_path, made))


def test_boxes_answer_for_one_true_box_each() -> None:
    true = jnp.array([[0.0, 0, 10, 10], [0, 2, 10, 12]])
    twice, counted = jnp.stack([true[0], true[0]]), jax.jit(box_counts)
    there = jnp.ones(2)
    assert int(counted(true, there, true)["found"]) == 2
    assert int(counted(true[::-1], there, true)["found"]) == 2
    # Both lie on one curve; the true boxes overlap by .67, so either would pass for the other one.
    assert int(counted(twice, there, true)["found"]) == 2
    assert int(counted(twice, jnp.array([1.0, 0]), true)["found"]) == 1
    apart = true.at[1].add(jnp.array([0.0, 20, 0, 20]))
    found = counted(twice, there, apart)
    assert int(found["found"]) == 1
    assert float(found["overlap"]) == 1
    assert float(found["true_overlap"]) == 0


def test_curves_without_names_are_named_as_suits_them_best() -> None:
    strokes = np.zeros((2, 2, 20, 24), bool)
    strokes[:, 0, :, 4:7], strokes[:, 1, :, 15:18] = True, True
    truth = blank(jnp.zeros((2, 20, 24, 1)))
    truth = cases.with_strokes(truth, strokes)
    said = sure_of(jnp.asarray(np.stack([strokes[0], strokes[1][::-1]])))
    read = jax.jit(lambda said: best_order(said, native_trace(said, joint=False), truth))
    named, found = read(said)
    np.testing.assert_array_equal(named.label, np.broadcast_to(np.asarray(truth.label), (2, 20, 24)))
    np.testing.assert_allclose(found.x, truth.centreline)


def test_a_grid_of_28_cells_loses_thin_lines_and_the_formula_is_a_ratio() -> None:
    strokes = np.zeros((1, 2, 112, 64), bool)
    for row in range(112):
        strokes[0, :, row, 10 + (row * 5) // 14] = True
    masks = np.asarray(in_boxes(taught_masks, jnp.asarray(strokes), size=(28, 28)))
    share = (masks & strokes).sum() / (masks | strokes).sum()
    assert share < 0.5
    fine = np.asarray(in_boxes(taught_masks, jnp.asarray(strokes), size=(112, 56)))
    assert (fine & strokes).sum() / (fine | strokes).sum() > share
    assert formula(1 / 3) == pytest.approx(0.5)
    assert formula(0.0) == 1
    assert formula(1.0) == 0


def test_the_summary_holds_design_s_keys(tmp_path: Path) -> None:
    a1, b4 = (cases.trial(arm, 0, {"native": 0.9, "ceiling": 0.9}) for arm in ("A1", "B4"))
    found = summary.summary(cases.folder_of(tmp_path, a1, b4, cases.control(), cases.oracles()))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert {"schema", "preset", "arms", "falsifiers"} <= found.keys()
    assert {"iou", "interval95", "seeds", "parameters"} <= found["arms"]["B4"].keys()
    assert all(f.keys() == {"claim", "criterion", "verdict", "evidence"} for f in found["falsifiers"])
    [a, _] = [row for row in found["contrasts"] if row["contrast"] == "A1 - B4"]
    assert a["difference"] == pytest.approx(0, abs=0.01)
    assert a["equivalent"]
    assert a["p_holm"] >= a["p"]
    steps = found["arms"]["A1"]["diagnostics"]
    assert [step["formula"] for step in steps] == pytest.approx([step["found_overlap"] for step in steps], abs=1e-6)
    assert any("A2, seed 0" in line for line in found["not_run"])
    blank_page = found["sweep"]["all_background"]["same"][0]
    assert blank_page["recall"]["value"] == 0
    assert blank_page["iou"]["value"][1] == 0
    assert CONTROL not in found["arms"]


@pytest.mark.slow
def test_an_arm_is_trained_measured_shown_and_timed_from_the_shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["compare", "run", "--preset", "smoke", "--arms", "A1", "--out", str(tmp_path)]
    assert main(run) == 0
    results = load_results(tmp_path)
    found, times = results.trials["A1"][0], results.times["A1"]
    assert (found["steps"], found["learning"]["step"][-1]) == (2, 2)
    assert found["logs"]["tolerance"].shape == (len(results.logs), 2, 4)
    # What is true of a curve does not depend on who answers: all logs have ink of both.
    assert (found["logs"]["tolerance"][..., 3] > 0).all()
    assert times["p10"] <= times["median"] <= times["p90"]
    boxes = found["boxes"]
    assert set(boxes) == {"nms", "proposals", *ARMS["A1"].variants}
    # Whoever is given the true boxes has found both.
    assert np.asarray(boxes["oracle boxes"]["found"]).tolist() == [2] * len(results.logs)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("trials/*")}
    assert main(["compare", "exhibit", str(tmp_path), "--out", str(tmp_path / "page.html")]) == 0
    assert "Made from networks that were not trained" in (tmp_path / "page.html").read_text()
    capsys.readouterr()
    assert main(run) == 0
    assert "smoke: 0 trainings and oracles to do" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("trials/*")} == kept
