"""What is written: candles of many pairs, one pair after the other, and what comes in between.

Each pair covers the same years, so that old months are written again and again. Pages are what the
normalizer makes of raw ones; Kafka has no part in it.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from services.extractor.sources.answer import Answer
from services.extractor.sources.feeds.read import FeedPage, read_feed
from services.loader.pages.staged_page import StagedPage
from services.normalizer.unify import unify
from shared.messages.base import MAX_PAGE_RECORDS
from shared.messages.pages import RawPage, ReplayOf
from shared.messages.serialization import encode
from shared.runtime.confined import unmetered
from shared.values.symbols import coins
from tests.simulator.server import entry, rss, ticker
from tests.support.pages import raw_page

SYMBOLS = tuple(
    dict.fromkeys(
        coin.symbol.lower() for coin in coins() if coin.symbol.isalpha()
    )
)[:200]
PAIRS = len(SYMBOLS)
YEARS = 3
BATCH_PAGES = 10
COINS = 1_000
NEWS = 100
FIRST = datetime(2023, 1, 1, tzinfo=UTC)
_NAMESPACE = uuid.UUID("7b1f4a52-5a0e-4c5f-9d5e-2f6d0f6a9c11")
_COLUMNS = ["time", "open", "high", "low", "close", "volume"]
_FIRST_MS = 1_790_000_000_000


@dataclass
class Workload:
    """`rows`: candles in all, the same number for each pair."""

    rows: int
    _offset: int = 0

    @property
    def of_pair(self) -> int:
        """Candles."""
        return max(1, self.rows // PAIRS)

    @property
    def _step(self) -> timedelta:
        minutes = YEARS * 365 * 24 * 60 // self.of_pair
        return timedelta(minutes=max(1, minutes))

    def candles(
        self, pair: int, *, version: str = ""
    ) -> Iterator[list[StagedPage]]:
        """The batches of a pair. `version`: of the values, which differ."""
        return self._batches(pair, version, None)

    def replayed(self, pair: int) -> Iterator[list[StagedPage]]:
        """The batches of a pair again, by a later mapping of other values."""
        run_id = _id(f"replay {pair}")
        replay = ReplayOf(run_id=run_id, task_id=run_id, mode="apply")
        return self._batches(pair, "", replay)

    def _batches(
        self, pair: int, version: str, replay: ReplayOf | None
    ) -> Iterator[list[StagedPage]]:
        pages = range(-(-self.of_pair // MAX_PAGE_RECORDS))
        for first in pages[::BATCH_PAGES]:
            yield [
                self._staged(
                    self._candle_page(pair, number, version), replay
                )
                for number in pages[first : first + BATCH_PAGES]
            ]

    def tickers(self, at: int) -> list[StagedPage]:
        """One of each coin, of a minute of its own."""
        records = [
            ticker(f"c{n}-coin-{n}", 1.0 + n + at, minute=at)
            for n in range(COINS)
        ]
        return [
            self._staged(
                self._page(
                    "coinpaprika/tickers", number, part, context={}
                )
            )
            for number, part in enumerate(_parts(records), at * COINS)
        ]

    def news(self, at: int) -> list[StagedPage]:
        """Entries of a feed."""
        entries = [
            entry(at * NEWS + n, f"Bitcoin and Ethereum rise, {at}.{n}")
            for n in range(NEWS)
        ]
        answer = Answer(
            "https://news.example/feed", 200, {}, rss(entries)
        )
        found = read_feed(unmetered, answer, {}, [])
        return [
            self._staged(
                self._page("rss/news", at, page.records, context={})
            )
            for page in found
            if isinstance(page, FeedPage)
        ]

    def _candle_page(
        self, pair: int, number: int, version: str
    ) -> RawPage:
        chance = random.Random(f"{pair} {number} {version}")
        begin = number * MAX_PAGE_RECORDS
        end = min(begin + MAX_PAGE_RECORDS, self.of_pair)
        rows = [
            _row(FIRST + n * self._step, chance)
            for n in range(begin, end)
        ]
        path = f"growth/{SYMBOLS[pair]}-usd.csv"
        context = {
            "path": path,
            "columns": _COLUMNS,
            "preamble": [],
            "sample": rows[:20],
        }
        run = f"pair {pair} {version}"
        return self._page(f"csv/{path}", number, rows, context, run)

    def _page(
        self,
        stream: str,
        number: int,
        records: list[Any],
        context: dict[str, Any],
        run: str = "",
    ) -> RawPage:
        return raw_page(
            records,
            run_id=_id(run or f"{stream} {number}"),
            stream=stream,
            page_no=number,
            context=context,
        )

    def _staged(
        self, page: RawPage, replay: ReplayOf | None = None
    ) -> StagedPage:
        self._offset += 1
        _, unified = unify(
            encode(page),
            partition=0,
            offset=self._offset,
            broker_ms=_FIRST_MS + self._offset,
        )
        if replay is not None:
            unified = msgspec.structs.replace(
                unified,
                replay=replay,
                normalizer_version=unified.normalizer_version + 1,
            )
        return StagedPage.from_message(encode(unified))


def _row(moment: datetime, chance: random.Random) -> list[str]:
    low = chance.randrange(10_000, 90_000)
    high = low + chance.randrange(1, 500)
    cents = (
        chance.randint(low, high),
        high,
        low,
        chance.randint(low, high),
    )
    prices = [f"{each // 100}.{each % 100:02}" for each in cents]
    volume = f"{chance.randrange(10**9) / 1e4:.4f}"
    return [f"{moment:%Y-%m-%dT%H:%M:%SZ}", *prices, volume]


def _parts(records: list[Any]) -> Iterator[list[Any]]:
    for first in range(0, len(records), MAX_PAGE_RECORDS):
        yield records[first : first + MAX_PAGE_RECORDS]


def _id(name: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, name))
