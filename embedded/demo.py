"""`make demo`: the stack, a first ingestion, and what came of it."""

from __future__ import annotations

from embedded.console import Console


def demo(_console: Console, _arguments: list[str]) -> int:
    return 0
