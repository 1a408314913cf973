"""Whether a source's answers have changed their form: fields that are new, missing, retyped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

MAX_SHOWN = 10


def shape(records: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Every field of the records, nested ones by their path, and its types.

    A field that is always empty has none.
    """
    found: dict[str, set[str]] = {}
    for record in records:
        for path, value in _flat(record, ""):
            types = found.setdefault(path, set())
            if name := _type(value):
                types.add(name)
    return {
        path: " or ".join(sorted(types))
        for path, types in sorted(found.items())
    }


# In this order: a bool is an int too.
_KINDS: dict[str, Any] = {
    "flag": bool,
    "number": (int, float, Decimal),
    "list": list,
}


def change(before: object, now: dict[str, str]) -> str | None:
    """What has changed since, as a sentence.

    None when nothing has, or nothing is known of before.
    """
    if not isinstance(before, dict) or not before or not now:
        return None
    sentences = [
        _listed("new", [path for path in now if path not in before]),
        _listed(
            "missing", [str(path) for path in before if path not in now]
        ),
        _listed("of another type", _retyped(before, now)),
    ]
    return "; ".join(filter(None, sentences)) or None


def _retyped(before: dict[str, str], now: dict[str, str]) -> list[str]:
    changes = []
    for path, kind in now.items():
        former = before.get(path, kind)
        if former and kind and former != kind:
            changes.append(_change(path, former, kind))
    return changes


def _change(path: str, former: str, kind: str) -> str:
    return f"{path} ({former} → {kind})"


def _listed(what: str, paths: list[str]) -> str:
    """A sentence, empty without paths."""
    if not paths:
        return ""
    more = " …" if len(paths) > MAX_SHOWN else ""
    return f"{what}: {', '.join(paths[:MAX_SHOWN])}{more}"


def _flat(
    record: dict[str, Any], prefix: str
) -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _type(value: Any) -> str:
    """The kind of a value, empty for one that says nothing."""
    if value in (None, ""):
        return ""
    for kind, types in _KINDS.items():
        if isinstance(value, types):
            return kind
    return "text"
