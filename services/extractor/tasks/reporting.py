"""What tasks report about themselves, and what their errors become."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from services.extractor.sources.base import clean
from shared.errors import TaskError, TransientError
from shared.kafka import publishing
from shared.messages.run_events import RunError, RunEvent, TaskStarted
from shared.messages.tasks import Task
from shared.messages.topics import RUN_EVENTS
from shared.runtime import logs

MAX_MESSAGE = 2_000
T = TypeVar("T", bound=Task)
NewReader = Callable[[], Awaitable[AIOKafkaConsumer]]
Work = Callable[[T, AIOKafkaConsumer], Awaitable[RunEvent]]
log = logs.get(__name__)


class Reporter:
    """Publishes what happened to ingest.run-events."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def report(self, event: RunEvent) -> None:
        """Raises TransientError while Kafka is unavailable."""
        key = event.run_id or ""
        await publishing.publish(
            self._producer,
            RUN_EVENTS,
            event,
            key=key,
            service="extractor",
        )

    async def run(
        self, task: T, new_reader: NewReader, work: Work[T]
    ) -> None:
        """Report the start of a task, do it with a reader of its own, report its end.

        Raises TransientError: then run it again.
        """
        consumer = await new_reader()
        try:
            await self.report(TaskStarted(**task_fields(task)))
            await self.report(await work(task, consumer))
        finally:
            await consumer.stop()


def task_fields(task: Task) -> dict[str, Any]:
    """What every event of a task says about it."""
    return {
        "run_id": task.run_id,
        "task_id": task.task_id,
        "source": task.source,
        "stream": task.stream,
    }


def task_error(task: Task, code: str, message: str) -> RunError:
    """Why a task failed, with the stream that it is about."""
    text = clean(message)[:MAX_MESSAGE]
    return RunError(
        code=code, message=text, stream=task.stream, source=task.source
    )


def explain(error: Exception, task: Task, crash_event: str) -> RunError:
    """What an error means for the task that it ends.

    An error that nobody foresaw is logged as `crash_event`. Raises TransientError as it is: then
    the task is run again.
    """
    if isinstance(error, TransientError):
        raise error
    if not isinstance(error, TaskError):
        log.error(
            crash_event,
            run_id=task.run_id,
            stream=task.stream,
            exc_info=error,
        )
        error = TaskError(
            "internal_error", f"{type(error).__name__}: {error}"
        )
    log.warning(
        "task_failed",
        run_id=task.run_id,
        stream=task.stream,
        code=error.code,
        error=error.message,
    )
    return task_error(task, error.code, error.message)


@contextmanager
def kafka_must_answer() -> Iterator[None]:
    """Errors of Kafka inside are TransientErrors."""
    try:
        yield
    except (KafkaError, OSError) as error:
        raise TransientError(
            f"Kafka cannot be read: {error!r}"
        ) from error
