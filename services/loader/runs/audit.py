"""Who asked for what: every command, and every change of what is configured.

And when each key was used last.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from shared.access.keys import KeyState
from shared.access.signatures import is_genuine
from shared.configuration.setting_log import read_configuration
from shared.configuration.settings import Setting
from shared.messages.base import Message
from shared.messages.headers import asked_by
from shared.messages.run_events import KeysUsed
from shared.messages.serialization import UndecodableError
from shared.tables import audit, key_uses
from shared.values.times import from_ms
from shared.values.urls import without_secrets

MAX_SHOWN = 16 * 1024  # bytes of a command
# What is nobody's to read, and the name, which stands beside.
_HIDDEN = ("signature", "digest", "type", "name")


def configured(value: bytes | None, secret: str) -> KeyState | Setting:
    """What is configured, as this installation has signed it. Raises UndecodableError."""
    try:
        found = read_configuration(value)
    except (ValueError, RecursionError) as error:
        raise UndecodableError(
            f"not a KeyState | Setting: {error}"
        ) from error
    if not is_genuine(found, secret):
        raise UndecodableError("it is signed by others")
    return found


def record(
    transaction: Connection, message: Message, broker_record: Any
) -> None:
    """Keep it once, however often it comes."""
    subject = _subject(message)
    row = {
        "at": from_ms(broker_record.timestamp),
        "asked_by": asked_by(broker_record.headers),
        "action": type(message).__name__,
        "subject": subject,
        "before": None,
        "after": _shown(message),
        "topic": broker_record.topic,
        "partition": broker_record.partition,
        "offset": broker_record.offset,
    }
    if isinstance(message, KeyState | Setting):
        row["before"] = _before(transaction, subject)
    transaction.execute(
        insert(audit).values(row).on_conflict_do_nothing()
    )


def on_keys_used(
    transaction: Connection, event: KeysUsed, _at: datetime
) -> None:
    """The latest of what the gateways say. In order, so that two loaders never wait in a ring."""
    for key_id, at in sorted(event.used_at.items()):
        transaction.execute(_use(key_id, from_ms(at)))


def _use(key_id: str, at: datetime) -> Any:
    new = insert(key_uses).values(key_id=key_id, used_at=at)
    latest = func.greatest(key_uses.c.used_at, new.excluded.used_at)
    return new.on_conflict_do_update(
        index_elements=["key_id"], set_={"used_at": latest}
    )


def _public(value: Any) -> dict[str, Any]:
    """As JSON, an address without secrets."""
    found: dict[str, Any] = msgspec.to_builtins(value)
    if isinstance(found.get("url"), str):
        found["url"] = without_secrets(found["url"])
    found.pop("salt", None)
    return found


def _subject(message: Any) -> str:
    """What it is about: a setting, a key, a run."""
    match message:
        case Setting():
            return message.name
        case KeyState():
            return f"key/{message.key_id}"
        case _:
            return message.run_id or ""


def _before(transaction: Connection, subject: str) -> Any:
    query = (
        select(audit.c.after)
        .where(audit.c.subject == subject)
        .order_by(audit.c.id.desc())
        .limit(1)
    )
    return transaction.execute(query).scalar()


def _shown(message: Message) -> Any:
    """The content, as JSON; of a large one how large it is. None for a setting that was reset."""
    if isinstance(message, Setting):
        value = message.value
        return None if value is None else _public(value)
    content = {
        name: value
        for name, value in _public(message).items()
        if name not in _HIDDEN and value is not None
    }
    size = len(msgspec.json.encode(content))
    return content if size <= MAX_SHOWN else {"bytes": size}
