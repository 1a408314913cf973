"""Where tasks began to read: kept once for all that began at the same place.

A long part of a cursor (what a file showed of itself, the entries of a feed that were seen) has a
row of its own, so that a cursor that moves a little takes little.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from shared.tables import task_cursors

LONG = 512  # characters of a part that has a row of its own
_PART = "@part"
_NOW = func.clock_timestamp()
_A_DAY = timedelta(days=1)


def keep(transaction: Connection, cursor: str | None) -> str | None:
    """Keep a cursor (JSON); returns the digest by which `kept` finds it."""
    if cursor is None:
        return None
    *parts, whole = _rows(json.loads(cursor))
    for digest, text in sorted([*parts, whole]):
        new = insert(task_cursors).values(digest=digest, cursor=text)
        again = new.on_conflict_do_update(
            index_elements=["digest"],
            set_={"used_at": _NOW},
            where=task_cursors.c.used_at < _NOW - _A_DAY,
        )
        transaction.execute(again)
    return whole[0]


def kept(transaction: Connection, task: Any) -> str | None:
    """Where a task began to read, as JSON; None where nobody knows."""
    if task.cursor_digest is None:
        return task.cursor_before  # type: ignore[no-any-return]
    found = _find(transaction, task.cursor_digest)
    if found is None:
        return None
    value = json.loads(found)
    if isinstance(value, dict):
        value = {
            name: _joined(transaction, part)
            for name, part in value.items()
        }
    return _text(value)


def _rows(value: Any) -> Iterator[tuple[str, str]]:
    """(digest, text) of each long part, then of the whole."""
    if isinstance(value, dict):
        value = dict(value)
        for name, part in value.items():
            text = _text(part)
            if len(text) > LONG:
                digest = _digest(text)
                value[name] = {_PART: digest}
                yield digest, text
    text = _text(value)
    yield _digest(text), text


def _joined(transaction: Connection, part: Any) -> Any:
    if not isinstance(part, dict) or part.keys() != {_PART}:
        return part
    found = _find(transaction, part[_PART])
    return None if found is None else json.loads(found)


def _find(transaction: Connection, digest: str) -> str | None:
    query = select(task_cursors.c.cursor).where(
        task_cursors.c.digest == digest
    )
    return transaction.execute(query).scalar_one_or_none()


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _digest(text: str) -> str:
    whole = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return str(uuid.UUID(bytes=whole[:16]))
