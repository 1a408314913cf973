"""What is read again comes in the order of the broker's times."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from services.loader.in_order import Merge

PAGES = TopicPartition("ingest.unified", 0)
REPLAYS = TopicPartition("ingest.unified-replay", 0)
COMMANDS = TopicPartition("ingest.commands", 0)


def records(first: int, *times: int) -> list[Any]:
    return [
        SimpleNamespace(offset=first + n, timestamp=time)
        for n, time in enumerate(times)
    ]


def drained(merge: Merge, most: int = 10) -> list[tuple[str, list[int]]]:
    """What can be taken, batch by batch."""
    found = []
    while taken := merge.take(most):
        ((at, some),) = taken.items()
        found.append((at.topic, [each.timestamp for each in some]))
    return found


def test_nothing_is_taken_while_an_older_one_may_come() -> None:
    merge = Merge()
    merge.begin({PAGES: 2, REPLAYS: 1})
    assert merge.add({REPLAYS: records(0, 30)}) == {}
    assert drained(merge) == []
    merge.add({PAGES: records(0, 10, 20)})
    assert drained(merge) == [
        ("ingest.unified", [10, 20]),
        ("ingest.unified-replay", [30]),
    ]
    assert merge.is_over


def test_a_topic_is_left_where_another_is_older() -> None:
    merge = Merge()
    merge.begin({PAGES: 3, COMMANDS: 2})
    merge.add(
        {PAGES: records(0, 10, 30, 50), COMMANDS: records(0, 20, 40)}
    )
    assert drained(merge) == [
        ("ingest.unified", [10]),
        ("ingest.commands", [20]),
        ("ingest.unified", [30]),
        ("ingest.commands", [40]),
        ("ingest.unified", [50]),
    ]


def test_what_is_not_read_again_is_not_held() -> None:
    merge = Merge()
    merge.begin({PAGES: 5})
    new = {COMMANDS: records(7, 99)}
    assert merge.add(new) == new
    assert not merge.is_over


def test_it_waits_for_the_rest_of_what_ran_empty() -> None:
    merge = Merge()
    merge.begin({PAGES: 4, REPLAYS: 1})
    merge.add({PAGES: records(0, 10, 20), REPLAYS: records(0, 25)})
    assert drained(merge) == [("ingest.unified", [10, 20])]
    assert not merge.is_over
    merge.add({PAGES: records(2, 24, 40)})
    assert drained(merge) == [
        ("ingest.unified", [24]),
        ("ingest.unified-replay", [25]),
        ("ingest.unified", [40]),
    ]
    assert merge.is_over


def test_no_more_than_asked_for_is_taken() -> None:
    merge = Merge()
    merge.begin({PAGES: 3})
    merge.add({PAGES: records(0, 1, 2, 3)})
    assert drained(merge, 2) == [
        ("ingest.unified", [1, 2]),
        ("ingest.unified", [3]),
    ]


def test_partitions_that_others_have_now_are_forgotten() -> None:
    merge = Merge()
    merge.begin({PAGES: 3, REPLAYS: 2})
    merge.add({PAGES: records(0, 1)})
    merge.forget({REPLAYS})
    assert merge.full() == set()
    merge.forget(set())
    assert merge.is_over
