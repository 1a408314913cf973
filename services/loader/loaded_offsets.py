"""How far each partition was loaded, kept in PostgreSQL too.

A topic that is deleted takes its committed offsets along.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka import TopicPartition
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.dialects.postgresql import insert

from shared.tables import loader_positions

_columns = loader_positions.c


def remember(
    transaction: Connection, offsets: Mapping[TopicPartition, int]
) -> None:
    """Keep the offsets that are read next."""
    rows = [
        {"topic": at.topic, "partition": at.partition, "offset": offset}
        for at, offset in sorted(offsets.items())
    ]
    if not rows:
        return
    new = insert(loader_positions).values(rows)
    values = {
        "offset": new.excluded.offset,
        "updated_at": func.clock_timestamp(),
    }
    key = ["topic", "partition"]
    transaction.execute(
        new.on_conflict_do_update(index_elements=key, set_=values)
    )


def position(engine: Engine, partition: TopicPartition) -> int | None:
    """The remembered offset, None for a partition that was never loaded from."""
    query = select(_columns.offset).where(
        _columns.topic == partition.topic,
        _columns.partition == partition.partition,
    )
    with engine.connect() as connection:
        return connection.execute(query).scalar_one_or_none()
