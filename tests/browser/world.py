"""A small world to look at: two venues, live prices, news, a revision, a hole, a refused row.

`python -m tests.browser.world` serves it until Ctrl-C, for people who work on the console.
"""

from __future__ import annotations

import contextlib
import math
import random
import signal
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from tests.simulator import Simulator
from tests.simulator.server import rss, ticker
from tests.support.product import KEY
from tests.support.stack import Stack, prepare, running

TODAY = datetime.now(UTC).replace(
    hour=0, minute=0, second=0, microsecond=0
)
DAYS = 400
HOURS = 24 * 60
HOLE = range(120, 150)  # days of the other venue that are not there
COINS = {"btc-bitcoin": 68_000.0, "eth-ethereum": 3_500.0}
SMALL = "pepe-pepe"
HEADLINES = (
    ("Bitcoin plunges after exchange hack", 30),
    ("Bitcoin rallies to a record as funds buy", 54),
    ("Ethereum upgrade wins praise from developers", 20),
    ("Bitcoin miners fear losses", 6),
    ("What is Bitcoin?", 3),
)


def candles(
    start: datetime, step: timedelta, count: int, first: float, seed: int
) -> list[list[str]]:
    """A walk whose steps are the same each time."""
    chance = random.Random(seed)
    close, rows = first, []
    for n in range(count):
        opened = close
        close = opened * math.exp(chance.gauss(0, 0.02))
        high = max(opened, close) * (1 + abs(chance.gauss(0, 0.006)))
        low = min(opened, close) * (1 - abs(chance.gauss(0, 0.006)))
        volume = chance.uniform(5_000, 60_000)
        moment = f"{start + n * step:%Y-%m-%d %H:%M:%S}"
        prices = [f"{each:.8g}" for each in (opened, high, low, close)]
        rows.append([moment, *prices, f"{volume:.3f}"])
    return rows


def write(path: Path, rows: list[list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(each) for each in rows]
    path.write_text(
        "\n".join(["date,open,high,low,close,volume", *lines]) + "\n"
    )


class World:
    """What the stack of `stack` reads; `fill` ingests it."""

    def __init__(self, upstream: Simulator) -> None:
        self.upstream = upstream
        upstream.feeds = {"paper": rss(_entries())}
        upstream.tickers = {
            coin: _ticker(coin, price) for coin, price in COINS.items()
        }
        upstream.tickers[SMALL] = _ticker(SMALL, 0.00002154)

    def settings(self) -> dict[str, str]:
        return {
            **self.upstream.settings("paper"),
            "COIN_IDS": '["*"]',
        }

    def fill(self, stack: Stack) -> None:
        days = candles(
            TODAY - timedelta(days=DAYS),
            timedelta(days=1),
            DAYS,
            42_000,
            1,
        )
        write(stack.csv_dir / "venue-a" / "btc-usd.csv", days)
        other = [row for n, row in enumerate(days) if n not in HOLE]
        other[40] = [
            other[40][0],
            "1",
            "0.5",
            "2",
            "1",
            "7",
        ]  # high < low
        write(stack.csv_dir / "venue-b" / "btc-usd.csv", other)
        hours = candles(
            TODAY - timedelta(hours=HOURS),
            timedelta(hours=1),
            HOURS,
            2_600,
            2,
        )
        write(stack.csv_dir / "venue-a" / "eth-usd.csv", hours)
        stack.ingest()
        # The exchange corrects a week.
        for row in days[-20:-13]:
            row[4] = f"{float(row[4]) * 1.004:.8g}"
            row[2] = f"{max(float(row[2]), float(row[4])):.8g}"
        write(stack.csv_dir / "venue-a" / "btc-usd.csv", days)
        stack.ingest(sources=["csv"])

    def add_coins(self, count: int, price: float) -> None:
        """So many coins more upstream, behind the others, at a price; or a new price of theirs."""
        for n in range(count):
            coin = f"zz{n:04}-coin-{n}"
            self.upstream.tickers[coin] = _ticker(coin, price)

    def tick(self, price: float) -> None:
        """A new price of Bitcoin upstream."""
        self.upstream.tickers["btc-bitcoin"] = _ticker(
            "btc-bitcoin", price
        )


def _ticker(coin: str, price: float) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        **ticker(coin, price),
        "last_updated": f"{now:%Y-%m-%dT%H:%M:%SZ}",
    }


def _entries() -> list[dict[str, str]]:
    now = datetime.now(UTC)
    return [
        {
            "guid": f"guid-{n}",
            "title": title,
            "summary": "",
            "link": f"https://news.example/{n}",
            "date": format_datetime(now - timedelta(hours=hours)),
        }
        for n, (title, hours) in enumerate(HEADLINES)
    ]


@contextlib.contextmanager
def served() -> Iterator[str]:
    """A stack with the world in it; yields the address of the console, with the key."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Simulator() as upstream,
    ):
        root = Path(folder)
        prepare(root)
        world = World(upstream)
        settings = world.settings()
        with running(root / "state", root / "csv", **settings) as stack:
            world.fill(stack)
            port = stack.variables["API_PORT"]
            yield f"http://localhost:{port}/#key={KEY}"


def main() -> None:
    # As Ctrl-C, so that the stack is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with served() as address:
        print(address, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
