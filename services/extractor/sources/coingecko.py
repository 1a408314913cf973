"""CoinGecko's `/coins/markets`: live prices of COINGECKO_IDS in one stream.

Cursor: the number of the last page that was published, for a task that was interrupted. A new task
begins at the first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from services.extractor.sources.answer import Answer
from services.extractor.sources.base import (
    Slice,
    SourceConnector,
    StreamInfo,
    paginate,
    parse_json,
)
from services.extractor.sources.http_client import HttpClient
from shared.configuration.effective import Effective
from shared.errors import TaskError
from shared.messages.asked import Asked, AskedOutcome, asked_now
from shared.messages.base import Json, Source

if TYPE_CHECKING:
    from services.extractor.sources.registry import SourceParts

MAX_BODY = 100  # characters of an unexpected answer
MAX_SHOWN = 300  # characters of a list of ids
PER_PAGE = 250  # CoinGecko's most
CURRENCY = "usd"


class CoinGecko(SourceConnector):
    """Source `coingecko`; dataset `live`, one stream. Without COINGECKO_IDS it is not used."""

    name = Source.COINGECKO
    is_optional = True

    def __init__(
        self, http: HttpClient, *, api_url: str, coin_ids: list[str]
    ) -> None:
        self._http = http
        self._api_url = api_url.rstrip("/")
        self._coin_ids = coin_ids

    def configure(self, effective: Effective) -> None:
        self._coin_ids = effective.coins(self.name)

    async def streams(self) -> list[StreamInfo]:
        return (
            [StreamInfo(f"{self.name}/markets", "live")]
            if self._coin_ids
            else []
        )

    def asked_in_vain(
        self, _info: StreamInfo, _cursor: Any | None, reason: str
    ) -> list[Asked]:
        return [asked_now(AskedOutcome.FAILED, reason)]

    def nothing_configured(self) -> str:
        return "COINGECKO_IDS is empty"

    async def fetch(
        self,
        info: StreamInfo,
        cursor: Any | None,
        *,
        resumed: bool = False,
    ) -> AsyncIterator[Slice]:
        done = 0
        if resumed and isinstance(cursor, dict):
            done = int(cursor.get("page", 0))
        coin_ids = self._coin_ids
        batches = range(0, len(coin_ids), PER_PAGE)
        for page, start in enumerate(batches, 1):
            if page > done:
                ids = coin_ids[start : start + PER_PAGE]
                for piece in await self._page(page, ids):
                    yield piece

    async def _page(self, page: int, ids: list[str]) -> list[Slice]:
        """The markets of at most 250 coins: small records, one slice.

        So that the cursor never stands inside it.
        """
        answer = await self._ask(ids)
        markets = _markets(answer)
        note = _unknown_coins(ids, markets)
        context = {"currency": CURRENCY.upper()}
        origin = answer.origin()
        pages = list(paginate(markets)) or [([], [])]
        return [
            Slice(
                records,
                {"page": page},
                context,
                origin,
                rejections,
                note=note,
                asked=[asked_now()],
            )
            for records, rejections in pages
        ]

    async def _ask(self, ids: list[str]) -> Answer:
        query = urlencode(
            {
                "vs_currency": CURRENCY,
                "ids": ",".join(ids),
                "per_page": PER_PAGE,
                "page": 1,
            }
        )
        url = f"{self._api_url}/coins/markets?{query}"
        return await self._http.get(url, accept="application/json")


def build(parts: SourceParts) -> CoinGecko:
    settings = parts.settings
    return CoinGecko(
        parts.http,
        api_url=settings.coingecko_api_url,
        coin_ids=settings.coingecko_ids,
    )


def _markets(answer: Answer) -> list[Json]:
    body = parse_json(answer, "CoinGecko's /coins/markets")
    if not isinstance(body, list) or not all(map(_has_id, body)):
        raise _not_markets(str(body))
    return body


def _not_markets(body: str) -> TaskError:
    shown = body[:MAX_BODY]
    message = f"CoinGecko's /coins/markets answered {shown!r}"
    return TaskError(
        "contract", f"{message}, not a list of coins with ids"
    )


def _has_id(coin: Any) -> bool:
    return isinstance(coin, dict) and bool(coin.get("id"))


def _unknown_coins(ids: list[str], markets: list[Json]) -> str | None:
    missing = set(ids).difference(map(_id, markets))
    if not missing:
        return None
    shown = ", ".join(sorted(missing))
    return f"CoinGecko does not know: {shown[:MAX_SHOWN]}"


def _id(coin: Json) -> str:
    return str(coin["id"])
