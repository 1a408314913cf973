"""Parameters that several endpoints take, and the answer of those that work in the background."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import Header, Path, Query, Response

from services.gateway.kafka.command_bus import CommandBus
from services.gateway.problems import field_problem
from services.gateway.queries.runs import LATEST, PREVIOUS
from services.gateway.requests.whole_numbers import InDigits
from services.gateway.schemas.runs import RunAccepted
from shared.messages.base import MAX_STREAM, Source
from shared.messages.commands import RunCommand
from shared.messages.runs import RunStatus

_NAME_OF_RUN: dict[str, Any] = {
    "description": "A run's id, `latest` or `previous`",
    "json_schema_extra": {
        "pattern": "^(latest|previous|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$"
    },
}
_NAME_OF_STREAM: dict[str, Any] = {
    "max_length": MAX_STREAM,
    "pattern": r"^[^\x00]+$",
}
RunName = Annotated[str, Query(**_NAME_OF_RUN)]
RunPath = Annotated[str, Path(**_NAME_OF_RUN)]
StreamPath = Annotated[
    str,
    Path(
        min_length=3,
        max_length=MAX_STREAM,
        pattern=r"^[^\x00-\x1f]+$",
        description="Such as `rss/coindesk`",
    ),
]
OfSource = Annotated[
    Source | None, Query(description="Only of this source")
]
OfStream = Annotated[
    str | None,
    Query(**_NAME_OF_STREAM, description="Only of this stream"),
]
Limit = Annotated[int, Query(ge=1, le=1000), InDigits]
Skip = Annotated[int, Query(ge=0, le=2**31 - 1), InDigits]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x20-\x7e]+$",
        description="The same key and body again is the same run, for 30 days",
    ),
]


def checked(name: str, where: str) -> str:
    """A run's id in its usual form, `latest` or `previous`.

    `where`: the parameter's place, such as `query.run_id_1`. Raises ProblemError 422 for anything
    else.
    """
    if name in (LATEST, PREVIOUS):
        return name
    try:
        # Figures of other scripts would count as well.
        return str(uuid.UUID(name if name.isascii() else ""))
    except ValueError:
        message = "not a run's id (a UUID), `latest` or `previous`"
        raise field_problem(where, message) from None


def text_or_none(value: object | None) -> str | None:
    """A parameter as queries take it."""
    return None if value is None else str(value)


async def opened(
    response: Response,
    bus: CommandBus,
    command: RunCommand,
    idempotency_key: str | None,
) -> RunAccepted:
    """Open a run; the 202. Raises ProblemError 409, 503."""
    await bus.open_run(command, is_named=idempotency_key is not None)
    return accepted(response, command.run_id)


def accepted(
    response: Response, run_id: str, status: RunStatus = RunStatus.QUEUED
) -> RunAccepted:
    """The 202 of whatever is done in a run, with where to follow it."""
    link = f"/api/v1/runs/{run_id}"
    response.headers["Location"] = link
    return RunAccepted(run_id=run_id, status=status, links={"self": link})
