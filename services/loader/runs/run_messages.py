"""One sentence for people about how a run ended, or what it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.messages.run_events import NOT_ASKED_AGAIN
from shared.messages.runs import RunKind, RunStatus

if TYPE_CHECKING:
    from services.loader.runs.ledger import Ledger

MAX_SHOWN = 5  # streams
MAX_MESSAGE = 200  # characters of an error
_UNBALANCED = ["published and received records do not add up"]
_STILL = "nothing has moved for a while"
_NOTHING_TO_REQUEUE = (
    "no open dead letter matches that can be processed again"
)


def message_for(
    run: Any, ledger: Ledger, status: RunStatus
) -> str | None:
    """The sentence. None where there is nothing to add to the status."""
    if status in (RunStatus.QUEUED, RunStatus.RUNNING):
        return None
    if status == RunStatus.INCOMPLETE:
        return _what_is_missing(run, ledger)
    if status == RunStatus.CANCELLED and not ledger.total("records"):
        return "cancelled before anything was read"
    errors = [
        *run.errors,
        *(task.error for task in ledger.tasks if task.error),
    ]
    parts = _without_tasks(run) if not ledger.tasks else None
    if parts is None and not errors:
        parts = _without_records(run, ledger)
    if parts is None:
        parts = _with_failures(run, ledger, errors)
    return "; ".join(parts) or None


def _without_tasks(run: Any) -> list[str]:
    if run.kind == RunKind.REQUEUE:
        return [_NOTHING_TO_REQUEUE, *run.notes]
    if run.kind == RunKind.RETIRE:
        return list(run.notes)
    reasons = run.notes or [error["message"] for error in run.errors]
    shown = "; ".join(reasons) or "none were asked for"
    return [f"no streams to ingest: {shown}"]


def _without_records(run: Any, ledger: Ledger) -> list[str] | None:
    """None when the run has moved records."""
    notes = list(
        dict.fromkeys(
            note for task in ledger.tasks for note in task.notes
        )
    )
    if run.kind in (RunKind.CHECKPOINT, RunKind.RETIRE, RunKind.FIND):
        return notes
    if ledger.total("records"):
        return None
    if run.kind == RunKind.REPLAY:
        return ["no raw page matches", *notes, *run.notes]
    waiting = sum(map(_was_not_asked, ledger.tasks))
    current = len(ledger.tasks) - waiting
    parts = []
    if current or not waiting:
        parts.append(f"{current} stream(s) are up to date")
    if waiting:
        parts.append(f"{waiting} stream(s) failed lately and wait")
    return [f"nothing new: {', '.join(parts)}", *run.notes]


def _was_not_asked(task: Any) -> bool:
    return any(NOT_ASKED_AGAIN in note for note in task.notes)


def _with_failures(
    run: Any, ledger: Ledger, errors: list[Any]
) -> list[str]:
    parts = []
    if errors:
        parts.append(_first_of(errors))
    rejected = ledger.total("rejected")
    if rejected:
        parts.append(f"{rejected} record(s) rejected: {_where(run)}")
    return [*parts, *run.notes]


def _first_of(errors: list[Any]) -> str:
    """How many errors there are, and the first line of the first."""
    first = errors[0]
    line = str(first.get("message") or "").partition("\n")[0][
        :MAX_MESSAGE
    ]
    stream = first.get("stream") or first.get("source") or ""
    shown = f"{stream}: {line}" if stream else line
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{len(errors)} error(s): {shown}{more}"


def _what_is_missing(run: Any, ledger: Ledger) -> str:
    if not run.planned:
        return f"{_STILL}; the run waits to be planned by an extractor"
    parts = [*_waiting(ledger), *_short(run, ledger)]
    return "; ".join([_STILL, *(parts or _UNBALANCED), *run.notes])


def _waiting(ledger: Ledger) -> list[str]:
    tasks = [task for task in ledger.tasks if task.finished_at is None]
    streams = [task.stream for task in tasks[:MAX_SHOWN]]
    return [f"waiting for {', '.join(streams)}"] if streams else []


def _short(run: Any, ledger: Ledger) -> list[str]:
    tasks = list(filter(ledger.is_short, ledger.tasks))
    if not tasks:
        return []
    shown = ", ".join(map(_published, tasks[:MAX_SHOWN]))
    return [f"pages are missing of {shown}: {_where(run)}"]


def _where(run: Any) -> str:
    return f"see GET /api/v1/runs/{run.run_id}"


def _published(task: Any) -> str:
    return f"{task.stream} ({task.pages} published)"
