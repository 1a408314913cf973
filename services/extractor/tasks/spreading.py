"""A long stream's pages go to all partitions in turn, to be processed side by side.

Only where no two of its records are of one data point, so that their order says nothing. What is
read of the stream later stands behind them all: every group of pages is published after the one
before it has arrived, and tells the time that its place is behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from services.extractor.sources.base import Slice
from shared.errors import TransientError
from shared.kafka.partitions import partitions_of
from shared.messages.checkpoints import Checkpoint
from shared.messages.pages import place_ms
from shared.messages.topics import RAW, layout

GROUP_PAGES = 4
STEP_MS = 5_000  # by which the loader keeps a clock from going back


def is_due(
    position: Checkpoint, turn: Sequence[Slice], from_page: int
) -> bool:
    """Whether a task's pages go to several partitions from this turn on.

    `from_page`: shorter tasks keep to their stream's partition; 0: all do.
    """
    return (
        are_unique(turn)
        and 0 < from_page <= position.pages
        and position.pages % GROUP_PAGES == 0
        and not position.beside
        and position.time_ms > 0
        and layout.partitions > 1
    )


def are_unique(turn: Sequence[Slice]) -> bool:
    """Whether the order of these records says nothing, so that they may lie anywhere."""
    pages = list(filter(is_page, turn))
    return bool(pages) and all(piece.is_unique for piece in pages)


def is_page(piece: Slice) -> bool:
    return bool(piece.records or piece.rejections)


def begun(position: Checkpoint, beside: dict[int, int]) -> Checkpoint:
    """The position from which on pages go to several partitions.

    Pages of before may stand a step ahead of their time, as the loader places them.
    """
    return msgspec.structs.replace(
        position,
        beside=beside,
        time_ms=position.time_ms + STEP_MS,
        has_spread=True,
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
        bears = is_page(piece)
        if bears and has_pages and next_page % GROUP_PAGES == 0:
            yield turn
            turn, has_pages = [], False
        turn.append(piece)
        has_pages |= bears
        next_page += bears
    if turn:
        yield turn


def partition_of_next(position: Checkpoint, turn: Sequence[Slice]) -> int:
    """Where the next group of pages goes."""
    home = position.raw_partition
    if not position.beside or not are_unique(turn):
        return home
    return (home + position.pages // GROUP_PAGES) % layout.partitions


def time_of_place(position: Checkpoint, told_ms: int | None) -> int:
    """The time of the place of a group that was published; 0 where the broker does not tell.

    Raises TransientError where later pages stand behind it: then the topic is asked.
    """
    if not position.has_spread:
        return told_ms or 0
    if told_ms is None:
        message = "the broker does not tell when it took the last pages"
        raise TransientError(message)
    return place_ms(told_ms, position.time_ms)


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
