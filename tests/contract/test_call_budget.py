"""The call budget and the list of coins live in a topic.

What one process has counted, its successor knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from services.extractor.checkpoints import CheckpointStore
from services.extractor.sources.answer import Answer
from services.extractor.sources.coinpaprika.call_budget import CallBudget
from services.extractor.sources.coinpaprika.coin_list import (
    STREAM,
    CoinList,
)
from shared.errors import TaskError
from shared.kafka import clients, partitions
from shared.messages.base import Source
from shared.messages.serialization import encode, to_python
from tests.support.infra import Infrastructure


def with_store(
    infra: Infrastructure,
    work: Callable[[CheckpointStore], Awaitable[Any]],
) -> Any:
    """As a process that starts anew."""

    async def run() -> Any:
        producer = clients.producer(infra.bootstrap, "test")
        await producer.start()
        store = CheckpointStore(infra.bootstrap, producer)
        await store.follower.start(asyncio.Event())
        following = asyncio.create_task(store.follower.run())
        try:
            return await work(store)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await store.follower.close()
            await producer.stop()

    return asyncio.run(run())


def test_calls_are_counted_across_restarts_until_the_month_is_used_up_and_from_the_next_one_on(
    infra: Infrastructure,
) -> None:
    def calls(
        times: int, month: int
    ) -> Callable[[CheckpointStore], Awaitable[Any]]:
        async def take(store: CheckpointStore) -> Any:
            budget = CallBudget(
                Source.COINPAPRIKA,
                store,
                per_second=1000,
                per_month=5,
                now=lambda: datetime(2031, month, 30, tzinfo=UTC),
            )
            for _ in range(times):
                await budget.count_call()
            return to_python(
                (
                    await store.latest(
                        "coinpaprika/@budget",
                        partitions.partition_of("coinpaprika/@budget"),
                    )
                ).cursor
            )

        return take

    assert with_store(infra, calls(3, 11))["used"] == 3
    assert with_store(infra, calls(2, 11)) == {
        "month": "2031-11",
        "used": 5,
        "per_month": 5,
        "per_second": 1000,
    }
    with pytest.raises(
        TaskError,
        match=r"the 5 calls of 2031-11 are used up .* begins on 2031-12-01",
    ) as caught:
        with_store(infra, calls(1, 11))
    assert caught.value.code == "budget_exhausted"
    assert with_store(infra, calls(1, 12))["used"] == 1


def test_no_more_calls_a_second_than_allowed(
    infra: Infrastructure,
) -> None:
    async def take(store: CheckpointStore) -> float:
        budget = CallBudget(
            Source.COINPAPRIKA, store, per_second=20, per_month=0
        )
        clock = asyncio.get_running_loop().time
        began = clock()
        await asyncio.gather(*(budget.count_call() for _ in range(11)))
        return clock() - began

    assert with_store(infra, take) >= 10 / 20


def test_the_list_of_coins_is_fetched_once_and_known_to_the_next_process(
    infra: Infrastructure,
) -> None:
    listed = [
        {
            "symbol": "QQZ",
            "name": "Quokka Zone",
            "rank": 700,
            "is_active": True,
        },
        {"symbol": "QQZ", "name": "Copy", "rank": 800, "is_active": True},
        {
            "symbol": "BTC",
            "name": "Bitcoin",
            "rank": 1,
            "is_active": True,
        },
        {
            "symbol": "GONE",
            "name": "Gone Coin",
            "rank": 2,
            "is_active": False,
        },
        {"symbol": None, "name": 5, "rank": "x", "is_active": True},
    ]
    asked: list[str] = []

    async def get(path: str) -> Answer:
        asked.append(path)
        return Answer("", 200, httpx.Headers(), encode(listed))

    async def refresh(store: CheckpointStore) -> Any:
        await CoinList(store).refresh(get)
        await store.latest(STREAM, partitions.partition_of(STREAM))
        return CoinList(store).mentioned(
            ["Quokka Zone (QQZ) and Bitcoin", "a Gone Coin"]
        )

    assert with_store(infra, refresh) == [["QQZ", "Quokka Zone"]]
    assert with_store(infra, refresh) == [["QQZ", "Quokka Zone"]]
    assert asked == ["/coins"]
