"""How far each partition was loaded, kept in PostgreSQL too.

A topic that is deleted takes its committed offsets along.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka import TopicPartition
from sqlalchemy import Engine, case, func, select
from sqlalchemy.dialects.postgresql import insert

from shared.kafka.witness import Position
from shared.tables import loader_positions

_columns = loader_positions.c
_TIME = case(
    (_columns.timed_offset == _columns.offset, _columns.time_ms),
    else_=None,
)


def remember(
    engine: Engine, positions: Mapping[TopicPartition, Position]
) -> None:
    """Keep where each is read next. Raises DATABASE_UNAVAILABLE."""
    rows = [
        {
            "topic": at.topic,
            "partition": at.partition,
            "offset": each.offset,
            "time_ms": each.time_ms,
            "timed_offset": each.offset,
        }
        for at, each in sorted(positions.items())
    ]
    if not rows:
        return
    new = insert(loader_positions).values(rows)
    values = {
        "offset": new.excluded.offset,
        "time_ms": new.excluded.time_ms,
        "timed_offset": new.excluded.timed_offset,
        "updated_at": func.clock_timestamp(),
    }
    key = ["topic", "partition"]
    kept = new.on_conflict_do_update(index_elements=key, set_=values)
    with engine.begin() as transaction:
        transaction.execute(kept)


def position(
    engine: Engine, partition: TopicPartition
) -> Position | None:
    """Where it is read next, None for a partition that was never loaded from."""
    query = select(_columns.offset, _TIME).where(
        _columns.topic == partition.topic,
        _columns.partition == partition.partition,
    )
    with engine.connect() as connection:
        found = connection.execute(query).one_or_none()
    return None if found is None else Position(*found)
