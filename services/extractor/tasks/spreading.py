"""A long stream's pages go to all partitions in turn, to be processed side by side.

Every group of pages is published after the one before it has arrived, and tells the time that its
place is behind: so the order of versions does not depend on who processes a page first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from services.extractor.sources.base import Slice
from shared.errors import TransientError
from shared.kafka.partitions import partitions_of
from shared.messages.checkpoints import Checkpoint
from shared.messages.pages import place_ms
from shared.messages.topics import RAW, layout

GROUP_PAGES = 4


def is_due(position: Checkpoint, from_page: int) -> bool:
    """Whether a task's next pages go to several partitions, and did not before.

    `from_page`: shorter tasks keep to their stream's partition; 0: all do.
    """
    return (
        0 < from_page <= position.pages
        and position.pages % GROUP_PAGES == 0
        and not position.beside
        and position.time_ms > 0
        and layout.partitions > 1
    )


def turns(
    pieces: Sequence[Slice], next_page: int
) -> Iterator[list[Slice]]:
    """What is published together: pages of which the partition is the same, by their number.

    So a page that two workers publish lies twice in one partition, and never in two.
    """
    turn: list[Slice] = []
    has_pages = False
    for piece in pieces:
        is_page = bool(piece.records or piece.rejections)
        if is_page and has_pages and next_page % GROUP_PAGES == 0:
            yield turn
            turn, has_pages = [], False
        turn.append(piece)
        has_pages |= is_page
        next_page += is_page
    if turn:
        yield turn


def partition_of_next(position: Checkpoint) -> int:
    """Where the next group of pages goes."""
    home = position.raw_partition
    if not position.beside:
        return home
    return (home + position.pages // GROUP_PAGES) % layout.partitions


def time_of_place(position: Checkpoint, told_ms: int | None) -> int:
    """The time of the place of a group that was published; 0 by a broker that never tells.

    Raises TransientError where this one time nobody knows: it is read from the topic then.
    """
    if told_ms is not None:
        return place_ms(told_ms, position.time_ms)
    if position.time_ms:
        message = "the broker does not tell when it took the last pages"
        raise TransientError(message)
    return 0


async def ends_beside(
    kept: AIOKafkaConsumer, home: int
) -> dict[int, int]:
    """Where the other partitions of ingest.raw end now. Raises TransientError."""
    others = [at for at in partitions_of(RAW) if at.partition != home]
    try:
        ends = await kept.end_offsets(others)
    except (KafkaError, OSError) as error:
        message = f"the ends of {RAW.name} cannot be read: {error!r}"
        raise TransientError(message) from error
    return {at.partition: end for at, end in ends.items()}
