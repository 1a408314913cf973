"""Runs and tasks: their kinds and states, and what a command that opens a run asks for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from shared.messages.commands import (
    FindFeeds,
    MoveCheckpoint,
    ReplayMode,
    ReplayOrigin,
    RequeueDeadLetters,
    RetireSeries,
    RunCommand,
    Selection,
    StartIngestion,
    StartReplay,
)
from shared.values.urls import without_secrets

MAX_DEPTH = 20  # of a cursor
TOO_DEEP = (
    f"its lists and objects lie more than {MAX_DEPTH} deep in each other"
)


class RunKind(StrEnum):
    """What a run does."""

    INGEST = "ingest"
    REQUEUE = "requeue"
    REPLAY = "replay"
    CHECKPOINT = "checkpoint"
    RETIRE = "retire"
    FIND = "find"


class RunStatus(StrEnum):
    """State of a run.

    succeeded: balanced, nothing rejected. partial: balanced, with rejections or failed tasks.
    failed: no task succeeded. incomplete: it does not balance and nothing moves.
    """

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INCOMPLETE = "incomplete"

    @property
    def is_balanced(self) -> bool:
        """Whether the ledger adds up, so that the run has ended for good."""
        return self in _BALANCED

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is expected by itself: balanced, or given up as incomplete."""
        return self in _BALANCED or self is RunStatus.INCOMPLETE


_BALANCED = frozenset(
    {
        RunStatus.SUCCEEDED,
        RunStatus.PARTIAL,
        RunStatus.FAILED,
        RunStatus.CANCELLED,
    }
)


class TaskStatus(StrEnum):
    """State of a task."""

    PLANNED = "planned"
    RUNNING = "running"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"


class PreviewState(StrEnum):
    """State of a run that was asked for as a preview, or that retires series.

    undone: what it had retired was brought back.
    """

    OPEN = "open"
    PUBLISHED = "published"
    DISCARDED = "discarded"
    UNDONE = "undone"


class DeadLetterStatus(StrEnum):
    """State of a dead letter. preview: of a replay that is not published."""

    OPEN = "open"
    REQUEUED = "requeued"
    DISCARDED = "discarded"
    PREVIEW = "preview"


class Outcome(StrEnum):
    """What became of a data point, as receipts keep it: one letter each."""

    INSERTED = "i"
    UPDATED = "u"
    UNCHANGED = "n"


@dataclass(frozen=True)
class RunRequest:
    """What a run was asked for, as the table `runs` and the API show it."""

    kind: RunKind
    request: dict[str, Any]


def describe(command: RunCommand) -> RunRequest:
    """Kind and request of the run that a command opens."""
    match command:
        case StartIngestion():
            return RunRequest(RunKind.INGEST, _ingest_request(command))
        case RequeueDeadLetters():
            filters = msgspec.to_builtins(command.letters)
            return RunRequest(RunKind.REQUEUE, {"dead_letters": filters})
        case StartReplay():
            selection = msgspec.to_builtins(command.selection)
            request = {
                "origin": command.origin,
                "mode": command.mode,
                **selection,
            }
            return RunRequest(RunKind.REPLAY, request)
        case FindFeeds():
            url = without_secrets(command.url)
            return RunRequest(RunKind.FIND, {"url": url})
        case RetireSeries():
            request = {"series": command.series, "mode": command.mode}
            return RunRequest(RunKind.RETIRE, request)
        case MoveCheckpoint():
            cursor = cursor_of(command.cursor)
            return RunRequest(
                RunKind.CHECKPOINT,
                {"stream": command.stream, "cursor": cursor},
            )


def cursor_of(text: str | None) -> Any:
    """A cursor that a command carries. Raises ValueError for one that no stream has."""
    try:
        cursor = json.loads(text or "null")
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    if depth_of(cursor) > MAX_DEPTH:
        raise ValueError(TOO_DEEP)
    return cursor


def depth_of(value: Any) -> int:
    """How deep lists and objects lie in each other, counted a little further than allowed."""
    level = [value]
    for depth in range(MAX_DEPTH + 1):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return depth
    return MAX_DEPTH + 1


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _ingest_request(command: StartIngestion) -> dict[str, Any]:
    request: dict[str, Any] = {
        "sources": command.sources,
        "streams": command.streams,
        "full_refresh": command.full_refresh,
    }
    if command.start is not None:
        request |= {"from": command.start, "to": command.end}
    return request


def start_ingestion(
    run_id: str, request: dict[str, Any]
) -> StartIngestion:
    """The command that `describe` described."""
    return StartIngestion(
        run_id=run_id,
        sources=request.get("sources"),
        streams=request.get("streams"),
        full_refresh=bool(request.get("full_refresh")),
        start=request.get("from"),
        end=request.get("to"),
    )


def start_replay(run_id: str, request: dict[str, Any]) -> StartReplay:
    """The command that `describe` described."""
    return StartReplay(
        run_id=run_id,
        selection=_selection(request),
        origin=ReplayOrigin(request["origin"]),
        mode=ReplayMode(request["mode"]),
    )


def _selection(request: dict[str, Any]) -> Selection:
    fields = dict(request)
    del fields["origin"], fields["mode"]
    return msgspec.convert(fields, Selection)


def move_checkpoint(
    run_id: str, request: dict[str, Any]
) -> MoveCheckpoint:
    """The command that `describe` described."""
    cursor = _json_or_none(request.get("cursor"))
    return MoveCheckpoint(
        run_id=run_id, stream=request["stream"], cursor=cursor
    )


def find_feeds(run_id: str, request: dict[str, Any]) -> FindFeeds:
    """The command that `describe` described, but for secrets in the address."""
    return FindFeeds(run_id=run_id, url=request["url"])


def _json_or_none(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
