"""Series are taken out of sight as a run, with a preview, and come back as they were."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import Engine

from services.loader.pages.transaction import write_pages
from services.loader.runs import event_handlers, ledger, retirements
from services.loader.runs.event_handlers import ReceivedMessage
from shared.messages.commands import (
    Command,
    DiscardReplay,
    PublishReplay,
    ReplayMode,
    RetireSeries,
    UndoRun,
)
from shared.messages.pages import ReplayOf
from tests.integration.conftest import Query
from tests.integration.test_gateway import (  # noqa: F401  fixtures
    address,
    api,
)
from tests.integration.test_partitions import staged
from tests.integration.test_series import of
from tests.support.pages import write_replayed
from tests.support.series import WRONG_SUMS

DAYS = 40
ROWS = (
    "SELECT id::text, revision, raw_time, raw_offset, record_index, run_id::text,"
    " retired_at IS NULL FROM points ORDER BY id"
)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retirements, "BATCH", 7)


def fill(engine: Engine) -> None:
    """Two series, of which the first has a revision."""
    for offset, symbol in enumerate(("btc", "eth")):
        events = [
            of(
                symbol,
                f"2024-{1 + day // 28:02}-{1 + day % 28:02}T00:00:00Z",
            )
            for day in range(DAYS)
        ]
        write_pages(engine, [staged(events, offset=offset)])
    changed = of("btc", "2024-01-01T00:00:00Z")
    changed = msgspec.structs.replace(changed, value_hash=7, price="2")
    write_pages(engine, [staged([changed], offset=2)])


def tell(engine: Engine, command: Command) -> None:
    with engine.begin() as transaction:
        now = int(datetime.now(UTC).timestamp() * 1000)
        event_handlers.apply(transaction, ReceivedMessage(command, now))


def work(engine: Engine, run_id: str) -> str | None:
    """Until nothing is left to do; returns the run's state."""
    while retirements.work(engine):
        pass
    with engine.begin() as transaction:
        return ledger.evaluate(transaction, run_id, 600)


def number_of(query: Query, symbol: str) -> int:
    ((number,),) = query(
        f"SELECT series_id FROM series WHERE symbol = '{symbol}'"
    )
    return int(number)


def retired(
    engine: Engine,
    query: Query,
    mode: ReplayMode = ReplayMode.APPLY,
    symbol: str = "btc",
) -> str:
    run_id = str(uuid.uuid4())
    number = number_of(query, symbol)
    command = RetireSeries(run_id=run_id, series=[number], mode=mode)
    tell(engine, command)
    tell(engine, command)  # as Kafka may
    assert work(engine, run_id) == "succeeded"
    return run_id


def shown(api: httpx.Client, **asked: Any) -> list[str]:  # noqa: F811
    found = api.get("/data", params={"limit": 1000, **asked}).json()
    return [point["symbol"] for point in found]


def test_a_retired_series_is_out_of_sight_and_comes_back_as_it_was(
    engine: Engine,
    query: Query,
    api: httpx.Client,  # noqa: F811
) -> None:
    fill(engine)
    before = query(ROWS)
    values = api.get("/data", params={"symbol": "btc"}).json()
    run_id = retired(engine, query)

    assert set(shown(api)) == {"eth"}
    assert query("SELECT symbol, points FROM series ORDER BY 1") == [
        ("btc", 0),
        ("eth", DAYS),
    ]
    run = api.get(f"/runs/{run_id}").json()
    assert (run["kind"], run["preview"]) == ("retire", "published")
    number = number_of(query, "btc")
    assert (
        run["message"] == f"series {number}: {DAYS} data points retired"
    )
    lineage = api.get(f"/data/{values[0]['id']}/lineage").json()
    assert lineage["versions"][0]["run"]["run_id"] == run_id

    tell(engine, UndoRun(run_id=run_id))
    tell(engine, UndoRun(run_id=run_id))
    assert work(engine, run_id) == "succeeded"
    after = query(ROWS)
    assert [(row[0], *row[2:]) for row in after] == [
        (row[0], *row[2:]) for row in before
    ]
    again = api.get("/data", params={"symbol": "btc"}).json()
    moved = ("updated_at", "revision")
    assert [without(point, moved) for point in again] == [
        without(point, moved) for point in values
    ]
    run = api.get(f"/runs/{run_id}").json()
    assert run["preview"] == "undone"
    assert (
        run["message"]
        == f"series {number}: {DAYS} data points brought back"
    )
    assert query(WRONG_SUMS) == []


def without(
    point: dict[str, Any], names: tuple[str, ...]
) -> dict[str, Any]:
    return {k: v for k, v in point.items() if k not in names}


def test_a_preview_shows_what_it_would_retire_and_does_it_when_published(
    engine: Engine,
    query: Query,
    api: httpx.Client,  # noqa: F811
) -> None:
    fill(engine)
    before = query(ROWS)
    run_id = retired(engine, query, ReplayMode.PREVIEW)
    assert query(ROWS) == before
    diff = api.get(f"/runs/{run_id}/diff", params={"limit": 3}).json()
    assert diff["counts"]["retired"] == DAYS
    assert diff["by_source"] == {
        "csv": {
            "added": 0,
            "changed": 0,
            "retired": DAYS,
            "newer_stays": 0,
        }
    }
    assert [change["kind"] for change in diff["changes"]] == [
        "retired"
    ] * 3
    assert len({change["id"] for change in diff["changes"]}) == 3
    run = api.get(f"/runs/{run_id}").json()
    assert run["message"] == f"would retire {DAYS} data points"

    tell(engine, PublishReplay(run_id=run_id))
    tell(engine, PublishReplay(run_id=run_id))
    assert work(engine, run_id) == "succeeded"
    assert set(shown(api)) == {"eth"}
    assert api.get(f"/runs/{run_id}/diff").status_code == 409


def test_a_discarded_preview_does_nothing(
    engine: Engine,
    query: Query,
    api: httpx.Client,  # noqa: F811
) -> None:
    fill(engine)
    before = query(ROWS)
    run_id = retired(engine, query, ReplayMode.PREVIEW)
    tell(engine, DiscardReplay(run_id=run_id))
    tell(engine, PublishReplay(run_id=run_id))
    tell(engine, UndoRun(run_id=run_id))
    work(engine, run_id)
    assert query(ROWS) == before
    refused = api.post(f"/runs/{run_id}/undo")
    assert refused.status_code == 409
    assert "discarded" in refused.json()["detail"]


def test_what_was_read_before_stays_retired_and_what_is_read_later_counts(
    engine: Engine, query: Query
) -> None:
    fill(engine)
    run_id = retired(engine, query)
    early = of("btc", "2024-01-02T00:00:00Z")
    other = msgspec.structs.replace(early, value_hash=9)
    replay = ReplayOf(run_id=run_id, task_id=run_id, mode="apply")
    again = staged([other])
    again.unified = msgspec.structs.replace(again.unified, replay=replay)
    write_replayed(engine, [again])
    assert query("SELECT points FROM series WHERE symbol = 'btc'") == [
        (0,)
    ]
    write_pages(engine, [staged([early], offset=3)])
    assert query("SELECT points FROM series WHERE symbol = 'btc'") == [
        (1,)
    ]

    tell(engine, UndoRun(run_id=run_id))
    work(engine, run_id)
    assert query("SELECT points FROM series WHERE symbol = 'btc'") == [
        (DAYS,)
    ]
    assert query(
        "SELECT raw_offset FROM points WHERE \"timestamp\" = '2024-01-02' AND series_id ="
        " (SELECT series_id FROM series WHERE symbol = 'btc')"
    ) == [(3,)]
    assert query(WRONG_SUMS) == []


def test_what_lost_its_replaced_value_stays_retired_and_the_run_says_so(
    engine: Engine,
    query: Query,
    api: httpx.Client,  # noqa: F811
) -> None:
    fill(engine)
    run_id = retired(engine, query)
    query(
        "DELETE FROM unified_revisions WHERE id IN"
        " (SELECT DISTINCT id FROM unified_revisions ORDER BY id LIMIT 3) RETURNING 1"
    )
    tell(engine, UndoRun(run_id=run_id))
    work(engine, run_id)
    assert len(shown(api, symbol="btc")) == DAYS - 3
    message = api.get(f"/runs/{run_id}").json()["message"]
    assert (
        f"{DAYS - 3} data points brought back; 3 stay retired" in message
    )


def test_a_series_that_is_not_there_fails_the_run(
    engine: Engine, query: Query
) -> None:
    run_id = str(uuid.uuid4())
    tell(engine, RetireSeries(run_id=run_id, series=[4711]))
    assert work(engine, run_id) == "failed"
    ((message,),) = query("SELECT message FROM runs")
    assert "there is no series 4711" in message


def test_what_cannot_be_retired_or_undone_is_told(
    engine: Engine,
    query: Query,
    api: httpx.Client,  # noqa: F811
) -> None:
    fill(engine)
    for method, path, status, part in (
        ("DELETE", "/series/4711", 404, "there is no series 4711"),
        ("DELETE", "/series/0", 422, "path.number"),
        ("DELETE", "/series", 422, "query.source"),
        ("DELETE", "/series?source=csv&dataset=other", 404, "no series"),
        ("DELETE", "/series/1?preview=true", 422, "no such parameter"),
        ("GET", "/series/4711", 404, "there is no series"),
        ("GET", "/series/4711/asked", 404, "there is no series"),
        ("GET", "/series?kind=tickers", 422, "query.kind"),
        ("GET", "/series?symbl=btc", 422, "symbol"),
    ):
        answer = api.request(method, path)
        assert answer.status_code == status, path
        assert part in answer.json()["detail"], answer.json()


def test_series_are_listed_with_their_extent(
    engine: Engine,
    query: Query,
    api: httpx.Client,  # noqa: F811
) -> None:
    fill(engine)
    (btc,) = api.get("/series", params={"symbol": "BTC"}).json()
    assert btc["points"] == DAYS
    assert btc["first"] == "2024-01-01T00:00:00Z"
    assert btc["last"] == "2024-02-12T00:00:00Z"
    assert btc == api.get(f"/series/{btc['id']}").json()
    pages = [
        api.get("/series", params={"limit": 1, "skip": skip}).json()
        for skip in range(3)
    ]
    assert [len(page) for page in pages] == [1, 1, 0]
    assert api.get("/series", params={"source": "rss"}).json() == []
    assert api.get(f"/series/{btc['id']}/asked").json() == []
