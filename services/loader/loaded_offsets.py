"""How far each partition was loaded, kept in PostgreSQL too: a topic that is deleted takes its committed offsets along."""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka import TopicPartition
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.dialects.postgresql import insert

from shared.tables import loader_positions


def remember(transaction: Connection, offsets: Mapping[TopicPartition, int]) -> None:
    """Keep the offsets that are read next."""
    rows = [{"topic": at.topic, "partition": at.partition, "offset": offset} for at, offset in sorted(offsets.items())]
    if rows:
        new = insert(loader_positions).values(rows)
        values = {"offset": new.excluded.offset, "updated_at": func.clock_timestamp()}
        transaction.execute(new.on_conflict_do_update(index_elements=["topic", "partition"], set_=values))


def position(engine: Engine, partition: TopicPartition) -> int | None:
    """The remembered offset, None for a partition that was never loaded from."""
    at = (loader_positions.c.topic == partition.topic) & (loader_positions.c.partition == partition.partition)
    with engine.connect() as connection:
        return connection.execute(select(loader_positions.c.offset).where(at)).scalar_one_or_none()
