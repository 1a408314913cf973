"""A gateway that asks a standby: how old its answers may be, and when the primary is asked."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from embedded.servers import postgres
from tests.chaos.feed import CsvFile
from tests.long.test_failover import (  # noqa: F401  a fixture
    Pair,
    is_followed,
    pair,
)
from tests.support.product import until
from tests.support.stack import Stack, running

ROWS = 3_000
MAX_AGE_S = 6


@pytest.fixture
def stack(
    pair: Pair,  # noqa: F811
    tmp_path: Path,
) -> Iterator[Stack]:
    primary, standby = (
        f"postgresql://postgres:postgres@127.0.0.1:{each.postgres_port}/ingestion_test"
        for each in (pair.primary, pair.standby)
    )
    with running(
        tmp_path / "state",
        tmp_path / "csv",
        DATABASE_URL=primary,
        DATABASE_READ_URL=standby,
        READ_MAX_AGE_S=str(MAX_AGE_S),
    ) as stack:
        stack.dsn = pair.primary.dsn()
        yield stack


def asked(stack: Stack, **headers: str) -> tuple[int, int | None]:
    """How many points there are, and how old the answer may be."""
    answer = stack.api.get(
        "/data", params={"limit": 1, "count": True}, headers=headers
    )
    assert answer.status_code == 200, answer.text
    age = answer.headers.get("age")
    return int(answer.headers["x-total-count"]), age and int(age)


def is_used(stack: Stack) -> bool:
    return asked(stack)[1] is not None


def unused(stack: Stack) -> list[str]:
    health: httpx.Response = stack.api.get("/health")
    return [
        reason
        for reason in health.json()["reasons"]
        if reason.startswith("standby_unused")
    ]


def test_a_standby_answers_while_it_is_not_too_far_behind(
    pair: Pair,  # noqa: F811
    stack: Stack,
) -> None:
    file = CsvFile(stack.csv_dir, "replica", 3, odd=False)
    file.grow(ROWS)
    first = stack.ingest(sources=["csv"])["run_id"]
    until("the standby", lambda: is_followed(pair), 60)
    until("it to be asked", lambda: is_used(stack), 20)
    count, age = asked(stack)
    assert (count, age in (1, 2)) == (ROWS, True)
    until(
        "the run to be shown there",
        lambda: asked(stack, **{"X-After-Run": first})[1] is not None,
        20,
    )
    assert unused(stack) == []
    file_of = stack.api.get("/data", params={"format": "csv"})
    assert "age" in file_of.headers
    assert len(file_of.text.splitlines()) == ROWS + 1

    pair.ask(pair.standby, "SELECT pg_wal_replay_pause()")
    file.grow(ROWS)
    second = stack.ingest(sources=["csv"])["run_id"]
    # What the standby does not show yet is asked of the primary by who wants its own run.
    stale = asked(stack)
    assert stale == (ROWS, stale[1]) or stale == (2 * ROWS, None)
    assert asked(stack, **{"X-After-Run": second}) == (2 * ROWS, None)
    assert asked(stack, **{"X-After-Run": "no run"}) == (2 * ROWS, None)
    token = stack.api.get("/changes", params={"since": "now"}).json()
    assert asked(stack, **{"X-After-Change": token["next"]}) == (
        2 * ROWS,
        None,
    )
    assert asked(stack, **{"Cache-Control": "no-cache"})[1] is None
    assert asked(stack, **{"Cache-Control": "max-age=0"})[1] is None
    until("it to be too old", lambda: not is_used(stack), 2 * MAX_AGE_S)
    assert asked(stack) == (2 * ROWS, None)
    assert "behind" in unused(stack)[0]

    pair.ask(pair.standby, "SELECT pg_wal_replay_resume()")
    until("it to be asked again", lambda: is_used(stack), 30)
    until(
        "all to be shown there",
        lambda: (
            asked(stack, **{"X-After-Change": token["next"]})[1]
            is not None
        ),
        30,
    )
    assert asked(stack, **{"X-After-Run": second})[0] == 2 * ROWS

    pair.parts["standby"].stop(signal.SIGKILL)
    whole = stack.api.get("/data", params={"format": "ndjson"})
    assert len(whole.text.splitlines()) == 2 * ROWS
    for _ in range(10):
        assert asked(stack)[0] == 2 * ROWS
    assert asked(stack) == (2 * ROWS, None)
    assert "cannot be reached" in unused(stack)[0]
    pair.parts["standby"].start()
    postgres.wait_until_ready(pair.standby)
    until("it to be asked again", lambda: is_used(stack), 30)


def test_another_database_is_not_asked(
    pair: Pair,  # noqa: F811
    stack: Stack,
) -> None:
    until("it to be asked", lambda: is_used(stack), 20)
    pair.promote()
    until("it to be left", lambda: not is_used(stack), 30)
    assert "no standby" in unused(stack)[0]
