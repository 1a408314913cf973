"""Reading ahead: what a source yields next is fetched while what it yielded is published."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import TypeVar

T = TypeVar("T")


async def in_groups(
    items: AsyncGenerator[T, None], most: int
) -> AsyncGenerator[list[T], None]:
    """What `items` yields: as many at a time as are ready, at most `most`.

    Its error comes after all that it yielded.
    """
    ready: asyncio.Queue[T | None] = asyncio.Queue(most)
    reader = asyncio.create_task(_read(items, ready))
    try:
        is_last = False
        while not is_last:
            group = await _next_group(ready, most)
            found = [item for item in group if item is not None]
            is_last = len(found) < len(group)
            if found:
                yield found
        await reader
    finally:
        reader.cancel()
        await asyncio.wait([reader])


async def _read(
    items: AsyncGenerator[T, None], ready: asyncio.Queue[T | None]
) -> None:
    """Put every item into the queue, then None."""
    try:
        async with contextlib.aclosing(items):
            async for item in items:
                await ready.put(item)
    except Exception:
        await ready.put(None)
        raise
    await ready.put(None)


async def _next_group(
    ready: asyncio.Queue[T | None], most: int
) -> list[T | None]:
    group = [await ready.get()]
    while not ready.empty() and len(group) < most:
        group.append(ready.get_nowait())
    return group
