"""Commands: what the gateway asks for, in the imperative. Typed and frozen like all messages (shared/events.py)."""

from __future__ import annotations

from shared.events import Id, Message


class StartIngestion(Message, frozen=True, tag="StartIngestion"):
    """Run the pipeline. `sources` None: all. `streams` None: every stream of the sources.

    With `start` and `end` (YYYY-MM-DD, excluded): the history of those days, of the sources that have one."""

    run_id: Id
    sources: list[str] | None = None
    streams: list[str] | None = None
    full_refresh: bool = False
    requested_at: str | None = None  # the gateway's clock, informational
    start: str | None = None
    end: str | None = None


class CancelRun(Message, frozen=True, tag="CancelRun"):
    """End a run's tasks with what they have published."""

    run_id: Id
    requested_at: str | None = None


class RepairRun(Message, frozen=True, tag="RepairRun"):
    """Have what a run's ledger misses done again: its missing pages, and its tasks that nobody works on."""

    run_id: Id
    requested_at: str | None = None


class LetterFilter(Message, frozen=True):
    """Which open dead letters are meant: all fields that are given must match."""

    ids: list[Id] | None = None
    run_id: Id | None = None
    source: str | None = None
    stream: str | None = None
    stage: str | None = None
    reason: str | None = None


class RequeueDeadLetters(Message, frozen=True, tag="RequeueDeadLetters"):
    """Process open dead letters again, as a run of its own."""

    run_id: Id
    letters: LetterFilter
    requested_at: str | None = None


class DiscardDeadLetters(Message, frozen=True, tag="DiscardDeadLetters"):
    """Close open dead letters for good, with a note that says why."""

    letters: LetterFilter
    note: str
    run_id: Id | None = None  # none: a discarded letter belongs to no new run


Command = StartIngestion | CancelRun | RepairRun | RequeueDeadLetters | DiscardDeadLetters
