"""CoinPaprika's daily history, as streams that are asked for by name: `coinpaprika/btc-bitcoin/ohlcv/2024-01-01..2024-03-01`.

The window is part of the stream, so that each is resumed on its own and the live stream's checkpoint stays where it is.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

from services.extractor.sources.base import Slice, StreamInfo, paginate, parse_json
from services.extractor.sources.http_client import Answer
from shared.errors import TaskError

KINDS = ("ohlcv", "historical")
CHUNK = timedelta(days=365)  # what one request may ask for
DATASET = "daily"
_NAME = re.compile(r"coinpaprika/(?P<coin>[^/]{1,100})/(?P<kind>ohlcv|historical)/(?P<start>\d{4}-\d\d-\d\d)\.\.(?P<end>\d{4}-\d\d-\d\d)")
_ALLOWED = re.compile(r"before (\d{4}-\d\d-\d\d)")
Get = Callable[[str], Awaitable[Answer]]


@dataclass(frozen=True)
class Window:
    """One coin's daily candles (`ohlcv`) or prices (`historical`) from `start` to before `end`."""

    coin: str
    kind: str
    start: date
    end: date

    @property
    def info(self) -> StreamInfo:
        return StreamInfo(f"coinpaprika/{self.coin}/{self.kind}/{self.start}..{self.end}", DATASET)


def window_of(stream: str) -> Window | None:
    """The window that a stream's name says; None for a stream of another kind."""
    found = _NAME.fullmatch(stream)
    try:
        start, end = (date.fromisoformat(found[name]) for name in ("start", "end")) if found else (None, None)
    except ValueError:
        return None
    return Window(found["coin"], found["kind"], start, end) if found and start and end and start < end else None


async def fetch(window: Window, get: Get, cursor: Any | None, *, resumed: bool) -> AsyncIterator[Slice]:
    """The window in chunks of a year, each as pages. Raises TaskError; `plan_limit` says what the plan allows."""
    begin = date.fromisoformat(cursor["next"]) if resumed and isinstance(cursor, dict) and "next" in cursor else window.start
    if begin >= window.end:
        return
    coin = parse_json((await _asked(get, window, f"/coins/{quote(window.coin, safe='')}")).body, "CoinPaprika's /coins")
    if not isinstance(coin, dict) or not isinstance(coin.get("symbol"), str):
        raise TaskError("contract", f"CoinPaprika's /coins/{window.coin} answered {str(coin)[:100]!r}, not a coin with a symbol")
    context = {"kind": window.kind, "coin": window.coin, "symbol": coin["symbol"], "quote": "USD", "interval": "1d"}
    while begin < window.end:
        end, note = min(begin + CHUNK, window.end), None
        try:
            answer = await _asked(get, window, _path(window, begin, end))
        except TaskError as error:
            later = _allowed_from(error, window)
            if later is None or later <= begin:
                raise
            yield Slice(
                [], {"next": str(later)}, note=f"{window.info.stream}: CoinPaprika's plan allows history from {later} on, read from there"
            )
            begin = later
            continue
        records = [
            record
            for record in _records(answer, window)
            if str(begin) <= str(record.get("time_open") or record.get("timestamp"))[:10] < str(end)
        ]
        pages = list(paginate(records))
        for number, (page, rejections) in enumerate(pages, 1):
            after = {"next": str(end if number == len(pages) else begin)}
            yield Slice(page, after, {**context, "endpoint": _path(window, begin, end)}, answer.origin(), rejections, note=note)
        if not pages:
            yield Slice([], {"next": str(end)}, note=f"{window.info.stream}: nothing from {begin} to {end}")
        begin = end


def _path(window: Window, begin: date, end: date) -> str:
    coin = quote(window.coin, safe="")
    if window.kind == "ohlcv":
        return f"/coins/{coin}/ohlcv/historical?start={begin}&end={end}&limit=366&quote=usd"
    return f"/tickers/{coin}/historical?start={begin}&end={end}&interval=1d&limit=1000&quote=usd"  # its own default of 5m is no free plan's


async def _asked(get: Get, window: Window, path: str) -> Answer:
    try:
        return await get(path)
    except TaskError as error:
        if error.code == "not_found":
            raise TaskError("not_found", f"CoinPaprika knows no coin {window.coin!r}: check COIN_IDS ({error.message})") from error
        raise


def _records(answer: Answer, window: Window) -> list[dict[str, Any]]:
    body = parse_json(answer.body, f"CoinPaprika's {window.kind}")
    if not isinstance(body, list) or not all(isinstance(record, dict) for record in body):
        raise TaskError("contract", f"CoinPaprika's {window.kind} answered {str(body)[:100]!r}, not a list")
    return body


def _allowed_from(error: TaskError, window: Window) -> date | None:
    """The first whole day that the plan allows. Raises TaskError `plan_limit` where all of the window lies before it."""
    found = _ALLOWED.search(error.message) if error.code in ("plan_limit", "rejected_by_source") else None
    if found is None:
        return None
    later = date.fromisoformat(found[1]) + timedelta(days=1)
    if later >= window.end:
        raise TaskError(
            "plan_limit",
            f"CoinPaprika's plan allows {window.kind} from {later} on, and {window.start} to {window.end} lies before: ask for a later time, "
            "or set COINPAPRIKA_API_KEY to the key of a larger plan",
        ) from error
    return later
