"""Fakes, each held to the real part by a contract test."""

from __future__ import annotations

import uuid
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

from shared.messages.pages import RawPage
from shared.messages.serialization import encode

RUN = str(uuid.uuid4())
ANY = -1


class Tail:
    """The ends of raw partitions, in memory: the consumer as `recover` uses it.

    `pages`: in the order in which they were published, each to the partition of `partitions`.
    """

    def __init__(
        self,
        pages: list[RawPage],
        first: int = 0,
        partitions: list[int] | None = None,
    ) -> None:
        self._first = first
        self._logs: dict[int, list[Any]] = defaultdict(list)
        self._at: dict[int, int] = {}
        for n, page in enumerate(pages):
            # Unless told, whichever partition is asked for is the one that holds them.
            partition = partitions[n] if partitions else ANY
            log = self._logs[partition]
            log.append(
                SimpleNamespace(
                    partition=partition,
                    offset=first + len(log),
                    timestamp=1_700_000_000_000 + n,
                    key=page.stream.encode(),
                    value=encode(page),
                    headers=(),
                )
            )

    def _log(self, partition: Any) -> list[Any]:
        number = partition.partition
        if ANY not in self._logs:
            return self._logs[number]
        for record in self._logs[ANY]:
            record.partition = number
        return self._logs[ANY]

    async def new_reader(self) -> Tail:
        return self

    async def stop(self) -> None: ...

    async def beginning_offsets(
        self, partitions: list[Any]
    ) -> dict[Any, int]:
        return dict.fromkeys(partitions, self._first)

    async def end_offsets(self, partitions: list[Any]) -> dict[Any, int]:
        return {
            each: self._first + len(self._log(each))
            for each in partitions
        }

    def assign(self, _partitions: list[Any]) -> None: ...

    def seek(self, partition: Any, offset: int) -> None:
        self._at[partition.partition] = offset

    async def position(self, partition: Any) -> int:
        return self._at[partition.partition]

    async def getmany(
        self, partition: Any, timeout_ms: int
    ) -> dict[Any, list[Any]]:
        at = self._at[partition.partition]
        records = [
            record
            for record in self._log(partition)
            if record.offset >= at
        ][:2]
        self._at[partition.partition] += len(records)
        return {partition: records}
