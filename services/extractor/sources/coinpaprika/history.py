"""CoinPaprika's daily history, as windows that are asked for by name (shared/identity/windows.py).

The window is part of the stream, so that each is resumed on its own and the live stream's
checkpoint stays where it is.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import quote

from services.extractor.sources.answer import Answer
from services.extractor.sources.base import (
    Slice,
    StreamInfo,
    paginate,
    parse_json,
)
from shared.errors import TaskError
from shared.identity.windows import CHUNK, Window
from shared.messages.asked import Asked, AskedOutcome, asked_before
from shared.messages.base import Json

DATASET = "daily"
_ALLOWED = re.compile(r"before (\d{4}-\d\d-\d\d)")
Get = Callable[[str], Awaitable[Answer]]


def info_of(window: Window) -> StreamInfo:
    """A window as the planner sees it."""
    return StreamInfo(window.stream, DATASET)


def asked_in_vain(
    window: Window, cursor: Any | None, reason: str
) -> list[Asked]:
    """What is left of it when a task fails at a cursor."""
    begin = _begin(window, cursor)
    return _asked_days(begin, window.end, AskedOutcome.FAILED, reason)


def _begin(window: Window, cursor: Any | None) -> date:
    """Where a task that was interrupted goes on."""
    if isinstance(cursor, dict) and "next" in cursor:
        return date.fromisoformat(cursor["next"])
    return window.start


async def fetch(
    window: Window, get: Get, cursor: Any | None, *, resumed: bool
) -> AsyncIterator[Slice]:
    """The window in chunks of a year, each as pages.

    Raises TaskError; `plan_limit` says what the plan allows.
    """
    begin = _begin(window, cursor if resumed else None)
    if begin >= window.end:
        return
    context = await _context(window, get)
    while begin < window.end:
        end = min(begin + CHUNK, window.end)
        path = _path(window, begin, end)
        try:
            answer = await _asked(get, window, path)
        except TaskError as error:
            later = _later_begin(error, window, begin)
            yield _skipped_to(window, begin, later, error.code)
            begin = later
            continue
        for piece in _slices(
            window, answer, {**context, "endpoint": path}, begin, end
        ):
            yield piece
        begin = end


async def _context(window: Window, get: Get) -> Json:
    """What the pages say about their records, which name no coin themselves."""
    path = f"/coins/{quote(window.coin, safe='')}"
    coin = parse_json(
        await _asked(
            get,
            window,
            path,
        ),
        "CoinPaprika's /coins",
    )
    if not isinstance(coin, dict) or not isinstance(
        coin.get("symbol"), str
    ):
        shown = str(coin)[:100]
        message = f"CoinPaprika's /coins/{window.coin} answered {shown!r}, not a coin with a symbol"
        raise TaskError("contract", message)
    return {
        "kind": window.kind,
        "coin": window.coin,
        "symbol": coin["symbol"],
        "quote": "USD",
        "interval": "1d",
    }


def _slices(
    window: Window, answer: Answer, context: Json, begin: date, end: date
) -> list[Slice]:
    records = [
        record
        for record in _records(answer, window)
        if str(begin) <= _day(record) < str(end)
    ]
    pages = list(paginate(records))
    if not pages:
        note = f"{window.stream}: nothing from {begin} to {end}"
        asked = _asked_days(begin, end)
        return [Slice([], {"next": str(end)}, note=note, asked=asked)]
    origin = answer.origin()
    slices = [
        Slice(page, {"next": str(begin)}, context, origin, rejections)
        for page, rejections in pages
    ]
    # Only with the last of its pages is a chunk done.
    after = {"next": str(end)}
    last = dataclasses.replace(
        slices[-1], cursor_after=after, asked=_asked_days(begin, end)
    )
    return [*slices[:-1], last]


def _day(record: Json) -> str:
    return str(record.get("time_open") or record.get("timestamp"))[:10]


def _path(window: Window, begin: date, end: date) -> str:
    coin = quote(window.coin, safe="")
    days = f"start={begin}&end={end}"
    if window.kind == "ohlcv":
        return (
            f"/coins/{coin}/ohlcv/historical?{days}&limit=366&quote=usd"
        )
    # Its own default of 5m is in no free plan.
    return f"/tickers/{coin}/historical?{days}&interval=1d&limit=1000&quote=usd"


async def _asked(get: Get, window: Window, path: str) -> Answer:
    try:
        return await get(path)
    except TaskError as error:
        if error.code == "not_found":
            raise unknown_coin(window.coin, error) from error
        raise


def unknown_coin(coin: str, error: TaskError) -> TaskError:
    message = f"CoinPaprika knows no coin {coin!r}: check COIN_IDS ({error.message})"
    return TaskError("not_found", message)


def _records(answer: Answer, window: Window) -> list[Json]:
    body = parse_json(answer, f"CoinPaprika's {window.kind}")
    if not isinstance(body, list) or not all(
        isinstance(record, dict) for record in body
    ):
        shown = str(body)[:100]
        raise TaskError(
            "contract",
            f"CoinPaprika's {window.kind} answered {shown!r}, not a list",
        )
    return body


def _skipped_to(
    window: Window, begin: date, later: date, reason: str
) -> Slice:
    allowed = f"allows history from {later} on, read from there"
    note = f"{window.stream}: CoinPaprika's plan {allowed}"
    asked = _asked_days(begin, later, AskedOutcome.FAILED, reason)
    return Slice([], {"next": str(later)}, note=note, asked=asked)


def _asked_days(
    begin: date,
    end: date,
    outcome: AskedOutcome = AskedOutcome.ANSWERED,
    reason: str = "",
) -> list[Asked]:
    """`end` excluded."""
    first, past = (
        datetime.combine(day, time(), UTC) for day in (begin, end)
    )
    return asked_before(first, past, outcome, reason)


def _later_begin(error: TaskError, window: Window, begin: date) -> date:
    """The first whole day that the plan allows.

    Raises `error` where it says nothing of that, TaskError `plan_limit` where all of the window
    lies before it.
    """
    found = None
    if error.code in ("plan_limit", "rejected_by_source"):
        found = _ALLOWED.search(error.message)
    if found is None:
        raise error
    later = date.fromisoformat(found[1]) + timedelta(days=1)
    if later >= window.end:
        raise TaskError(
            "plan_limit",
            f"CoinPaprika's plan allows {window.kind} from {later} on, and {window.start} to "
            f"{window.end} lies before: ask for a later time, or set COINPAPRIKA_API_KEY to the "
            "key of a larger plan",
        ) from error
    if later <= begin:
        raise error
    return later
