"""What changed, in the order in which it became visible, each once."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from services.loader.retention import Retention
from tests.integration.conftest import Query
from tests.integration.test_gateway import (  # noqa: F401  fixtures
    address,
    api,
    load,
)
from tests.support.pages import candle, csv_context


def page(api: httpx.Client, since: str, **params: Any) -> Any:  # noqa: F811
    answer = api.get("/changes", params={"since": since, **params})
    assert answer.status_code == 200, answer.text
    return answer.json()


def all_since(
    api: httpx.Client,  # noqa: F811
    since: str,
    **params: Any,
) -> Iterator[dict[str, Any]]:
    while True:
        found = page(api, since, **params)
        yield from found["changes"]
        since = found["next"]
        if found["is_last"]:
            return


def short(change: dict[str, Any]) -> tuple[str, str | None, Any, str]:
    point = change["point"] or {}
    return (
        change["change"],
        point.get("timestamp", "")[8:10] or None,
        point.get("close"),
        change["value"],
    )


def test_each_change_is_told_once_in_order(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    load(engine, [candle(1), candle(2)], offset=1)
    first = page(api, "oldest")
    assert [short(each) for each in first["changes"]] == [
        ("insert", "01", 1.5, "then"),
        ("insert", "02", 1.5, "then"),
    ]
    assert first["is_last"]
    assert all(each["at"].endswith("Z") for each in first["changes"])
    (point,) = api.get("/data", params={"to": "2024-01-02"}).json()
    assert first["changes"][0]["point"] == point
    token = first["next"]
    assert page(api, token)["changes"] == []
    # What stays as it is, is no change.
    load(engine, [candle(1), candle(2, close="1.75")], offset=2)
    second = page(api, token)
    assert [short(each) for each in second["changes"]] == [
        ("update", "02", 1.75, "then")
    ]
    # Who reads late gets the value of now, and is told so.
    load(engine, [candle(2, close="1.25")], offset=3)
    assert [short(each) for each in all_since(api, "oldest")] == [
        ("insert", "01", 1.5, "then"),
        ("insert", "02", 1.25, "now"),
        ("update", "02", 1.25, "now"),
        ("update", "02", 1.25, "then"),
    ]


def test_what_goes_out_of_sight_and_comes_back_is_told(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    load(engine, [candle(1)], offset=1)
    now = page(api, "now")
    assert now["changes"] == []
    change = (
        "UPDATE points SET retired_at = {at}, revision = revision + 1,"
        " updated_at = clock_timestamp()"
    )
    for at in ("clock_timestamp()", "NULL"):
        with engine.begin() as transaction:
            transaction.execute(text(change.format(at=at)))
        if at == "clock_timestamp()":
            gone = page(api, "oldest")["changes"]
            assert [(each["change"], each["value"]) for each in gone] == [
                ("insert", "gone"),
                ("retire", "then"),
            ]
            assert all(each["point"] is None for each in gone)
    found = list(all_since(api, now["next"]))
    assert [short(each) for each in found] == [
        ("retire", None, None, "now"),
        ("restore", "01", 1.5, "then"),
    ]


def test_pages_of_any_size_and_filters_leave_nothing_out(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    for number in range(6):
        load(
            engine,
            [candle(day, close=f"1.{number}5") for day in range(1, 8)],
            offset=number,
        )
    whole = list(all_since(api, "oldest"))
    assert len(whole) == 42
    assert [each["seq"] for each in whole] == sorted(
        each["seq"] for each in whole
    )
    for limit in (1, 2, 5, 7, 8, 1000):
        assert list(all_since(api, "oldest", limit=limit)) == whole
    assert list(all_since(api, "oldest", symbol="btc", limit=3)) == whole
    assert list(all_since(api, "oldest", symbol="eth", limit=3)) == []
    answer = api.get("/changes", params={"limit": 4})
    assert "since=" in answer.links["next"]["url"]


def test_changes_of_loaders_side_by_side_are_gap_free(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
    query: Query,
) -> None:
    """Four writers commit in whatever order, while a reader follows."""
    seen: list[tuple[str, str]] = []
    done = threading.Event()

    def follow() -> None:
        since = "oldest"
        while True:
            is_over = done.is_set()
            found = page(api, since, limit=7)
            since = found["next"]
            seen.extend(
                (each["change"], each["id"]) for each in found["changes"]
            )
            if is_over and found["is_last"]:
                return

    def write(number: int) -> None:
        path = f"set{number}/btc-usd.csv"
        for turn in range(8):
            load(
                engine,
                [candle(day, close=f"1.{turn}5") for day in range(1, 12)],
                offset=number * 100 + turn,
                stream=f"csv/{path}",
                context=csv_context(path),
            )

    reader = threading.Thread(target=follow)
    writers = [
        threading.Thread(target=write, args=(number,))
        for number in range(4)
    ]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join(60)
    done.set()
    reader.join(60)
    assert len(seen) == 4 * 8 * 11
    assert len({id_ for _, id_ in seen}) == 4 * 11
    for id_ in {id_ for _, id_ in seen}:
        assert [kind for kind, each in seen if each == id_] == [
            "insert",
            *["update"] * 7,
        ]
    assert query("SELECT min(seq), max(seq), count(*) FROM changes") == [
        (1, 32, 32)
    ]


def test_a_token_that_is_not_kept_is_told_what_to_do(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
    query: Query,
) -> None:
    load(engine, [candle(1)], offset=1)
    old = page(api, "oldest")["next"]
    for number in range(3):
        load(engine, [candle(1, close=f"1.{number}5")], offset=number + 2)
    query(
        "UPDATE changes SET at = at - interval '40 days' WHERE seq <= 2 RETURNING 1"
    )
    Retention(
        engine, raw=None, revisions=None, changes=timedelta(days=30)
    ).prune()
    answer = api.get("/changes", params={"since": old})
    assert answer.status_code == 410
    assert "CHANGES_RETENTION" in answer.text
    assert [each["seq"] for each in page(api, "oldest")["changes"]] == [
        3,
        4,
    ]
    newest = page(api, "now")["next"]
    query(
        "UPDATE change_position SET incarnation = %s RETURNING 1",
        str(uuid.uuid4()),
    )
    other = api.get("/changes", params={"since": newest})
    assert other.status_code == 410
    assert "another database" in other.text


@pytest.mark.parametrize(
    "since",
    ["", "x", "A" * 28, "A" * 22 + "_____w", "A" * 27 + "!", "yesterday"],
)
def test_what_is_no_token_is_refused(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
    since: str,
) -> None:
    load(engine, [candle(1)], offset=1)
    answer = api.get("/changes", params={"since": since})
    assert answer.status_code in (410, 422), answer.text


def test_changes_are_as_of_their_commit(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    before = datetime.now(UTC)
    load(engine, [candle(1)], offset=1)
    (change,) = page(api, "oldest")["changes"]
    assert before <= datetime.fromisoformat(change["at"])
