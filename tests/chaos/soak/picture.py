"""Memory, disk, lag and latencies over time."""

from __future__ import annotations

import statistics
from collections import defaultdict
from pathlib import Path

import matplotlib as mpl

from tests.chaos.soak.watch import Samples

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

Series = list[tuple[float, float]]


def draw(samples: Samples, path: Path) -> None:
    """One row each; a line below the axis is a fault."""
    figure, rows = plt.subplots(
        5, 1, figsize=(11, 16), layout="constrained", sharex=True
    )
    memory, disk, lag, answers, waves = rows
    for name, series in sorted(samples.memory_mb.items()):
        _line(memory, series, name)
    for name, series in sorted(samples.disk_mb.items()):
        _line(disk, series, name)
    _line(lag, samples.lag, "pages and messages behind")
    for name, series in samples.answers_ms.items():
        _line(answers, by_minute(series), name)
    _line(
        waves, samples.waves_s, "changed at the source to run ended", "."
    )
    for axes, title in (
        (memory, "memory of the largest process, MB"),
        (disk, "disk, MB"),
        (lag, "lag"),
        (answers, "95th percentile of answers in each minute, ms"),
        (waves, "freshness, s"),
    ):
        axes.set_title(title, loc="left")
        axes.set_ylim(bottom=0)
        axes.legend(loc="upper left", ncols=4, fontsize="small")
        for at, _ in samples.faults:
            axes.axvline(at / 60, ymax=0.03, color="black", linewidth=1)
    answers.set_yscale("log")
    answers.set_ylim(bottom=1)
    waves.set_xlabel("minutes; a mark at the bottom is a fault")
    figure.savefig(path, dpi=90)
    plt.close(figure)


def by_minute(series: Series) -> Series:
    """The 95th percentile of each minute."""
    minutes: dict[int, list[float]] = defaultdict(list)
    for at, value in series:
        minutes[int(at // 60)].append(value)
    return [
        (minute * 60.0, percentile(values, 95))
        for minute, values in sorted(minutes.items())
    ]


def percentile(values: list[float], percent: int) -> float:
    if len(values) < 2:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[
        percent - 1
    ]


def _line(
    axes: Axes, series: Series, label: str, marker: str = ""
) -> None:
    axes.plot(
        [at / 60 for at, _ in series],
        [value for _, value in series],
        label=label,
        marker=marker,
        linewidth=1,
    )
