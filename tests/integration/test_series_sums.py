"""How many data points a series has, and from when to when, moves with every change of them."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from sqlalchemy import Engine

from services.loader.pages.transaction import write_pages
from services.loader.retention import Retention
from shared.messages.points import UnifiedData
from tests.integration.conftest import Query
from tests.integration.test_partitions import (
    NEWS,
    point,
    staged,
)
from tests.integration.test_series import of
from tests.support.series import WRONG_SUMS

SUMS = (
    "SELECT symbol, points, first_at::text, last_at::text FROM series"
    " ORDER BY symbol, kind"
)


def text(moment: str) -> str:
    return f"{moment} 00:00:00+00"


def test_what_is_added_counts_once(engine: Engine, query: Query) -> None:
    events = [
        of("btc", "2024-01-02T00:00:00Z"),
        of("btc", "2024-03-01T00:00:00Z"),
        of("eth", "2024-01-01T00:00:00Z"),
    ]
    write_pages(engine, [staged(events)])
    write_pages(engine, [staged(events[:1], offset=1)])
    assert query(SUMS) == [
        ("btc", 2, text("2024-01-02"), text("2024-03-01")),
        ("eth", 1, text("2024-01-01"), text("2024-01-01")),
    ]
    assert query(
        "SELECT s.arrived_at = max(p.created_at) FROM series AS s JOIN points AS p"
        " USING (series_id) GROUP BY series_id"
    ) == [(True,), (True,)]


@pytest.mark.parametrize(
    ("gone", "first", "last", "count"),
    [
        ("2024-01-01", "2024-01-02", "2024-01-03", 2),
        ("2024-01-02", "2024-01-01", "2024-01-03", 2),
        ("2024-01-03", "2024-01-01", "2024-01-02", 2),
    ],
)
def test_what_is_retired_or_deleted_counts_no_more(
    engine: Engine,
    query: Query,
    gone: str,
    first: str,
    last: str,
    count: int,
) -> None:
    events = [of("btc", f"2024-01-0{day}T00:00:00Z") for day in (1, 2, 3)]
    write_pages(engine, [staged(events)])
    all_of_it = [("btc", 3, text("2024-01-01"), text("2024-01-03"))]
    for change, undo in (
        (
            "UPDATE points SET retired_at = now()",
            "UPDATE points SET retired_at = NULL",
        ),
        ("DELETE FROM points", None),
    ):
        where = f"WHERE \"timestamp\" = '{gone}'"
        query(f"{change} {where} RETURNING 1")
        assert query(SUMS) == [("btc", count, text(first), text(last))]
        if undo:
            query(f"{undo} {where} RETURNING 1")
            assert query(SUMS) == all_of_it


def test_a_series_of_which_nothing_is_left_has_no_bounds(
    engine: Engine, query: Query
) -> None:
    write_pages(engine, [staged([of("btc", "2024-01-01T00:00:00Z")])])
    query("UPDATE points SET retired_at = now() RETURNING 1")
    assert query(SUMS) == [("btc", 0, None, None)]
    write_pages(
        engine, [staged([of("btc", "2024-01-05T00:00:00Z")], offset=1)]
    )
    assert query(SUMS) == [
        ("btc", 1, text("2024-01-05"), text("2024-01-05"))
    ]


def test_a_point_that_changes_its_series_counts_in_the_new_one(
    engine: Engine, query: Query
) -> None:
    before = of("btc", "2024-01-01T00:00:00Z", currency="USD")
    after = msgspec.structs.replace(
        before, currency="EUR", value_hash=before.value_hash + 1
    )
    write_pages(engine, [staged([before])])
    write_pages(engine, [staged([after], offset=1)])
    assert query(
        "SELECT currency, points, first_at IS NULL FROM series ORDER BY 1"
    ) == [("EUR", 1, False), ("USD", 0, True)]
    assert query(WRONG_SUMS) == []


def test_beyond_the_times_that_ids_hold_the_bounds_are_exact(
    engine: Engine, query: Query
) -> None:
    times = [
        "1890-01-01T00:00:00Z",
        "1950-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "2000-01-01T00:00:00Z",
        "2201-01-01T00:00:00Z",
        "2300-01-01T00:00:00Z",
    ]
    events = [of("btc", time) for time in times]
    write_pages(engine, [staged(events)])
    for _ in times:
        assert query(WRONG_SUMS) == []
        for order in ("", "DESC"):
            query(
                "UPDATE points SET retired_at = now() WHERE id = (SELECT id FROM points WHERE"
                f' retired_at IS NULL ORDER BY "timestamp" {order} LIMIT 1) RETURNING 1'
            ) if query(
                "SELECT count(*) FROM points WHERE retired_at IS NULL"
            ) != [(0,)] else None
            assert query(WRONG_SUMS) == []


def test_news_whose_date_is_edited_move_the_bounds(
    engine: Engine, query: Query
) -> None:
    def story(time: str, name: str, value: int = 0) -> UnifiedData:
        made = point("2024-01-01T00:00:00Z", name, kind=NEWS)
        return msgspec.structs.replace(
            made, timestamp=time, value_hash=value
        )

    write_pages(
        engine,
        [
            staged(
                [
                    story("2024-01-01T00:00:00Z", "a"),
                    story("2024-01-05T00:00:00Z", "b"),
                    story("2024-01-09T00:00:00Z", "c"),
                ]
            )
        ],
    )
    for n, (name, time) in enumerate(
        (
            ("a", "2024-01-07T00:00:00Z"),
            ("c", "2024-01-02T00:00:00Z"),
            ("c", "2023-12-01T00:00:00Z"),
            ("b", "2024-02-01T00:00:00Z"),
        ),
        1,
    ):
        write_pages(engine, [staged([story(time, name, n)], offset=n)])
        assert query(WRONG_SUMS) == []
    assert query(SUMS) == [
        ("btc", 3, text("2023-12-01"), text("2024-02-01"))
    ]


def test_whatever_is_done_the_sums_are_those_of_the_points(
    engine: Engine, query: Query
) -> None:
    chance = random.Random(17)
    days = [
        datetime(2023, 12, 1, tzinfo=UTC) + timedelta(days=day)
        for day in range(90)
    ]
    for n in range(40):
        symbols = chance.choices(("btc", "eth", "xrp"), k=30)
        events = {}
        for symbol in symbols:
            made = of(symbol, f"{chance.choice(days):%Y-%m-%dT00:00:00Z}")
            events[made.id] = msgspec.structs.replace(
                made, value_hash=chance.randrange(3)
            )
        write_pages(engine, [staged(list(events.values()), offset=n)])
        query(
            "UPDATE points SET retired_at = CASE WHEN retired_at IS NULL THEN now() END"
            f" WHERE abs(value_hash) % 3 = {n % 3} AND series_id % 2 = {n % 2} RETURNING 1"
        )
        assert query(WRONG_SUMS) == []


def test_many_who_write_one_series_at_once_all_count(
    engine: Engine, query: Query
) -> None:
    def write(day: int) -> None:
        events = [
            of("btc", f"2024-01-{day:02}T{hour:02}:00:00Z")
            for hour in range(24)
        ]
        write_pages(engine, [staged(events, offset=day)])

    threads = [
        threading.Thread(target=write, args=(day,)) for day in range(1, 9)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert query("SELECT points FROM series") == [(8 * 24,)]
    assert query(WRONG_SUMS) == []


def test_what_retention_drops_counts_no_more(
    engine: Engine, query: Query
) -> None:
    """By whole partitions, with their revisions; what came again is dropped again."""
    old = [
        of("btc", f"1990-0{month}-01T00:00:00Z") for month in (1, 2, 3)
    ]
    new = of("btc", f"{datetime.now(UTC):%Y-%m-%dT00:00:00Z}")
    changed = msgspec.structs.replace(old[0], value_hash=5)
    news = point("1990-01-01T00:00:00Z", "old", kind=NEWS)
    write_pages(engine, [staged([*old, new, news])])
    write_pages(engine, [staged([changed], offset=1)])
    assert query("SELECT count(*) FROM unified_revisions") == [(1,)]
    retention = Retention(
        engine, raw=None, revisions=None, points=timedelta(days=1000)
    )
    for again in (2, 3):
        for _ in range(10):  # other tests made partitions too
            retention.prune()
        assert query(
            "SELECT count(*) FROM pg_class WHERE relname ~ '^(gone_)?points_1990'"
        ) == [(0,)]
        assert query("SELECT kind, points FROM series ORDER BY kind") == [
            ("news", 0),
            ("price", 1),
        ]
        assert query("SELECT id::text FROM points") == [
            (
                f"{new.id[:8]}-{new.id[8:12]}-{new.id[12:16]}-{new.id[16:20]}-{new.id[20:]}",
            )
        ]
        assert query("SELECT count(*) FROM unified_revisions") == [(0,)]
        assert query(WRONG_SUMS) == []
        write_pages(engine, [staged(old, offset=again)])
        assert query("SELECT sum(points)::int FROM series") == [(4,)]
    retention.prune()


def test_what_was_taken_off_before_a_crash_is_dropped_later(
    engine: Engine, query: Query
) -> None:
    write_pages(engine, [staged([of("btc", "1990-01-01T00:00:00Z")])])
    while query("SELECT detach_partition('2000-01-01')") != [(None,)]:
        pass
    write_pages(
        engine, [staged([of("btc", "1990-05-01T00:00:00Z")], offset=1)]
    )
    Retention(
        engine, raw=None, revisions=None, points=timedelta(days=99_999)
    ).prune()
    assert query(SUMS) == [
        ("btc", 1, text("1990-05-01"), text("1990-05-01"))
    ]
    assert query(WRONG_SUMS) == []


@pytest.mark.parametrize("position", range(40))
def test_whichever_of_many_new_points_is_known_its_version_decides(
    engine: Engine, query: Query, position: int
) -> None:
    """Of a batch that looks new a few are looked for; the known one may be any."""
    events = [
        of("btc", f"2024-01-01T{n // 2:02}:{n % 2 * 30:02}:00Z")
        for n in range(40)
    ]
    write_pages(engine, [staged([events[position]], offset=1)])
    changed = [
        msgspec.structs.replace(event, value_hash=n)
        for n, event in enumerate(events)
    ]
    write_pages(engine, [staged(changed, offset=2)])
    assert query(
        "SELECT outcomes FROM page_receipts ORDER BY raw_offset"
    ) == [
        ("i",),
        ("i" * position + "u" + "i" * (39 - position),),
    ]
    assert query("SELECT count(*), sum(revision)::int FROM points") == [
        (40, 41)
    ]
    assert query(WRONG_SUMS) == []
