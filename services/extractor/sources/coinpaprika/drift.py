"""Whether a source's answers have changed their form: fields that are new, missing, or of another type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

MAX_SHOWN = 10


def shape(records: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Every field of the records, nested ones by their path, and its types. A field that is always empty has none."""
    found: dict[str, set[str]] = {}
    for record in records:
        for path, value in _flat(record, ""):
            found.setdefault(path, set()).update({_type(value)} - {""})
    return {path: " or ".join(sorted(types)) for path, types in sorted(found.items())}


def change(before: object, now: dict[str, str]) -> str | None:
    """What has changed since, as a sentence; None when nothing has, or nothing is known of before."""
    if not isinstance(before, dict) or not before or not now:
        return None
    parts = [
        ("new", [path for path in now if path not in before]),
        ("missing", [str(path) for path in before if path not in now]),
        ("of another type", [f"{path} ({before[path]} → {now[path]})" for path in now if before.get(path) and now[path] and before[path] != now[path]]),
    ]  # fmt: skip
    said = [f"{what}: {', '.join(paths[:MAX_SHOWN])}{' …' if len(paths) > MAX_SHOWN else ''}" for what, paths in parts if paths]
    return "; ".join(said) or None


def _flat(record: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _type(value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, int | float | Decimal):
        return "number"
    return "list" if isinstance(value, list) else "text"
