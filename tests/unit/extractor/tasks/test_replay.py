"""Which raw pages a replay reads, from the topic and from the archive."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Collection
from types import SimpleNamespace
from typing import Any

import pytest

from services.extractor.archive import ArchivedPage
from services.extractor.tasks import replay
from services.extractor.tasks.replay import Progress, ReplayHandler
from shared.kafka.partitions import partition_of
from shared.messages.commands import ReplayMode, ReplayOrigin, Selection
from shared.messages.headers import BrokerPosition
from shared.messages.pages import RawPage
from shared.messages.serialization import encode
from shared.messages.tasks import ReplayPages
from tests.support.pages import raw_page

STREAM = "csv/a/btc-usd.csv"


class Archive:
    def __init__(self, pages: list[RawPage]) -> None:
        self._pages = pages

    async def pruned_before(self) -> None:
        return None

    async def count(
        self,
        _partition: int,
        _selection: Selection,
        without: Collection[str],
    ) -> int:
        return sum(page.page_id not in without for page in self._pages)

    async def pages(
        self,
        _partition: int,
        _selection: Selection,
        *,
        before: BrokerPosition | None,
        without: Collection[str] = (),
    ) -> AsyncIterator[ArchivedPage]:
        for number, page in enumerate(self._pages):
            is_before = before is None or number < before.offset
            if is_before and page.page_id not in without:
                yield found(page, number)


def found(page: RawPage, number: int) -> ArchivedPage:
    return ArchivedPage(encode(page), BrokerPosition(number, number))


@pytest.mark.parametrize(
    ("origin", "numbers"),
    [
        (ReplayOrigin.AUTO, [0, 1, 2, 3, 4]),
        (ReplayOrigin.TOPIC, [2, 3]),
        (ReplayOrigin.ARCHIVE, [0, 1, 2, 3, 4]),
    ],
)
async def test_what_a_log_has_lost_with_its_end_comes_from_the_archive(
    origin: ReplayOrigin,
    numbers: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The topic begins at page 2, and page 4 was loaded before its end was lost."""
    run_id = str(uuid.uuid4())
    pages = [
        raw_page(run_id=run_id, stream=STREAM, page_no=number)
        for number in range(5)
    ]

    async def in_topic(*_: Any) -> AsyncIterator[ArchivedPage]:
        for number in (2, 3):
            yield found(pages[number], number)

    async def first_in_topic(*_: Any) -> BrokerPosition:
        return BrokerPosition(2, 2)

    monkeypatch.setattr(replay, "first_in_topic", first_in_topic)
    monkeypatch.setattr(
        replay,
        "TopicReading",
        lambda *_: SimpleNamespace(pages=in_topic, is_cut_off=False),
    )
    nothing: Any = None
    handler = ReplayHandler(
        producer=nothing,
        backpressure=nothing,
        new_reader=nothing,
        archive=Archive(pages),  # type: ignore[arg-type]
        cancellations=nothing,
    )
    task = ReplayPages(
        run_id=run_id,
        task_id=str(uuid.uuid4()),
        source="replay",
        stream="replay/0",
        partition=partition_of(STREAM),
        selection=Selection(run_id=run_id),
        origin=origin,
        mode=ReplayMode.APPLY,
    )
    progress = Progress()
    read = []
    async for each in handler._pages(task, nothing, progress):
        page = replay.selected_page(each, task.selection)
        assert page is not None
        if page.page_id in progress.records:
            continue
        progress.records[page.page_id] = page.record_count
        read.append(page.page_no)
    assert read == numbers
    is_told = any("3 pages that were loaded" in n for n in progress.notes)
    assert is_told == (origin == ReplayOrigin.TOPIC)
