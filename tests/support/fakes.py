"""Fakes, each held to the real part by a contract test."""

from __future__ import annotations

import uuid
from typing import Any

from shared.messages.pages import RawPage
from shared.messages.serialization import encode

RUN = str(uuid.uuid4())


class Tail:
    """The end of a raw partition, in memory: the consumer as `recover` uses it."""

    def __init__(self, pages: list[RawPage], first: int = 0) -> None:
        self._records = [
            type(
                "Record",
                (),
                {
                    "offset": first + n,
                    "key": page.stream.encode(),
                    "value": encode(page),
                    "headers": (),
                },
            )
            for n, page in enumerate(pages)
        ]
        self._first, self._at = first, first

    async def new_reader(self) -> Tail:
        return self

    async def stop(self) -> None: ...

    async def beginning_offsets(
        self, partitions: list[Any]
    ) -> dict[Any, int]:
        return dict.fromkeys(partitions, self._first)

    async def end_offsets(self, partitions: list[Any]) -> dict[Any, int]:
        return dict.fromkeys(partitions, self._first + len(self._records))

    def assign(self, _partitions: list[Any]) -> None: ...

    def seek(self, _partition: Any, offset: int) -> None:
        self._at = offset

    async def position(self, _partition: Any) -> int:
        return self._at

    async def getmany(
        self, partition: Any, timeout_ms: int
    ) -> dict[Any, list[Any]]:
        records = [
            record
            for record in self._records
            if record.offset >= self._at
        ][:2]
        self._at += len(records)
        return {partition: records}
