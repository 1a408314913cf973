"""The log of commands, in which any gateway can look a run up."""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from shared.errors import TransientError
from shared.kafka.topic_follower import TopicFollower
from shared.messages.commands import RunCommand
from shared.messages.serialization import (
    UndecodableError,
    command_decoder,
    decode,
)
from shared.messages.topics import COMMANDS
from shared.values.times import from_ms

REMEMBERED_RUNS = 50_000
CATCH_UP_S = 1.0


@dataclass(frozen=True)
class PendingRun:
    """The first command of a run, as it lies in the topic."""

    command: RunCommand
    requested_at: datetime

    def asks_the_same(self, other: RunCommand) -> bool:
        return _without_time(self.command) == _without_time(other)


def _without_time(command: RunCommand) -> RunCommand:
    return msgspec.structs.replace(command, requested_at=None)


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
        self._first[command.run_id] = PendingRun(
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
