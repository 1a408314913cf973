"""LookForFeeds: what feeds an address leads to, before one of them is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from aiokafka import AIOKafkaProducer

from services.extractor.sources.answer import Answer
from services.extractor.sources.feeds import find
from services.extractor.sources.feeds.find import FeedLook, links, look_at
from services.extractor.sources.feeds.read import LIMITS, MAX_BYTES
from services.extractor.sources.http_client import HttpClient
from services.extractor.tasks.reporting import (
    Reporter,
    explain,
    task_fields,
)
from shared.errors import TaskError
from shared.messages.base import Json
from shared.messages.run_events import (
    TaskFailed,
    TaskFinished,
    TaskStarted,
)
from shared.messages.tasks import LookForFeeds
from shared.runtime.confined import Confined
from shared.values.urls import without_secrets

MOST = 5  # feeds that are told
TIMEOUT_S = 60.0
_ACCEPT = "text/html, application/xhtml+xml, application/xml, */*;q=0.5"


class FindFeedsHandler:
    """Does LookForFeeds tasks. Nothing is kept but what the end of the task says."""

    def __init__(
        self, producer: AIOKafkaProducer, http: HttpClient
    ) -> None:
        self._reporter = Reporter(producer)
        self._http = http
        self._confined = Confined([find.__name__])
        self._turn = asyncio.Lock()

    async def run(self, task: LookForFeeds) -> None:
        """Raises TransientError while Kafka is unavailable: then run it again."""
        await self._reporter.report(TaskStarted(**task_fields(task)))
        try:
            async with asyncio.timeout(TIMEOUT_S):
                found = await self._found(task.url)
        except TimeoutError:
            await self._fail(task, _late())
        except Exception as error:  # noqa: BLE001  `explain` logs and sorts them
            await self._fail(task, error)
        else:
            await self._reporter.report(_finished(task, found))

    async def _fail(self, task: LookForFeeds, error: Exception) -> None:
        """Raises TransientError as it is."""
        told = explain(error, task, "task_crashed")
        await self._reporter.report(
            TaskFailed(**_nothing(task), error=told)
        )

    async def _found(self, url: str) -> list[Json]:
        """What the address is, or what the page there leads to. Raises TaskError."""
        answer = await self._ask(url)
        try:
            return [await self._look(answer, url)]
        except TaskError as error:
            if error.code != "not_a_feed":
                raise
        found = await self._of_links(await self._read(links, answer, url))
        if not found:
            raise TaskError(
                "not_a_feed",
                f"{without_secrets(url)} is no feed, and names none that can be read",
            )
        return found

    async def _of_links(self, addresses: list[str]) -> list[Json]:
        """A page may name what is not there."""
        found: list[Json] = []
        for address in addresses:
            try:
                behind = await self._ask(address)
                found.append(await self._look(behind, address))
            except TaskError:
                continue
            if len(found) == MOST:
                break
        return found

    async def _look(self, answer: Answer, asked: str) -> Json:
        (look,) = await self._read(look_at, answer)
        assert isinstance(look, FeedLook)  # noqa: S101  of the child
        address = answer.moved_to or asked
        return {"url": without_secrets(address), **asdict(look)}

    async def _read(
        self,
        task: Callable[..., Iterator[Any]],
        answer: Answer,
        *more: Any,
    ) -> list[Any]:
        async with self._turn:
            return await asyncio.to_thread(
                self._read_now, task, answer, *more
            )

    def _read_now(
        self,
        task: Callable[..., Iterator[Any]],
        answer: Answer,
        *more: Any,
    ) -> list[Any]:
        found = self._confined.run(
            answer.url, LIMITS, task, answer, *more
        )
        return list(found)

    async def _ask(self, url: str) -> Answer:
        return await self._http.get(
            url, accept=_ACCEPT, max_bytes=MAX_BYTES
        )


def _nothing(task: LookForFeeds) -> dict[str, Any]:
    """What the end of a task says that published no page."""
    return {**task_fields(task), "pages": 0, "records": 0}


def _late() -> TaskError:
    return TaskError("timeout", f"it took more than {TIMEOUT_S:.0f} s")


def _finished(task: LookForFeeds, found: list[Json]) -> TaskFinished:
    return TaskFinished(
        **_nothing(task),
        profile={"feeds": found},
        notes=[f"{len(found)} feed(s) found"],
    )
