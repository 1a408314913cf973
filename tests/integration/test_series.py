"""What all points of a series share stands once, and reading by it is exact."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import Engine

from services.gateway.queries import data
from services.loader.pages import series
from services.loader.pages.transaction import write_pages
from shared.identity import point_ids
from shared.messages.points import UnifiedData
from tests.integration.conftest import Query
from tests.integration.test_gateway import (  # noqa: F401  fixtures
    address,
    api,
)
from tests.integration.test_partitions import (
    NEWS,
    pages_of,
    point,
    staged,
)


def of(
    symbol: str, time: str, *, kind: str = "price", **texts: str
) -> UnifiedData:
    made = point(time, f"{symbol}{time}{kind}{texts}", kind=kind)
    return msgspec.structs.replace(
        made, symbol=symbol, instrument=f"{symbol}-usd", **texts
    )


def test_points_that_share_their_texts_share_a_row(
    engine: Engine, query: Query
) -> None:
    events = [
        of("btc", "2024-01-01T00:00:00Z"),
        of("btc", "2024-01-02T00:00:00Z"),
        of("btc", "2024-01-02T00:00:00Z", currency="EUR"),
        of("eth", "2024-01-02T00:00:00Z", interval="1h"),
        of("btc", "2024-01-02T00:00:00Z", kind=NEWS),
    ]
    write_pages(engine, [staged(events)])
    write_pages(engine, [staged(events, offset=1)])
    assert query(
        "SELECT kind, symbol, currency, interval, count(*) FROM series"
        " JOIN points USING (series_id) GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3"
    ) == [
        ("news", "btc", None, None, 1),
        ("price", "btc", "EUR", None, 1),
        ("price", "btc", None, None, 2),
        ("price", "eth", None, "1h", 1),
    ]


def test_a_missing_text_is_not_an_empty_one(
    engine: Engine, query: Query
) -> None:
    events = [
        of("btc", "2024-01-01T00:00:00Z"),
        of("btc", "2024-01-02T00:00:00Z", currency=""),
    ]
    write_pages(engine, [staged(events)])
    assert query("SELECT count(*) FROM series") == [(2,)]


def test_the_bounds_of_a_series_are_those_of_its_months(
    engine: Engine, query: Query
) -> None:
    bounds = "SELECT first_id, past_id FROM series"
    for time, first, past in (
        ("2024-02-15T00:00:00Z", (2024, 2), (2024, 2)),
        ("2024-02-29T23:59:59.999999Z", (2024, 2), (2024, 2)),
        ("2023-12-31T23:59:59Z", (2023, 12), (2024, 2)),
        ("2025-01-01T00:00:00Z", (2023, 12), (2025, 1)),
    ):
        write_pages(engine, [staged([of("btc", time)])])
        assert query(bounds) == [
            (
                str(point_ids.first_of_month(*first)),
                str(point_ids.end_of_month(*past)),
            )
        ]


def test_many_that_need_a_series_at_once_make_one(
    engine: Engine, query: Query
) -> None:
    pages = [
        staged([of("btc", f"2024-01-{day:02}T00:00:00Z")], offset=day)
        for day in range(1, 9)
    ]
    threads = [
        threading.Thread(
            target=series.number_series, args=(engine, [page])
        )
        for page in pages
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert query("SELECT count(*) FROM series") == [(1,)]
    assert len({page.series[0] for page in pages}) == 1


def test_a_name_that_cannot_be_stored_is_a_dead_letter_of_its_record(
    engine: Engine, query: Query
) -> None:
    right = of("btc", "2024-01-01T00:00:00Z")
    wrong = of("b\0c", "2024-01-02T00:00:00Z")
    write_pages(engine, [staged([right, wrong])])
    assert query("SELECT inserted, rejected FROM page_receipts") == [
        (1, 1)
    ]
    assert query("SELECT reason FROM dead_letters") == [
        ("refused_by_database",)
    ]


def test_a_revision_keeps_the_texts_of_its_series(
    engine: Engine, query: Query
) -> None:
    """Also of the series that the point belonged to before."""
    time = "2024-01-01T00:00:00Z"
    first = of("btc", time, currency="USD")
    later = msgspec.structs.replace(
        first, symbol="xbt", value_hash=first.value_hash + 1
    )
    write_pages(engine, [staged([first])])
    write_pages(engine, [staged([later], offset=1)])
    assert query(
        "SELECT data->>'symbol', data->>'currency', data->>'source', data ? 'series_id'"
        " FROM unified_revisions"
    ) == [("btc", "USD", "csv", False)]
    assert query("SELECT symbol FROM unified_data") == [("xbt",)]


@pytest.mark.parametrize("few", [0, 1, 3, 100])
def test_few_and_many_series_are_read_alike(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    few: int,
) -> None:
    monkeypatch.setattr(data, "FEW", few)
    events = [
        of(symbol, f"2024-0{month}-01T0{hour}:00:00Z", kind=kind)
        for symbol in ("btc", "eth", "sol", "ada")
        for month in (1, 2, 3)
        for hour in (1, 2)
        for kind in ("price", "candle", NEWS)
    ]
    write_pages(engine, [staged(events)])

    def ids(**equal: Any) -> list[str]:
        chosen = [
            event
            for event in events
            if all(getattr(event, k) == v for k, v in equal.items())
        ]
        chosen.sort(key=lambda e: (e.timestamp, e.id), reverse=True)
        return [str(uuid.UUID(event.id)) for event in chosen]

    assert pages_of(api, limit=5, source="csv") == ids()
    assert pages_of(api, limit=5, kind="candle") == ids(kind="candle")
    # News are about eth besides their first coin, see `point`.
    sol = pages_of(api, limit=5, symbol="sol")
    assert sol == ids(symbol="sol")
    mixed = pages_of(api, limit=4, symbol="eth", kind="price")
    assert mixed == ids(symbol="eth", kind="price")
    assert pages_of(api, limit=4, symbol="eth", kind=NEWS) == ids(
        kind=NEWS
    )
    then = datetime.now(UTC).isoformat()
    assert pages_of(api, limit=5, symbol="sol", as_of=then) == sol
    assert (
        pages_of(api, symbol="doge") == pages_of(api, source="rss") == []
    )


@pytest.mark.parametrize(
    "filters",
    [
        {"symbol": "btc"},
        {"source": "csv"},
        {"kind": "price"},
        {"dataset": "sample"},
    ],
)
def test_a_filter_that_was_asked_before_finds_what_is_new(
    engine: Engine,
    api: httpx.Client,  # noqa: F811
    filters: dict[str, str],
) -> None:
    """The gateway remembers which series a filter leaves: also new ones, and further months."""
    events = [
        of("btc", "2024-03-01T00:00:00Z"),
        of("btc", "2024-03-02T00:00:00Z"),
        of("btc", "2023-01-01T00:00:00Z"),
        of("btc", "2025-12-31T00:00:00Z"),
        of("btc", "2025-12-31T00:00:00Z", currency="EUR"),
        of("btc", "2026-05-01T00:00:00Z", kind=NEWS),
    ]
    for count, event in enumerate(events):
        found = api.get("/data", params=filters).json()
        if filters.get("kind") == "price":
            found = [point for point in found if point["kind"] == "price"]
            count = min(count, 5)
        assert len(found) == count
        write_pages(engine, [staged([event], offset=count)])
