"""A line of the log for each request: who asked what, what was answered, how long it took."""

from __future__ import annotations

from starlette.types import Scope

from services.gateway.api_key import ASKING
from services.gateway.middleware.noted import Noted
from shared.runtime import logs

log = logs.get(__name__)


class AccessLog(Noted):
    """Method, path, status, milliseconds, client and key; no query, which may hold anything."""

    def note(self, scope: Scope, status: int, seconds: float) -> None:
        client = scope.get("client")
        log.info(
            "request",
            method=scope["method"],
            path=scope["path"],
            status=status,
            ms=round(seconds * 1000, 1),
            client=client[0] if client else None,
            key=_name_of(scope),
        )


def _name_of(scope: Scope) -> str | None:
    """The id of the key, `API_KEY`, or None where there was no right one."""
    asking = scope.get(ASKING)
    return asking and asking.name
