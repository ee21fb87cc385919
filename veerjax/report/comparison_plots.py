"""The figures of a comparison: recall and the overlap of boxes as two curves are brought together, and every seed."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from veerjax.report.canvas import LIGHT, figure, label, legend, png

Results = Mapping[str, Any]
COLOURS = {"A1": "#cd1414", "A2": "#e07b00", "A3": "#8a4fb5", "B4": "#143cd7", "A5": "#0f8a8a", "C1": "#176b3a"}
MARKS = {"A1": "o", "A2": "s", "A3": "^", "B4": "D", "A5": "v", "C1": "P"}
NONE_AT = 0.01  # where a separation of 0 stands on a logarithmic axis
HALF = 1 / 3  # s/w at which two boxes overlap by .5
PRIMARY = {"tolerance_f1_2px": "F1 within 2 px", "continuity": "balanced continuity"}
BOXES = ("A1", "A2", "A3")
SERIES = ("#cd1414", "#e07b00", "#8a4fb5", "#143cd7", "#0f8a8a", "#176b3a", "#7d6608", "#5b6770")
RATIOS = (0.5, 1, 2, 5, 10, 20)  # marked on a logarithmic axis
LAST = 6  # parts of a training that count as its end


def recall_plot(results: Results) -> bytes:
    """Recall within 2 px over s/w: as the arms answer, and of the arms of boxes without suppression."""
    made, (whole, without) = figure(LIGHT, 6.4, ratios=(1, 1))
    for arm in (arm for arm in COLOURS if arm in results["sweep"]):
        steps = results["sweep"][arm]["all"]
        found = [step["recall"] for step in steps]
        x = places([step["separation"] for step in steps])
        line(whole, arm, x, [of["value"] for of in found])
        ends = np.array([of["interval95"] for of in found], float).T
        whole.vlines(x, ends[0], ends[1], color=COLOURS[arm], linewidth=1.2, alpha=0.5)
    for arm in boxes_of(results):
        steps = results["arms"][arm]["diagnostics"]
        line(without, arm, places([s["separation"] for s in steps]), [s["recall"]["off"] for s in steps])
    label(whole, LIGHT, y="recall within 2 px")
    label(without, LIGHT, y="the same, suppression off", x="s / w, shift over the width of a box")
    for axes in (whole, without):
        axes.set_ylim(-0.03, 1.03)
    separations(without, results)
    whole.axvline(HALF, color=LIGHT.muted, linewidth=0.8, linestyle=":")
    legend(made, whole, LIGHT, columns=6)
    return png(made)


def overlap_plot(results: Results) -> bytes:
    """The overlap of found boxes beside (w - s) / (w + s), and the share of true boxes that have one of their own."""
    made, (overlap, share) = figure(LIGHT, 6.4, ratios=(1, 1))
    fine = np.geomspace(NONE_AT, 1, 200)
    overlap.plot(fine, (1 - fine) / (1 + fine), color=LIGHT.ink, linewidth=1.1, label="(w-s)/(w+s)")
    for arm in boxes_of(results):
        steps = results["arms"][arm]["diagnostics"]
        x = places([s["separation"] for s in steps])
        line(overlap, arm, x, [np.nan if s["found_overlap"] is None else s["found_overlap"] for s in steps])
        line(share, arm, x, [s["box_recall"]["nms"] for s in steps])
        share.plot(x, [s["box_recall"]["off"] for s in steps], color=COLOURS[arm], linewidth=1, linestyle="--")
    overlap.axhline(0.5, color=LIGHT.muted, linewidth=0.8, linestyle=":")
    overlap.axvline(HALF, color=LIGHT.muted, linewidth=0.8, linestyle=":")
    label(overlap, LIGHT, y="IoU of the two found boxes")
    label(share, LIGHT, y="boxes found (dashed: suppression off)", x="s / w, shift over the width of a box")
    share.set_ylim(-0.03, 1.03)
    separations(share, results)
    legend(made, overlap, LIGHT, columns=4)
    return png(made)


def seeds_plot(results: Results) -> bytes:
    """Both primary measures of every arm and seed; hollow where the arm is untrained."""
    made, panels = figure(LIGHT, 5.6, ratios=(1, 1))
    arms = list(results["arms"])
    for axes, (name, told) in zip(panels, PRIMARY.items(), strict=True):
        for place, arm in enumerate(arms):
            seeds = results["arms"][arm]["seeds"]
            for k, seed in enumerate(seeds):
                value, ends = seed[name]["value"], seed[name]["interval95"]
                if value is None:
                    continue
                x = place + 0.22 * (k - (len(seeds) - 1) / 2)
                fill = LIGHT.paper if seed["untrained"] else LIGHT.fill
                axes.plot([x], [value], marker="o", markersize=5, color=LIGHT.fill, markerfacecolor=fill)
                if None not in ends:
                    axes.vlines([x], ends[0], ends[1], color=LIGHT.fill, linewidth=1.1)
        axes.set_ylim(-0.03, 1.03)
        label(axes, LIGHT, y=told)
    panels[1].axhline(0.5, color=LIGHT.muted, linewidth=0.8, linestyle=":")
    panels[1].set_xticks(range(len(arms)), arms)
    label(panels[1], LIGHT, x="a point a seed (hollow: untrained; dotted: names by side)")
    return png(made)


def learning_plot(results: Results) -> bytes:
    """Whether trainings had ended: the loss, over that at their end, against the operations spent."""
    made, panels = figure(LIGHT, 6.4, ratios=(1, 1))
    groups = (("A", "queries, boxes"), ("BC", "pixels, rows"))
    for axes, (letters, told) in zip(panels, groups, strict=True):
        some = [(arm, of) for arm, of in results["arms"].items() if arm[0] in letters]
        for place, (arm, of) in enumerate(some):
            colour = SERIES[place % len(SERIES)]
            for k, seed in enumerate(of["seeds"]):
                step, loss = np.array(seed["learning"]["step"]), np.array(seed["learning"]["loss"])
                spent = step / step[-1] * of["train_flops"] / 1e12
                axes.plot(spent, loss / loss[-LAST:].mean(), color=colour, linewidth=1, label=arm if k == 0 else None)
        axes.set_yscale("log")
        axes.set_yticks(RATIOS, [f"{ratio:g}" for ratio in RATIOS])
        axes.set_yticks([], minor=True)
        axes.axhline(1.0, color=LIGHT.muted, linewidth=0.8, linestyle=":")
        label(axes, LIGHT, y=f"loss / at the end: {told}")
        if some:
            axes.legend(loc="upper right", ncols=4, fontsize=8, frameon=False)
    label(panels[1], LIGHT, x="training operations [TFLOP]")
    return png(made)


def boxes_of(results: Results) -> list[str]:
    return [arm for arm in BOXES if arm in results["arms"]]


def places(separations: list[float]) -> list[float]:
    return [max(s, NONE_AT) for s in separations]


def line(axes: Axes, arm: str, x: list[float], y: list[float]) -> None:
    axes.plot(x, y, color=COLOURS[arm], marker=MARKS[arm], markersize=4.5, linewidth=1.4, label=arm)


def separations(axes: Axes, results: Results) -> None:
    """A logarithmic axis with the steps of the sweep, 0 at its left end."""
    steps = [row["separation"] for row in next(iter(results["sweep"].values()))["all"]]
    axes.set_xscale("log")
    axes.set_xticks(places(steps), [f"{step:g}".lstrip("0") or "0" for step in steps])
    axes.set_xticks([], minor=True)
    axes.axvline(HALF, color=LIGHT.muted, linewidth=0.8, linestyle=":")


# By file: how it is drawn, and whether the results have what it shows.
PLOTS: Mapping[str, tuple[Callable[[Results], bytes], Callable[[Results], bool]]] = {
    "recall": (recall_plot, lambda results: any(arm in results["sweep"] for arm in COLOURS)),
    "overlap": (overlap_plot, lambda results: bool(boxes_of(results))),
    "seeds": (seeds_plot, lambda results: bool(results["arms"])),
    "learning": (learning_plot, lambda results: bool(results["arms"])),
}
