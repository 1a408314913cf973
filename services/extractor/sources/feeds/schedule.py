"""When, and where, a feed is asked next: what it said itself, and what its errors mean."""

from __future__ import annotations

import hashlib
import re

from services.extractor.sources import back_off
from services.extractor.sources.answer import Answer
from shared.errors import TaskError
from shared.messages.base import Json
from shared.values.urls import has_secrets, without_secrets

MAX_FRESH_S = 3600
_MAX_AGE = re.compile(r"max-age=(\d{1,9})")


def mark(url: str) -> str:
    """What stands for an address in a checkpoint, which everybody may read."""
    if not has_secrets(url):
        return url
    return f"{without_secrets(url)}#{_digest(url)}"


def _digest(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def of_address(known: Json, url: str) -> Json:
    """What is known of this address: validators and waits of another one count no more."""
    asked = {"asked": mark(url)}
    if known.get("asked", mark(url)) == mark(url):
        return {**known, **asked}
    kept = ("seen", "shared")
    return {
        **{name: known[name] for name in kept if name in known},
        **asked,
    }


def not_now(known: Json, url: str) -> str | None:
    """A sentence where the feed must not be asked yet.

    Raises TaskError `gone` where it must not be asked again.
    """
    if known.get("gone") == mark(url):
        raise TaskError(
            "gone",
            f"{without_secrets(url)} answered 410 (gone) and is not asked any more: take it out of "
            "RSS_FEEDS; full_refresh asks once more",
        )
    return back_off.not_yet(known, "the feed")


def after_answer(answer: Answer, known: Json, url: str) -> Json:
    """What is known after an answer: no failures, no wait, perhaps another address."""
    moved = known.get("moved")
    if answer.moved_to and not has_secrets(answer.moved_to):
        moved = {"from": mark(url), "to": answer.moved_to}
    return {**back_off.without_failures(known), "moved": moved}


def after_error(error: TaskError, known: Json, url: str) -> Json:
    """What an error means for the next time."""
    if error.code == "gone":
        return {"gone": mark(url)}
    return back_off.after_error(error, known)


def address(known: Json, url: str) -> str:
    """Where to ask: the feed's address, or where it has moved to for good."""
    moved = known.get("moved") or {}
    return str(moved["to"]) if moved.get("from") == mark(url) else url


def fresh_until(answer: Answer, ttl: object) -> str | None:
    """Until when another request would be answered alike.

    By `max-age` of Cache-Control, or the feed's own `ttl` in minutes.
    """
    seconds = 0
    found = _MAX_AGE.search(answer.headers.get("cache-control", ""))
    if found is not None:
        age = answer.headers.get("age", "0")
        seconds = int(found[1]) - (int(age[:9]) if _is_number(age) else 0)
    if isinstance(ttl, str) and _is_number(ttl.strip()):
        seconds = max(seconds, 60 * int(ttl.strip()[:6]))
    return (
        back_off.clock(min(seconds, MAX_FRESH_S)) if seconds > 0 else None
    )


def _is_number(text: str) -> bool:
    """Of ordinary digits: others cannot be converted."""
    return text.isascii() and text.isdigit()
