"""What receives files, wherever they lie then."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass

from services.gateway.problems import ProblemError
from services.gateway.uploads.parts import Part

MAX_AT_ONCE = 4


@dataclass(frozen=True)
class Stored:
    """`received`: bytes of what is not whole yet. `size`: of the file, None where there is none."""

    path: str
    received: int
    size: int | None


class Receiver(ABC):
    """Of one gateway. Raises ProblemError throughout."""

    def __init__(self, quota: int) -> None:
        """`quota`: bytes that CSV_DIR may hold with what is uploaded; 0: nothing may be."""
        self._quota = quota
        self._turns = asyncio.Semaphore(MAX_AT_ONCE)

    def check_is_on(self) -> None:
        if not self._quota:
            raise ProblemError(
                409, "uploads are off: set UPLOAD_QUOTA_MB"
            )

    async def receive(
        self,
        path: str,
        part: Part,
        body: AsyncIterator[bytes],
        *,
        is_replaced: bool,
    ) -> Stored:
        """Keep a part of a file, and give it its name once it is whole."""
        self.check_is_on()
        if self._turns.locked():
            raise ProblemError(
                429,
                f"{MAX_AT_ONCE} files are being uploaded: try again in a moment",
                headers={"Retry-After": "5"},
            )
        async with self._turns:
            return await self._receive(
                path, part, body, is_replaced=is_replaced
            )

    @abstractmethod
    async def _receive(
        self,
        path: str,
        part: Part,
        body: AsyncIterator[bytes],
        *,
        is_replaced: bool,
    ) -> Stored: ...

    @abstractmethod
    async def state(self, path: str) -> Stored: ...

    @abstractmethod
    async def remove(self, path: str) -> None:
        """Delete an ordinary file. What was read of it stays."""


def exists(path: str) -> ProblemError:
    return ProblemError(
        409,
        f"{path} is there already: give `replace=true`, or another name",
    )


def elsewhere(begun: int) -> ProblemError:
    return ProblemError(
        409,
        f"{begun:,} bytes have arrived: go on from there, or begin anew with byte 0",
        headers={"Upload-Offset": str(begun)},
    )
