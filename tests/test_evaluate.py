"""Evaluation from weights to figures: every log once, the same on any layout, baselines where they must be."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from veerjax.config import Config, ModelConfig
from veerjax.data.logset import LogSet, open_logs, rendered_set
from veerjax.errors import InputError
from veerjax.jobs import evaluate, methods
from veerjax.jobs.evaluate import Evaluation, difference_of, plain, report_of, run_evaluation
from veerjax.metrics.bootstrap import flat, pooled_sums
from veerjax.models import build_model
from veerjax.training.weights import Weights

SIZE = {"height": 96, "width": 64}
NO_LEARNING = ("all_background", "random_identity")


def small_standard(data: str, *, split: str, data_dir: Path | None, limit: int | None, channels: int) -> LogSet:
    """`standard` in small pictures."""
    return rendered_set(data, split=split, count=limit or 12, channels=channels, **SIZE)


def untrained_weights(name: str) -> Weights:
    """A tiny net whose weights have not been trained, under any name but `nan`, whose weights are that."""
    config = Config(name="tiny", model=ModelConfig(features=(4, 8), stem="full"))
    model = build_model(config.model, config.loss)
    variables = jax.device_get(model.init(jax.random.key(sum(map(ord, name)))))
    if name == "nan":
        variables = jax.tree.map(lambda leaf: leaf * np.nan, variables)
    return Weights(name=name, config=config, model=model, variables=variables)


@pytest.fixture
def small_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "open_logs", small_standard)


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "load_weights", untrained_weights)


@pytest.fixture(scope="module")
def two() -> Evaluation:
    """Of two sets of weights on twelve logs, in batches that leave a rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "open_logs", small_standard)
        patch.setattr(evaluate, "load_weights", untrained_weights)
        return evaluated(("tiny", "other"))


def evaluated(weights: str | tuple[str, ...] = "tiny", **options: object) -> Evaluation:
    return run_evaluation(weights, "standard", **{"limit": 12, "baselines": NO_LEARNING} | options)


def same_counts(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Counts are equal; sums of lengths and distances are, up to the order in which XLA adds."""
    if ours.dtype.kind in "iub":
        np.testing.assert_array_equal(ours, theirs)
    else:
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_figures_are_the_same_on_one_device_and_eight_and_for_any_batch(small_logs: None, untrained: None) -> None:
    whole = evaluated(batch=12, devices=jax.devices()[:1])
    assert len(jax.devices()) == 8
    for other in (evaluated(batch=5, devices=jax.devices()[:1]), evaluated(batch=8)):
        assert other.names == whole.names
        # The method without a net has identical pixels everywhere, so its counts are equal; a net's logits are near.
        jax.tree.map(same_counts, whole.sums["random_identity"], other.sums["random_identity"])
        figures = [flat(evaluation.figures(pooled_sums(evaluation.sums["tiny"]))) for evaluation in (whole, other)]
        for key in ("iou.pooled.0", "iou.pooled.1", "iou.pooled.2", "foreground_iou", "tolerance_f1.2.0", "coverage.0"):
            np.testing.assert_allclose(figures[0][key], figures[1][key], atol=1e-4, err_msg=key)


def test_every_pixel_of_every_log_is_counted_once(two: Evaluation) -> None:
    for sums in two.sums.values():
        np.testing.assert_array_equal(sums["label"]["confusion"].sum(axis=(1, 2)), 96 * 64)
        assert len(sums["label"]["confusion"]) == len(set(two.names)) == 12


def test_baselines_score_what_they_must(small_logs: None, untrained: None) -> None:
    report = report_of(evaluated(limit=64, batch=16))
    blank, tossed = (report["baselines"][name] for name in NO_LEARNING)
    assert blank["iou"]["pooled"][1:] == [0, 0]
    assert blank["iou"]["pooled"][0] > 0.7
    assert blank["coverage"] == [0, 0]
    assert blank["tolerance_f1"]["2"] == [0, 0]
    assert blank["row_error_px"]["mean"] == [None, None]
    assert tossed["foreground_iou"] == 1
    np.testing.assert_allclose(tossed["iou"]["pooled"][1:], 1 / 3, atol=0.15)
    np.testing.assert_allclose(tossed["identity_accuracy"], 0.5, atol=0.15)
    low, high = tossed["interval95"]["iou.pooled.1"]
    assert low < tossed["iou"]["pooled"][1] < high


def test_the_report_is_plain_json_with_the_promised_keys(two: Evaluation) -> None:
    report = report_of(two)
    again = json.loads(json.dumps(report, allow_nan=False))
    promised = [
        "schema",
        "data",
        "split",
        "weights",
        "n_logs",
        "iou",
        "foreground_iou",
        "identity_accuracy",
        "tolerance_f1",
        "coverage",
        "row_error_px",
        "row_error_all_px",
        "peak_recall",
        "crossing_continuity",
        "swaps_per_1000_rows",
        "interval95",
        "baselines",
    ]
    assert not set(promised) - again.keys()
    assert again["iou"].keys() == {"pooled", "per_image"}
    assert {"1", "2", "3"} <= again["tolerance_f1"].keys()
    assert {"mean", "median", "p95"} <= again["row_error_px"].keys()
    assert again["crossing_continuity"].keys() == {"crossings", "touches", "balanced"}
    assert len(again["interval95"]["tolerance_f1.2.0"]) == 2
    assert len(again["per_log"]["name"]) == again["n_logs"] == 12
    assert again["survey"]["iou"] == [0.94, 0.26, 0.21]


def test_weights_against_themselves_differ_by_nothing_and_against_others_by_something(two: Evaluation) -> None:
    same = replace(two, sums=two.sums | {"other": two.sums["tiny"]})
    assert {entry["verdict"] for entry in difference_of(same)["difference"].values()} == {"equal", "-"}
    # The toss against a blank page: as if they were two sets of weights.
    unlike = replace(two, weights=("all_background", "random_identity"))
    found = difference_of(unlike)["difference"]
    assert found["foreground_iou"] == {
        "a": 0, "b": 1, "difference": 1, "interval95": [1, 1], "verdict": "B better"
    }  # fmt: skip
    back = difference_of(replace(two, weights=("random_identity", "all_background")))["difference"]
    assert back["foreground_iou"]["verdict"] == "A better"
    assert back["row_error_all_px.mean.0"]["verdict"] == "A better"


def test_the_figure_to_decide_by_is_the_mean_of_the_curves_and_is_compared(two: Evaluation) -> None:
    report, compared = report_of(two), difference_of(two)
    assert report["tolerance_f1_2px"] == pytest.approx(np.mean(report["tolerance_f1"]["2"]))
    low, high = report["interval95"]["tolerance_f1_2px"]
    assert low <= report["tolerance_f1_2px"] <= high
    assert compared["difference"][compared["primary"]]["difference"] is not None


def test_a_single_log_has_no_interval_and_no_verdict(small_logs: None, untrained: None) -> None:
    evaluation = evaluated(("tiny", "other"), limit=1)
    between = report_of(evaluation)["interval95"]
    assert {tuple(ends) for ends in between.values()} == {(None, None)}
    assert {entry["verdict"] for entry in difference_of(evaluation)["difference"].values()} == {"-"}


@pytest.mark.parametrize(
    ("between", "said"),
    [
        ((0.1, 0.2), "B better"),
        ((-0.2, -0.1), "A better"),
        ((-0.1, 0.2), "noise"),
        ((0.0, 0.2), "noise"),
        ((0.0, 0.0), "equal"),
        ((np.nan, np.nan), "-"),
    ],
)
def test_a_verdict_says_what_the_interval_says(between: tuple[float, float], said: str) -> None:
    assert evaluate.verdict("iou.pooled.1", between) == said


def test_a_machine_without_scikit_image_goes_without_the_classical_baseline(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(methods.installed_baselines()) == {"all_background", "random_identity", "classical"}
    monkeypatch.setattr(methods.importlib.util, "find_spec", lambda name: None)
    assert methods.installed_baselines() == NO_LEARNING
    assert "left out; it needs pip install scikit-image" in capsys.readouterr().err


def test_weights_that_give_nan_are_refused(small_logs: None, untrained: None) -> None:
    with pytest.raises(InputError, match="the weights 'nan' give NaN; their training has diverged"):
        evaluated("nan")


def test_the_same_weights_twice_are_refused(small_logs: None, untrained: None) -> None:
    with pytest.raises(InputError, match="names 'tiny' twice; name two different ones"):
        evaluated(("tiny", "tiny"))


@pytest.mark.parametrize("name", methods.BASELINES)
def test_weights_named_like_a_baseline_are_not_taken_for_it(name: str, small_logs: None, untrained: None) -> None:
    with pytest.raises(InputError, match=rf"'{name}' is a baseline; for weights .* write \./{name}"):
        evaluated(("tiny", name))


@pytest.mark.parametrize("data", ["four_curves", "raster_logs/four_curves"])
def test_logs_whose_rows_are_ambiguous_are_not_scored(data: str, untrained: None) -> None:
    with pytest.raises(InputError, match=r"four_curves has two curves of each class.*write well_like, or another"):
        run_evaluation("tiny", data)


def pair(folder: Path, name: str, *, height: int = 64, width: int = 48) -> np.ndarray:
    """An image with two lines and its label."""
    label = np.zeros((height, width), np.uint8)
    label[:, 10:13], label[:, 30:33] = 1, 2
    Image.fromarray(np.where(label > 0, 0, 255).astype(np.uint8)).save(folder / f"{name}.png")
    Image.fromarray(label).save(folder / f"{name}.label.png")
    return label


def test_a_folder_of_pairs_is_read_with_its_sizes_and_its_tables(tmp_path: Path) -> None:
    pair(tmp_path, "a")
    pair(tmp_path, "b", height=80)
    pair(tmp_path, "c")
    x = "".join(f"{row + 0.5},{20.25},\n" for row in range(64))
    (tmp_path / "c.pixels.csv").write_text("row_px,curve_1_px,curve_2_px\n" + x)
    logs = open_logs(str(tmp_path))
    portions = list(logs.portions(2))
    assert [portion.names for portion in portions] == [("a", "c"), ("b",)]
    assert [portion.batch.image.shape for portion in portions] == [(2, 64, 48, 1), (2, 80, 48, 1)]
    batch = portions[0].batch
    np.testing.assert_allclose(batch.centreline[0], np.broadcast_to([[11.5], [31.5]], (2, 64)), atol=0.05)
    assert batch.presence[0].all()
    np.testing.assert_allclose(batch.centreline[1, 0], 20.25)
    assert not batch.presence[1, 1].any()


@pytest.mark.slow
def test_a_folder_is_evaluated_and_the_truth_read_from_labels_scores_well(tmp_path: Path, untrained: None) -> None:
    pair(tmp_path, "a")
    pair(tmp_path, "b", height=80)
    report = report_of(run_evaluation("tiny", str(tmp_path), baselines=("random_identity",)))
    assert report["n_logs"] == 2
    assert report["baselines"]["random_identity"]["foreground_iou"] == 1


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder: (folder / "a.label.png").unlink(), "has no label beside it; write it to a.label.png"),
        (lambda folder: [path.unlink() for path in folder.iterdir()], "holds no image; put pairs NAME.png"),
        (
            lambda folder: Image.fromarray(np.full((64, 48), 7, np.uint8)).save(folder / "a.label.png"),
            "holds the class 7; veerjax knows 0 background, 1 the solid curve and 2 the broken one",
        ),
        (
            lambda folder: Image.fromarray(np.zeros((60, 48), np.uint8)).save(folder / "a.label.png"),
            "is 48 x 64 px and its label 48 x 60; they must be of one size",
        ),
        (lambda folder: Image.new("RGB", (48, 64)).save(folder / "a.label.png"), "is of mode RGB; write class ids"),
        (lambda folder: (folder / "a.label.png").write_bytes(b"no"), "cannot be read as a picture"),
        (
            lambda folder: (folder / "a.pixels.csv").write_text("row_px,curve_1_px\n.5,3\n"),
            "has 1 rows and its image 64; one a row is needed",
        ),
        (lambda folder: (folder / "a.pixels.csv").write_text("row_px\n.5\n"), "has no column curve_1_px"),
        (lambda folder: (folder / "a.pixels.csv").write_text("row_px,curve_1_px\n.5,x\n"), "cannot be read as a table"),
        (lambda folder: (folder / "a.pixels.csv").write_text(""), "holds no row; one for each row of the image"),
    ],
)
def test_pairs_that_are_wrong_are_refused_in_a_sentence(tmp_path: Path, spoil, sentence: str) -> None:
    pair(tmp_path, "a")
    spoil(tmp_path)

    def read() -> None:
        list(open_logs(str(tmp_path)).portions(1))

    with pytest.raises(InputError, match=sentence):
        read()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"data": "standrad"}, "there is no data 'standrad'; write a rendered setting"),
        ({"data": "standard", "split": "train"}, "--split is 'train'; standard has validation and test"),
        ({"data": "standard", "limit": 0}, "the limit is 0 logs; it must be at least 1"),
        ({"data": "standard", "limit": -3}, "the limit is -3 logs; it must be at least 1"),
        ({"data": "raster_logs/las"}, "is a built dataset; say where it lies with --data-dir"),
    ],
)
def test_data_that_are_not_there_are_named(arguments: dict[str, str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        open_logs(**arguments)


def test_nan_is_null() -> None:
    assert plain({"a": np.array([1.0, np.nan]), "b": (np.float32(2), float("inf"))}) == {
        "a": [1.0, None],
        "b": [2.0, None],
    }
