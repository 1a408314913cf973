"""The log of commands, in which any gateway can look a run up."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from shared.errors import TransientError
from shared.kafka.topic_follower import TopicFollower
from shared.messages.base import Json
from shared.messages.commands import RunCommand
from shared.messages.runs import RunKind, describe
from shared.messages.serialization import (
    UndecodableError,
    command_decoder,
    decode,
    encode,
)
from shared.messages.topics import COMMANDS
from shared.values.times import from_ms

REMEMBERED_RUNS = 50_000
CATCH_UP_S = 1.0
MAX_SHOWN = 500  # bytes of a part of a request


@dataclass(frozen=True, slots=True)
class PendingRun:
    """The first command of a run: its head, and whether another asks for the same.

    `request`: as JSON, without what is long. `digest`: of the whole command.
    """

    run_id: str
    kind: RunKind
    request: bytes
    requested_at: datetime
    digest: bytes

    @classmethod
    def of(
        cls, command: RunCommand, requested_at: datetime
    ) -> PendingRun:
        wanted = describe(command)
        return cls(
            command.run_id,
            wanted.kind,
            encode(_shortened(wanted.request)),
            requested_at,
            _digest(command),
        )

    def asks_the_same(self, other: RunCommand) -> bool:
        return self.digest == _digest(other)


def _digest(command: RunCommand) -> bytes:
    """Of all but the time of asking."""
    asked = msgspec.structs.replace(command, requested_at=None)
    return hashlib.sha256(encode(asked)).digest()[:16]


def _shortened(request: Json) -> Json:
    """Without long lists and cursors: they lie in the topic, and later in the database."""
    return {name: _short(value) for name, value in request.items()}


def _short(value: Any) -> Any:
    size = len(encode(value))
    return value if size <= MAX_SHOWN else f"{size} bytes"


class CommandLog:
    """Follows ingest.commands from its start: which command opened which run."""

    def __init__(self, bootstrap: str) -> None:
        self._first: OrderedDict[str, PendingRun] = OrderedDict()
        client = f"gateway-commands-{os.getpid()}"
        self.follower = TopicFollower(
            bootstrap, COMMANDS, client, self._on_record
        )

    def _on_record(self, record: Any) -> None:
        try:
            command = decode(command_decoder, record.value)
        except UndecodableError:
            return  # the loader keeps those as dead letters
        if (
            not isinstance(command, RunCommand)
            or command.run_id in self._first
        ):
            return
        self._first[command.run_id] = PendingRun.of(
            command, from_ms(record.timestamp)
        )
        if len(self._first) > REMEMBERED_RUNS:
            self._first.popitem(last=False)

    async def find(self, run_id: str) -> PendingRun | None:
        """The run; waits up to a second for the end of the topic before it returns None."""
        if run_id not in self._first:
            with contextlib.suppress(TransientError):
                await self.follower.catch_up(timeout_s=CATCH_UP_S)
        return self._first.get(run_id)
