"""How far partitions were loaded, as PostgreSQL keeps it."""

from __future__ import annotations

from aiokafka import TopicPartition
from sqlalchemy import Engine

from services.loader import loaded_offsets
from shared.kafka.witness import Position

AT = TopicPartition("ingest.unified", 3)


def test_a_place_is_kept_with_the_time_of_the_record_before_it(
    engine: Engine,
) -> None:
    assert loaded_offsets.position(engine, AT) is None
    for place in (Position(7, 1_700_000_000_123), Position(5)):
        loaded_offsets.remember(engine, {AT: place})
        assert loaded_offsets.position(engine, AT) == place


def test_what_an_older_release_writes_has_no_time(
    engine: Engine,
) -> None:
    loaded_offsets.remember(engine, {AT: Position(7, 1_700)})
    with engine.begin() as transaction:
        transaction.exec_driver_sql(
            'UPDATE loader_positions SET "offset" = 9'
        )
    assert loaded_offsets.position(engine, AT) == Position(9, None)
