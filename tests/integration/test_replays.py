"""Pages of replays on a real PostgreSQL.

What a better mapping moves from record to record and from page to page ends where it belongs.
"""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, text

from services.loader.pages import previews
from services.loader.pages.staged_page import StagedPage
from services.loader.pages.transaction import write_pages
from shared.identity.ids import text_hash
from shared.identity.point_ids import timed_id
from shared.messages.base import Stage
from shared.messages.pages import RawPage, Rejection, ReplayOf
from shared.messages.points import Points, UnifiedData
from shared.messages.serialization import encode
from tests.integration.conftest import Query
from tests.support.pages import (
    candle,
    raw_page,
    unified_page,
    write_replayed,
)

ROWS = 3  # of a page
RUN = "0b9d4c1e-8f5a-4b0e-9d51-6a9a4f6f0a11"


def point(hour: int, value: str, index: int) -> UnifiedData:
    moment = f"2024-01-01T{hour:02}:00:00Z"
    return UnifiedData(
        id=timed_id(moment, str(hour)),
        value_hash=text_hash(value),
        record_index=index,
        kind="price",
        timestamp=moment,
        instrument="btc-usd",
        symbol="btc",
        currency="USD",
        price=value,
    )


def pages() -> list[RawPage]:
    """Two pages of hourly prices: records 0 to 2, and 3 to 5."""
    run_id = str(uuid.uuid4())
    return [
        raw_page(
            [candle(1 + n) for n in range(ROWS)],
            run_id=run_id,
            page_no=number,
        )
        for number in range(2)
    ]


def mapped(
    raw: RawPage,
    number: int,
    *,
    shift: int,
    version: int,
    replay: str | None = None,
    mode: str = "apply",
    rejected: int | None = None,
) -> StagedPage:
    """Record n is of hour n + shift, and its price is 100 + n, whatever the mapping."""
    unified = unified_page(
        raw, offset=number, broker_ms=1_700_000_000_000 + number
    )
    records = [number * ROWS + n for n in range(ROWS) if n != rejected]
    events = [
        point(record + shift, str(100 + record), record - number * ROWS)
        for record in records
    ]
    letters = (
        []
        if rejected is None
        else [
            Rejection(
                reason="odd",
                message="odd",
                index=rejected,
                stage=Stage.MAP,
            )
        ]
    )
    of = (
        None
        if replay is None
        else ReplayOf(run_id=replay, task_id=replay, mode=mode)
    )
    return StagedPage.from_message(
        encode(
            msgspec.structs.replace(
                unified,
                points=Points.of(events),
                rejected=letters,
                normalizer_version=version,
                replay=of,
            )
        )
    )


def shown(query: Query) -> dict[int, int]:
    return dict(
        query(
            "SELECT extract(hour FROM \"timestamp\" AT TIME ZONE 'UTC')::int, price::int FROM"
            " unified_data WHERE retired_at IS NULL ORDER BY 1"
        )
    )


def hours(shift: int) -> dict[int, int]:
    return {record + shift: 100 + record for record in range(2 * ROWS)}


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("how", ["replay", "group", "preview"])
def test_a_shift_by_one_moves_every_value_also_over_the_edge_of_a_page(
    engine: Engine, query: Query, before: int, together: bool, how: str
) -> None:
    raws, after = pages(), 1 - before
    write_pages(
        engine,
        [
            mapped(raw, number, shift=before, version=2)
            for number, raw in enumerate(raws)
        ],
    )
    assert shown(query) == hours(before)
    query(
        "INSERT INTO runs (run_id, kind, preview, finished_at) VALUES (%s, 'replay', %s, now())"
        " RETURNING 1",
        RUN,
        "open" if how == "preview" else None,
    )

    again = [
        mapped(
            raw,
            number,
            shift=after,
            version=3,
            replay=None if how == "group" else RUN,
            mode="preview" if how == "preview" else "apply",
        )
        for number, raw in enumerate(raws)
    ]
    write = write_pages if how == "group" else write_replayed
    for some in [again] if together else [[page] for page in again]:
        write(engine, some)
    if how == "preview":
        assert shown(query) == hours(before)
        with engine.begin() as transaction:
            previews.publish(transaction, RUN)

    assert shown(query) == hours(after)
    write_pages(
        engine,
        [
            mapped(raw, number, shift=before, version=2)
            for number, raw in enumerate(raws)
        ],
    )
    write_replayed(
        engine,
        [
            mapped(
                raw,
                number,
                shift=after,
                version=3,
                replay=str(uuid.uuid4()),
            )
            for number, raw in enumerate(raws)
        ],
    )
    assert shown(query) == hours(after), (
        "an older mapping, and the same once more, change nothing"
    )
    if how != "preview":
        assert query("SELECT count(*) FROM preview_points") == [(0,)]
    (first,) = query(
        "SELECT sum(inserted), sum(updated) FROM page_receipts"
    )
    assert first == (2 * ROWS, 0), "the first run's receipts stay"


def test_a_record_that_a_better_mapping_rejects_gives_way_to_its_double(
    engine: Engine, query: Query
) -> None:
    raw = pages()[0]

    def doubled(
        version: int, prices: list[str], replay: str | None = None
    ) -> StagedPage:
        unified = unified_page(raw, offset=0, broker_ms=1_700_000_000_000)
        of = (
            None
            if replay is None
            else ReplayOf(run_id=replay, task_id=replay, mode="apply")
        )
        events = [
            point(5, price, index) for index, price in enumerate(prices)
        ]
        return StagedPage.from_message(
            encode(
                msgspec.structs.replace(
                    unified,
                    points=Points.of(events),
                    normalizer_version=version,
                    replay=of,
                )
            )
        )

    write_pages(engine, [doubled(2, ["1", "2"])])
    write_replayed(engine, [doubled(3, ["1"], RUN)])
    assert shown(query) == {5: 1}


@pytest.mark.parametrize("how", ["replay", "group"])
def test_a_page_of_which_nothing_is_left_is_retired_whole(
    engine: Engine, query: Query, how: str
) -> None:
    raw = pages()[0]
    write_pages(engine, [mapped(raw, 0, shift=0, version=2)])
    nothing = mapped(
        raw,
        0,
        shift=0,
        version=3,
        replay=RUN if how == "replay" else None,
    )
    nothing = nothing.without_points()
    (write_replayed if how == "replay" else write_pages)(
        engine, [nothing]
    )
    assert shown(query) == {}


def letters(query: Query) -> list[Any]:
    return [
        status for (status,) in query("SELECT status FROM dead_letters")
    ]


@pytest.mark.parametrize("how", ["publish", "discard"])
def test_what_a_preview_rejects_is_a_dead_letter_once_it_is_published(
    engine: Engine, query: Query, how: str
) -> None:
    raw = pages()[0]
    write_pages(engine, [mapped(raw, 0, shift=0, version=2)])
    query(
        "INSERT INTO runs (run_id, kind, preview, finished_at) VALUES (%s, 'replay', 'open',"
        " now()) RETURNING 1",
        RUN,
    )
    write_replayed(
        engine,
        [
            mapped(
                raw,
                0,
                shift=0,
                version=3,
                replay=RUN,
                mode="preview",
                rejected=1,
            )
        ],
    )
    assert (letters(query), len(shown(query))) == (["preview"], 3)
    with engine.begin() as transaction:
        (previews.publish if how == "publish" else previews.discard)(
            transaction, RUN
        )
    assert (letters(query), len(shown(query))) == (
        (["open"], 2) if how == "publish" else ([], 3)
    )


def test_a_replayed_page_with_a_row_that_the_table_refuses_is_a_dead_letter(
    engine: Engine, query: Query
) -> None:
    raw = pages()[0]
    write_pages(engine, [mapped(raw, 0, shift=0, version=2)])
    page = mapped(raw, 0, shift=0, version=3, replay=RUN)
    page.rows[1] = page.rows[1].replace("\t101\t", "\tNaN\t")
    write_replayed(engine, [page])
    assert query("SELECT reason, record_index FROM dead_letters") == [
        ("refused_by_database", 1)
    ]
    assert query(
        "SELECT sum(rejected), sum(unchanged) FROM replay_receipts"
    ) == [(1, 2)]


def test_a_plan_that_is_stored_before_its_command_takes_nothing_from_the_run(
    engine: Engine, query: Query
) -> None:
    from services.loader.runs import event_handlers
    from shared.messages.commands import (
        ReplayMode,
        Selection,
        StartReplay,
    )
    from shared.messages.run_events import RunPlanned

    planned, command = (
        RunPlanned(run_id=RUN, tasks=[], errors=[]),
        StartReplay(
            run_id=RUN,
            selection=Selection(source="csv"),
            mode=ReplayMode.PREVIEW,
        ),
    )
    with engine.begin() as transaction:
        for message in (planned, command):
            event_handlers.apply(
                transaction,
                event_handlers.ReceivedMessage(
                    message, 1_700_000_000_000, None
                ),
            )
        transaction.execute(text("SELECT 1"))
    assert query(
        "SELECT kind, preview, request->>'source' FROM runs"
    ) == [("replay", "open", "csv")]
