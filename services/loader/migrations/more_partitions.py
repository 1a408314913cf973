"""More partitions for the topics along the path of a page, while nothing is on its way.

A stream's partition follows from its name and the number of partitions. So all that was published
must be processed, and no service may run, before there are more; what comes then goes the new way.
Places of pages keep their order, since generation and time stand before the partition in them.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka.protocol.admin import (
    DescribeGroupsRequest_v3,
    DescribeGroupsResponse_v3,
)
from sqlalchemy import Engine, text

from shared.errors import ConfigError, TransientError
from shared.kafka import clients
from shared.kafka.lag import LagReader, total
from shared.messages.topics import (
    EXTRACTOR_GROUP,
    LOADER_GROUP,
    NORMALIZER_GROUP,
    PLANNER_GROUP,
    RAW,
    REPLAY_PAGES,
    REPLAY_TASKS,
    REPLAYER_GROUP,
    TASKS,
    UNIFIED,
    UNIFIED_REPLAY,
    Topic,
    layout,
)

# aiokafka 0.14 reads this answer as one of version 2, and breaks the connection off.
DescribeGroupsRequest_v3.RESPONSE_TYPE = DescribeGroupsResponse_v3
_READ: dict[str, tuple[Topic, ...]] = {
    PLANNER_GROUP: (),
    EXTRACTOR_GROUP: (TASKS,),
    REPLAYER_GROUP: (REPLAY_TASKS,),
    NORMALIZER_GROUP: (RAW, REPLAY_PAGES),
    LOADER_GROUP: (UNIFIED, UNIFIED_REPLAY),
}
_SELECT_OPEN = text(
    "SELECT count(*) FROM runs WHERE finished_at IS NULL AND status <> 'incomplete'"
)
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
        raise ConfigError(
            f"PARTITIONS cannot be raised while {open_runs} runs are open and {waiting} messages "
            f"wait: {_HOW}"
        )


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
    return sorted(
        name
        for answer in answers
        for name in map(_busy, answer.groups)
        if name
    )


def _busy(group: Any) -> str | None:
    _error, name, _state, _protocol_type, _protocol, members, *_ = group
    return str(name) if members else None


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
