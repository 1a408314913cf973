"""Reading raw pages from the topic."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from services.extractor import raw_topic
from shared.messages.commands import Selection
from shared.messages.headers import BrokerPosition

RUN = str(uuid.uuid4())


@pytest.mark.parametrize(
    ("first", "offsets", "is_cut_off"),
    [
        (5, [5, 6, 7], False),
        (5, [6, 7], True),
        (3, [5, 6, 7], True),
        (None, [5, 6, 7], False),
    ],
)
async def test_pages_that_retention_removes_while_they_are_replayed_are_noticed(
    first: int | None,
    offsets: list[int],
    is_cut_off: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Consumer:
        async def beginning_offsets(
            self, places: list[Any]
        ) -> dict[Any, int]:
            return dict.fromkeys(places, 5)

        async def end_offsets(self, places: list[Any]) -> dict[Any, int]:
            return dict.fromkeys(places, 8)

    async def between(
        _consumer: Any, _where: Any, start: int, end: int
    ) -> Any:
        assert (start, end) == (5, 8)
        for offset in offsets:
            yield type(
                "Record",
                (),
                {
                    "key": b"rss/news",
                    "value": b"{}",
                    "headers": (),
                    "offset": offset,
                    "timestamp": 0,
                },
            )

    monkeypatch.setattr(raw_topic.reading, "between", between)
    reading = raw_topic.TopicReading(
        Consumer(),
        0,
        Selection(),
        None if first is None else BrokerPosition(first, 0),
    )
    assert [
        page.position.offset async for page in reading.pages()
    ] == offsets
    assert reading.is_cut_off == is_cut_off
