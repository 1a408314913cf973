"""How far each partition was loaded, kept in PostgreSQL too.

A topic that is deleted takes its committed offsets along.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka import TopicPartition
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.dialects.postgresql import insert

from shared.kafka.witness import Position
from shared.tables import loader_positions

_columns = loader_positions.c


def remember(
    transaction: Connection, positions: Mapping[TopicPartition, Position]
) -> None:
    """Keep where each is read next."""
    rows = [
        {
            "topic": at.topic,
            "partition": at.partition,
            "offset": each.offset,
            "time_ms": each.time_ms,
        }
        for at, each in sorted(positions.items())
    ]
    if not rows:
        return
    new = insert(loader_positions).values(rows)
    values = {
        "offset": new.excluded.offset,
        "time_ms": new.excluded.time_ms,
        "updated_at": func.clock_timestamp(),
    }
    key = ["topic", "partition"]
    transaction.execute(
        new.on_conflict_do_update(index_elements=key, set_=values)
    )


def position(
    engine: Engine, partition: TopicPartition
) -> Position | None:
    """Where it is read next, None for a partition that was never loaded from."""
    query = select(_columns.offset, _columns.time_ms).where(
        _columns.topic == partition.topic,
        _columns.partition == partition.partition,
    )
    with engine.connect() as connection:
        found = connection.execute(query).one_or_none()
    return None if found is None else Position(*found)
