"""CoinGecko's `/coins/markets`: live prices of COINGECKO_IDS in one stream, a page of the answer at a time.

Cursor: the number of the last page that was published, for a task that was interrupted; a new one begins at the first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

from services.extractor.sources.base import Slice, SourceConnector, StreamInfo, paginate, parse_json
from services.extractor.sources.http_client import HttpClient
from shared.errors import TaskError
from shared.messages.base import Source

PER_PAGE = 250  # CoinGecko's most
CURRENCY = "usd"


class CoinGecko(SourceConnector):
    """Source `coingecko`; dataset `live`, one stream. Without COINGECKO_IDS it is not used."""

    name = Source.COINGECKO
    is_optional = True

    def __init__(self, http: HttpClient, *, api_url: str, coin_ids: list[str]) -> None:
        self._http, self._api_url, self._coin_ids = http, api_url.rstrip("/"), coin_ids

    async def streams(self) -> list[StreamInfo]:
        return [StreamInfo(f"{self.name}/markets", "live")] if self._coin_ids else []

    def nothing_configured(self) -> str:
        return "COINGECKO_IDS is empty"

    async def fetch(self, info: StreamInfo, cursor: Any | None, *, resumed: bool = False) -> AsyncIterator[Slice]:
        done = int(cursor.get("page", 0)) if resumed and isinstance(cursor, dict) else 0
        for page in range(done + 1, -(-len(self._coin_ids) // PER_PAGE) + 1):
            ids = self._coin_ids[(page - 1) * PER_PAGE : page * PER_PAGE]
            query = urlencode({"vs_currency": CURRENCY, "ids": ",".join(ids), "per_page": PER_PAGE, "page": 1})
            answer = await self._http.get(f"{self._api_url}/coins/markets?{query}", accept="application/json")
            body = parse_json(answer.body, "CoinGecko's /coins/markets")
            if not isinstance(body, list) or not all(isinstance(coin, dict) and coin.get("id") for coin in body):
                raise TaskError("contract", f"CoinGecko's /coins/markets answered {str(body)[:100]!r}, not a list of coins with ids")
            missing = sorted(set(ids) - {str(coin["id"]) for coin in body})
            note = f"CoinGecko does not know: {', '.join(missing)[:300]}" if missing else None
            # A page of at most 250 small records is one slice, so that the cursor need not stand inside it.
            for records, rejections in list(paginate(body)) or [([], [])]:
                yield Slice(records, {"page": page}, {"currency": CURRENCY.upper()}, answer.origin(), rejections, note=note)
