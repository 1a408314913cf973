"""Backpressure counts every page that waits, also one published while the lag is read."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from services.extractor.tasks.backpressure import Backpressure
from shared.kafka.lag import GroupPositions, LagReader


class SlowLag:
    """Says that nothing waits, after the gate has let a page through."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def positions(self, *_: object) -> GroupPositions:
        self.asked.set()
        await self.may_answer.wait()
        return {}


async def test_a_page_published_while_the_lag_is_read_counts_on() -> None:
    lag = SlowLag()
    pressure = Backpressure(cast("LagReader", lag), max_waiting=2)
    looking = asyncio.create_task(pressure.run())
    await lag.asked.wait()
    await pressure.gate(0)
    await pressure.gate(0)
    lag.may_answer.set()
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pressure.gate(0), timeout=0.1)
    await asyncio.wait_for(pressure.gate(1), timeout=1)
    looking.cancel()
