"""The simulator: state that tests set, served over real HTTP.

`python -m tests.simulator 9000` serves the same for playing by hand.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from xml.sax.saxutils import escape

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


@dataclass
class Fault:
    """What a path answers instead, `times` times (None: for ever)."""

    status: int = 500
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    times: int | None = 1
    drip_s: float = 0  # a byte each so many seconds
    endless: bool = False
    redirect_to: str = ""


def ticker(
    coin: str, price: float = 42000.5, *, minute: int = 0
) -> dict[str, Any]:
    """A ticker in the shape that CoinPaprika sends."""
    symbol, _, name = coin.partition("-")
    return {
        "id": coin,
        "name": name.replace("-", " ").title(),
        "symbol": symbol.upper(),
        "rank": 1,
        "total_supply": 19_900_000,
        "max_supply": 21_000_000,
        "beta_value": 0.9,
        "first_data_at": "2010-07-17T00:00:00Z",
        "last_updated": (NOW + timedelta(minutes=minute)).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        ),
        "quotes": {
            "USD": {
                "price": price,
                "volume_24h": 16010948942.9,
                "market_cap": 720916758464,
                "percent_change_24h": 0.9,
                "ath_price": None,
                "ath_date": None,
            }
        },
    }


def entry(
    number: int,
    title: str = "",
    *,
    summary: str = "A summary.",
    guid: str | None = None,
) -> dict[str, str]:
    """An item of a feed."""
    return {
        "guid": guid or f"guid-{number}",
        "title": title or f"Bitcoin rises, part {number}",
        "summary": summary,
        "link": f"https://news.example/{number}",
        "date": format_datetime(NOW - timedelta(hours=number)),
    }


def rss(entries: list[dict[str, str]]) -> bytes:
    """An RSS 2.0 document."""
    items = "".join(
        f"<item><title>{escape(e['title'])}</title><link>{escape(e['link'])}</link><guid"
        f" isPermaLink='false'>{escape(e['guid'])}</guid>"
        f"<pubDate>{e['date']}</pubDate><description>{escape(e['summary'])}</description></item>"
        for e in entries
    )
    title = "<title>Simulated</title><link>https://news.example</link>"
    channel = (
        f"<rss version='2.0'><channel>{title}{items}</channel></rss>"
    )
    return f"<?xml version='1.0' encoding='utf-8'?>{channel}".encode()


class Simulator:
    """Start with `with Simulator() as upstream:`; `upstream.url` is its address."""

    def __init__(self, port: int = 0, address: str = "127.0.0.1") -> None:
        self.tickers: dict[str, dict[str, Any]] = {
            coin: ticker(coin) for coin in ("btc-bitcoin", "eth-ethereum")
        }
        self.feeds: dict[str, bytes] = {
            "news": rss([entry(n) for n in range(5)])
        }
        self.allowed_from: date | None = None  # the plan's history
        # Days of history that are another record, or none.
        self.odd_days: dict[date, dict[str, Any] | None] = {}
        self.faults: dict[str, deque[Fault]] = defaultdict(deque)
        self.requests: list[tuple[str, dict[str, str]]] = []
        routes = [
            Route("/v1/tickers", self._all_tickers),
            Route("/v1/tickers/{coin}", self._ticker),
            Route("/v1/coins", self._coins),
            Route("/v1/coins/{coin}", self._coin),
            Route("/gecko/coins/markets", self._markets),
            Route("/v1/coins/{coin}/ohlcv/historical", self._ohlcv),
            Route("/v1/tickers/{coin}/historical", self._historical),
            Route("/feeds/{name}", self._feed),
        ]
        config = uvicorn.Config(
            _Faulty(Starlette(routes=routes), self),
            host=address,
            port=port,
            log_config=None,
            lifespan="off",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, daemon=True
        )

    def __enter__(self) -> Simulator:
        self._thread.start()
        while not self._server.started:
            threading.Event().wait(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def settings(self, *feeds: str) -> dict[str, str]:
        """The variables that point a stack to this simulator."""
        listed = [
            {"name": name, "url": f"{self.url}/feeds/{name}"}
            for name in feeds or self.feeds
        ]
        return {
            "COINPAPRIKA_API_URL": f"{self.url}/v1",
            "RSS_FEEDS": json.dumps(listed),
            "ALLOW_PRIVATE_URLS": "true",
        }

    def fail(self, path: str, fault: Fault) -> None:
        self.faults[path].append(fault)

    def count(self, path: str) -> int:
        return sum(seen == path for seen, _ in self.requests)

    async def _all_tickers(self, _request: Request) -> Response:
        return _json(list(self.tickers.values()))

    async def _ticker(self, request: Request) -> Response:
        found = self.tickers.get(request.path_params["coin"])
        return (
            _json(found)
            if found
            else _json({"error": "id not found"}, 404)
        )

    async def _coins(self, _request: Request) -> Response:
        listed = [
            ("BTC", "Bitcoin", 1, True),
            ("ZZQ", "Zebra Quay", 900, True),
            ("ZZQ", "Zorba", 901, True),
            ("ZZX", "Zed Gone", 0, False),
        ]
        return _json(
            [
                {
                    "id": f"{symbol}-{name}".lower().replace(" ", "-"),
                    "symbol": symbol,
                    "name": name,
                    "rank": rank,
                    "is_active": is_active,
                }
                for symbol, name, rank, is_active in listed
            ]
        )

    async def _coin(self, request: Request) -> Response:
        found = self.tickers.get(request.path_params["coin"])
        return (
            _json(
                {
                    "id": found["id"],
                    "symbol": found["symbol"],
                    "name": found["name"],
                }
            )
            if found
            else _json({"error": "id not found"}, 404)
        )

    async def _markets(self, request: Request) -> Response:
        """CoinGecko's, for any id that begins with a letter before `x`."""
        ids = [
            each
            for each in request.query_params["ids"].split(",")
            if each < "x"
        ]
        return _json(
            [
                {
                    "id": each,
                    "symbol": each[:3],
                    "name": each.title(),
                    "image": "https://i.example/1.png",
                    "current_price": 5.25 + n,
                    "market_cap": 10**9,
                    "total_volume": 1234.5,
                    "last_updated": NOW.strftime(
                        "%Y-%m-%dT%H:%M:%S.123Z"
                    ),
                    "roi": None,
                }
                for n, each in enumerate(ids)
            ]
        )

    async def _ohlcv(self, request: Request) -> Response:
        return self._days(
            request,
            lambda day, n: {
                "time_open": f"{day}T00:00:00Z",
                "time_close": f"{day}T23:59:59Z",
                "open": 100 + n,
                "high": 103.5 + n,
                "low": 99 + n,
                "close": 101 + n,
                "volume": 7,
                "market_cap": None,
            },
        )

    async def _historical(self, request: Request) -> Response:
        return self._days(
            request,
            lambda day, n: {
                "timestamp": f"{day}T00:00:00Z",
                "price": 100.5 + n,
                "volume_24h": 7,
                "market_cap": 9,
            },
        )

    def _days(
        self,
        request: Request,
        make: Callable[[date, int], dict[str, Any]],
    ) -> Response:
        """A record a day from `start` to `end`, both included, as CoinPaprika answers."""
        start, end = (
            date.fromisoformat(request.query_params[name])
            for name in ("start", "end")
        )
        if self.allowed_from and start < self.allowed_from:
            text = (
                f"Getting historical OHLCV data before {self.allowed_from} 09:50:50.1 +0000 UTC"
                " is not allowed in this plan. Check plans on coinpaprika.com/api"
            )
            return _json({"error": text}, 402)
        days = [
            start + timedelta(n) for n in range((end - start).days + 1)
        ]
        records = [
            self.odd_days.get(
                day, make(day, (day - date(2020, 1, 1)).days)
            )
            for day in days
        ]
        limit = int(request.query_params["limit"])
        return _json([each for each in records if each][:limit])

    async def _feed(self, request: Request) -> Response:
        body = self.feeds.get(request.path_params["name"])
        if body is None:
            return PlainTextResponse("404 page not found", 404)
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers={"etag": etag})
        return Response(
            body, media_type="application/rss+xml", headers={"etag": etag}
        )


def _json(value: Any, status: int = 200) -> Response:
    return Response(
        json.dumps(value), status, media_type="application/json"
    )


class _Faulty:
    """ASGI: answers with the path's next fault, if it has one."""

    def __init__(self, app: Starlette, simulator: Simulator) -> None:
        self._app, self._simulator = app, simulator

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope)
        path = request.url.path
        self._simulator.requests.append((path, dict(request.headers)))
        queue = self._simulator.faults[path]
        if not queue:
            await self._app(scope, receive, send)
            return
        fault = queue[0]
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                queue.popleft()
        await _answer(fault, path)(scope, receive, send)


def _answer(fault: Fault, path: str) -> Response:
    if fault.redirect_to:
        return RedirectResponse(fault.redirect_to or path, 302)
    if fault.endless:
        return StreamingResponse(_endless(), fault.status, fault.headers)
    if fault.drip_s:
        return StreamingResponse(
            _drip(fault), fault.status, fault.headers
        )
    return Response(fault.body, fault.status, fault.headers)


async def _drip(fault: Fault) -> AsyncIterator[bytes]:
    for byte in fault.body:
        yield bytes([byte])
        await asyncio.sleep(fault.drip_s)


async def _endless() -> AsyncIterator[bytes]:
    for _ in range(
        500
    ):  # far beyond any limit of the reader, and still bounded
        yield b" " * 65536
        await asyncio.sleep(0.001)
