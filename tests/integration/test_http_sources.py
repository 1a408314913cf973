"""Sources over real HTTP.

Every way an upstream can misbehave ends in a clear error, in time and in bounds.
"""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from services.extractor.settings import Feed
from services.extractor.sources.base import Slice, SourceConnector
from services.extractor.sources.coinpaprika.source import CoinPaprika
from services.extractor.sources.feeds.source import Rss
from services.extractor.sources.http_client import HttpClient
from services.normalizer.mapping.page import map_page
from shared.errors import TaskError
from shared.identity.windows import window_of
from shared.messages.base import Source
from tests.simulator import Simulator
from tests.simulator.server import Fault, ticker
from tests.support.pages import raw_page

TICKER = "/v1/tickers/btc-bitcoin"


@pytest.fixture
def upstream() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


def client(**settings: Any) -> HttpClient:
    return HttpClient(
        **{
            "allow_private": True,
            "attempts": 3,
            "timeout_s": 5.0,
            "max_bytes": 1_000_000,
            **settings,
        }
    )


def fetch(
    upstream: Simulator,
    source: str = "coinpaprika",
    coin: str = "btc-bitcoin",
    cursor: Any = None,
    resumed: bool = False,
    **settings: Any,
) -> list[Slice]:
    async def collect() -> list[Slice]:
        http = client(**settings)
        connectors: dict[str, SourceConnector] = {
            "coinpaprika": CoinPaprika(
                http, api_url=f"{upstream.url}/v1", coin_ids=[coin]
            ),
            "rss": Rss(
                http,
                [Feed(name="news", url=f"{upstream.url}/feeds/news")],
            ),
        }
        try:
            (info,) = await connectors[source].streams()
            return [
                piece
                async for piece in connectors[source].fetch(
                    info, cursor, resumed=resumed
                )
            ]
        finally:
            await http.close()

    return asyncio.run(collect())


def failure(upstream: Simulator, **arguments: Any) -> TaskError:
    with pytest.raises(TaskError) as caught:
        fetch(upstream, **arguments)
    return caught.value


def test_a_ticker_and_all_tickers(upstream: Simulator) -> None:
    (one,) = fetch(upstream)
    assert one.records[0]["id"] == "btc-bitcoin"
    assert (one.origin["status"], len(one.origin["sha256"])) == (200, 64)
    upstream.tickers.update(
        {f"c{n}-coin": ticker(f"c{n}-coin") for n in range(1200)}
    )
    first, last = fetch(upstream, coin="*")
    assert len(first.records) + len(last.records) == 1202

    # A task that was interrupted goes on after what it has published, whatever the ranks are by
    # then; a new one begins anew.
    upstream.tickers = dict(reversed(upstream.tickers.items()))
    (rest,) = fetch(
        upstream, coin="*", cursor=first.cursor_after, resumed=True
    )
    assert rest.records == last.records
    assert (
        fetch(upstream, coin="*", cursor=last.cursor_after, resumed=True)
        == []
    )
    assert len(fetch(upstream, coin="*", cursor=last.cursor_after)) == 2


def history(
    upstream: Simulator,
    stream: str,
    cursor: Any = None,
    resumed: bool = False,
    **settings: Any,
) -> list[Slice]:
    async def collect() -> list[Slice]:
        http = client(attempts=1)
        source = CoinPaprika(
            http,
            api_url=f"{upstream.url}/v1",
            coin_ids=["btc-bitcoin"],
            **settings,
        )
        info = source.find(stream)
        assert info is not None
        try:
            return [
                piece
                async for piece in source.fetch(
                    info, cursor, resumed=resumed
                )
            ]
        finally:
            await http.close()

    return asyncio.run(collect())


def points(slices: list[Slice], stream: str) -> list[Any]:
    pages = [
        raw_page(
            piece.records,
            source="coinpaprika",
            dataset="daily",
            stream=stream,
            context=piece.context,
        )
        for piece in slices
        if piece.records
    ]
    mapped = [map_page(page) for page in pages]
    assert not any(each.rejected for each in mapped)
    return [point for each in mapped for point in each.points.rows()]


@pytest.mark.parametrize(
    ("kind", "value"), [("ohlcv", "candle"), ("historical", "price")]
)
def test_history_comes_in_chunks_of_a_year_and_each_day_once(
    upstream: Simulator, kind: str, value: str
) -> None:
    stream = f"coinpaprika/btc-bitcoin/{kind}/2022-06-01..2024-09-01"
    slices = history(upstream, stream)
    found = points(slices, stream)
    days = [
        str(date(2022, 6, 1) + timedelta(n))
        for n in range((date(2024, 9, 1) - date(2022, 6, 1)).days)
    ]
    assert [point.timestamp[:10] for point in found] == days
    assert {
        (point.kind, point.instrument, point.symbol, point.currency)
        for point in found
    } == {(value, "btc-bitcoin", "btc", "USD")}
    assert (
        len(
            [
                path
                for path, _ in upstream.requests
                if path.endswith("historical")
            ]
        )
        == 3
    )
    assert (
        history(upstream, stream, slices[-1].cursor_after, resumed=True)
        == []
    )
    rest = history(upstream, stream, slices[0].cursor_after, resumed=True)
    assert [len(piece.records) for piece in rest] == [
        len(piece.records) for piece in slices[1:]
    ]


def test_history_that_the_plan_does_not_allow_begins_where_it_does(
    upstream: Simulator,
) -> None:
    upstream.allowed_from = date(2024, 3, 1)
    stream = "coinpaprika/btc-bitcoin/ohlcv/2024-01-01..2024-04-01"
    slices = history(upstream, stream)
    assert "from 2024-03-02 on" in (slices[0].note or "")
    assert points(slices, stream)[0].timestamp == "2024-03-02T00:00:00Z"
    with pytest.raises(TaskError, match="from 2024-03-02 on") as caught:
        history(
            upstream,
            "coinpaprika/btc-bitcoin/ohlcv/2023-01-01..2023-04-01",
        )
    assert caught.value.code == "plan_limit"


@pytest.mark.parametrize(
    "stream",
    [
        "coinpaprika/btc-bitcoin/ohlcv/2024-02-01..2024-01-01",
        "coinpaprika/btc-bitcoin/ohlcv/2024-13-01..2025-01-01",
        "coinpaprika/x/y",
        "coinpaprika/btc-bitcoin",
    ],
)
def test_names_that_are_no_windows_are_no_streams(stream: str) -> None:
    assert window_of(stream) is None


def test_a_key_and_currencies_are_sent(upstream: Simulator) -> None:
    async def ask() -> None:
        http = client()
        source = CoinPaprika(
            http,
            api_url=f"{upstream.url}/v1",
            coin_ids=["btc-bitcoin"],
            quotes=["USD", "EUR"],
            api_key="secret",
        )
        async for _ in source.fetch((await source.streams())[0], None):
            pass
        await http.close()

    asyncio.run(ask())
    assert upstream.requests[-1][1]["authorization"] == "secret"


def test_a_change_in_the_form_of_answers_is_said_once(
    upstream: Simulator,
) -> None:
    (first,) = fetch(upstream)
    assert first.note is None
    quotes = upstream.tickers["btc-bitcoin"]["quotes"]["USD"]
    upstream.tickers["btc-bitcoin"] |= {"rank": "1", "is_new": True}
    del quotes["volume_24h"]
    (second,) = fetch(upstream, cursor=first.cursor_after)
    assert second.note is not None
    assert (
        "new: is_new; missing: quotes.USD.volume_24h; of another type: rank (number → text)"
    ) in second.note
    assert second.records[0]["is_new"] is True, (
        "the record is kept as it came"
    )
    (third,) = fetch(upstream, cursor=second.cursor_after)
    assert third.note is None


@pytest.mark.parametrize(
    ("fault", "code", "requests"),
    [
        (Fault(429, times=None), "rate_limited", 3),
        (Fault(500, times=None), "upstream_error", 3),
        (Fault(502, b"<html>", times=None), "upstream_error", 3),
        (
            Fault(402, b'{"error": "not allowed in this plan"}'),
            "plan_limit",
            1,
        ),
        (Fault(403), "forbidden", 1),
        (Fault(404, b'{"error": "id not found"}'), "not_found", 1),
        (Fault(418), "rejected_by_source", 1),
        (Fault(200, b"<html>Just a moment</html>"), "contract", 1),
        (Fault(200, b"{}"), "contract", 1),
        (Fault(200, b'{"id": "btc-bit'), "contract", 1),
        (Fault(200, b"[1]"), "contract", 1),
        (Fault(200, b"x" * 2_000_000), "limit_exceeded", 1),
        (Fault(200, endless=True), "limit_exceeded", 1),
        (
            Fault(
                200,
                gzip.compress(b" " * 50_000_000),
                {"content-encoding": "gzip"},
            ),
            "limit_exceeded",
            1,
        ),
        (
            Fault(200, b"not gzip", {"content-encoding": "gzip"}),
            "contract",
            1,
        ),
        (Fault(redirect_to=TICKER, times=None), "redirect_loop", 6),
        (Fault(redirect_to="file:///etc/passwd"), "bad_url", 1),
        (
            Fault(500, b'{"error": "\x00 \xff"}', times=None),
            "upstream_error",
            3,
        ),
    ],
)
def test_every_failure_has_its_name(
    upstream: Simulator, fault: Fault, code: str, requests: int
) -> None:
    upstream.fail(TICKER, fault)
    assert failure(upstream).code == code
    assert upstream.count(TICKER) == requests


def last_cursor_of_failure(
    upstream: Simulator, cursor: Any = None
) -> tuple[Any, str]:
    """Where a feed's task that fails leaves its stream, and why it failed."""

    async def collect() -> tuple[Any, str]:
        http, position = client(attempts=1), cursor
        source = Rss(
            http, [Feed(name="news", url=f"{upstream.url}/feeds/news")]
        )
        try:
            async for piece in source.fetch(
                (await source.streams())[0], cursor
            ):
                position = piece.cursor_after
        except TaskError as error:
            return position, error.code
        finally:
            await http.close()
        return position, ""

    return asyncio.run(collect())


@pytest.mark.parametrize(
    "url", ["http://[::1/feed", "https://exa\u2100mple.invalid/rss"]
)
async def test_an_address_that_cannot_be_parsed_is_named(
    url: str,
) -> None:
    http = client()
    try:
        with pytest.raises(TaskError) as caught:
            await http.get(url)
    finally:
        await http.close()
    assert caught.value.code == "bad_url"


def test_a_feed_that_moved_for_good_is_asked_at_its_new_address(
    upstream: Simulator,
) -> None:
    upstream.feeds["new"] = upstream.feeds["news"]
    upstream.fail(
        "/feeds/news", Fault(301, headers={"location": "/feeds/new"})
    )
    (first,) = fetch(upstream, "rss")
    assert len(first.records) == 5
    (again,) = fetch(upstream, "rss", cursor=first.cursor_after)
    assert "not changed" in (again.note or "")
    assert (
        upstream.count("/feeds/news"),
        upstream.count("/feeds/new"),
    ) == (
        1,
        2,
    )


def test_a_feed_that_moved_for_a_while_is_asked_where_it_was(
    upstream: Simulator,
) -> None:
    upstream.feeds["new"] = upstream.feeds["news"]
    upstream.fail(
        "/feeds/news", Fault(302, headers={"location": "/feeds/new"})
    )
    (first,) = fetch(upstream, "rss")
    fetch(upstream, "rss", cursor=first.cursor_after)
    assert upstream.count("/feeds/news") == 2


def test_a_feed_that_is_gone_is_not_asked_again(
    upstream: Simulator,
) -> None:
    upstream.fail("/feeds/news", Fault(410))
    position, code = last_cursor_of_failure(upstream)
    assert code == "gone"
    assert last_cursor_of_failure(upstream, position) == (
        position,
        "gone",
    )
    assert upstream.count("/feeds/news") == 1
    assert (
        len(fetch(upstream, "rss")[0].records) == 5
    )  # read from its start, it is asked


@pytest.mark.parametrize("status", [429, 503])
def test_a_feed_that_names_a_time_is_not_asked_before(
    upstream: Simulator, status: int
) -> None:
    upstream.fail(
        "/feeds/news", Fault(status, headers={"retry-after": "3600"})
    )
    position, code = last_cursor_of_failure(upstream)
    assert code in ("rate_limited", "upstream_error")
    (piece,) = fetch(upstream, "rss", cursor=position)
    assert "not asked again before" in (piece.note or "")
    assert upstream.count("/feeds/news") == 1


def test_a_feed_that_fails_again_is_asked_ever_more_rarely_and_at_once_when_it_is_wanted(
    upstream: Simulator,
) -> None:
    upstream.fail("/feeds/news", Fault(404, times=None))
    position: Any = None
    waits = []
    for _ in range(9):
        position, code = last_cursor_of_failure(
            upstream,
            {**position, "not_before": None} if position else None,
        )
        until = position["not_before"]
        waits.append(
            round(
                (
                    datetime.fromisoformat(until) - datetime.now(UTC)
                ).total_seconds()
                / 60
            )
            if until
            else 0
        )
        assert code == "not_found"
    assert waits == [0, 1, 2, 4, 8, 16, 32, 60, 60]
    (piece,) = fetch(upstream, "rss", cursor=position)
    assert "it failed 9 times in a row; full_refresh asks at once" in (
        piece.note or ""
    )
    upstream.faults.clear()
    (piece,) = fetch(
        upstream,
        "rss",
        cursor={**position, "not_before": "2020-01-01T00:00:00Z"},
    )
    assert (len(piece.records), piece.cursor_after.get("failures")) == (
        5,
        None,
    )


@pytest.mark.parametrize(
    ("headers", "ttl"),
    [
        ({"cache-control": "public, max-age=300"}, ""),
        ({}, "<ttl>5</ttl>"),
    ],
)
def test_a_feed_that_is_fresh_is_not_asked_again(
    upstream: Simulator, headers: dict[str, str], ttl: str
) -> None:
    body = upstream.feeds["news"].replace(
        b"<channel>", f"<channel>{ttl}".encode()
    )
    upstream.fail(
        "/feeds/news",
        Fault(
            200, body, {"content-type": "application/rss+xml", **headers}
        ),
    )
    (first,) = fetch(upstream, "rss")
    (again,) = fetch(upstream, "rss", cursor=first.cursor_after)
    assert "not asked again before" in (again.note or "")
    assert upstream.count("/feeds/news") == 1
    late = {**first.cursor_after, "not_before": "2020-01-01T00:00:00Z"}
    assert "no new" in (fetch(upstream, "rss", cursor=late)[0].note or "")


@pytest.mark.parametrize("is_date", [False, True])
def test_a_passing_failure_is_overcome(
    upstream: Simulator, is_date: bool
) -> None:
    after = (
        format_datetime(
            datetime.now(UTC) + timedelta(seconds=3), usegmt=True
        )
        if is_date
        else "1"
    )
    upstream.fail(TICKER, Fault(500))
    upstream.fail(TICKER, Fault(429, headers={"retry-after": after}))
    started = time.monotonic()
    assert fetch(upstream)[0].records
    assert time.monotonic() - started >= 1


def test_a_body_that_drips_meets_the_total_deadline(
    upstream: Simulator,
) -> None:
    upstream.fail(
        TICKER, Fault(200, b" " * 10_000, drip_s=0.05, times=None)
    )
    started = time.monotonic()
    assert failure(upstream, timeout_s=1.0).code == "timeout"
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "0x7f000001",
        "2130706433",
        "169.254.169.254",
        "10.0.0.1",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
    ],
)
def test_private_addresses_are_refused_before_connecting(
    upstream: Simulator, host: str
) -> None:
    async def get() -> None:
        http = client(allow_private=False)
        try:
            await http.get(
                f"http://{host}:{upstream.url.rpartition(':')[2]}{TICKER}"
            )
        finally:
            await http.close()

    with pytest.raises(TaskError, match="ALLOW_PRIVATE_URLS") as caught:
        asyncio.run(get())
    assert caught.value.code == "blocked_address"
    assert upstream.requests == []


def test_a_name_that_does_not_resolve_and_a_port_that_is_closed_are_said(
    upstream: Simulator,
) -> None:
    async def get(url: str) -> None:
        http = client(attempts=1)
        try:
            await http.get(url)
        finally:
            await http.close()

    plain = upstream.url.replace("http:", "https:")
    for url, code in (
        ("http://nowhere.invalid/", "dns_failure"),
        ("http://127.0.0.1:1/", "connection_failed"),
        (plain, "tls_error"),
    ):
        with pytest.raises(TaskError) as caught:
            asyncio.run(get(url))
        assert caught.value.code == code


def test_a_feed_is_asked_conditionally(upstream: Simulator) -> None:
    (first,) = fetch(upstream, "rss")
    (second,) = fetch(upstream, "rss", cursor=first.cursor_after)
    assert len(first.records) == 5
    assert (second.records, second.cursor_after, second.note) == (
        [],
        first.cursor_after,
        "the feed has not changed (304)",
    )
    assert "if-none-match" in upstream.requests[-1][1]


def test_sources_name_themselves(upstream: Simulator) -> None:
    http: Any = None
    assert [
        source.name
        for source in (
            CoinPaprika(http, api_url="", coin_ids=[]),
            Rss(http, []),
        )
    ] == [Source.COINPAPRIKA, Source.RSS]
