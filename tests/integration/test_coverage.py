"""What is missing of a series, and why: each cause as the tables tell it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from services.loader.database import db_of
from services.loader.pages import asked
from services.loader.pages.asked import AskedOf
from shared.messages.asked import Asked, AskedOutcome, asked_from
from tests.integration.test_gateway import (  # noqa: F401  fixtures
    address,
    api,
    load,
)
from tests.integration.test_price import ticks
from tests.support.pages import candle, csv_context

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
RUN = str(uuid.uuid4())
STREAM = "csv/sample/btc-usd.csv"


def candles(engine: Engine, *days: int, offset: int = 0) -> None:
    """Daily candles of these days of January."""
    load(
        engine,
        [candle(day) for day in days],
        offset=offset,
    )


def ask(
    engine: Engine,
    first: int,
    last: int,
    outcome: AskedOutcome = AskedOutcome.ANSWERED,
    reason: str = "",
    stream: str = STREAM,
) -> None:
    """As told by a run that has ended."""
    begin = START + (first - 1) * DAY
    end = START + last * DAY - timedelta(microseconds=1)
    keep(engine, asked_from(begin, end, outcome, reason), stream)


def keep(engine: Engine, told: Asked, stream: str = STREAM) -> None:
    with engine.begin() as transaction:
        asked.keep(db_of(transaction), [AskedOf(stream, RUN, told)])


def coverage(api: httpx.Client, **params: Any) -> dict[str, Any]:  # noqa: F811
    answer = api.get("/coverage", params={"symbol": "btc", **params})
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()
    one: dict[str, Any] = found
    return one


def holes(api: httpx.Client, **params: Any) -> list[tuple[Any, ...]]:  # noqa: F811
    """(day, missing, cause, reason) of each."""
    return [
        (
            (datetime.fromisoformat(each["from"]) - START) / DAY + 1,
            each["missing"],
            each["cause"],
            each["reason"],
        )
        for each in coverage(api, **params)["holes"]
    ]


def test_what_is_whole_has_no_hole(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    candles(engine, *range(1, 11))
    ask(engine, 1, 10)
    found = coverage(api)
    assert found["holes"] == []
    assert (
        found["points"],
        found["expected"],
        found["completeness"],
    ) == (
        10,
        10,
        1,
    )
    assert (found["from"], found["to"]) == (
        "2024-01-01T00:00:00Z",
        "2024-01-11T00:00:00Z",
    )
    assert (found["every_seconds"], found["every_is"]) == (
        86_400,
        "interval",
    )


def test_each_hole_says_why(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    candles(engine, 1, 2, 5, 8, 9, 12, 15, 18)
    ask(engine, 1, 5)
    ask(engine, 8, 18)
    ask(engine, 10, 10, AskedOutcome.REJECTED, "bad_number")
    ask(engine, 11, 11, AskedOutcome.SKIPPED, "no_value")
    ask(engine, 13, 13, AskedOutcome.FAILED, "timeout")
    ask(engine, 19, 20, AskedOutcome.FAILED, "timeout")
    with engine.begin() as transaction:
        transaction.execute(
            text(
                "UPDATE points SET retired_at = now()"
                " WHERE \"timestamp\" = '2024-01-15Z'"
            )
        )
    assert holes(api) == [
        (3, 2, "no_data", None),
        (6, 2, "never_asked", None),
        (10, 1, "rejected", "bad_number"),
        (11, 1, "skipped", "no_value"),
        (13, 2, "no_data", None),
        (15, 1, "retired", None),
        (16, 2, "no_data", None),
        (19, 2, "failed", "timeout"),
    ]
    found = coverage(api)
    assert (found["points"], found["expected"]) == (7, 20)
    assert found["completeness"] == 0.35
    assert found["holes"][2]["run_id"] == RUN
    assert not any(each["can_fill"] for each in found["holes"])
    # A part of it, and times that nobody knows of.
    assert holes(api, **{"from": "2024-01-07", "to": "2024-01-11"}) == [
        (7, 1, "never_asked", None),
        (10, 1, "rejected", "bad_number"),
    ]
    assert holes(api, **{"from": "2023-12-30", "to": "2024-01-02"}) == [
        (-1, 2, "never_asked", None)
    ]


def test_what_is_not_over_is_not_yet(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    candles(engine, 1, 2, 3)
    today = datetime.now(UTC).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    end = today + 2 * DAY
    found = coverage(api, to=end.isoformat(), **{"from": "2024-01-03"})
    (never, coming) = found["holes"]
    assert never["cause"] == "never_asked"
    assert (coming["from"], coming["cause"], coming["missing"]) == (
        f"{today:%Y-%m-%d}T00:00:00Z",
        "not_yet",
        2,
    )


def test_what_nobody_knows_is_unknown(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    candles(engine, 1, 4, 7, 10)
    ask(engine, 5, 10)
    with engine.begin() as transaction:
        transaction.execute(
            text(
                "INSERT INTO asked (stream, outcome, reason, every_s,"
                " first_at, last_at, run_id) VALUES (:stream, 'unknown',"
                " '', 0, '0001-01-01Z', '2026-01-01Z', :run)"
            ),
            {"stream": STREAM, "run": RUN},
        )
        transaction.execute(
            text(
                "INSERT INTO pruned (what, before)"
                " VALUES ('points', '2024-01-03Z')"
            )
        )
    assert holes(api) == [
        (2, 1, "unknown", "POINTS_RETENTION"),
        (3, 1, "unknown", "loaded_before_asking_was_recorded"),
        (5, 2, "no_data", None),
        (8, 2, "no_data", None),
    ]
    # A row that was rejected without a time may be any that is missing.
    with engine.begin() as transaction:
        transaction.execute(
            text(
                "INSERT INTO dead_letters (id, stage, reason, message,"
                " stream, record_index) VALUES (gen_random_uuid(),"
                " 'normalize', 'bad_time', 'x', :stream, 3)"
            ),
            {"stream": STREAM},
        )
    unsure = [
        (5, 2, "unknown", "rejected_without_time"),
        (8, 2, "unknown", "rejected_without_time"),
    ]
    assert holes(api)[2:] == unsure
    # Also one that was rejected while it was read, and one that was closed.
    change = (
        "UPDATE dead_letters SET record_index = NULL, status = :status"
    )
    for status, expected in (
        ("open", unsure),
        ("discarded", unsure),
        ("requeued", [(5, 2, "no_data", None), (8, 2, "no_data", None)]),
    ):
        with engine.begin() as transaction:
            transaction.execute(text(change), {"status": status})
        assert holes(api)[2:] == expected


def test_files_of_one_market_are_looked_at_together(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    for offset, (name, days) in enumerate(
        {"a": (1, 2, 3), "b": (5, 6), "c": (7, 8)}.items()
    ):
        path = f"sample/{name}/btc-usd.csv"
        load(
            engine,
            [candle(day) for day in days],
            offset=offset,
            stream=f"csv/{path}",
            context=csv_context(path),
        )
        ask(engine, days[0], days[-1], stream=f"csv/{path}")
    found = coverage(api)
    assert len(found["ids"]) == 3
    assert holes(api) == [(4, 1, "never_asked", None)]


def test_prices_without_an_interval_have_the_usual_distance(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    minute = timedelta(minutes=1)
    ticks(
        engine,
        [
            (START + n * minute, "1.5")
            for n in range(200)
            if not 50 <= n < 60
        ],
    )
    found = coverage(api)
    assert (found["every_seconds"], found["every_is"]) == (60, "usual")
    assert (found["expected"], found["completeness"]) == (None, None)
    (hole,) = found["holes"]
    assert (hole["from"], hole["to"], hole["missing"]) == (
        "2024-01-01T00:49:00Z",
        "2024-01-01T01:00:00Z",
        None,
    )
    assert coverage(api, every="15m")["holes"] == []
    assert coverage(api, every="15m")["every_is"] == "given"


def test_a_live_source_holds_until_it_is_asked_again(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    stream = "coinpaprika/btc-bitcoin"
    minute = timedelta(minutes=1)
    for number, at in enumerate((0, 30, 300)):
        moment = f"{START + at * minute:%Y-%m-%dT%H:%M:%SZ}"
        load(
            engine,
            [
                {
                    "id": "btc-bitcoin",
                    "symbol": "BTC",
                    "last_updated": moment,
                    "quotes": {"USD": {"price": 1 + number}},
                }
            ],
            stream=stream,
            dataset="live",
            context={},
            offset=number,
        )
    for at, outcome, reason in (
        (1, "answered", ""),
        (31, "answered", ""),
        (61, "failed", "timeout"),
        (91, "failed", "timeout"),
        (301, "answered", ""),
    ):
        moment = f"{START + at * minute:%Y-%m-%dT%H:%M:%SZ}"
        keep(
            engine,
            Asked(
                first=moment,
                last=moment,
                outcome=outcome,
                reason=reason,
                every_s=3600,
            ),
            stream,
        )
    found = coverage(api)
    assert (found["every_seconds"], found["every_is"]) == (3600, "asked")
    assert [
        (
            each["from"][11:16],
            each["to"][11:16],
            each["cause"],
            each["reason"],
        )
        for each in found["holes"]
    ] == [
        ("00:30", "01:01", "no_data", None),
        ("01:01", "02:31", "failed", "timeout"),
        ("02:31", "05:00", "never_asked", None),
    ]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"symbol": "btc", "every": "1x"}, "every"),
        ({"symbol": "btc", "limit": "101"}, "at most 100"),
        ({"symbl": "btc"}, "symbol"),
        (
            {"symbol": "btc", "from": "2024-02-01", "to": "2024-01-01"},
            "after",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused(
    api: httpx.Client,  # noqa: F811
    params: dict[str, str],
    said: str,
) -> None:
    answer = api.get("/coverage", params=params)
    assert answer.status_code == 422
    assert said in answer.text


def test_a_list_of_many_series_leads_on(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    for number in range(3):
        path = f"set{number}/btc-usd.csv"
        load(
            engine,
            [candle(1), candle(2)],
            offset=number,
            stream=f"csv/{path}",
            context=csv_context(path),
        )
    seen = []
    url = "/coverage?symbol=btc&limit=2"
    while url:
        answer = api.get(url)
        seen += [each["dataset"] for each in answer.json()]
        following = answer.links.get("next")
        url = (
            following["url"].removeprefix("/api/v1") if following else ""
        )
    assert seen == ["set0", "set1", "set2"]


def retire(engine: Engine, condition: str) -> None:
    with engine.begin() as transaction:
        transaction.execute(
            text(
                f"UPDATE points SET retired_at = now() WHERE {condition}"
            )
        )


def test_a_file_that_was_retired_whole_is_told(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    for offset, (name, days) in enumerate(
        {"a": (1, 2, 3), "b": (4, 5, 6), "c": (7, 8)}.items()
    ):
        path = f"sample/{name}/btc-usd.csv"
        load(
            engine,
            [candle(day) for day in days],
            offset=offset,
            stream=f"csv/{path}",
            context=csv_context(path),
        )
        ask(engine, days[0], days[-1], stream=f"csv/{path}")
    retire(
        engine,
        "series_id = (SELECT series_id FROM series"
        " WHERE stream = 'csv/sample/b/btc-usd.csv')",
    )
    assert holes(api) == [(4, 3, "retired", None)]
    retire(engine, "retired_at IS NULL")
    assert holes(api) == [(1, 8, "retired", None)]
    assert coverage(api)["points"] == 0


def test_a_record_of_history_without_a_time_makes_its_windows_unsure(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    parent = "coinpaprika/btc-bitcoin/ohlcv"
    stream = f"{parent}/2024-01-01..2024-01-06"
    days = [
        {
            "time_open": f"2024-01-{day:02}T00:00:00Z"
            if day != 3
            else "?",
            "open": 1,
            "high": 2,
            "low": 1,
            "close": 2,
            "volume": 3,
        }
        for day in range(1, 6)
    ]
    load(
        engine,
        days,
        stream=stream,
        dataset="daily",
        context={
            "kind": "ohlcv",
            "coin": "btc-bitcoin",
            "symbol": "BTC",
            "quote": "USD",
            "interval": "1d",
        },
    )
    ask(engine, 1, 5, stream=stream)
    found = coverage(api)
    assert [
        (each["cause"], each["reason"], each["can_fill"])
        for each in found["holes"]
    ] == [("unknown", "rejected_without_time", True)]
    (series,) = api.get("/series").json()
    assert series["stream"] == parent


def test_an_answer_after_a_failure_counts(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    stream = "coinpaprika/btc-bitcoin"
    minute = timedelta(minutes=1)
    for number, at in enumerate((0, 400)):
        moment = f"{START + at * minute:%Y-%m-%dT%H:%M:%SZ}"
        load(
            engine,
            [
                {
                    "id": "btc-bitcoin",
                    "symbol": "BTC",
                    "last_updated": moment,
                    "quotes": {"USD": {"price": 1 + number}},
                }
            ],
            stream=stream,
            dataset="live",
            context={},
            offset=number,
        )
    for at, outcome in (
        (1, "answered"),
        (20, "failed"),
        (30, "answered"),
        (61, "answered"),
    ):
        moment = f"{START + at * minute:%Y-%m-%dT%H:%M:%SZ}"
        keep(
            engine,
            Asked(
                first=moment, last=moment, outcome=outcome, every_s=3600
            ),
            stream,
        )
    assert [
        (each["from"][11:16], each["to"][11:16], each["cause"])
        for each in coverage(api)["holes"]
    ] == [
        ("00:00", "00:01", "never_asked"),
        ("00:01", "02:01", "no_data"),
        ("02:01", "06:40", "never_asked"),
    ]


def test_of_news_only_what_was_not_asked_for_is_a_hole(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    load(
        engine,
        [
            {
                "title": "Bitcoin rises",
                "link": "http://x/1",
                "id": "http://x/1",
                "published": "Mon, 01 Jan 2024 05:00:00 GMT",
                "summary": "",
            }
        ],
        stream="rss/paper",
        context={},
    )
    for hour in range(10):
        if hour in (4, 5, 6):
            continue
        moment = f"2024-01-01T{hour:02}:00:00Z"
        keep(
            engine,
            Asked(first=moment, last=moment, every_s=3600),
            "rss/paper",
        )
    with engine.begin() as transaction:
        transaction.execute(
            text(
                "INSERT INTO dead_letters (id, stage, reason, message,"
                " stream) VALUES (gen_random_uuid(), 'extract',"
                " 'too_large', 'x', 'rss/paper')"
            )
        )
    found = coverage(api, source="rss")
    assert [
        (each["from"][11:16], each["to"][11:16], each["cause"])
        for each in found["holes"]
    ] == [("04:00", "07:00", "never_asked")]
    assert (found["points"], found["every_seconds"]) == (1, None)


def test_days_of_another_zone_have_no_hole_where_its_clocks_change(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    rows = []
    for day in range(21):
        at = datetime(2024, 10, 20, 4, tzinfo=UTC) + day * DAY
        at += timedelta(hours=at >= datetime(2024, 11, 3, 6, tzinfo=UTC))
        rows.append([at.isoformat(), "1", "2", "0.5", "1.5", "9"])
    load(
        engine,
        rows,
        context={
            **csv_context("sample/btc-usd.csv"),
            "sample": rows[:5],
        },
    )
    found = coverage(api)
    assert found["holes"] == []
    assert (
        found["points"],
        found["expected"],
        found["completeness"],
    ) == (
        21,
        21,
        1,
    )


def test_retired_prices_are_retired_up_to_their_neighbours(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    minute = timedelta(minutes=1)
    ticks(engine, [(START + n * minute, "1.5") for n in range(60)])
    retire(
        engine,
        "\"timestamp\" BETWEEN '2024-01-01T00:20Z' AND '2024-01-01T00:29Z'",
    )
    assert [
        (each["from"][11:16], each["to"][11:16], each["cause"])
        for each in coverage(api)["holes"]
    ] == [("00:19", "00:30", "retired")]
