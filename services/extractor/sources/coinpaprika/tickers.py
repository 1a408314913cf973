"""CoinPaprika: live tickers, one stream per coin of COIN_IDS, or one for all coins (`["*"]`); history on streams of its own.

A ticker is always published, changed or not: that it was asked and what it said is part of the audit trail.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date
from typing import Any
from urllib.parse import quote

from services.extractor.sources.base import Slice, SourceConnector, StreamInfo, paginate, parse_json
from services.extractor.sources.coinpaprika.coin_list import CoinList
from services.extractor.sources.coinpaprika.drift import change, shape
from services.extractor.sources.coinpaprika.history import KINDS, Window, window_of
from services.extractor.sources.coinpaprika.history import fetch as fetch_history
from services.extractor.sources.http_client import Answer, HttpClient
from shared.errors import TaskError
from shared.messages.base import Source

ALL_COINS = "tickers"
FREE_URL, PRO_URL = "https://api.coinpaprika.com/v1", "https://api-pro.coinpaprika.com/v1"


class CoinPaprika(SourceConnector):
    """Source `coinpaprika`; dataset `live`."""

    name = Source.COINPAPRIKA

    def __init__(
        self,
        http: HttpClient,
        *,
        api_url: str,
        coin_ids: list[str],
        quotes: list[str] | None = None,
        api_key: str = "",
        take: Callable[[], Awaitable[None]] | None = None,
        coins: CoinList | None = None,
    ) -> None:
        """`take` is awaited before every call: the call budget. `coins` is refreshed beside live prices."""
        self._http, self._coin_ids, self._take, self._coins = http, coin_ids, take, coins
        self._api_url = PRO_URL if api_key and api_url.rstrip("/") == FREE_URL else api_url.rstrip("/")
        self._quotes = f"?quotes={','.join(quotes)}" if quotes and quotes != ["USD"] else ""
        self._headers = {"authorization": api_key} if api_key else {}

    async def streams(self) -> list[StreamInfo]:
        names = [ALL_COINS] if self._coin_ids == ["*"] else self._coin_ids
        return [StreamInfo(f"{self.name}/{name}", "live") for name in names]

    def find(self, stream: str) -> StreamInfo | None:
        window = window_of(stream)
        return window.info if window else None

    def history(self, start: date, end: date) -> list[StreamInfo]:
        """Daily candles and prices of every coin of COIN_IDS. Empty for `["*"]`: that would be thousands of requests."""
        coins = [] if self._coin_ids == ["*"] else self._coin_ids
        return [Window(coin, kind, start, end).info for coin in coins for kind in KINDS]

    def nothing_configured(self) -> str:
        return "COIN_IDS is empty"

    async def fetch(self, info: StreamInfo, cursor: Any | None, *, resumed: bool = False) -> AsyncIterator[Slice]:
        if window := window_of(info.stream):
            async for piece in fetch_history(window, self._get, cursor, resumed=resumed):
                yield piece
            return
        done = cursor if resumed and isinstance(cursor, dict) else {}
        if done.get("is_last"):
            return
        if self._coins is not None:
            await self._coins.refresh(self._get)
        coin = info.stream.partition("/")[2]
        path = "/tickers" if coin == ALL_COINS else f"/tickers/{quote(coin, safe='')}"
        try:
            answer = await self._get(path + self._quotes)
        except TaskError as error:
            if error.code == "not_found" and coin != ALL_COINS:
                raise TaskError("not_found", f"CoinPaprika knows no coin {coin!r}: check COIN_IDS ({error.message})") from error
            raise
        body = parse_json(answer.body, f"CoinPaprika's {path}")
        tickers = body if coin == ALL_COINS else [body]
        if not isinstance(tickers, list) or not all(isinstance(ticker, dict) and ticker.get("id") for ticker in tickers):
            raise TaskError("contract", f"CoinPaprika's {path} answered {str(body)[:100]!r}, not a ticker with an id")
        origin = answer.origin()
        fields = shape(tickers)
        drift = change(cursor.get("fields") if isinstance(cursor, dict) else None, fields)
        note = f"CoinPaprika's {path} has changed its form: {drift}" if drift else None
        # In the order of their ids, so that a task that was interrupted goes on after the last one, whatever the ranks are by then.
        rest = sorted(
            (ticker for ticker in tickers if str(ticker["id"]) > str(done.get("after") or "")), key=lambda ticker: str(ticker["id"])
        )
        pages = list(paginate(rest))
        for number, (records, rejections) in enumerate(pages, 1):
            newest = max((str(ticker.get("last_updated") or "") for ticker in records), default="")
            position = {
                "last_updated": newest,
                "after": records[-1]["id"] if records else None,
                "is_last": number == len(pages),
                "fields": fields,
            }
            yield Slice(records, position, {"endpoint": path}, origin, rejections, note=note if number == 1 else None)

    async def _get(self, path: str) -> Answer:
        return await self._http.get(self._api_url + path, headers=self._headers, accept="application/json", before=self._take)
