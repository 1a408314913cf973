"""The composition root: the only place where the extractor's parts are put together."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer

from services.extractor.archive import Archive
from services.extractor.checkpoints import CheckpointStore
from services.extractor.planning.configuration import Configuration
from services.extractor.planning.configured import keep_announced
from services.extractor.planning.planner import Planner
from services.extractor.planning.schedule import Scheduler
from services.extractor.settings import ExtractorSettings
from services.extractor.sources.base import SourceConnector
from services.extractor.sources.coinpaprika.call_budget import CallBudget
from services.extractor.sources.coinpaprika.coin_list import CoinList
from services.extractor.sources.http_client import HttpClient
from services.extractor.sources.registry import SourceParts, build_sources
from services.extractor.task_worker import TaskWorker
from services.extractor.tasks.backpressure import Backpressure
from services.extractor.tasks.cancellations import Cancellations
from services.extractor.tasks.fetch import FetchHandler
from services.extractor.tasks.find_feeds import FindFeedsHandler
from services.extractor.tasks.move_checkpoint import MoveCheckpointHandler
from services.extractor.tasks.repair import RepairHandler
from services.extractor.tasks.replay import ReplayHandler
from services.extractor.tasks.requeue import (
    ForwardHandler,
    RequeueHandler,
)
from shared.errors import TransientError
from shared.kafka import clients, starts, topic_admin
from shared.kafka.clients import KafkaClient
from shared.kafka.lag import LagReader
from shared.kafka.progress import Monitor
from shared.kafka.topic_follower import TopicFollower
from shared.kafka.witness import Witness
from shared.messages.base import Source
from shared.messages.tasks import (
    FetchStream,
    ForwardMessages,
    LookForFeeds,
    RepairPages,
    ReplayPages,
    RequeueRecords,
    SetCursor,
    Task,
)
from shared.messages.topics import (
    COMMANDS,
    EXTRACTOR_GROUP,
    PLANNER_GROUP,
    REPLAY_TASKS,
    REPLAYER_GROUP,
    TASKS,
)
from shared.monitoring import service_state
from shared.runtime import confined, logs
from shared.runtime.health import Health
from shared.runtime.lifecycle import (
    Part,
    before_end,
    run_until_first_exits,
    started,
)
from shared.runtime.settings import Role, role_dsn
from shared.runtime.suspects import Suspects, Turns

log = logs.get(__name__)


@dataclass
class Clients:
    """The extractor's connections to Kafka."""

    bootstrap: str
    name: str
    session_timeout_ms: int

    def __post_init__(self) -> None:
        self.producer = clients.producer(self.bootstrap, self.name)
        self.commands = self._consumer(PLANNER_GROUP)
        self.tasks = self._consumer(EXTRACTOR_GROUP)
        self.replay_tasks = self._consumer(REPLAYER_GROUP)
        self.lag = LagReader(self.bootstrap, self.name)

    @classmethod
    def of(cls, settings: ExtractorSettings) -> Clients:
        name = f"extractor-{os.getpid()}"
        timeout_ms = settings.kafka_session_timeout_ms
        return cls(settings.kafka_bootstrap_servers, name, timeout_ms)

    def _consumer(self, group: str | None) -> AIOKafkaConsumer:
        return clients.consumer(
            self.bootstrap,
            self.name,
            group=group,
            session_timeout_ms=self.session_timeout_ms,
        )

    async def new_reader(self) -> AIOKafkaConsumer:
        """A started consumer without a group, for one look into a topic. Raises TransientError."""
        reader = self._consumer(None)
        try:
            await reader.start()
        except Exception as error:
            message = f"Kafka cannot be reached: {error!r}"
            raise TransientError(message) from error
        return reader


def build_http(settings: ExtractorSettings) -> HttpClient:
    return HttpClient(
        allow_private=settings.allow_private_urls,
        attempts=settings.http_attempts,
        timeout_s=settings.http_timeout_s,
        max_bytes=settings.http_max_bytes,
    )


def _sources(
    settings: ExtractorSettings,
    http: HttpClient,
    checkpoints: CheckpointStore,
) -> dict[str, SourceConnector]:
    budget = CallBudget(
        Source.COINPAPRIKA,
        checkpoints,
        per_second=settings.coinpaprika_calls_per_second,
        per_month=settings.coinpaprika_calls_per_month,
    )
    return build_sources(
        SourceParts(
            settings, http, budget.count_call, CoinList(checkpoints)
        )
    )


class TaskHandlers:
    """One handler for each type of task."""

    def __init__(
        self,
        kafka: Clients,
        settings: ExtractorSettings,
        sources: dict[str, SourceConnector],
        checkpoints: CheckpointStore,
        backpressure: Backpressure,
        cancellations: Cancellations,
        archive: Archive,
        configuration: Configuration,
        http: HttpClient,
    ) -> None:
        common: dict[str, Any] = {
            "producer": kafka.producer,
            "new_reader": kafka.new_reader,
        }
        paced = {**common, "backpressure": backpressure}
        fetch = FetchHandler(
            **paced,
            sources=sources,
            kept=kafka.lag.reader,
            checkpoints=checkpoints,
            cancellations=cancellations,
            configuration=configuration,
            spread_from_page=settings.spread_from_page,
        )
        self._handlers: dict[type, Any] = {
            FetchStream: fetch,
            RepairPages: RepairHandler(**paced, sources=sources),
            RequeueRecords: RequeueHandler(**paced, archive=archive),
            ForwardMessages: ForwardHandler(**common),
            ReplayPages: ReplayHandler(
                **paced, archive=archive, cancellations=cancellations
            ),
            LookForFeeds: FindFeedsHandler(kafka.producer, http),
            SetCursor: MoveCheckpointHandler(
                kafka.producer, checkpoints, sources
            ),
        }

    async def run(self, task: Task) -> None:
        """Do a task. Raises TransientError: then run it again."""
        await self._handlers[type(task)].run(task)


def _workers(
    settings: ExtractorSettings,
    kafka: Clients,
    handlers: TaskHandlers,
    archive: Archive,
    turns: Turns,
) -> tuple[TaskWorker, TaskWorker]:
    """The workers for tasks and for replays, which take long and have a topic of their own."""
    concurrency = settings.task_concurrency
    worker = partial(
        TaskWorker,
        producer=kafka.producer,
        work=handlers.run,
        turns=turns,
    )
    tasks = worker(
        kafka.tasks,
        topic=TASKS,
        group=EXTRACTOR_GROUP,
        concurrency=concurrency,
        witness=Witness(kafka.bootstrap, EXTRACTOR_GROUP),
        is_finished=archive.is_finished,
    )
    replays = worker(
        kafka.replay_tasks,
        topic=REPLAY_TASKS,
        group=REPLAYER_GROUP,
        concurrency=max(1, concurrency // 2),
        witness=Witness(kafka.bootstrap, REPLAYER_GROUP),
    )
    return tasks, replays


def _monitors(
    settings: ExtractorSettings,
    kafka: Clients,
    health: Health,
    planner: Planner,
    tasks: TaskWorker,
    replays: TaskWorker,
) -> list[Awaitable[None]]:
    """One watchdog for each consumer group; that of the tasks keeps the health file."""
    silent = Health(None)
    lag = kafka.lag
    limit = settings.stuck_after_s
    of_tasks = Monitor(
        lag, EXTRACTOR_GROUP, [TASKS], health, stuck_after_s=limit
    )
    of_replays = Monitor(
        lag, REPLAYER_GROUP, [REPLAY_TASKS], silent, stuck_after_s=limit
    )
    of_commands = Monitor(
        lag, PLANNER_GROUP, [COMMANDS], silent, stuck_after_s=limit
    )
    return [
        of_tasks.run(held=tasks.held, is_working=tasks.is_busy),
        of_replays.run(held=replays.held, is_working=replays.is_busy),
        of_commands.run(held=planner.held),
    ]


def _parts(
    kafka: Clients,
    http: HttpClient,
    followers: Sequence[TopicFollower],
) -> list[Part]:
    """What is started before the work, in this order."""
    consumers = (kafka.commands, kafka.tasks, kafka.replay_tasks)
    producer = KafkaClient(kafka.producer)
    return [
        http,
        producer,
        kafka.lag,
        *followers,
        *map(KafkaClient, consumers),
    ]


async def run(
    settings: ExtractorSettings, health: Health, stop: asyncio.Event
) -> None:
    """Wait for Kafka and the topics, then plan and work until stopped."""
    bootstrap = settings.kafka_bootstrap_servers
    health.set(ready=False, reason="waiting for Kafka")
    await topic_admin.wait_for_topics(bootstrap, stop)
    kafka = Clients.of(settings)
    http = build_http(settings)
    checkpoints = CheckpointStore(bootstrap, kafka.producer)
    cancellations = Cancellations(bootstrap)
    limit = settings.max_waiting_pages
    suspects = Suspects(settings.health_file)
    before_end(suspects.end)
    turns = Turns(suspects)
    backpressure = Backpressure(
        kafka.lag, max_waiting=limit, on_page=turns.moved
    )
    sources = _sources(settings, http, checkpoints)
    configuration = Configuration(settings, sources)
    confined.prepare()
    archive = Archive(role_dsn(settings, Role.READER))
    handlers = TaskHandlers(
        kafka,
        settings,
        sources,
        checkpoints,
        backpressure,
        cancellations,
        archive,
        configuration,
        http,
    )
    tasks, replays = _workers(settings, kafka, handlers, archive, turns)
    scheduler = Scheduler(
        kafka.producer, archive, configuration.effective
    )
    planner = Planner(
        kafka.commands,
        kafka.producer,
        sources,
        scheduler,
        configuration,
        Witness(kafka.bootstrap, PLANNER_GROUP),
        turns,
        kept=kafka.lag.reader,
    )
    followers = (
        checkpoints.follower,
        cancellations.follower,
        configuration.follower,
    )
    async with started(stop, *_parts(kafka, http, followers)) as is_up:
        if not is_up:
            return
        if not suspects.was_asked_to_end:
            await starts.announce(
                kafka.producer, "extractor", settings.health_file
            )
        log.info("ready")
        await run_until_first_exits(
            planner.run(stop),
            tasks.run(stop),
            replays.run(stop),
            backpressure.run(),
            keep_announced(configuration, sources, checkpoints),
            *(follower.run() for follower in followers),
            *_monitors(settings, kafka, health, planner, tasks, replays),
            service_state.tell(
                kafka.producer,
                "extractor",
                starts.instance_name(settings.health_file),
                health,
            ),
        )
