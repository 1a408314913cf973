"""Retention removes what is old, keeps what is needed, and everything that needed it says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Engine

from services.loader.retention import Retention
from services.loader.settings import Span
from tests.integration.conftest import Query
from tests.integration.test_gateway import address, api, load
from tests.support.pages import candle

__all__ = ["address", "api"]
DAY = timedelta(days=1)


def ago(days: float) -> int:
    return int(
        (datetime.now(UTC) - timedelta(days=days)).timestamp() * 1000
    )


def two_versions(
    engine: Engine, query: Query
) -> tuple[str, dict[str, Any]]:
    """A data point with a revision from forty days ago, whose page is as old."""
    load(engine, [candle(1, close="1.1")], broker_ms=ago(40), offset=1)
    load(engine, [candle(1, close="1.2")], broker_ms=ago(1), offset=2)
    query(
        "UPDATE unified_revisions SET replaced_at = clock_timestamp() - interval '40 days'"
        " RETURNING 1"
    )
    ((id_,),) = query("SELECT id::text FROM unified_data")
    pages = dict(query('SELECT "offset", page_id::text FROM raw_data'))
    return id_, pages


def test_old_pages_and_revisions_go_and_those_that_miss_them_say_so(
    engine: Engine, query: Query, api: httpx.Client
) -> None:
    id_, pages = two_versions(engine, query)
    retention = Retention(engine, raw=30 * DAY, revisions=30 * DAY)

    retention.prune()

    assert query('SELECT "offset" FROM raw_data') == [(2,)]
    assert query("SELECT count(*) FROM unified_revisions") == [(0,)]
    assert [
        what for (what,) in query("SELECT what FROM pruned ORDER BY what")
    ] == [
        "raw_data",
        "unified_revisions",
    ]
    found = api.get(f"/data/{id_}/lineage").json()
    assert [each["revision"] for each in found["versions"]] == [2]
    assert "REVISIONS_RETENTION" in found["notes"][0]
    gone = api.get(f"/raw/{pages[1]}")
    assert (
        gone.status_code,
        "RAW_RETENTION" in gone.json()["detail"],
    ) == (
        404,
        True,
    )
    assert api.get("/raw").json()["pruned_before"] is not None
    long_ago = api.get(
        "/data",
        params={"as_of": (datetime.now(UTC) - 50 * DAY).isoformat()},
    )
    assert (
        long_ago.status_code,
        "REVISIONS_RETENTION" in long_ago.json()["detail"],
    ) == (
        410,
        True,
    )
    assert (
        api.get(
            "/data", params={"as_of": datetime.now(UTC).isoformat()}
        ).status_code
        == 200
    )


def test_without_a_span_everything_stays(
    engine: Engine, query: Query
) -> None:
    two_versions(engine, query)
    Retention(engine, raw=None, revisions=None).prune()
    assert query(
        "SELECT (SELECT count(*) FROM raw_data), (SELECT count(*) FROM unified_revisions),"
        " (SELECT count(*) FROM pruned)"
    ) == [(2, 1, 0)]


def test_a_page_with_an_open_dead_letter_stays(
    engine: Engine, query: Query
) -> None:
    load(
        engine,
        [candle(1), ["2024-01-02", "5", "1", "9", "5", "1"]],
        broker_ms=ago(40),
    )
    assert query(
        "SELECT count(*) FROM dead_letters WHERE status = 'open'"
    ) == [(1,)]
    retention = Retention(engine, raw=30 * DAY, revisions=None)
    retention.prune()
    assert query("SELECT count(*) FROM raw_data") == [(1,)]
    query("UPDATE dead_letters SET status = 'discarded' RETURNING 1")
    retention.prune()
    assert query("SELECT count(*) FROM raw_data") == [(0,)]


def test_more_than_a_batch_goes_in_batches(
    engine: Engine, query: Query
) -> None:
    for number in range(230):
        load(
            engine,
            [candle(1 + number % 28)],
            broker_ms=ago(40),
            offset=number,
        )
    Retention(engine, raw=30 * DAY, revisions=None).prune()
    assert query("SELECT count(*) FROM raw_data") == [(0,)]


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30d", 30 * DAY),
        ("12h", DAY / 2),
        ("45m", timedelta(minutes=45)),
        ("", None),
    ],
)
def test_spans(text: str, span: timedelta | None) -> None:
    assert TypeAdapter(Span).validate_python(text) == span


@pytest.mark.parametrize(
    "text", ["30", "0d", "d", "-3d", "1.5h", "a week"]
)
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="such as 30d"):
        TypeAdapter(Span).validate_python(text)
