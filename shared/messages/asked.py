"""What a source was asked for: ranges of event time, and what came of asking.

A task reports them; the loader keeps them for good, by stream (the table `asked`). So what is not
there can be told from what nobody asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import msgspec

from shared.messages.base import Count, Message, Name

# Moments of a live source that lie no further apart are kept as one range.
LIVE_EVERY_S = 3600
# Ranges that follow each other so closely have nothing between them.
TICK = timedelta(microseconds=1)


class AskedOutcome(StrEnum):
    """What came of asking.

    answered: the source gave what it had. failed: it gave nothing; the reason is the code of the
    error. rejected, skipped: it had records, and they yielded nothing; the reason is theirs.
    unknown: what was loaded before asking was recorded may have been asked for; told by nobody.
    """

    ANSWERED = "answered"
    FAILED = "failed"
    REJECTED = "rejected"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class Asked(Message, frozen=True):
    """From `first` to `last`, both included, ISO 8601 in UTC.

    `every_s`: 0 for all of it; else it was asked moment by moment, never further apart.
    """

    first: str
    last: str
    outcome: str = AskedOutcome.ANSWERED
    reason: Name = ""
    every_s: Count = 0

    def __post_init__(self) -> None:
        """Raises ValueError, which decoding tells as its own error."""
        if self.end < self.begin:
            raise ValueError("a range must not end before it begins")

    @property
    def begin(self) -> datetime:
        return _moment(self.first)

    @property
    def end(self) -> datetime:
        return _moment(self.last)

    @property
    def kind(self) -> tuple[str, str, int]:
        return self.outcome, self.reason, self.every_s

    def is_one_with(self, later: Asked) -> bool:
        """Whether a range that begins later goes on where this one ends."""
        room = timedelta(seconds=self.every_s) + TICK
        return self.kind == later.kind and later.begin <= self.end + room


def asked_now(
    outcome: AskedOutcome = AskedOutcome.ANSWERED, reason: str = ""
) -> Asked:
    """A live source was asked what is newest, a moment ago."""
    now = datetime.now(UTC)
    moment = asked_from(now, now, outcome, reason)
    return msgspec.structs.replace(moment, every_s=LIVE_EVERY_S)


def asked_before(
    first: datetime,
    past: datetime,
    outcome: AskedOutcome = AskedOutcome.ANSWERED,
    reason: str = "",
) -> list[Asked]:
    """A source was asked for the times before `past`: none where those lie all in the future."""
    last = min(past - TICK, datetime.now(UTC))
    if last < first:
        return []
    return [asked_from(first, last, outcome, reason)]


def asked_from(
    first: datetime,
    last: datetime,
    outcome: AskedOutcome = AskedOutcome.ANSWERED,
    reason: str = "",
) -> Asked:
    """All from one time to another, both included."""
    return Asked(
        first=_iso(first),
        last=_iso(last),
        outcome=outcome,
        reason=reason,
    )


def merged(ranges: Iterable[Asked]) -> list[Asked]:
    """The same times in as few ranges as there can be, in order."""
    found: list[Asked] = []
    for each in sorted(ranges, key=_by_kind_and_time):
        before = found[-1] if found else None
        if before is None or not before.is_one_with(each):
            found.append(each)
        elif each.end > before.end:
            found[-1] = msgspec.structs.replace(before, last=each.last)
    return found


def _by_kind_and_time(
    asked: Asked,
) -> tuple[tuple[str, str, int], datetime]:
    return asked.kind, asked.begin


def is_moment(text: str) -> bool:
    """Whether a text is a time in ISO 8601, with its zone."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
