"""More partitions for the topics along the path of a page, while nothing is on its way.

A stream's partition follows from its name and the number of partitions. So all that was published
must be processed, and no service may run, before there are more; what comes then goes the new way.
Places of pages keep their order, since generation and time stand before the partition in them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import for_code
from aiokafka.protocol.admin import (
    DescribeGroupsRequest_v3,
    DescribeGroupsResponse_v3,
)
from sqlalchemy import Engine, text

from shared.errors import ConfigError, TransientError
from shared.kafka import clients, reading
from shared.kafka.lag import LagReader, total
from shared.kafka.partitions import partitions_of
from shared.messages.topics import (
    EXTRACTOR_GROUP,
    LOADER_GROUP,
    NORMALIZER_GROUP,
    PLANNER_GROUP,
    RAW,
    REPLAY_PAGES,
    REPLAY_TASKS,
    REPLAYER_GROUP,
    SENDER_GROUP,
    SERVICES,
    TASKS,
    UNIFIED,
    UNIFIED_REPLAY,
    WATCHER_GROUP,
    Topic,
    layout,
)
from shared.monitoring import service_state

# aiokafka 0.14 reads this answer as one of version 2, and breaks the connection off.
DescribeGroupsRequest_v3.RESPONSE_TYPE = DescribeGroupsResponse_v3
SILENT_S = 3 * service_state.TOLD_EVERY_S
_READ: dict[str, tuple[Topic, ...]] = {
    PLANNER_GROUP: (),
    WATCHER_GROUP: (),
    SENDER_GROUP: (),
    EXTRACTOR_GROUP: (TASKS,),
    REPLAYER_GROUP: (REPLAY_TASKS,),
    NORMALIZER_GROUP: (RAW, REPLAY_PAGES),
    LOADER_GROUP: (UNIFIED, UNIFIED_REPLAY),
}
_SELECT_OPEN = text(
    "SELECT count(*) FROM runs WHERE finished_at IS NULL AND status <> 'incomplete'"
)
_SELECT_MOST = text("SELECT max(count) FROM partition_counts")
_INSERT_COUNT = text(
    "INSERT INTO partition_counts (count) VALUES (:count) ON CONFLICT DO NOTHING"
)
_HOW = (
    "start the services with PARTITIONS as it was, pause what is scheduled, wait until every run "
    "has ended and nothing waits (make status), stop them (make down), and set PARTITIONS then"
)


async def check_idle(bootstrap: str, engine: Engine) -> None:
    """Raise TransientError while services run, ConfigError while something is under way."""
    if running := await _running(bootstrap):
        raise TransientError(
            f"there are to be more partitions, and services run ({', '.join(running)}): stop them"
        )
    open_runs = await asyncio.to_thread(_open_runs, engine)
    waiting = await _waiting(bootstrap)
    if open_runs or waiting:
        raise _under_way(open_runs, waiting)


def _under_way(runs: int, messages: int) -> ConfigError:
    return ConfigError(
        f"PARTITIONS cannot be raised while {runs} runs are open and {messages} messages wait: "
        f"{_HOW}"
    )


def most_known(engine: Engine) -> int | None:
    """How many there have been: what was stored may lie in any of them."""
    with engine.connect() as connection:
        return connection.execute(_SELECT_MOST).scalar_one()  # type: ignore[no-any-return]


def remember(engine: Engine) -> None:
    """Note how many there are: a replay finds pages where they were then."""
    with engine.begin() as transaction:
        transaction.execute(_INSERT_COUNT, {"count": layout.partitions})


def _open_runs(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(_SELECT_OPEN).scalar_one())


async def _running(bootstrap: str) -> list[str]:
    """The groups that have members."""
    admin = clients.admin(bootstrap, "migration")
    await admin.start()
    try:
        answers = await admin.describe_consumer_groups(list(_READ))
    finally:
        await admin.close()
    names = {
        name
        for answer in answers
        for name in map(_busy, answer.groups)
        if name
    }
    if not names and await _told_lately(bootstrap):
        names.add("gateway")
    return sorted(names)


def _busy(group: Any) -> str | None:
    error, name, _state, _protocol_type, _protocol, members, *_ = group
    if error:
        raise for_code(error)(name)
    return str(name) if members else None


async def _told_lately(bootstrap: str) -> bool:
    """Whether a service has told of itself a moment ago: gateways are in no group."""
    consumer = clients.consumer(bootstrap, "migration", group=None)
    await consumer.start()
    try:
        return _is_late([each async for each in _last_told(consumer)])
    finally:
        await consumer.stop()


async def _last_told(consumer: AIOKafkaConsumer) -> AsyncIterator[int]:
    """The broker's time of the last word of a service, in milliseconds."""
    (at,) = partitions_of(SERVICES)
    begin, end = await reading.bounds(consumer, at)
    last = max(begin, end - 1)
    async for record in reading.between(consumer, at, last, end):
        yield record.timestamp


def _is_late(times_ms: list[int]) -> bool:
    return max(times_ms, default=0) > (time.time() - SILENT_S) * 1000


async def _waiting(bootstrap: str) -> int:
    reader = LagReader(bootstrap, "migration")
    await reader.start(asyncio.Event())
    try:
        return sum(
            [
                total(await reader.positions(group, *topics))
                for group, topics in _READ.items()
                if topics
            ]
        )
    finally:
        await reader.close()
