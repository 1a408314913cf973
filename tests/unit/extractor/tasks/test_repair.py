"""What of a range of missing pages is read again."""

from __future__ import annotations

import uuid

import pytest

from services.extractor.tasks.repair import still_missing
from shared.messages.serialization import (
    UndecodableError,
    decode,
    encode,
    raw_json,
    task_decoder,
)
from shared.messages.tasks import PageRange
from tests.support.pages import raw_page

RUN = str(uuid.uuid4())


def test_a_rest_is_read_from_after_the_page_before_it() -> None:
    found = {
        2: raw_page(page_no=2, cursor_after=raw_json({"offset": 2})),
        5: raw_page(page_no=5, cursor_after=raw_json({"offset": 5})),
    }
    rest = still_missing(
        [
            PageRange(first=1, last=3, cursor="1"),
            PageRange(first=5, last=7, cursor="2", offset=9),
        ],
        found,
    )
    assert [
        (each.first, each.last, each.cursor, each.offset) for each in rest
    ] == [
        (1, 1, "1", None),
        (3, 3, '{"offset":2}', None),
        (6, 7, '{"offset":5}', 9),
    ]
    assert (
        still_missing([PageRange(first=2, last=2, cursor="1")], found)
        == []
    )


def test_a_range_that_ends_before_it_begins_is_no_task() -> None:
    """It would lift the bound on how many pages are repaired at a time."""
    task = {
        "type": "RepairPages",
        "run_id": RUN,
        "task_id": RUN,
        "source": "csv",
        "stream": "csv/a.csv",
        "since_ms": 0,
        "missing": [{"first": 9_000_000, "last": 0, "cursor": None}],
    }
    with pytest.raises(UndecodableError, match="before it begins"):
        decode(task_decoder, encode(task))
