"""Deterministic identities: the same thing, named twice, has one id."""

from __future__ import annotations

import hashlib
import hmac
import uuid

from shared.identity.slow_hash import slow_hash

_NAMESPACE = uuid.UUID("6f1c1b0e-6f0d-5d0a-9a63-3c7c0b6f2a11")
_SEPARATOR = "\x1f"


def _uuid5(*parts: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, _SEPARATOR.join(parts)))


def new_run_id(api_key: str, idempotency_key: str | None) -> str:
    """The run of a request: random, or the same for the same key and Idempotency-Key.

    Everybody may see the id: it must not help to guess the key.
    """
    if idempotency_key is None:
        return str(uuid.uuid4())
    digest = hmac.digest(
        slow_hash(api_key, _NAMESPACE.bytes),
        idempotency_key.encode(),
        "sha256",
    )
    return str(uuid.UUID(bytes=digest[:16], version=5))


def scheduled_run_id(schedule: str, at: str) -> str:
    """The run that a schedule asks for at a time."""
    return _uuid5("scheduled", schedule, at)


def task_id(run_id: str, stream: str) -> str:
    """One stream within one run: planning twice names the same task."""
    return _uuid5("task", run_id, stream)


def page_id(
    run_id: str,
    stream: str,
    page_no: int,
    records: bytes,
    rejections: bytes = b"",
) -> str:
    """The same slice of a stream published twice in a run is the same page."""
    digest = hashlib.sha256(records + rejections).hexdigest()
    return _uuid5("page", run_id, stream, str(page_no), digest)


def dead_letter_id(page: str, record: str, stage: str) -> str:
    """A record rejected twice at the same place is one dead letter."""
    return _uuid5("dead-letter", page, record, stage)


def equal_letter_id(
    stream: str, stage: str, reason: str, field: str, payload_sha256: str
) -> str:
    """What is rejected again in the same way is the same dead letter."""
    return _uuid5(
        "equal-letter", stream, stage, reason, field, payload_sha256
    )


def gap_id(
    topic: str,
    partition: int,
    first_missing: int,
    first_available: int,
    group: str,
) -> str:
    """A gap that is noticed twice is one gap."""
    return _uuid5(
        "gap",
        topic,
        str(partition),
        str(first_missing),
        str(first_available),
        group,
    )


def requeue_run_id(dead_letter: str, met_by: str | None) -> str:
    """The run that processes one dead letter again, however often it is asked for.

    `met_by`: the run that met it last; once another has, it may be processed again.
    """
    return _uuid5("requeue", dead_letter, met_by or "")


def notification_id(*parts: str) -> str:
    """What is told twice is the same."""
    return _uuid5("notification", *parts)


def natural_key(*parts: str) -> str:
    """The parts of a name as one text."""
    return _SEPARATOR.join(parts)


def text_id(text: str) -> str:
    """32 hex digits that stand for a text. MD5 as a fast 128-bit name, not as protection."""
    encoded = text.encode("utf-8", "surrogatepass")
    return hashlib.md5(encoded, usedforsecurity=False).hexdigest()


def value_hash(*values: object) -> int:
    """Signed 64 bits over values, to tell whether a data point changed."""
    return text_hash(
        _SEPARATOR.join(
            ["" if value is None else str(value) for value in values]
        )
    )


def text_hash(text: str) -> int:
    """Signed 64 bits over a text."""
    digest = hashlib.blake2b(
        text.encode("utf-8", "surrogatepass"), digest_size=8
    ).digest()
    return int.from_bytes(digest, "big", signed=True)
