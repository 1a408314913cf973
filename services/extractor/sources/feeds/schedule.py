"""When, and where, a feed is asked next: what it said itself, and what its errors mean."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from services.extractor.sources.http_client import Answer, RetryableError
from shared.errors import TaskError
from shared.messages.base import Json

MAX_FRESH_S = 3600
FIRST_WAIT_S = 60  # of a feed that fails again
MAX_WAIT_S = 3600
MAX_DOUBLINGS = 20
_MAX_AGE = re.compile(r"max-age=(\d{1,9})")


def not_now(known: Json, url: str) -> str | None:
    """A sentence where the feed must not be asked yet.

    Raises TaskError `gone` where it must not be asked again.
    """
    if known.get("gone") == url:
        raise TaskError(
            "gone",
            f"{url} answered 410 (gone) and is not asked any more: take it out of RSS_FEEDS; "
            "full_refresh asks once more",
        )
    until = str(known.get("not_before") or "")
    if until <= _clock(0):
        return None
    reason = "it said so"
    if known.get("failures"):
        reason = f"it failed {known['failures']} times in a row; full_refresh asks at once"
    return f"the feed is not asked again before {until}: {reason}"


def after_answer(answer: Answer, known: Json, url: str) -> Json:
    """What is known after an answer: no failures, no wait, perhaps another address."""
    kept = dict(known)
    kept.pop("failures", None)
    moved = known.get("moved")
    if answer.moved_to:
        moved = {"from": url, "to": answer.moved_to}
    return {**kept, "not_before": None, "moved": moved}


def after_error(error: TaskError, known: Json, url: str) -> Json:
    """What an error means for the next time.

    The wait is what the server named, else twice the one before, up to an hour.
    """
    if error.code == "gone":
        return {"gone": url}
    failures = int(known.get("failures") or 0) + 1
    wait_s = error.wait_s if isinstance(error, RetryableError) else None
    if not wait_s and failures > 1:
        wait_s = min(
            FIRST_WAIT_S * 2 ** min(failures - 2, MAX_DOUBLINGS), MAX_WAIT_S
        )
    return {
        "failures": failures,
        "not_before": _clock(wait_s) if wait_s else None,
    }


def address(known: Json, url: str) -> str:
    """Where to ask: the feed's address, or where it has moved to for good."""
    moved = known.get("moved") or {}
    return str(moved["to"]) if moved.get("from") == url else url


def fresh_until(answer: Answer, ttl: object) -> str | None:
    """Until when another request would be answered alike.

    By `max-age` of Cache-Control, or the feed's own `ttl` in minutes.
    """
    seconds = 0
    found = _MAX_AGE.search(answer.headers.get("cache-control", ""))
    if found is not None:
        age = answer.headers.get("age", "0")
        seconds = int(found[1]) - (int(age[:9]) if age.isdigit() else 0)
    if isinstance(ttl, str) and ttl.strip().isdigit():
        seconds = max(seconds, 60 * int(ttl.strip()[:6]))
    return _clock(min(seconds, MAX_FRESH_S)) if seconds > 0 else None


def _clock(seconds: float) -> str:
    """This moment and so many seconds, ISO 8601 UTC."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
