"""How fast the console is: reported in the output, not asserted, since machines are noisy."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_rooms import open_coin
from tests.browser.world import World, candles, write
from tests.support.product import until
from tests.support.stack import Stack

CANDLES = 50_000
COINS = 1_000
_SCRIPT = {"FunctionCall", "EvaluateScript", "FireAnimationFrame"}


def script_of_frames(trace: bytes) -> list[float]:
    """Milliseconds of script on the main thread in each frame."""
    events = json.loads(trace)["traceEvents"]
    threads = {
        (each["pid"], each["tid"])
        for each in events
        if each["name"] == "FireAnimationFrame"
    }
    frames = sorted(
        each["ts"]
        for each in events
        if each["name"] == "FireAnimationFrame" and "dur" in each
    )
    script = list(_outermost(events, threads))
    found = [0.0] * max(1, len(frames))
    for begin, length in script:
        n = next(
            (n for n, at in enumerate(frames) if at > begin), len(frames)
        )
        found[max(0, n - 1)] += length / 1_000
    return sorted(found)


def _outermost(
    events: list[dict[str, Any]], threads: set[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Begin and length, in microseconds, of script that lies in no other."""
    past = -1
    for each in sorted(
        (
            each
            for each in events
            if each["name"] in _SCRIPT
            and "dur" in each
            and (each["pid"], each["tid"]) in threads
        ),
        key=lambda each: (each["ts"], -each["dur"]),
    ):
        if each["ts"] >= past:
            past = each["ts"] + each["dur"]
            yield each["ts"], each["dur"]


def report(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with capsys.disabled():
        print(f"\n  console: {text}")


def test_fifty_thousand_candles_are_panned(
    page: Page,
    browser: Browser,
    stack: Stack,
    capsys: pytest.CaptureFixture[str],
) -> None:
    paint = page.evaluate(
        "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    )
    report(capsys, f"first paint after {paint:.0f} ms (goal 1,000)")
    start = datetime(2024, 1, 1, tzinfo=UTC)
    rows = candles(start, timedelta(minutes=1), CANDLES, 0.5, 5)
    write(stack.csv_dir / "venue-c" / "doge-usd.csv", rows)
    stack.ingest(streams=["csv/venue-c/doge-usd.csv"])
    open_coin(page, "doge", interval="1m")
    chart = page.get_by_role("img", name=re.compile("candles"))
    box = chart.bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2

    def pan(times: int) -> None:
        for _ in range(times):
            page.mouse.move(box["x"] + 100, middle)
            page.mouse.down()
            page.mouse.move(
                box["x"] + box["width"] - 200, middle, steps=25
            )
            page.mouse.up()

    def count() -> int:
        label = chart.get_attribute("aria-label") or ""
        return int(label.split()[0])

    for _ in range(12):  # zoomed out, all of them come
        page.mouse.move(box["x"] + 300, middle)
        page.mouse.wheel(0, 2_000)
    until("all candles", lambda: pan(1) or count() == CANDLES, 150)
    browser.start_tracing(page=page, categories=["devtools.timeline"])
    pan(6)
    frames = script_of_frames(browser.stop_tracing())
    assert len(frames) > 50
    p95 = frames[int(len(frames) * 0.95)]
    report(
        capsys,
        f"{CANDLES:,} candles panned: script of a frame p95 {p95:.1f} ms (goal 8)",
    )


def test_a_thousand_tickers_change_under_an_open_page(
    page: Page,
    browser: Browser,
    stack: Stack,
    world: World,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ingest = partial(stack.ingest, sources=["coinpaprika"])
    world.add_coins(COINS, price=10)
    ingest()
    page.reload()
    rows = page.get_by_role("row").filter(has_text=re.compile("^ZZ"))
    for _ in range(COINS // 200):
        page.get_by_role("button", name="Show more").click()
    expect(rows).to_have_count(COINS)
    browser.start_tracing(page=page, categories=["devtools.timeline"])
    for price in (11, 12):
        world.add_coins(COINS, price=price)
        ingest()
        new = rows.filter(has=page.get_by_text(str(price), exact=True))
        expect(new).to_have_count(COINS)
    frames = script_of_frames(browser.stop_tracing())
    report(
        capsys,
        f"{COINS:,} tickers changed twice: script of a frame p95 "
        f"{frames[int(len(frames) * 0.95)]:.1f} ms, at most {frames[-1]:.0f} ms",
    )
