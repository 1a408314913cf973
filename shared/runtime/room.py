"""Room for bytes that are held at once, so that memory has a bound whatever their number."""

from __future__ import annotations

import asyncio


class Room:
    """Takes so many bytes at a time. What is larger than all of it goes in alone."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._free = size
        self._freed = asyncio.Event()

    async def take(self, size: int) -> int:
        """Wait until they fit; returns what to give back."""
        wanted = min(size, self._size)
        while self._free < wanted:
            self._freed.clear()
            await self._freed.wait()
        self._free -= wanted
        return wanted

    def give_back(self, taken: int) -> None:
        self._free += taken
        self._freed.set()
