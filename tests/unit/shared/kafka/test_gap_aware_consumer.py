"""Gaps: what is missing, given where a group stood."""

from __future__ import annotations

import pytest
from aiokafka import TopicPartition

from shared.kafka.gap_aware_consumer import gap
from shared.messages.run_events import DataGap

WHERE = TopicPartition("ingest.unified", 3)


@pytest.mark.parametrize(
    ("position", "remembered", "begin", "end", "expected"),
    [
        (None, None, 0, 0, None),  # a new installation
        (None, None, 0, 9, None),
        (None, None, 4, 9, (0, "unknown_position")),
        (3, None, 4, 9, (3, "retention")),
        (None, 3, 4, 9, (3, "retention")),
        (
            None,
            5,
            4,
            9,
            None,
        ),  # only what the group had committed is lost: everything that is there is read again
        (12, None, 0, 9, (12, "recreated")),
        (None, 12, 0, 9, (12, "recreated")),
        (None, 9, 0, 9, None),
    ],
)
def test_what_is_missing(
    position: int | None,
    remembered: int | None,
    begin: int,
    end: int,
    expected: tuple[int, str] | None,
) -> None:
    found = gap(WHERE, position, remembered, begin, end, "loader")
    wanted = expected and DataGap(
        topic="ingest.unified",
        partition=3,
        first_missing=expected[0],
        first_available=begin,
        group="loader",
        reason=expected[1],
    )
    assert found == wanted
