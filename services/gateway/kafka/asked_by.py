"""Who asks, for what a request publishes: the name of a key."""

from __future__ import annotations

from contextvars import ContextVar

ASKED_BY: ContextVar[str | None] = ContextVar("asked_by", default=None)
