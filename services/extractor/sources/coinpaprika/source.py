"""CoinPaprika's tickers: one stream per coin of COIN_IDS, or one for many or all (`["*"]`).

More than a few coins are taken from the list of all, which is one call. A ticker is always
published, changed or not: that it was asked and what it said is part of the audit trail. History
has streams of its own (`history`).
"""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
)
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from services.extractor.sources import back_off
from services.extractor.sources.answer import Answer
from services.extractor.sources.base import (
    Slice,
    SourceConnector,
    StreamInfo,
    paginate,
    parse_json,
)
from services.extractor.sources.coinpaprika import history
from services.extractor.sources.coinpaprika.coin_list import CoinList
from services.extractor.sources.coinpaprika.drift import change, shape
from services.extractor.sources.http_client import HttpClient
from shared.configuration.effective import Effective
from shared.configuration.forecast import FEW_COINS, is_one_call
from shared.errors import TaskError
from shared.identity.windows import KINDS, Window, window_of
from shared.messages.asked import Asked, AskedOutcome, asked_now
from shared.messages.base import Json, Source

if TYPE_CHECKING:
    from services.extractor.sources.registry import SourceParts

ALL_COINS = "tickers"
MAX_SHOWN = 300  # characters of a list of ids
FREE_URL = "https://api.coinpaprika.com/v1"
PRO_URL = "https://api-pro.coinpaprika.com/v1"


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
        count_call: Callable[[], Awaitable[None]] | None = None,
        coins: CoinList | None = None,
    ) -> None:
        """`count_call` is awaited before every call; `coins` is refreshed beside live prices."""
        self._http = http
        self._coin_ids = coin_ids
        self._count_call = count_call
        self._coins = coins
        self._api_url = api_url.rstrip("/")
        if api_key and self._api_url == FREE_URL:
            self._api_url = PRO_URL
        self._quotes = (
            f"?quotes={','.join(quotes)}"
            if quotes and quotes != ["USD"]
            else ""
        )
        self._headers = {"authorization": api_key} if api_key else {}

    def configure(self, effective: Effective) -> None:
        self._coin_ids = effective.coins(self.name)

    async def streams(self) -> list[StreamInfo]:
        names = (
            [ALL_COINS] if is_one_call(self._coin_ids) else self._coin_ids
        )
        return [
            StreamInfo(f"{self.name}/{name}", "live") for name in names
        ]

    def find(self, stream: str) -> StreamInfo | None:
        window = window_of(stream)
        return history.info_of(window) if window else None

    def history(self, start: date, end: date) -> list[StreamInfo]:
        """Daily candles and prices of every coin of COIN_IDS.

        Empty for `["*"]`: that would be thousands of requests.
        """
        if self._coin_ids == ["*"]:
            return []
        return [
            history.info_of(Window(coin, kind, start, end))
            for coin in self._coin_ids
            for kind in KINDS
        ]

    def cursor_to_keep(self, cursor: Json) -> Json:
        """Without a wait."""
        return back_off.without_failures(cursor)

    def asked_in_vain(
        self, info: StreamInfo, cursor: Any | None, reason: str
    ) -> list[Asked]:
        window = window_of(info.stream)
        if window is None:
            return [asked_now(AskedOutcome.FAILED, reason)]
        return history.asked_in_vain(window, cursor, reason)

    def nothing_configured(self) -> str:
        return "COIN_IDS is empty"

    async def fetch(
        self,
        info: StreamInfo,
        cursor: Any | None,
        *,
        resumed: bool = False,
    ) -> AsyncIterator[Slice]:
        window = window_of(info.stream)
        if window is not None:
            slices = history.fetch(
                window, self._get, cursor, resumed=resumed
            )
        else:
            slices = self._live(
                info,
                cursor,
                resumed=resumed,
            )
        async for piece in slices:
            yield piece

    async def _live(
        self, info: StreamInfo, cursor: Any | None, *, resumed: bool
    ) -> AsyncIterator[Slice]:
        known: Json = cursor if isinstance(cursor, dict) else {}
        done = known if resumed else {}
        if done.get("is_last"):
            return
        reason = back_off.not_yet(known, "CoinPaprika")
        if reason:
            yield Slice(
                [],
                known,
                note=reason,
            )
            return
        coin = info.stream.partition("/")[2]
        path = _path(coin)
        try:
            if self._coins is not None:
                await self._coins.refresh(self._get)
            answer = await self._ask(coin, path)
        except TaskError as error:
            yield Slice(
                [], {**known, **back_off.after_error(error, known)}
            )
            raise
        for piece in self._pages(
            answer,
            coin,
            known,
            done,
        ):
            yield piece

    def _pages(
        self, answer: Answer, coin: str, known: Json, done: Json
    ) -> Iterator[Slice]:
        """`known`: where the stream stood; `done`: where this task was interrupted."""
        path = _path(coin)
        tickers = _tickers(
            answer,
            coin,
            path,
        )
        fields = shape(tickers)
        note = _changed_form(
            path,
            known.get("fields"),
            fields,
        )
        if coin == ALL_COINS and self._coin_ids != ["*"]:
            tickers, missing = _picked(tickers, self._coin_ids)
            note = note or missing
        after = str(done.get("after") or "")
        pages = list(paginate(_in_order(tickers, after=after)))
        origin = answer.origin()
        for number, (records, rejections) in enumerate(pages, 1):
            is_last = number == len(pages)
            yield Slice(
                records,
                _position(
                    records,
                    fields,
                    is_last=is_last,
                ),
                {"endpoint": path},
                origin,
                rejections,
                note=note,
                asked=[asked_now()] if is_last else [],
            )
            note = None  # reported once
        if not pages:
            yield Slice(
                [],
                _position(
                    [],
                    fields,
                    is_last=True,
                ),
                note=note,
                asked=[asked_now()],
            )

    async def _ask(self, coin: str, path: str) -> Answer:
        try:
            return await self._get(path + self._quotes)
        except TaskError as error:
            if error.code == "not_found" and coin != ALL_COINS:
                raise history.unknown_coin(coin, error) from error
            raise

    async def _get(self, path: str) -> Answer:
        return await self._http.get(
            self._api_url + path,
            headers=self._headers,
            accept="application/json",
            before=self._count_call,
        )


def build(parts: SourceParts) -> CoinPaprika:
    settings = parts.settings
    return CoinPaprika(
        parts.http,
        api_url=settings.coinpaprika_api_url,
        coin_ids=settings.coin_ids,
        quotes=settings.coinpaprika_quotes,
        api_key=settings.coinpaprika_api_key.get_secret_value(),
        count_call=parts.count_call,
        coins=parts.coins,
    )


def _tickers(answer: Answer, coin: str, path: str) -> list[Json]:
    body = parse_json(answer, f"CoinPaprika's {path}")
    tickers = body if coin == ALL_COINS else [body]
    if not isinstance(tickers, list) or not all(map(_has_id, tickers)):
        shown = str(body)[:100]
        message = f"CoinPaprika's {path} answered {shown!r}, not a ticker with an id"
        raise TaskError("contract", message)
    return tickers


def _picked(
    tickers: list[Json], coin_ids: list[str]
) -> tuple[list[Json], str | None]:
    """(the tickers of these coins, a note of those that have none)."""
    wanted = set(coin_ids)
    found = [ticker for ticker in tickers if _id(ticker) in wanted]
    missing = sorted(wanted.difference(map(_id, found)))
    if not missing:
        return found, None
    shown = ", ".join(missing)[:MAX_SHOWN]
    return found, (
        f"CoinPaprika's /tickers has no {shown}: correct COIN_IDS; a coin without a rank is only "
        f"had by itself, with at most {FEW_COINS} COIN_IDS"
    )


def _has_id(ticker: Any) -> bool:
    return isinstance(ticker, dict) and bool(ticker.get("id"))


def _path(coin: str) -> str:
    if coin == ALL_COINS:
        return "/tickers"
    return f"/tickers/{quote(coin, safe='')}"


def _position(
    records: list[Json], fields: dict[str, str], *, is_last: bool
) -> Json:
    """Where the stream stands after a page."""
    return {
        "last_updated": max(map(_last_updated, records), default=""),
        "after": records[-1]["id"] if records else None,
        "is_last": is_last,
        "fields": fields,
    }


def _last_updated(ticker: Json) -> str:
    return str(ticker.get("last_updated") or "")


def _id(ticker: Json) -> str:
    return str(ticker["id"])


def _in_order(tickers: list[Json], *, after: str) -> list[Json]:
    """The tickers after an id, in the order of their ids.

    So a task that was interrupted goes on after the last one, whatever the ranks are by then.
    """
    return sorted(
        (ticker for ticker in tickers if _id(ticker) > after), key=_id
    )


def _changed_form(
    path: str, before: object, now: dict[str, str]
) -> str | None:
    drift = change(before, now)
    return (
        f"CoinPaprika's {path} has changed its form: {drift}"
        if drift
        else None
    )
