"""The conditions of a query, and its arguments by number."""

from __future__ import annotations

from typing import Any


class Where:
    """Collects conditions. `arguments` belong to the statement, in the order of their numbers.

    `of`: what it shares the arguments with.
    """

    def __init__(self, of: Where | None = None) -> None:
        self.arguments: list[Any] = of.arguments if of else []
        self.conditions: list[str] = []

    def bind(self, value: Any) -> str:
        """Keep an argument; returns how the statement names it, such as `$1`."""
        self.arguments.append(value)
        return f"${len(self.arguments)}"

    def add(self, left: str, value: Any) -> None:
        """Add a condition such as `timestamp >=`, unless the value is None."""
        if value is not None:
            self.conditions.append(f"{left} {self.bind(value)}")

    def add_before(
        self, columns: str, position: tuple[Any, ...] | None
    ) -> None:
        """Rows that come after a position in descending order of these columns."""
        if position is not None:
            bound = ", ".join(map(self.bind, position))
            self.conditions.append(f"({columns}) < ({bound})")

    def __str__(self) -> str:
        return where(self.conditions)


def where(conditions: list[str]) -> str:
    """The WHERE clause of these conditions, empty without any."""
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""
