"""Scores of weights and baselines on logs whose truth is known, every log counted exactly once."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from veerjax.config import choice, require
from veerjax.data.logset import LogSet, Positions, checked_classes, open_logs
from veerjax.jobs.methods import BASELINES, Clock, Method, installed_baselines, learned
from veerjax.labels import NUM_CLASSES
from veerjax.metrics.bootstrap import DRAWS, by_unit, draw_weights, drawn_figures, flat, interval, pooled_sums
from veerjax.metrics.other_parts import ALL, DETECTIONS, average_precisions
from veerjax.metrics.parts import CURVE_PX, DEFAULT
from veerjax.metrics.reliability import KEPT_SHARES
from veerjax.metrics.scores import Part, figures_of, graded, lower_is_better, measure
from veerjax.metrics.strata import STRATA
from veerjax.synthesis.settings import has_second_pair
from veerjax.training import hosts
from veerjax.training.sharding import DATA, data_mesh, over_examples
from veerjax.training.stored import digest
from veerjax.training.weights import Weights, load_weights, read_with
from veerjax.version import __version__

METRICS: dict[str, dict[str, Part]] = {"default": DEFAULT, "all": ALL}
PRIMARY = "tolerance_f1_2px"  # by which logs are ranked and checkpoints chosen: F1 within 2 px, mean of the curves
SURVEY = {"iou": [0.94, 0.26, 0.21], "source": "the survey's own figures, on its own data"}


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was measured of every log, by method: the weights by their name, and the baselines."""

    logs: LogSet
    weights: Mapping[str, Weights]  # by their name
    metrics: str
    sums: Mapping[str, Any]  # method -> part -> arrays whose first axis is the log
    names: tuple[str, ...]
    wells: tuple[str | None, ...]
    seconds: Mapping[str, float]

    @property
    def units(self) -> tuple[str, ...]:
        """What is drawn again in the bootstrap: wells where there are several, else logs."""
        return self.names if self.interval_unit == "log" else tuple(str(well) for well in self.wells)

    @property
    def interval_unit(self) -> str:
        return "well" if None not in self.wells and len(set(self.wells)) > 1 else "log"

    @functools.cached_property
    def draws(self) -> Float[np.ndarray, "draws units"]:
        """The same for all methods, so that differences are paired."""
        return draw_weights(len(set(self.units)))

    def figures(self, sums: Mapping[str, Any]) -> dict[str, Any]:
        """The figures of sums with any leading axes."""
        return figures_of(sums, parts=METRICS[self.metrics])

    def drawn(self, method: str) -> dict[str, np.ndarray]:
        """The figures of each bootstrap draw, by dotted key."""
        return drawn_figures(by_unit(self.sums[method], self.units), self.figures, self.draws)


def run_evaluation(
    weights: str | Sequence[str],
    data: str,
    *,
    data_dir: Path | None = None,
    split: str = "test",
    limit: int | None = None,
    batch: int = 8,
    metrics: str = "default",
    baselines: Sequence[str] | None = None,
    devices: Sequence[Any] | None = None,
    rows: int = 1,
    overrides: Sequence[str] = (),
) -> Evaluation:
    """Reads every log once with each method and measures it.

    Of several processes (`hosts`), each calls it alike and reads its share of the logs on its own devices. The first
    one gets what all have measured, another one its own share.

    Args:
        weights: `release` or `WORKDIR[@best|last|STEP]`, one or several
        data: a rendered setting, a built dataset such as `raster_logs/las`, or a folder of pairs
        data_dir: where the built dataset lies
        split: `validation` or `test`, or `all` of a built dataset
        limit: logs at most
        batch: logs at a time; rounded up to a multiple of the devices, or of the groups of `rows` devices
        metrics: `default` or `all`
        baselines: names of `methods.BASELINES`; all that this machine has the libraries for by default
        devices: to use; all of this process by default
        rows: devices that share the height of a log within the network
        overrides: of keys of the weights' configs that change how they are read, such as `model.crf.iterations=5`

    Raises:
        InputError: unknown weights, data, split, metrics or overrides, data with two curves of a class, weights with a
            baseline's name, labels of other classes, devices or heights that do not divide by `rows`, weights that give
            NaN, or another process was started otherwise.
        PeerLost: another process of the same evaluation says nothing.
    """
    choice("--metrics", metrics, tuple(METRICS))
    weights = (weights,) if isinstance(weights, str) else tuple(weights)
    require(len(set(weights)) == len(weights), f"--weights names {weights[0]!r} twice; name two different ones.")
    for name in weights:
        require(name not in BASELINES, f"{name!r} is a baseline; for weights in a folder of that name write ./{name}.")
    require(
        not has_second_pair(data),
        f"{data} has two curves of each class, and scores are of one; it is to train on: write well_like, or another.",
    )
    mesh, clock = data_mesh(jax.local_devices() if devices is None else devices, rows=rows), Clock()
    loaded = {name: read_with(load_weights(name), overrides) for name in weights}
    baselines = installed_baselines() if baselines is None else baselines
    channels = max(item.config.model.channels for item in loaded.values())
    logs = open_logs(data, split=split, data_dir=data_dir, limit=limit, channels=channels)
    if not hosts.alone():
        hosts.agree(facts_of(loaded, logs, metrics=metrics, baselines=baselines, overrides=overrides))
    methods: dict[str, Method] = {name: learned(item, mesh, clock) for name, item in loaded.items()}
    methods |= {name: BASELINES[name](mesh, clock) for name in baselines}
    batch = -(-batch // mesh.shape[DATA]) * mesh.shape[DATA]
    measured = jax.jit(functools.partial(measure, parts=METRICS[metrics]))
    kept: dict[str, list[Any]] = {name: [] for name in methods}
    order, names, wells = [], [], []
    mine = hosts.share(len(logs), of="logs")
    with tqdm(total=len(mine), unit="log", desc="evaluate", leave=False, disable=not hosts.is_first()) as bar:
        portions = logs.portions(batch, of=mine)
        while True:
            with clock.of("read"):
                portion = next(portions, None)
                if portion is None:
                    break
                given = jax.block_until_ready(jax.device_put(portion.batch, over_examples(mesh)))
            count = len(portion.positions)
            checked_classes(given, portion.names, classes=NUM_CLASSES)
            for name, method in methods.items():
                prediction, found = method(given, portion.names)
                with clock.of("metrics" if name in weights else f"metrics of {name}"):
                    sums = jax.device_get(measured(prediction, found, given))
                check_finite(prediction.masks, name)
                kept[name].append(jax.tree.map(lambda leaf, count=count: leaf[:count], sums))
            order.append(portion.positions)
            names += portion.names
            wells += portion.wells
            bar.update(count)
    read = Share(order=order, names=names, wells=wells, sums=kept, seconds=clock.seconds)
    return joined(hosts.collected(read), logs=logs, weights=loaded, metrics=metrics)


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one process has measured, in the order in which it read the logs."""

    order: list[Positions]
    names: list[str]
    wells: list[str | None]
    sums: Mapping[str, list[Any]]  # method -> portions
    seconds: Mapping[str, float]


def joined(shares: Sequence[Share], *, logs: LogSet, weights: Mapping[str, Weights], metrics: str) -> Evaluation:
    """The shares of all processes as one evaluation, logs in the order of the set; seconds are those of the first."""
    place = np.argsort(np.concatenate([positions for share in shares for positions in share.order]))
    names = [name for share in shares for name in share.names]
    wells = [well for share in shares for well in share.wells]
    portions = {method: [part for share in shares for part in share.sums[method]] for method in shares[0].sums}
    return Evaluation(
        logs=logs,
        weights=weights,
        metrics=metrics,
        sums={
            method: jax.tree.map(lambda *leaves: np.concatenate(leaves)[place], *parts)
            for method, parts in portions.items()
        },
        names=tuple(names[index] for index in place),
        wells=tuple(wells[index] for index in place),
        seconds=shares[0].seconds,
    )


def facts_of(
    weights: Mapping[str, Weights], logs: LogSet, *, metrics: str, baselines: Sequence[str], overrides: Sequence[str]
) -> dict[str, Any]:
    """What the processes of one evaluation must have in common, by the name that a sentence gives it."""
    return {
        "the edition of veerjax": __version__,
        "the edition of jax": jax.__version__,
        "--weights": list(weights),
        "the content of the weights": [digest(item.variables) for item in weights.values()],
        "--data": logs.data,
        "--split": logs.split,
        "the number of logs": len(logs),
        "--metrics": metrics,
        "the baselines": list(baselines),
        "--set": list(overrides),
    }


def check_finite(masks: jax.Array, name: str) -> None:
    """Refuses weights that answer NaN, before a figure could hide it.

    Raises:
        InputError: a mask holds NaN.
    """
    require(
        bool(jax.numpy.isfinite(masks).all()),
        f"the weights {name!r} give NaN; their training has diverged: give an earlier step, such as WORKDIR@STEP.",
    )


def report_of(evaluation: Evaluation, method: str | None = None) -> dict[str, Any]:
    """DESIGN's `evaluate` JSON; NaN is None.

    Args:
        evaluation: of weights and baselines
        method: the weights to report on; the first by default
    """
    method = method or next(iter(evaluation.weights))
    sums = evaluation.sums[method]
    per_log = evaluation.figures(sums)
    baselines = [name for name in evaluation.sums if name not in evaluation.weights]
    model = evaluation.weights[method].config.model
    report = {
        "schema": 1,
        "data": evaluation.logs.data,
        "split": evaluation.logs.split,
        "weights": method,
        "mirror": model.mirror,
        "crf": dataclasses.asdict(model.crf),
        "metrics": evaluation.metrics,
        "n_logs": len(evaluation.names),
        "n_wells": len(set(evaluation.wells) - {None}) or None,
        "interval_unit": evaluation.interval_unit,
        "interval_draws": DRAWS,
        **with_intervals(evaluation, method),
        "confusion": pooled_sums(sums)["label"]["confusion"],
        "baselines": {name: with_intervals(evaluation, name) for name in baselines},
        "survey": SURVEY,
        "axes": {
            "tolerance_curve_px": CURVE_PX,
            "risk_coverage_share": KEPT_SHARES,
            "strata": STRATA,
        },
        "per_log": {
            "name": evaluation.names,
            "well": evaluation.wells,
            "tolerance_f1_2px": per_log["tolerance_f1"]["2"],
            "row_error_all_px": per_log["row_error_all_px"]["mean"],
            "iou": per_log["iou"]["pooled"],
            "coverage": per_log["coverage"],
        },
        "seconds": evaluation.seconds,
    }
    return plain(report)


def difference_of(evaluation: Evaluation) -> dict[str, Any]:
    """Of two sets of weights on the same logs: the difference of each figure, its interval, and whether it is noise.

    A difference is noise where 0 lies within its 95 % interval, and undefined (`-`) where there is no interval. One in
    twenty figures of equal weights is not noise by chance: the one to decide by is fixed beforehand, `PRIMARY`.
    """
    first, second = evaluation.weights
    figures = [flat(evaluation.figures(pooled_sums(evaluation.sums[name]))) for name in (first, second)]
    drawn = [evaluation.drawn(name) for name in (first, second)]
    found = {}
    for key, a in figures[0].items():
        b, between = figures[1][key], interval(drawn[1][key] - drawn[0][key])
        found[key] = {"a": a, "b": b, "difference": b - a, "interval95": between, "verdict": verdict(key, between)}
    return plain({"weights": [first, second], "primary": PRIMARY, "difference": found})


def verdict(key: str, between: tuple[float, float]) -> str:
    """What an interval of B - A says of A and B; `-` where there is no interval."""
    low, high = between
    if not low <= high:
        return "-"
    if not (low > 0 or high < 0):
        return "equal" if low == high else "noise"
    if not graded(key):
        return "differs"
    return "B better" if (low > 0) != lower_is_better(key) else "A better"


def with_intervals(evaluation: Evaluation, method: str) -> dict[str, Any]:
    """The pooled figures of a method and the 95 % interval of each."""
    figures = evaluation.figures(pooled_sums(evaluation.sums[method]))
    drawn = evaluation.drawn(method)
    if DETECTIONS in evaluation.sums[method]:
        figures["average_precision"] = average_precisions(evaluation.sums[method][DETECTIONS])
    return figures | {"interval95": {key: interval(values) for key, values in drawn.items()}}


def plain(value: Any) -> Any:
    """Arrays as lists and NaN as None, so that any JSON reader takes it."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    return None if isinstance(value, float) and not np.isfinite(value) else value
