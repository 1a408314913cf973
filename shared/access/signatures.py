"""Signatures of what is configured: who can write to Kafka alone configures nothing."""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated, Protocol, TypeVar, cast

import msgspec

from shared.identity.slow_hash import slow_hash
from shared.messages.base import Message

UNSIGNED = "0" * 64
_SALT = b"crypto-ingest configuration"
Hex = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
M = TypeVar("M", bound=Message)


class Signed(Protocol):
    """A message with a field for its signature."""

    @property
    def signature(self) -> str: ...


def signed(message: M, secret: str) -> M:
    """The same with the signature that holds for the rest of it."""
    return msgspec.structs.replace(
        message, signature=_signature(message, secret)
    )


def is_genuine(message: Signed, secret: str) -> bool:
    found = _signature(cast("Message", message), secret)
    return hmac.compare_digest(message.signature, found)


def _signature(message: Message, secret: str) -> str:
    unsigned = msgspec.structs.replace(message, signature=UNSIGNED)
    return hmac.new(
        slow_hash(secret, _SALT, 32),
        msgspec.json.encode(unsigned),
        hashlib.sha256,
    ).hexdigest()
