"""What reading in a child process costs: a page of news, a feed and a file, as a ratio."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from services.extractor.sources.answer import Answer
from services.extractor.sources.feeds import read
from services.normalizer.mapping.confined import ConfinedMapping
from services.normalizer.mapping.page import map_page
from shared.csvfile import folder, profile
from shared.csvfile.overrides import Overrides
from shared.runtime.confined import Confined, Limits, unmetered
from tests.simulator.server import entry, rss
from tests.support.pages import raw_page

ENTRIES = 200
TIMES = 5


def measure(csv: Path) -> dict[str, dict[str, float]]:
    """Milliseconds in the service and in a child, and how much longer the child takes."""
    feed = rss([entry(number) for number in range(ENTRIES)])
    answer = Answer("https://news.example/", 200, {}, feed)
    page = raw_page(
        _entries(), stream="rss/x", context={"format": "rss20"}
    )
    file = folder.find(csv.parent, csv.name)
    mapping = ConfinedMapping()
    try:
        return {
            f"a page of {ENTRIES} news": _compared(
                lambda: map_page(page),
                lambda: map_page(page, mapping.outcomes),
            ),
            f"a feed of {ENTRIES} entries": _of_task(
                read.LIMITS, read.read_feed, answer, {}, []
            ),
            "the profile of the file": _of_task(
                profile.LIMITS, profile.profiled, file, Overrides()
            ),
        }
    finally:
        mapping.close()


def _entries() -> list[dict[str, Any]]:
    return [
        {
            "id": str(number),
            "title": f"Bitcoin rises for the {number}th time",
            "summary": "<p>Ether is <b>falling</b>, and the market looks weak. "
            * 15,
            "published": "2024-01-01T00:00:00Z",
        }
        for number in range(ENTRIES)
    ]


def _of_task(
    limits: Limits, task: Callable[..., Iterator[Any]], *arguments: Any
) -> dict[str, float]:
    confined = Confined([task.__module__])
    try:
        return _compared(
            lambda: list(task(unmetered, *arguments)),
            lambda: list(confined.run("it", limits, task, *arguments)),
        )
    finally:
        confined.close()


def _compared(
    inside: Callable[[], Any], in_child: Callable[[], Any]
) -> dict[str, float]:
    in_child()  # the child is there then
    own = min(_seconds(inside) for _ in range(TIMES))
    child = min(_seconds(in_child) for _ in range(TIMES))
    return {
        "in_service_ms": round(own * 1000, 1),
        "in_child_ms": round(child * 1000, 1),
        "ratio": round(child / own, 2),
    }


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
