"""The composition root: the only place where the extractor's parts are put together."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer

from services.extractor.archive import Archive
from services.extractor.checkpoints import CheckpointStore
from services.extractor.planner import Planner
from services.extractor.settings import ExtractorSettings
from services.extractor.sources.base import SourceConnector
from services.extractor.sources.coingecko import CoinGecko
from services.extractor.sources.coinpaprika.call_budget import CallBudget
from services.extractor.sources.coinpaprika.coin_list import CoinList
from services.extractor.sources.coinpaprika.tickers import CoinPaprika
from services.extractor.sources.csv_files.source import CsvFiles
from services.extractor.sources.feeds.source import Rss
from services.extractor.sources.http_client import HttpClient
from services.extractor.task_worker import TaskWorker
from services.extractor.tasks.backpressure import FlowControl
from services.extractor.tasks.cancellations import Stops
from services.extractor.tasks.fetch import TaskRunner
from services.extractor.tasks.move_checkpoint import CursorMover
from services.extractor.tasks.repair import Republisher
from services.extractor.tasks.replay import Replayer
from shared.errors import TransientError
from shared.kafka import clients, topic_admin
from shared.kafka.lag import LagReader
from shared.kafka.progress import Monitor
from shared.kafka.topic_follower import Follower
from shared.messages.base import Source
from shared.messages.tasks import FetchStream, ReplayPages, SetCursor, Task
from shared.messages.topics import COMMANDS, EXTRACTOR_GROUP, PLANNER_GROUP, REPLAY_TASKS, REPLAYER_GROUP, TASKS
from shared.runtime import logs
from shared.runtime.health import Health
from shared.runtime.lifecycle import until_first_ends
from shared.runtime.settings import reader_dsn

log = logs.get(__name__)


def build_sources(
    settings: ExtractorSettings, http: HttpClient, take: Callable[[], Awaitable[None]] | None = None, coins: CoinList | None = None
) -> dict[str, SourceConnector]:
    """Every source by its name. A new source is one more line here. `take`: CoinPaprika's call budget; `coins`: its list of coins."""
    sources: list[SourceConnector] = [
        CoinPaprika(
            http,
            api_url=settings.coinpaprika_api_url,
            coin_ids=settings.coin_ids,
            quotes=settings.coinpaprika_quotes,
            api_key=settings.coinpaprika_api_key.get_secret_value(),
            take=take,
            coins=coins,
        ),
        CoinGecko(http, api_url=settings.coingecko_api_url, coin_ids=settings.coingecko_ids),
        CsvFiles(settings.csv_dir),
        Rss(http, settings.rss_feeds, coins),
    ]
    return {str(source.name): source for source in sources}


def build_http(settings: ExtractorSettings) -> HttpClient:
    return HttpClient(
        allow_private=settings.allow_private_urls,
        attempts=settings.http_attempts,
        timeout_s=settings.http_timeout_s,
        max_bytes=settings.http_max_bytes,
    )


async def started_reader(bootstrap: str, client: str) -> AIOKafkaConsumer:
    """A consumer without a group, for one look into a topic. Raises TransientError when Kafka is away."""
    reader = clients.consumer(bootstrap, client, group=None)
    try:
        await reader.start()
    except Exception as error:
        raise TransientError(f"Kafka cannot be reached: {error!r}") from error
    return reader


async def run(settings: ExtractorSettings, health: Health, stop: asyncio.Event) -> None:
    """Wait for Kafka and the topics, then plan and work until stopped."""
    bootstrap, client = settings.kafka_bootstrap_servers, f"extractor-{os.getpid()}"
    health.set(ready=False, reason="waiting for Kafka")
    await topic_admin.wait_for_topics(bootstrap, stop)
    producer = clients.producer(bootstrap, client)
    commands = clients.consumer(bootstrap, client, group=PLANNER_GROUP, session_timeout_ms=settings.kafka_session_timeout_ms)
    tasks = clients.consumer(bootstrap, client, group=EXTRACTOR_GROUP, session_timeout_ms=settings.kafka_session_timeout_ms)
    replay_tasks = clients.consumer(bootstrap, client, group=REPLAYER_GROUP, session_timeout_ms=settings.kafka_session_timeout_ms)
    lag = LagReader(bootstrap, client)
    http = build_http(settings)
    checkpoints, stops = CheckpointStore(bootstrap, producer), Stops(bootstrap)
    budget = CallBudget(
        Source.COINPAPRIKA,
        checkpoints,
        per_second=settings.coinpaprika_calls_per_second,
        per_month=settings.coinpaprika_calls_per_month,
    )
    sources = build_sources(settings, http, budget.take, CoinList(checkpoints))
    flow = FlowControl(lag, max_waiting=settings.max_waiting_pages)
    new_reader = partial(started_reader, bootstrap, client)
    runner = TaskRunner(sources=sources, producer=producer, checkpoints=checkpoints, flow=flow, tail_reader=new_reader, stops=stops)
    archive = Archive(reader_dsn(settings.dsn()))
    republisher = Republisher(sources=sources, producer=producer, flow=flow, reader=new_reader, archive=archive)

    replayer = Replayer(producer=producer, flow=flow, reader=new_reader, archive=archive, stops=stops)
    mover = CursorMover(producer, checkpoints)

    async def work(task: Task) -> None:
        match task:
            case FetchStream():
                await runner.run(task)
            case SetCursor():
                await mover.run(task)
            case ReplayPages():
                await replayer.run(task)
            case _:
                await republisher.run(task)

    concurrency = settings.task_concurrency
    worker = TaskWorker(tasks, producer, work, topic=TASKS, group=EXTRACTOR_GROUP, concurrency=concurrency)
    replays = TaskWorker(
        replay_tasks, producer, replayer.run, topic=REPLAY_TASKS, group=REPLAYER_GROUP, concurrency=max(1, concurrency // 2)
    )
    planner = Planner(commands, producer, sources, every_s=settings.ingest_every_s)
    commands.subscribe([COMMANDS.name])
    worker.subscribe()
    replays.subscribe()
    parts = [producer, lag, checkpoints.follower, stops.follower, commands, tasks, replay_tasks]
    started: list[Any] = []
    try:
        for each in parts:
            up = await (each.start(stop) if isinstance(each, LagReader | Follower) else clients.start(each, stop, type(each).__name__))
            if not up:
                return
            started.append(each)
        log.info("ready")
        monitor = Monitor(lag, EXTRACTOR_GROUP, [TASKS], health, stuck_after_s=settings.stuck_after_s)
        watching = monitor.run(held=worker.held, is_working=lambda: worker.busy() > 0)
        replaying = Monitor(lag, REPLAYER_GROUP, [REPLAY_TASKS], Health(None), stuck_after_s=settings.stuck_after_s)
        watching_replays = replaying.run(held=replays.held, is_working=lambda: replays.busy() > 0)
        planning = Monitor(lag, PLANNER_GROUP, [COMMANDS], Health(None), stuck_after_s=settings.stuck_after_s).run(held=planner.held)
        await until_first_ends(
            planner.run(stop),
            worker.run(stop),
            replays.run(stop),
            watching,
            watching_replays,
            planning,
            flow.run(),
            checkpoints.follower.run(),
            stops.follower.run(),
        )
    finally:
        await http.close()
        for each in reversed(started):
            await (each.stop() if hasattr(each, "stop") else each.close())
