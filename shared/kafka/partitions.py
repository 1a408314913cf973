"""Which partition a stream has, on every topic along its path."""

from __future__ import annotations

from aiokafka import TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from shared.messages.base import Source
from shared.messages.tasks import ReplayPages, Task
from shared.messages.topics import REPLAY_TASKS, TASKS, Topic, layout

_partitioner = DefaultPartitioner()
_SHARING = frozenset(
    str(source) for source in Source if source.shares_call_budget
)


def partition_of(stream: str, of: int | None = None) -> int:
    """The partition of a stream on every topic along its path. `of`: so many; else of the layout.

    Streams of a source with a call budget share one: the extractor that holds it counts the calls.
    """
    source = stream.partition("/")[0]
    key = source if source in _SHARING else stream
    numbers = range(of or layout.partitions)
    return int(_partitioner(key.encode(), numbers, numbers))


def partitions_of(topic: Topic) -> list[TopicPartition]:
    """Every partition of a topic."""
    return [
        TopicPartition(topic.name, number)
        for number in range(topic.partitions)
    ]


def topic_and_partition(task: Task) -> tuple[Topic, int]:
    """The topic of a task, and the partition of its stream or of the pages that it replays."""
    if isinstance(task, ReplayPages):
        return REPLAY_TASKS, task.partition
    return TASKS, partition_of(task.stream)
