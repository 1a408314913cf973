"""Keys of the API as ingest.configuration holds them: their hash, what they may do, for how long.

A key is 256 bits by chance, so a plain hash of it cannot be guessed from. Each state is signed: who
can write to Kafka alone makes no key.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from enum import StrEnum
from typing import Annotated

import msgspec

from shared.identity.slow_hash import slow_hash
from shared.messages.base import Id, Message, Millis

_SALT = b"crypto-ingest configuration"
PREFIX = "ci_"  # so that a key that leaked is found by scanners
Note = Annotated[str, msgspec.Meta(max_length=200)]
Hex = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


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

    `made_by`, `revoked_by`: the id of the key that did it; None: API_KEY.
    """

    key_id: Id
    family: Id
    digest: Hex
    scope: Scope
    note: Note
    made_at: Millis
    made_by: Id | None = None
    expires_at: Millis | None = None
    revoked_at: Millis | None = None
    revoked_by: Id | None = None
    signature: Hex = "0" * 64

    def signed(self, secret: str) -> KeyState:
        """With the signature that holds for the rest of it."""
        return msgspec.structs.replace(
            self, signature=_signature(self, secret)
        )

    def is_genuine(self, secret: str) -> bool:
        return hmac.compare_digest(
            self.signature, _signature(self, secret)
        )

    def counts_at(self, now_ms: int) -> bool:
        """Whether it opens anything still."""
        is_over = (
            self.expires_at is not None and self.expires_at <= now_ms
        )
        return self.revoked_at is None and not is_over


key_state_decoder = msgspec.json.Decoder(KeyState)


def new_key() -> str:
    """Shown once, to who asked for it."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(
        key.encode("utf-8", "surrogateescape")
    ).hexdigest()


def _signature(state: KeyState, secret: str) -> str:
    unsigned = msgspec.structs.replace(state, signature="0" * 64)
    return hmac.new(
        slow_hash(secret, _SALT, 32),
        msgspec.json.encode(unsigned),
        hashlib.sha256,
    ).hexdigest()
