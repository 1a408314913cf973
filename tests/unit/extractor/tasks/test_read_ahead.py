"""Reading ahead: groups in order, errors last."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator

import pytest

from services.extractor.tasks.read_ahead import in_groups
from shared.errors import TaskError

RUN = str(uuid.uuid4())


async def _numbers(
    count: int, error: Exception | None = None
) -> AsyncGenerator[int, None]:
    for number in range(count):
        yield number
        await asyncio.sleep(0)
    if error is not None:
        raise error


async def test_groups_hold_all_in_order_and_the_error_comes_last() -> (
    None
):
    seen: list[int] = []

    async def collect() -> None:
        async for group in in_groups(
            _numbers(11, TaskError("contract", "broken")), 4
        ):
            assert 1 <= len(group) <= 4
            seen.extend(group)
            await asyncio.sleep(0.001)

    with pytest.raises(TaskError, match="broken"):
        await collect()
    assert seen == list(range(11))
    assert [group async for group in in_groups(_numbers(0), 4)] == []


async def test_leaving_the_groups_early_closes_what_is_read() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncGenerator[int, None]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    groups = in_groups(endless(), 4)
    assert await anext(groups) != []
    await groups.aclose()
    assert closed.is_set()
