"""CoinPaprika: live tickers, one stream per coin of COIN_IDS, or one for all coins (`["*"]`).

A ticker is always published, changed or not: that it was asked and what it said is part of the audit trail.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from services.extractor.http_client import HttpClient
from services.extractor.sources.base import Slice, StreamInfo, paginate, parse_json
from shared.errors import TaskError
from shared.events import Source

ALL_COINS = "tickers"


class CoinPaprika:
    """Source `coinpaprika`; dataset `live`."""

    name = Source.COINPAPRIKA

    def __init__(self, http: HttpClient, *, api_url: str, coin_ids: list[str]) -> None:
        self._http, self._api_url, self._coin_ids = http, api_url.rstrip("/"), coin_ids

    async def streams(self) -> list[StreamInfo]:
        names = [ALL_COINS] if self._coin_ids == ["*"] else self._coin_ids
        return [StreamInfo(f"{self.name}/{name}", "live") for name in names]

    def nothing_configured(self) -> str:
        return "COIN_IDS is empty"

    async def fetch(self, info: StreamInfo, cursor: Any | None, *, resumed: bool = False) -> AsyncIterator[Slice]:
        done = cursor if resumed and isinstance(cursor, dict) else {}
        if done.get("is_last"):
            return
        coin = info.stream.partition("/")[2]
        path = "/tickers" if coin == ALL_COINS else f"/tickers/{quote(coin, safe='')}"
        try:
            answer = await self._http.get(self._api_url + path, accept="application/json")
        except TaskError as error:
            if error.code == "not_found" and coin != ALL_COINS:
                raise TaskError("not_found", f"CoinPaprika knows no coin {coin!r}: check COIN_IDS ({error.message})") from error
            raise
        body = parse_json(answer.body, f"CoinPaprika's {path}")
        tickers = body if coin == ALL_COINS else [body]
        if not isinstance(tickers, list) or not all(isinstance(ticker, dict) and ticker.get("id") for ticker in tickers):
            raise TaskError("contract", f"CoinPaprika's {path} answered {str(body)[:100]!r}, not a ticker with an id")
        origin = answer.origin()
        # In the order of their ids, so that a task that was interrupted goes on after the last one, whatever the ranks are by then.
        rest = sorted(
            (ticker for ticker in tickers if str(ticker["id"]) > str(done.get("after") or "")), key=lambda ticker: str(ticker["id"])
        )
        pages = list(paginate(rest))
        for number, (records, rejections) in enumerate(pages, 1):
            newest = max((str(ticker.get("last_updated") or "") for ticker in records), default="")
            position = {"last_updated": newest, "after": records[-1]["id"] if records else None, "is_last": number == len(pages)}
            yield Slice(records, position, {"endpoint": path}, origin, rejections)
