"""Differences, field by field."""

from __future__ import annotations

from typing import Any

from crypto_ingest.output import console, moment, plain

WORDS = {
    "added": "added",
    "changed": "changed",
    "retired": "taken out of sight",
    "newer_stays": "newer values stay",
    "unchanged": "the same",
    "only_in_a": "only in the first",
    "only_in_b": "only in the second",
}


def changes(counts: dict[str, int], rows: list[dict[str, Any]]) -> None:
    """How many of each kind, and the first of them with old and new values."""
    said = [
        f"{number:,} {WORDS.get(name, name)}"
        for name, number in counts.items()
        if number
    ]
    console.print(", ".join(said) or "nothing differs")
    for row in rows:
        at = moment(row.get("timestamp"))
        console.print(
            f"{row['kind']} [dim]{plain(row['stream'])} {at} {row['id']}[/]"
        )
        for each in row["fields"]:
            console.print(
                f"  {plain(each['field'])}: [red]{plain(each['old'])}[/] → "
                f"[green]{plain(each['new'])}[/]"
            )
