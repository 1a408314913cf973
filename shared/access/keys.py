"""Keys of the API as ingest.configuration holds them: their hash, what they may do, for how long.

A key is 256 bits by chance, so a plain hash of it cannot be guessed from. Each state is signed: who
can write to Kafka alone makes no key.
"""

from __future__ import annotations

import hashlib
import secrets
from enum import StrEnum
from typing import Annotated

import msgspec

from shared.access.signatures import UNSIGNED, Hex
from shared.messages.base import Id, Message, Millis

PREFIX = "ci_"  # so that a key that leaked is found by scanners
Note = Annotated[str, msgspec.Meta(max_length=200, pattern="^[^\\x00]*$")]
MAX_PER_MINUTE = 10_000_000  # requests
PerMinute = Annotated[int, msgspec.Meta(ge=1, le=MAX_PER_MINUTE)]


class Scope(StrEnum):
    """What a key may do; each may do what those before it may."""

    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"

    def allows(self, needed: Scope) -> bool:
        order = list(Scope)
        return order.index(self) >= order.index(needed)


class KeyState(Message, frozen=True, tag="KeyState"):
    """A key as it is now. `family`: of keys that replace each other, the id of the first.

    `made_by`, `revoked_by`: the id of the key that did it; None: API_KEY. `requests_per_minute`:
    None where it may ask as often as REQUESTS_PER_MINUTE says.
    """

    key_id: Id
    family: Id
    digest: Hex
    scope: Scope
    note: Note
    made_at: Millis
    made_by: Id | None = None
    replaces: Id | None = None
    expires_at: Millis | None = None
    revoked_at: Millis | None = None
    revoked_by: Id | None = None
    requests_per_minute: PerMinute | None = None
    signature: Hex = UNSIGNED

    def counts_at(self, now_ms: int) -> bool:
        """Whether it opens anything still."""
        is_over = (
            self.expires_at is not None and self.expires_at <= now_ms
        )
        return self.revoked_at is None and not is_over


def new_key() -> str:
    """Shown once, to who asked for it."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(
        key.encode("utf-8", "surrogateescape")
    ).hexdigest()
