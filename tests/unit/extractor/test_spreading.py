"""Which pages of a long stream go to which partition."""

from __future__ import annotations

import random

import pytest

from services.extractor.sources.base import Slice
from services.extractor.tasks.spreading import (
    GROUP_PAGES,
    begun,
    is_due,
    partition_of_next,
    time_of_place,
    turns,
)
from shared.errors import TransientError
from shared.messages.checkpoints import Checkpoint, TaskProgress
from shared.messages.serialization import raw_json
from shared.messages.topics import layout

UNIQUE = [Slice([1], 0, is_unique=True)]


def at(
    pages: int, beside: dict[int, int] | None = None, time_ms: int = 1
) -> Checkpoint:
    return Checkpoint(
        stream="csv/a/b.csv",
        cursor=raw_json(None),
        raw_partition=1,
        raw_offset=3,
        current=TaskProgress(run_id="", task_id="", pages=pages),
        beside=beside or {},
        time_ms=time_ms,
        has_spread=beside is not None,
    )


@pytest.mark.parametrize("seed", range(20))
def test_a_page_has_one_partition_however_slices_come_together(
    seed: int,
) -> None:
    chance = random.Random(seed)
    number = chance.randrange(20)
    pieces = [
        Slice([1] if chance.random() < 0.8 else [], n)
        for n in range(chance.randrange(1, 12))
    ]
    found = list(turns(pieces, number))
    assert [piece for turn in found for piece in turn] == pieces
    for turn in found:
        pages = sum(bool(piece.records) for piece in turn)
        numbers = range(number, number + pages)
        assert len({each // GROUP_PAGES for each in numbers}) <= 1
        number += pages


def test_a_short_task_keeps_to_its_partition_and_a_long_one_goes_round() -> (
    None
):
    found = [is_due(at(pages), UNIQUE, 6) for pages in (4, 6, 7, 8)]
    assert found == [False, False, False, True]
    assert not is_due(at(8), [Slice([], 0)], 6)  # without a page
    assert not is_due(at(8), UNIQUE, 0)
    assert not is_due(at(8, {2: 0}), UNIQUE, 6)
    assert not is_due(at(8, time_ms=0), UNIQUE, 6)
    assert partition_of_next(at(8), UNIQUE) == 1
    several = {
        partition_of_next(at(pages, {2: 0}), UNIQUE)
        for pages in range(200)
    }
    assert several == set(range(layout.partitions))


def test_records_whose_order_says_something_stay_in_their_partition() -> (
    None
):
    turn = [*UNIQUE, Slice([2], 1)]
    assert not is_due(at(8), turn, 6)
    assert {
        partition_of_next(at(pages, {2: 0}), turn) for pages in range(200)
    } == {1}


def test_what_comes_later_stands_behind_all_that_was_spread() -> None:
    assert time_of_place(at(1, time_ms=50), 40) == 40
    assert time_of_place(at(1, time_ms=50), None) == 0
    spread = begun(at(8, time_ms=50), {2: 0})
    assert time_of_place(spread, 40) > 5_050
    assert time_of_place(spread, 9_000) == 9_000
    with pytest.raises(TransientError):
        time_of_place(spread, None)
