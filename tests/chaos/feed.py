"""What a chaos run feeds: growing CSV files with good and bad rows, feeds that are edited,
tickers that tick.

Everything comes from the seed, so that the oracle knows it without asking the product.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from tests.simulator import Simulator
from tests.simulator.server import NOW, rss, ticker

START = datetime(2023, 1, 1, tzinfo=UTC)
HEADER = "time,open,high,low,close,volume"


@dataclass(frozen=True)
class Row:
    """A line of a file and what it means.

    A candle, a `bad` line with the reason it must be rejected for, or a `blank` one.
    """

    line: int
    cells: list[str]
    moment: datetime | None = None
    bad: str | None = None
    is_blank: bool = False

    def values(self) -> tuple[Decimal, ...]:
        return tuple(map(Decimal, self.cells[1:]))


@dataclass
class CsvFile:
    """A file that grows. Its rows follow from its seed; none is kept."""

    folder: Path
    name: str  # also its dataset: a folder of its own
    seed: int
    odd: bool  # whether it has bad, blank and repeated rows
    rows: int = 0

    @property
    def stream(self) -> str:
        return f"csv/{self.name}/btc-usd.csv"

    def grow(self, count: int) -> None:
        path = self.folder / self.name / "btc-usd.csv"
        path.parent.mkdir(exist_ok=True)
        if self.rows == 0:
            path.write_text(HEADER + "\n")
        before, self.rows = self.rows, self.rows + count
        with path.open("a") as file:
            file.writelines(
                ",".join(row.cells) + "\n"
                for row in self.content()
                if row.line - 2 >= before
            )

    def content(self) -> Iterator[Row]:
        rng = random.Random(self.seed)
        for n in range(self.rows):
            yield self._row(n, rng)

    def _row(self, n: int, rng: random.Random) -> Row:
        low = rng.randrange(10_000, 90_000)
        high = low + rng.randrange(0, 500)
        open_, close = rng.randint(low, high), rng.randint(low, high)
        cents = [
            str(Decimal(each).scaleb(-2))
            for each in (open_, high, low, close)
        ]
        volume = str(Decimal(rng.randrange(1, 10**9)).scaleb(-4))
        kind = rng.random() if self.odd else 1.0
        minute = (
            rng.randrange(max(1, n - 2000), n)
            if kind < 0.03 and n > 1
            else n
        )  # a minute that was there before
        moment = START + timedelta(minutes=minute)
        cells = [str(int(moment.timestamp() * 1000)), *cents, volume]
        if 0.03 <= kind < 0.035:
            return Row(
                n + 2, [*cells[:4], "n.a.!", cells[5]], bad="not_a_number"
            )
        if 0.035 <= kind < 0.04:
            return Row(n + 2, cells[:3], bad="wrong_column_count")
        if 0.04 <= kind < 0.045:
            return Row(
                n + 2,
                [
                    cells[0],
                    cells[1],
                    "1.00",
                    cells[3],
                    cells[4],
                    cells[5],
                ],
                bad="contradiction",
            )
        if 0.045 <= kind < 0.05:
            return Row(
                n + 2, [cells[0], "", "", "", "", ""], is_blank=True
            )
        return Row(n + 2, cells, moment)


@dataclass
class Input:
    """All sources of one round."""

    folder: Path
    upstream: Simulator
    seed: int
    coins: int
    entries: int
    files: list[CsvFile] = field(default_factory=list)
    articles: dict[str, dict[str, dict[str, str]]] = field(
        default_factory=dict
    )  # feed → guid → entry
    quoted: dict[tuple[str, str], Decimal] = field(
        default_factory=dict
    )  # (coin, time) → price
    minute: int = 0

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self.articles = {"alpha": {}, "beta": {}}

    def streams(self) -> list[str]:
        """What a run of this round asks for."""
        return [
            *(file.stream for file in self.files),
            "rss/alpha",
            "rss/beta",
            "coinpaprika/tickers",
        ]

    def advance(self, rows: int, wave: int) -> None:
        """New rows in old and new files, new and edited articles, new tickers."""
        self.files.append(
            CsvFile(
                self.folder,
                f"r{self.seed}w{wave}",
                self.seed * 1000 + wave,
                odd=wave % 2 == 0,
            )
        )
        growing = [
            self.files[-1],
            *self._rng.sample(
                self.files[:-1], min(2, len(self.files) - 1)
            ),
        ]
        for n, file in enumerate(growing):
            file.grow(rows // len(growing) + (n < rows % len(growing)))
        for name, articles in self.articles.items():
            for guid in self._rng.sample(
                sorted(articles), min(20, len(articles))
            ):
                articles[guid] = {
                    **articles[guid],
                    "title": f"{articles[guid]['title']} (edited in wave {wave})",
                }
            for _ in range(self.entries):
                number = len(articles)
                articles[f"{name}-{number}"] = {
                    "guid": f"{name}-{number}",
                    "title": f"Article {number} of {name} – ₿ & more",
                    "summary": f"Text {self._rng.random()}",
                    "link": f"https://news.example/{name}/{number}",
                    "date": format_datetime(
                        NOW - timedelta(minutes=number)
                    ),
                }
            self.upstream.feeds[name] = rss(list(articles.values()))
        self.minute += 1
        tickers = {}
        for n in range(self.coins):
            coin, price = (
                f"c{n}-coin-{n}",
                Decimal(self._rng.randrange(1, 10**8)).scaleb(-3),
            )
            tickers[coin] = ticker(coin, float(price), minute=self.minute)
            self.quoted[
                coin, (NOW + timedelta(minutes=self.minute)).isoformat()
            ] = price
        self.upstream.tickers = tickers  # at once: it may be asked now

    def settings(self) -> dict[str, Any]:
        return {
            **self.upstream.settings("alpha", "beta"),
            "COIN_IDS": '["*"]',
        }
