"""What every source must do, tried on all four.

Two reads in sequence, an abnormal state, invalid settings, limits, resuming.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.extractor.app import build_http
from services.extractor.settings import ExtractorSettings
from services.extractor.sources.base import Slice
from services.extractor.sources.registry import SourceParts, build_sources
from services.normalizer.mapping.page import map_page
from shared.errors import TaskError
from shared.messages.base import MAX_PAGE_RECORDS, Source
from shared.messages.serialization import encode
from tests.simulator import Simulator
from tests.simulator.server import Fault, entry, rss, ticker
from tests.support.pages import raw_page

COUNT = 620  # more than a page holds


@pytest.fixture
def upstream() -> Iterator[Simulator]:
    with Simulator() as simulator:
        simulator.tickers = {
            f"c{n:03}-coin": ticker(f"c{n:03}-coin") for n in range(COUNT)
        }
        simulator.feeds = {"news": rss([entry(n) for n in range(COUNT)])}
        yield simulator


@dataclass(frozen=True)
class Subject:
    """A source, its one stream, and how its upstream breaks."""

    source: str
    settings: dict[str, Any]
    path: str | None  # of its upstream; None: a file
    rereads: bool  # whether a second read yields the records again


def subject(name: str, upstream: Simulator, folder: Path) -> Subject:
    if name == "csv":
        rows = "".join(
            f"{1_700_000_000 + n * 60},{n + 1}.5\n" for n in range(COUNT)
        )
        (folder / "btc-usd.csv").write_text("time,price\n" + rows)
    return {
        "coinpaprika": Subject(
            "coinpaprika",
            {
                "coinpaprika_api_url": f"{upstream.url}/v1",
                "coin_ids": ["*"],
            },
            "/v1/tickers",
            rereads=True,
        ),
        "coingecko": Subject(
            "coingecko",
            {
                "coingecko_api_url": f"{upstream.url}/gecko",
                "coingecko_ids": [f"c{n}" for n in range(COUNT)],
            },
            "/gecko/coins/markets",
            rereads=True,
        ),
        "csv": Subject("csv", {"csv_dir": folder}, None, rereads=False),
        "rss": Subject(
            "rss",
            {
                "rss_feeds": [
                    {"name": "news", "url": f"{upstream.url}/feeds/news"}
                ]
            },
            "/feeds/news",
            rereads=False,
        ),
    }[name]


def read(
    subject: Subject,
    cursor: Any = None,
    *,
    resumed: bool = False,
    at_most: int | None = None,
) -> list[Slice]:
    async def collect() -> list[Slice]:
        empty = {"coin_ids": [], "rss_feeds": [], "csv_dir": "/nowhere"}
        settings = ExtractorSettings(
            _env_file=None,
            allow_private_urls=True,
            http_attempts=1,
            http_max_bytes=2_000_000,
            **{**empty, **subject.settings},
        )
        http = build_http(settings)
        source = build_sources(SourceParts(settings, http))[
            subject.source
        ]
        found: list[Slice] = []
        try:
            (info,) = await source.streams()
            async for piece in source.fetch(
                info, cursor, resumed=resumed
            ):
                found.append(piece)
                if (
                    at_most
                    and len([each for each in found if each.records])
                    == at_most
                ):
                    break
        finally:
            await http.close()
        return found

    return asyncio.run(collect())


def records(slices: list[Slice]) -> list[Any]:
    return [record for piece in slices for record in piece.records]


each_source = pytest.mark.parametrize(
    "name", [str(source) for source in Source]
)


@each_source
def test_two_reads_in_sequence(
    name: str, upstream: Simulator, tmp_path: Path
) -> None:
    it = subject(name, upstream, tmp_path)
    first = read(it)
    assert len(records(first)) == COUNT
    again = read(it, first[-1].cursor_after)
    assert len(records(again)) == (COUNT if it.rereads else 0)
    assert it.rereads or any(piece.note for piece in again), (
        "that there was nothing new is said"
    )


@each_source
def test_pages_are_bounded_and_map_without_a_rejection(
    name: str, upstream: Simulator, tmp_path: Path
) -> None:
    it = subject(name, upstream, tmp_path)
    points = []
    for piece in read(it):
        assert len(piece.records) <= MAX_PAGE_RECORDS
        if piece.records:
            mapped = map_page(
                raw_page(
                    piece.records,
                    stream=f"{name}/x",
                    context=piece.context,
                )
            )
            assert not mapped.rejected
            points += mapped.points.rows()
    assert len({point.id for point in points}) == COUNT


@each_source
def test_a_task_that_was_interrupted_goes_on_where_it_stood(
    name: str, upstream: Simulator, tmp_path: Path
) -> None:
    it = subject(name, upstream, tmp_path)
    begun = read(it, at_most=1)
    rest = read(it, begun[-1].cursor_after, resumed=True)
    assert [
        encode(record) for record in [*records(begun), *records(rest)]
    ] == [encode(record) for record in records(read(it))]


@each_source
@pytest.mark.parametrize(
    "state",
    [
        17,
        "text",
        [],
        {"offset": "x", "page": 0, "seen": {}, "after": None},
    ],
)
def test_a_state_that_makes_no_sense_loses_nothing(
    name: str, state: Any, upstream: Simulator, tmp_path: Path
) -> None:
    assert (
        len(
            records(
                read(
                    subject(name, upstream, tmp_path), state, resumed=True
                )
            )
        )
        == COUNT
    )


@each_source
@pytest.mark.parametrize(
    "fault",
    [
        Fault(500),
        Fault(200, b"<html>Just a moment</html>"),
        Fault(200, b"{}"),
        Fault(200, endless=True),
    ],
)
def test_a_broken_upstream_is_an_error_with_a_name(
    name: str, fault: Fault, upstream: Simulator, tmp_path: Path
) -> None:
    it = subject(name, upstream, tmp_path)
    if it.path is None:
        (tmp_path / "btc-usd.csv").write_bytes(
            b"<html>\n<p>not found</p>\n</html>\n"
        )
    else:
        upstream.fail(it.path, fault)
    with pytest.raises(TaskError) as caught:
        read(it)
    assert caught.value.code in {
        "upstream_error",
        "contract",
        "not_a_feed",
        "limit_exceeded",
        "not_a_table",
    }


BAD: dict[str, dict[str, Any]] = {
    "coinpaprika": {"coin_ids": ["btc bitcoin"]},
    "coingecko": {"coingecko_ids": ["a/b"]},
    "csv": {"csv_dir": 5},
    "rss": {"rss_feeds": [{"name": "x", "url": "file:///etc/passwd"}]},
}


@each_source
def test_invalid_settings_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        ExtractorSettings(_env_file=None, **BAD[name])


@each_source
def test_without_settings_it_says_what_is_missing(name: str) -> None:
    settings = ExtractorSettings(
        _env_file=None,
        coin_ids=[],
        rss_feeds=[],
        csv_dir=Path("/nowhere"),
    )

    async def look() -> tuple[list[Any], str]:
        http = build_http(settings)
        source = build_sources(SourceParts(settings, http))[name]
        try:
            return await source.streams(), source.nothing_configured()
        finally:
            await http.close()

    streams, why = asyncio.run(look())
    assert streams == []
    assert any(
        variable in why
        for variable in (
            "COIN_IDS",
            "COINGECKO_IDS",
            "CSV_DIR",
            "RSS_FEEDS",
        )
    )
