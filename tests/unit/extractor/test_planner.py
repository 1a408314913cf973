"""Planning: which streams a command means."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.extractor.planning.plan import (
    MAX_ERRORS,
    TASKS_A_MESSAGE,
    parts_of,
    plan,
)
from services.extractor.sources.base import (
    Slice,
    SourceConnector,
    StreamInfo,
)
from services.extractor.sources.coinpaprika.source import CoinPaprika
from services.extractor.tasks.fetch import _noted
from shared.identity.ids import task_id
from shared.messages.checkpoints import Checkpoint
from shared.messages.commands import StartIngestion
from shared.messages.run_events import PlannedTask, RunError, RunPlanned
from shared.messages.serialization import raw_json

RUN = str(uuid.uuid4())


class Listed(SourceConnector):
    """A source that only lists streams."""

    def __init__(self, name: str, *streams: str) -> None:
        self.name, self._streams = name, streams

    async def streams(self) -> list[StreamInfo]:
        return [
            StreamInfo(f"{self.name}/{stream}", stream)
            for stream in self._streams
        ]

    def nothing_configured(self) -> str:
        return f"{self.name} is not set up"

    def fetch(self, *_asked: Any, **_more: Any) -> AsyncIterator[Slice]:
        raise NotImplementedError


SOURCES: dict[str, Any] = {
    "csv": Listed("csv", "a.csv", "b.csv"),
    "rss": Listed("rss", "desk"),
    "coinpaprika": Listed("coinpaprika"),
}


def planned(**command: Any) -> RunPlanned:
    return asyncio.run(
        plan(StartIngestion(run_id=RUN, **command), SOURCES)
    )


def test_without_a_wish_every_stream_is_planned_and_empty_sources_are_said() -> (
    None
):
    result = planned()
    # One of each source after the other.
    assert [task.stream for task in result.tasks] == [
        "csv/a.csv",
        "rss/desk",
        "csv/b.csv",
    ]
    assert result.notes == [
        "coinpaprika: no streams, coinpaprika is not set up"
    ]
    assert [task.task_id for task in result.tasks] == [
        task_id(RUN, task.stream) for task in planned().tasks
    ]


@pytest.mark.parametrize(
    ("wish", "streams", "codes"),
    [
        ({"sources": ["rss"]}, ["rss/desk"], []),
        ({"streams": ["csv/b.csv"]}, ["csv/b.csv"], []),
        ({"streams": []}, [], []),
        ({"sources": []}, [], []),
        (
            {"streams": ["csv/x.csv", "rss/desk"]},
            ["rss/desk"],
            ["unknown_stream"],
        ),
        ({"sources": ["nasdaq"]}, [], ["unknown_source"]),
        (
            {"sources": ["rss"], "streams": ["csv/a.csv"]},
            [],
            ["unknown_stream"],
        ),
    ],
)
def test_wishes(
    wish: dict[str, Any], streams: list[str], codes: list[str]
) -> None:
    result = planned(**wish)
    assert (
        [task.stream for task in result.tasks],
        [error.code for error in result.errors],
    ) == (streams, codes)


def test_days_are_planned_as_streams_of_their_own() -> None:
    async def plan_days(**wish: Any) -> RunPlanned:
        source = CoinPaprika(
            None,
            api_url="https://x.example",
            coin_ids=["btc-bitcoin", "eth-ethereum"],
        )  # type: ignore[arg-type]
        return await plan(
            StartIngestion(
                run_id=RUN, start="2024-01-01", end="2024-03-01", **wish
            ),
            {**SOURCES, "coinpaprika": source},
        )

    result = asyncio.run(plan_days())
    days = "2024-01-01..2024-03-01"
    assert [task.stream for task in result.tasks] == [
        f"coinpaprika/{coin}/{kind}/{days}"
        for coin in ("btc-bitcoin", "eth-ethereum")
        for kind in ("ohlcv", "historical")
    ]
    assert result.notes == []
    one = asyncio.run(plan_days(streams=["coinpaprika/btc-bitcoin"]))
    assert [task.stream for task in one.tasks] == [
        f"coinpaprika/btc-bitcoin/{kind}/{days}"
        for kind in ("ohlcv", "historical")
    ]
    nothing = asyncio.run(plan_days(sources=["csv"]))
    assert (
        nothing.tasks,
        "no source that was asked for has a history" in nothing.notes[0],
    ) == ([], True)


def test_what_is_said_of_a_stream_can_be_stored() -> None:
    position = Checkpoint(
        stream="csv/a.csv",
        cursor=raw_json(None),
        raw_partition=0,
        raw_offset=-1,
    )
    noted = _noted(
        position, note="a\x00b", profile={"columns": ["a\x00b", "\ud800"]}
    )
    assert noted.current is not None
    assert (noted.current.notes, noted.current.profile) == (
        ["a\ufffdb"],
        {"columns": ["a\ufffdb", "\ufffd"]},
    )


def test_a_plan_of_any_size_fits_into_messages() -> None:
    tasks = [
        PlannedTask(
            task_id=task_id(RUN, str(n)), source="csv", stream=f"csv/{n}"
        )
        for n in range(TASKS_A_MESSAGE * 2 + 1)
    ]
    errors = [
        RunError(code="unknown_stream", message="?", source="csv")
    ] * (MAX_ERRORS + 5)
    parts = parts_of(RunPlanned(run_id=RUN, tasks=tasks, errors=errors))
    assert [part.is_last for part in parts] == [False, False, True]
    assert [task for part in parts for task in part.tasks] == tasks
    assert parts[-1].errors[-1].code == "more_errors"
    assert [
        part.is_last for part in parts_of(RunPlanned(run_id=RUN))
    ] == [True]


class _Broken(Listed):
    async def streams(self) -> list[StreamInfo]:
        raise RecursionError("too deep")


def test_a_source_that_cannot_be_listed_does_not_stop_the_others() -> (
    None
):
    sources: Any = {**SOURCES, "csv": _Broken("csv")}
    command = StartIngestion(run_id=RUN)
    result = asyncio.run(plan(command, sources))
    assert [task.stream for task in result.tasks] == ["rss/desk"]
    (error,) = result.errors
    assert (error.code, error.source) == ("internal_error", "csv")
