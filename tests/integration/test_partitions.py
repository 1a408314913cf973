"""Data points in partitions by time: what is made, and that reading over them is exact."""

from __future__ import annotations

import random
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import psycopg2
import pytest
from sqlalchemy import Engine

from embedded.settings import ROOT
from services.loader.pages import partitions
from services.loader.pages.staged_page import StagedPage
from services.loader.pages.transaction import write_pages
from shared.identity import point_ids
from shared.identity.ids import text_hash, text_id
from shared.messages.points import Points, UnifiedData
from shared.messages.serialization import encode
from tests.integration.conftest import Query
from tests.integration.test_gateway import (  # noqa: F401  fixtures
    address,
    api,
)
from tests.support.infra import Infrastructure
from tests.support.pages import candle, raw_page, unified_page

NEWS = "news"
Make = Callable[..., UnifiedData]


def point(
    time: str, name: str, *, kind: str = "price", index: int = 0
) -> UnifiedData:
    """A data point; the old hash behind the time makes its id."""
    is_news = kind == NEWS
    return UnifiedData(
        id=point_ids.point_id(kind, time, text_id(name)),
        value_hash=text_hash(f"{kind}{time}{name}"),
        record_index=index,
        kind=kind,
        timestamp=time,
        instrument=None if is_news else name,
        symbol="btc",
        symbols=["btc", "eth"] if is_news else None,
        title=name if is_news else None,
        price=None if is_news else "1",
    )


def staged(
    events: list[UnifiedData], *, version: int = 5, offset: int = 0
) -> StagedPage:
    raw = raw_page([candle(1)] * len(events), run_id=str(uuid.uuid4()))
    events = [
        msgspec.structs.replace(event, record_index=n)
        for n, event in enumerate(events)
    ]
    is_old = (
        version < point_ids.FIRST_VERSION
    )  # then messages were of version 1
    page = msgspec.structs.replace(
        unified_page(raw, offset=offset),
        points=Points() if is_old else Points.of(events),
        events=events if is_old else [],
        skipped=[],
        rejected=[],
        normalizer_version=version,
    )
    return StagedPage.from_message(encode(page))


@pytest.fixture
def names(
    query: Query, engine: Engine
) -> Iterator[Callable[[], set[str]]]:
    """Names of the partitions; those that a test made are gone after it."""

    def found() -> set[str]:
        rows = query(
            "SELECT inhrelid::regclass::text FROM pg_inherits"
            " WHERE inhparent = 'points'::regclass"
        )
        return {name for (name,) in rows}

    before = found()
    yield found
    with engine.begin() as connection:
        for name in found() - before:
            connection.exec_driver_sql(f"DROP TABLE {name}")


def is_made(engine: Engine, year: int, month: int) -> bool:
    values = {"year": year, "month": month}
    with engine.begin() as transaction:
        return bool(
            transaction.execute(partitions.MAKE, values).scalar_one()
        )


def test_old_years_have_one_partition_and_new_ones_one_a_month(
    engine: Engine, names: Callable[[], set[str]]
) -> None:
    before = names()
    year = datetime.now(UTC).year
    assert is_made(engine, 1971, 5)
    assert not is_made(engine, 1971, 6)
    assert is_made(engine, year + 40, 6)
    made = names() - before
    assert made == {"points_1971", f"points_{year + 40}"}
    is_made(engine, year - 1, 3)
    is_made(engine, year + 1, 4)
    assert {
        f"points_{year - 1}_03",
        f"points_{year + 1}_04",
    } <= names()


def test_years_may_lie_on_a_second_disk(
    engine: Engine,
    query: Query,
    infra: Infrastructure,
    names: Callable[[], set[str]],
) -> None:
    """As docs/operations.md says it; a tablespace in place stands for the disk."""
    del names  # what is made is gone after it
    text = (ROOT / "docs/operations.md").read_text()
    move, to_come = re.findall(
        r"```sql\n(ALTER TABLE.*?)-- And.*?\n(ALTER FUNCTION.*?)```",
        text,
        re.DOTALL,
    )[0]
    assert is_made(engine, 1973, 1)
    connection = psycopg2.connect(infra.dsn)
    connection.autocommit = True
    with connection.cursor() as db:
        db.execute("SET allow_in_place_tablespaces = on")
        db.execute("CREATE TABLESPACE history LOCATION ''")
        db.execute(move.replace("points_2019", "points_1973"))
        db.execute(to_come)
        assert is_made(engine, 1974, 1)
        db.execute(
            "ALTER FUNCTION ensure_partition RESET default_tablespace"
        )
    connection.close()
    write_pages(engine, [staged([point("1973-05-01T00:00:00Z", "a")])])
    write_pages(engine, [staged([point("1974-05-01T00:00:00Z", "a")])])
    assert query("SELECT count(*) FROM unified_data") == [(2,)]
    elsewhere = """
        SELECT count(*) FILTER (WHERE t.spcname = 'history'), count(*)
        FROM pg_class AS c LEFT JOIN pg_tablespace AS t ON t.oid = c.reltablespace
        WHERE c.relname LIKE %s AND c.relkind IN ('r', 'i')
    """
    for year in ("points_1973%", "points_1974%"):
        ((moved, there),) = query(elsewhere, year)
        assert moved == there > 1


def test_a_year_that_has_months_gets_further_months(
    engine: Engine, names: Callable[[], set[str]]
) -> None:
    first, past = (
        point_ids.first_id_at(datetime(1972, month, 1, tzinfo=UTC))
        for month in (5, 6)
    )
    with engine.begin() as connection:  # as if made in that year
        connection.exec_driver_sql(
            "CREATE TABLE points_1972_05 PARTITION OF points"
            f" FOR VALUES FROM ('{first}') TO ('{past}')"
        )
    assert not is_made(engine, 1972, 5)
    assert is_made(engine, 1972, 12)
    assert "points_1972_12" in names()
    assert "points_1972" not in names()


@pytest.mark.parametrize(
    "month", [(1969, 12), (2200, 1), (2024, 0), (2024, 13)]
)
def test_what_has_no_place_gets_no_partition(
    engine: Engine, month: tuple[int, int]
) -> None:
    with pytest.raises(Exception, match="no partition for"):
        is_made(engine, *month)


def test_many_that_need_a_partition_at_once_make_one(
    engine: Engine, names: Callable[[], set[str]]
) -> None:
    made: list[bool] = []
    threads = [
        threading.Thread(
            target=lambda: made.append(is_made(engine, 1973, 1))
        )
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(made) == [False] * 4 + [True]
    assert "points_1973" in names()


def test_a_partition_is_made_while_others_read_and_write(
    engine: Engine, names: Callable[[], set[str]]
) -> None:
    write_pages(engine, [staged([point("2024-01-01T00:00:00Z", "a")])])
    with engine.begin() as writer, engine.begin() as reader:
        writer.exec_driver_sql("UPDATE points SET price = 2")
        reader.exec_driver_sql("SELECT count(*) FROM unified_data")
        assert is_made(engine, 1974, 1)
        assert "points_1974" in names()


def test_what_is_written_makes_the_partitions_that_it_needs(
    engine: Engine,
    query: Query,
    names: Callable[[], set[str]],
) -> None:
    times = [
        "1901-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00Z",
        "1981-12-31T23:59:59.999999Z",
        "1982-01-01T00:00:00Z",
        "2199-12-31T23:59:59.999999Z",
        "2200-01-01T00:00:00Z",
        "2999-01-01T00:00:00Z",
    ]
    events = [point(time, str(n)) for n, time in enumerate(times)]
    assert write_pages(engine, [staged(events)]) == 1
    assert query("SELECT inserted, rejected FROM page_receipts") == [
        (len(times), 0)
    ]
    assert {
        "points_1970",
        "points_1981",
        "points_1982",
        "points_2199",
    } <= names()


def test_a_partition_that_was_dropped_is_made_again(
    engine: Engine, query: Query, names: Callable[[], set[str]]
) -> None:
    """As old data are: the loader remembers that it was there."""
    event = point("1975-01-01T00:00:00Z", "a")
    write_pages(engine, [staged([event])])
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE points_1975")
    assert write_pages(engine, [staged([event], offset=1)]) == 1
    assert query("SELECT count(*) FROM points") == [(1,)]
    assert query("SELECT count(*) FROM dead_letters") == [(0,)]


def test_the_next_weeks_are_made_ahead(
    engine: Engine, names: Callable[[], set[str]]
) -> None:
    partitions.ensure_next_partitions(engine)
    now = datetime.now(UTC)
    for moment in (now, now + timedelta(weeks=5)):
        assert f"points_{moment:%Y_%m}" in names()


def test_the_loader_makes_partitions_and_nobody_else_does(
    query: Query,
) -> None:
    for function in (
        "ensure_partition(int, int)",
        "detach_partition(timestamptz)",
        "drop_detached()",
    ):
        may = (
            "SELECT has_function_privilege(current_user || %s,"
            f" '{function}', 'EXECUTE')"
        )
        assert query(may, "_loader") == [(True,)]
        assert query(may, "_reader") == [(False,)]
    assert query(
        "SELECT has_table_privilege(current_user || '_reader', inhrelid, 'SELECT'),"
        " has_table_privilege(current_user || '_loader', inhrelid, 'INSERT')"
        " FROM pg_inherits WHERE inhparent = 'points'::regclass GROUP BY 1, 2"
    ) == [(True, True)]


def test_sql_makes_the_same_ids(query: Query) -> None:
    rng = random.Random(3)
    for _ in range(300):
        kind = rng.choice(["candle", "price", "ticker", NEWS])
        seconds = rng.randint(-3_000_000_000, 9_000_000_000)
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
            seconds=seconds, microseconds=rng.randint(0, 999_999)
        )
        name = text_id(str(seconds))
        ((made, first),) = query(
            "SELECT point_id(%s, %s, %s::uuid)::text, first_point_id(%s)::text",
            kind,
            moment,
            name,
            moment,
        )
        expected = point_ids.point_id(kind, moment.isoformat(), name)
        assert uuid.UUID(made).hex == expected
        prefix = point_ids.time_prefix(moment.isoformat())
        assert uuid.UUID(first).hex == prefix + "8" + "0" * 15


def test_pages_of_older_mappings_get_the_ids_of_today(
    engine: Engine, query: Query
) -> None:
    time = "2024-01-01T00:00:00Z"
    old = [
        msgspec.structs.replace(point(time, "a"), id=text_id("a")),
        msgspec.structs.replace(
            point(time, "b", kind=NEWS), id=text_id("b")
        ),
    ]
    write_pages(engine, [staged(old, version=4)])
    new = [point(time, "a"), point(time, "b", kind=NEWS)]
    write_pages(engine, [staged(new, offset=1)])
    assert query("SELECT count(*), sum(revision) FROM unified_data") == [
        (2, 2)
    ]
    assert query(
        "SELECT inserted, unchanged FROM page_receipts ORDER BY raw_offset"
    ) == [(2, 0), (0, 2)]


def test_an_id_of_another_time_is_a_dead_letter_of_its_record(
    engine: Engine, query: Query
) -> None:
    right = point("2024-01-01T00:00:00Z", "a")
    moved = msgspec.structs.replace(
        point("2024-01-01T00:00:00Z", "b"),
        timestamp="2024-01-01T00:00:01Z",
    )
    no_time = msgspec.structs.replace(right, timestamp="soon")
    no_news = msgspec.structs.replace(right, kind=NEWS)
    write_pages(engine, [staged([right, moved, no_time, no_news])])
    assert query("SELECT inserted, rejected FROM page_receipts") == [
        (1, 3)
    ]
    assert query("SELECT DISTINCT reason, stage FROM dead_letters") == [
        ("bad_identity", "load")
    ]


def test_an_edited_date_of_news_stays_one_row(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
    query: Query,
) -> None:
    for n, date in enumerate(("2023-05-01", "2025-07-01", "2021-01-01")):
        event = point(f"{date}T12:00:00Z", "story", kind=NEWS)
        write_pages(engine, [staged([event], offset=n)])
    assert query(
        'SELECT "timestamp"::date::text, revision FROM unified_data'
    ) == [("2021-01-01", 3)]
    (found,) = api.get("/data").json()
    lineage = api.get(f"/data/{found['id']}/lineage").json()
    assert [
        version["values"]["timestamp"][:10]
        for version in lineage["versions"]
    ] == ["2021-01-01", "2025-07-01", "2023-05-01"]


def pages_of(
    api: httpx.Client,  # noqa: F811
    **parameters: Any,
) -> list[str]:
    """The ids of all pages, by their links."""
    seen: list[str] = []
    answer = api.get("/data", params=parameters)
    while True:
        assert answer.status_code == 200, answer.text
        seen += [each["id"] for each in answer.json()]
        if "next" not in answer.links:
            return seen
        url = answer.links["next"]["url"].removeprefix("/api/v1")
        answer = api.get(url)


def test_mixed_kinds_are_paged_in_one_exact_order(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
    names: Callable[[], set[str]],
) -> None:
    """At equal microseconds, over the borders of partitions, beyond the times that ids can say."""
    rng = random.Random(11)
    times = [
        "1901-01-01T00:00:00Z",
        "1960-06-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "2023-12-31T23:59:59.999999Z",
        "2024-01-01T00:00:00Z",
        "2024-01-01T00:00:00.000001Z",
        "2199-12-31T23:59:59.999999Z",
        "2345-01-01T00:00:00Z",
    ]
    events = [
        point(time, f"{time}{kind}{n}", kind=kind)
        for time in times
        for kind in ("price", "candle", NEWS)
        for n in range(rng.randint(1, 6))
    ]
    rng.shuffle(events)
    write_pages(engine, [staged(events)])

    def place(event: UnifiedData) -> tuple[datetime, str]:
        time = datetime.fromisoformat(event.timestamp)
        if event.kind != NEWS:
            first, last = map(
                datetime.fromisoformat, (times[2], times[6])
            )
            time = min(max(time, first), last)
        return time, event.id

    expected = [
        str(uuid.UUID(event.id))
        for event in sorted(events, key=place, reverse=True)
    ]
    for limit in (1, 2, 3, 7, 1000):
        assert pages_of(api, limit=limit) == expected
    skipped = [
        each["id"]
        for skip in range(0, len(expected), 5)
        for each in api.get(
            "/data", params={"limit": 5, "skip": skip}
        ).json()
    ]
    assert skipped == expected
    of_news = {event.id for event in events if event.kind == NEWS}
    only_news = [i for i in expected if uuid.UUID(i).hex in of_news]
    assert pages_of(api, limit=4, kind=NEWS) == only_news
    assert pages_of(api, limit=4, symbol="eth") == only_news
    assert pages_of(api, limit=4, symbol="btc") == expected
    of_2024 = [
        str(uuid.UUID(event.id))
        for event in sorted(events, key=place, reverse=True)
        if event.timestamp.startswith("2024-01-01T00:00:00Z")
    ]
    span = {
        "from": "2024-01-01T00:00:00Z",
        "to": "2024-01-01T00:00:00.000001Z",
    }
    assert pages_of(api, limit=2, **span) == of_2024
    then = datetime.now(UTC).isoformat()
    assert pages_of(api, limit=3, as_of=then) == expected
