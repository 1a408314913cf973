"""When a stream that was refused is asked again, kept in its cursor between runs.

The wait is what the server named, else twice the one before, up to an hour.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.extractor.sources.http_client import RetryableError
from shared.errors import TaskError
from shared.messages.base import Json
from shared.messages.run_events import NOT_ASKED_AGAIN

FIRST_WAIT_S = 60  # of what fails again
MAX_WAIT_S = 3600
MAX_DOUBLINGS = 20
MAX_SHOWN = 500  # characters of an error


def not_yet(known: Json, what: str) -> str | None:
    """A sentence where it must not be asked yet."""
    until = str(known.get("not_before") or "")
    if until <= clock(0):
        return None
    reason = "it said so"
    if known.get("failures"):
        reason = f"it failed {known['failures']} times in a row; full_refresh asks at once"
    return f"{what} {NOT_ASKED_AGAIN} {until}: {reason}"


def after_error(error: TaskError, known: Json) -> Json:
    """What an error means for the next time."""
    failures = int(known.get("failures") or 0) + 1
    wait_s = error.wait_s if isinstance(error, RetryableError) else None
    if not wait_s and failures > 1:
        doublings = min(failures - 2, MAX_DOUBLINGS)
        wait_s = min(FIRST_WAIT_S * 2**doublings, MAX_WAIT_S)
    return {
        "failures": failures,
        "not_before": clock(wait_s) if wait_s else None,
        "error": {
            "code": error.code,
            "message": error.message[:MAX_SHOWN],
        },
    }


def without_failures(known: Json) -> Json:
    """What is known after an answer."""
    kept = dict(known)
    for name in ("failures", "error"):
        kept.pop(name, None)
    return {**kept, "not_before": None}


def clock(seconds: float) -> str:
    """This moment and so many seconds, ISO 8601 UTC."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
