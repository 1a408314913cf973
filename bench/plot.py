"""The results as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt


def draw(details: dict[str, Any], path: Path) -> None:
    """Shares of PostgreSQL alone, CPU of a record, memory at 1× and 10× the rows."""
    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(15, 4.5), layout="constrained"
    )
    names = ["pipeline", *[read["read"] for read in details["reads"]]]
    left.barh(
        names[::-1],
        [
            details["pipeline"]["ratio"],
            *[read["ratio"] for read in details["reads"]],
        ][::-1],
    )
    left.axvline(1, color="black", linewidth=1)
    left.set_title("share of PostgreSQL alone (1 = as fast)")
    costs = {
        name: seconds / details["whole"]["records"] * 1e6
        for name, seconds in details["cpu_s"].items()
    }
    middle.bar(costs.keys(), costs.values())
    middle.set_title("CPU of a record, µs")
    services = [
        name
        for name in details["peak_mb"]
        if name not in {"kafka", "postgres"}
    ]
    for offset, (label, key) in enumerate(
        (("1×", "peak_mb"), ("10×", "peak_mb_10x"))
    ):
        right.bar(
            [n + offset * 0.4 for n in range(len(services))],
            [details[key][name] for name in services],
            0.4,
            label=label,
        )
    right.set_xticks([n + 0.2 for n in range(len(services))], services)
    right.axhline(150, color="black", linewidth=1)
    right.set_title("peak memory, MB")
    right.legend(title="rows")
    figure.savefig(path, dpi=110)
    plt.close(figure)
