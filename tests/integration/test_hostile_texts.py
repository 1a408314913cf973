"""Cells and entries that attack: refused or read, and nothing else waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.extractor.sources.base import Slice, StreamInfo
from services.extractor.sources.csv_files.source import CsvFiles
from services.normalizer.mapping.confined import ConfinedMapping
from services.normalizer.mapping.page import map_page
from shared.csvfile import folder, overrides
from shared.csvfile.inspection import LIMITS, inspected
from shared.errors import TaskError
from shared.runtime.confined import Confined
from tests.support.pages import raw_page

CELLS = {
    "figures and letters": "9" * 40_000 + "zzzz",
    "figures": "9" * 120_000,
    "groups": "9,999" * 20_000 + "x",
    "groups of an exponent": "9" * 50_000 + "e",
    "blanks": " " * 100_000 + "$",
    "spaces between figures": "9 999" * 20_000,
    "signs": "$" * 100_000,
    "letters": "a" * 100_000,
    "letters and points": "a." * 50_000,
    "dates": "2024-01-" * 12_000,
    "brackets": "(" * 100_000,
    "brackets and blanks": "( " * 50_000,
    "offsets": "+00" * 30_000,
    "colons": "9:99" * 25_000,
}


@pytest.fixture(scope="module")
def confined() -> Iterator[Confined]:
    child = Confined([inspected.__module__])
    yield child
    child.close()


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("where", ["cell", "header", "date", "above"])
def test_a_long_cell_holds_up_nobody(
    name: str, where: str, tmp_path: Path, confined: Confined
) -> None:
    cell = CELLS[name]
    (tmp_path / "btc-usd.csv").write_text(
        {
            "cell": f"Date,Close\n2024-01-01,1\n2024-01-02,{cell}\n2024-01-03,2\n",
            "header": f"Date,Close,{cell}\n2024-01-01,1,2\n2024-01-02,2,3\n",
            "date": f"Date,Close\n2024-01-01,1\n{cell},1\n2024-01-03,2\n",
            "above": f"{cell}\nDate,Close\n2024-01-01,1\n2024-01-02,2\n",
        }[where]
    )
    file = folder.find(tmp_path, "btc-usd.csv")
    try:
        (found,) = confined.run(
            file.path, LIMITS, inspected, file, overrides.Overrides()
        )
    except TaskError as error:
        assert error.code in ("limit_exceeded", "not_a_table")  # noqa: PT017
    else:
        assert found["profile"] or found["refused"]
    _ingest(tmp_path, file.path)


def _ingest(root: Path, path: str) -> None:
    """As the extractor and the normalizer would: what cannot be read is a dead letter."""

    async def slices() -> list[Slice]:
        info = StreamInfo(f"csv/{path}", "x")
        return [piece async for piece in CsvFiles(root).fetch(info, None)]

    try:
        pieces = asyncio.run(slices())
    except TaskError:
        return
    for piece in pieces:
        if piece.records:
            page = raw_page(
                piece.records, stream=f"csv/{path}", context=piece.context
            )
            mapped = map_page(page)
            assert len(mapped.points.rows()) + len(mapped.rejected)


MARKUP = {
    "tags": "<a " * 26_667,
    "ends of tags": "</a " * 20_000,
    "declarations": "<!" * 40_000,
    "instructions": "<?" * 40_000,
    "comments": "<!--" * 20_000,
    "sections": "<![CDATA[" * 9_000,
    "scripts": "<script>" + "</a " * 20_000,
    "entities": "&" * 80_000,
    "nested": "<b>" * 27_000,
}


@pytest.mark.parametrize("name", MARKUP)
def test_markup_holds_up_nobody(name: str) -> None:
    child = ConfinedMapping()
    entries = [
        {
            "id": "1",
            "title": "Bitcoin rises",
            "published": "2024-01-01T00:00:00Z",
        },
        {
            "id": "2",
            "title": "Ether",
            "summary": MARKUP[name],
            "published": "2024-01-01T00:00:00Z",
        },
        {
            "id": "3",
            "title": "Solana falls",
            "published": "2024-01-01T00:00:00Z",
        },
    ]
    try:
        page = raw_page(
            entries, stream="rss/x", context={"format": "rss20"}
        )
        mapped = map_page(page, child.outcomes)
    finally:
        child.close()
    titles = {point.title for point in mapped.points.rows()}
    assert {"Bitcoin rises", "Solana falls"} <= titles
    assert all(
        each.reason == "limit_exceeded" for each in mapped.rejected
    )
    assert len(mapped.points.rows()) + len(mapped.rejected) == 3
