"""What happens, live: server-sent events of a gateway."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from services.gateway.live import hub
from services.loader.dead_letters import requeue
from shared.messages.commands import DeadLetterFilter, DiscardDeadLetters
from tests.integration.test_gateway import (  # noqa: F401  fixtures
    KEY,
    address,
    api,
    finished_run,
    load,
)
from tests.support.events import events
from tests.support.pages import candle


def listen(
    address: str,  # noqa: F811
    since: str | None = None,
    **params: Any,
) -> Iterator[tuple[str, str | None, Any]]:
    headers = {"x-api-key": KEY}
    if since is not None:
        headers["Last-Event-ID"] = since
    with (
        httpx.Client(trust_env=False, timeout=30) as client,
        client.stream(
            "GET",
            f"{address}/api/v1/events",
            params=params,
            headers=headers,
        ) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith(
            "text/event-stream"
        )
        yield from events(answer)


def test_changes_come_as_they_are_committed_and_resume(
    address: str,  # noqa: F811
    engine: Engine,
) -> None:
    following = listen(address, types="change")
    assert next(following)[0] == "heartbeat"
    load(engine, [candle(1), candle(2)], offset=1)
    seen = []
    ids = []
    for name, id_, data in following:
        if name == "change":
            seen.append(
                (data["change"], data["point"]["timestamp"][8:10])
            )
            ids.append(id_)
        if len(seen) == 2:
            break
    following.close()
    assert seen == [("insert", "01"), ("insert", "02")]
    load(engine, [candle(2, close="1.75"), candle(3)], offset=2)
    resumed = [
        (data["change"], data["point"]["timestamp"][8:10])
        for name, _, data in islice(
            listen(address, since=ids[0], types="change"), 4
        )
        if name == "change"
    ]
    assert resumed[0] == ("insert", "02")
    assert sorted(resumed[1:]) == [("insert", "03"), ("update", "02")]


def test_runs_tasks_and_dead_letters_are_told(
    address: str,  # noqa: F811
    engine: Engine,
) -> None:
    following = listen(address)
    assert next(following)[0] == "heartbeat"
    run_id = finished_run(engine, 3, at_ms=int(time.time() * 1000))
    load(engine, [["no date", "1", "2", "0.5", "1", "9"]], offset=9)
    found: dict[str, Any] = {}
    for name, _, data in following:
        found.setdefault(name, data)
        if {"run", "dead_letter", "source", "change"} <= found.keys():
            break
    following.close()
    assert found["run"]["run_id"] == run_id
    assert found["dead_letter"]["stage"] == "map"
    assert found["source"]["name"]


def test_nothing_is_missed_by_who_has_heard_nothing_yet(
    address: str,  # noqa: F811
    engine: Engine,
) -> None:
    following = listen(address, types="change")
    name, place, _ = next(following)
    assert (name, following.close()) == ("heartbeat", None)
    load(engine, [candle(1)], offset=1)
    (_, (name, _, data)) = islice(
        listen(address, since=place, types="change"), 2
    )
    assert name == "change"
    assert data["point"]["timestamp"].startswith("2024-01-01")


def test_no_dead_letter_is_left_out(
    address: str,  # noqa: F811
    engine: Engine,
) -> None:
    """However many come at once, and however late their transaction is committed."""
    load(engine, [["no date", "1", "2", "0.5", "1", "9"]], offset=9)
    following = listen(address, types="dead_letter")
    assert next(following)[0] == "heartbeat"
    copy = (
        "INSERT INTO dead_letters SELECT d.* FROM dead_letters AS o CROSS JOIN"
        " generate_series(1, {count}) AS n CROSS JOIN LATERAL"
        " jsonb_populate_record(o, jsonb_build_object('id', gen_random_uuid(),"
        " 'created_at', clock_timestamp(), 'payload_sha256', md5(n::text)"
        " )) AS d LIMIT {count}"
    )
    with engine.begin() as transaction:
        transaction.execute(text(copy.format(count=1)))
        time.sleep(4)
    with engine.begin() as transaction:
        transaction.execute(text(copy.format(count=1500)))
    found = {
        data["id"]
        for name, _, data in islice(following, 1501)
        if name == "dead_letter"
    }
    following.close()
    assert len(found) == 1501


def test_a_dead_letter_that_is_closed_is_told_whenever_it_was_written(
    address: str,  # noqa: F811
    engine: Engine,
) -> None:
    load(engine, [["no date", "1", "2", "0.5", "1", "9"]], offset=9)
    with engine.begin() as transaction:
        transaction.execute(
            text("UPDATE dead_letters SET created_at = '2024-01-01'")
        )
    following = listen(address, types="dead_letter")
    assert next(following)[0] == "heartbeat"
    discard = DiscardDeadLetters(letters=DeadLetterFilter(), note="known")
    with engine.begin() as transaction:
        requeue.discard(transaction, discard, datetime.now(UTC))
    name, _, data = next(following)
    following.close()
    assert (name, data["status"]) == ("dead_letter", "discarded")


def test_one_listener_more_than_may_listen_is_told(
    address: str,  # noqa: F811
    api: httpx.Client,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub, "MAX_LISTENERS", 1)
    following = listen(address)
    assert next(following)[0] == "heartbeat"
    refused = api.get("/events")
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "30"
    assert api.head("/events").status_code == 200
    following.close()


def test_a_place_that_is_gone_is_refused_before_the_answer_begins(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    load(engine, [candle(1)], offset=1)
    for since, status in (("x" * 28, 410), ("nonsense", 422)):
        answer = api.get("/events", headers={"Last-Event-ID": since})
        assert answer.status_code == status, answer.text
    assert api.get("/events", params={"types": "news"}).status_code == 422
    assert api.head("/events").status_code == 200
    assert (
        httpx.get(f"{api.base_url}events", trust_env=False).status_code
        == 401
    )


@pytest.mark.usefixtures("engine")
def test_events_are_json(address: str) -> None:  # noqa: F811
    name, id_, data = next(listen(address))
    assert (name, json.dumps(data)) == ("heartbeat", "{}")
    assert id_ is not None
    assert len(id_) == 28
