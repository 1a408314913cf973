"""Feeds: what is an entry, what is new, what is not a feed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from embedded.settings import ROOT
from services.extractor.settings import Feed
from services.extractor.sources.answer import Answer
from services.extractor.sources.base import Slice, StreamInfo
from services.extractor.sources.feeds.parse import parse_feed
from services.extractor.sources.feeds.source import Rss
from services.extractor.sources.feeds.tracking import untracked
from services.normalizer.mapping.page import map_page
from shared.errors import TaskError
from shared.messages.serialization import encode
from tests.simulator.server import entry, rss
from tests.support.pages import raw_page

REAL = ROOT.parent / "shared" / "realdata" / "feeds"


def answer(body: bytes, **headers: str) -> Answer:
    return Answer(
        "https://news.example/feed",
        200,
        httpx.Headers({"content-type": "application/rss+xml", **headers}),
        body,
    )


class FixedHttp:
    """Answers with what it was given, in order; remembers the headers it was sent."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.sent = list(answers), []  # type: ignore[var-annotated]

    async def get(
        self,
        _url: str,
        *,
        headers: dict[str, str] | None = None,
        accept: str = "",
        max_bytes: int | None = None,
    ) -> Answer:
        self.sent.append(headers)
        return self.answers.pop(0)


def read(http: Any, cursor: Any = None) -> list[Slice]:
    async def collect() -> list[Slice]:
        return [
            piece
            async for piece in Rss(
                http, [Feed(name="desk", url="https://news.example/feed")]
            ).fetch(StreamInfo("rss/desk", "desk"), cursor)
        ]

    return asyncio.run(collect())


def test_only_new_or_changed_entries_come_again() -> None:
    first = read(FixedHttp(answer(rss([entry(1), entry(2)]), etag='"a"')))
    assert [record["title"] for record in first[0].records] == [
        "Bitcoin rises, part 2",
        "Bitcoin rises, part 1",
    ]  # oldest first
    http = FixedHttp(
        answer(rss([entry(3), entry(1, "changed"), entry(2)]))
    )
    second = read(http, first[-1].cursor_after)
    assert http.sent == [{"if-none-match": '"a"'}]
    assert [record["title"] for record in second[0].records] == [
        "changed",
        "Bitcoin rises, part 3",
    ]
    third = read(
        FixedHttp(answer(rss([entry(3), entry(1, "changed"), entry(2)]))),
        second[-1].cursor_after,
    )
    assert (third[0].records, third[0].note) == (
        [],
        "the feed has no new entries",
    )


def test_two_entries_of_one_identity_do_not_chase_each_other() -> None:
    body = rss([entry(1, "newer"), entry(1, "older")])
    first = read(FixedHttp(answer(body)))
    assert [record["title"] for record in first[0].records] == [
        "older",
        "newer",
    ]
    assert (
        read(FixedHttp(answer(body)), first[-1].cursor_after)[0].records
        == []
    )


def test_validators_are_kept_only_with_the_last_page() -> None:
    slices = read(
        FixedHttp(
            answer(rss([entry(n) for n in range(1100)]), etag='"a"')
        )
    )
    first, last = slices
    assert len(first.records) + len(last.records) == 1100
    assert ["etag" in piece.cursor_after for piece in slices] == [
        False,
        True,
    ]
    assert sum(
        len(piece.records)
        for piece in read(
            FixedHttp(answer(rss([entry(n) for n in range(1100)]))),
            first.cursor_after,
        )
    ) == len(last.records)


def test_an_answer_that_breaks_off_keeps_no_validators() -> None:
    whole = rss([entry(n) for n in range(4)])
    cut = whole[: whole.rfind(b"<item>")]
    known = {"etag": '"old"'}
    *_, piece = read(FixedHttp(answer(cut, etag='"a"')), known)
    assert len(piece.records) == 3
    assert "etag" not in piece.cursor_after
    http = FixedHttp(answer(whole, etag='"a"'))
    *_, piece = read(http, piece.cursor_after)
    assert http.sent == [{}]
    assert (len(piece.records), piece.cursor_after["etag"]) == (1, '"a"')


@pytest.mark.parametrize("etag", ['"\u00e9"', "a\nb", "\xff\xfe\x01", 5])
def test_a_validator_that_no_header_may_hold_is_not_sent(
    etag: Any,
) -> None:
    http = FixedHttp(answer(rss([entry(1)])))
    read(http, {"etag": etag, "last-modified": "yesterday"})
    assert http.sent == [{"if-modified-since": "yesterday"}]


def test_half_a_character_does_not_hold_up_the_other_entries() -> None:
    body = rss([entry(1), entry(2)]).replace(
        b"<title>", b"<title>\0&#xD800;&#xDFFF;", 2
    )
    link = b"<link>https://news.example/&#xDFFF;"
    (piece,) = (
        piece
        for piece in read(
            FixedHttp(answer(body.replace(b"<link>", link)))
        )
        if piece.records
    )
    assert len(piece.records) == 2
    assert b"\xef\xbf\xbd" in encode(piece.records)


def test_what_the_parser_breaks_down_over_is_no_feed() -> None:
    body = rss([entry(1)]).replace(
        b"<title>", b"<title>" + b"\0" * 101 + b"&#xD800;"
    )
    with pytest.raises(
        TaskError, match="feedparser breaks down"
    ) as caught:
        read(FixedHttp(answer(body)))
    assert caught.value.code == "not_a_feed"


def test_of_a_cursor_that_is_set_the_address_does_not_count() -> None:
    feeds = [Feed(name="desk", url="https://news.example/feed")]
    moved = {"from": feeds[0].url, "to": "https://mine.example/"}
    given = {"seen": 5, "shared": [{}, "a"], "moved": moved, "etag": "a"}
    kept = Rss(FixedHttp(), feeds).cursor_to_keep(given)  # type: ignore[arg-type]
    assert (kept["seen"], kept["shared"]) == ({}, ["a"])
    assert (kept["moved"], kept["etag"]) == (None, "a")


def test_an_entry_cannot_name_its_own_key() -> None:
    body = rss([entry(1)]).replace(b"<item>", b"<item><key>mine</key>")
    assert read(FixedHttp(answer(body)))[0].records[0]["key"] != "mine"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html><title>Just a moment</title></html>", "not a feed"),
        (b"", "0 bytes"),
        (b'{"error": "x"}', "not a feed"),
        (b"\x1f\x8b\x00garbage", "not a feed"),
    ],
)
def test_what_is_no_feed_is_said(body: bytes, said: str) -> None:
    with pytest.raises(TaskError, match=said) as caught:
        parse_feed(answer(body))
    assert caught.value.code == "not_a_feed"


def test_a_feed_of_too_many_entries_is_refused() -> None:
    with pytest.raises(TaskError, match="5001 entries"):
        parse_feed(answer(rss([entry(n) for n in range(5001)])))


@pytest.mark.realdata
@pytest.mark.skipif(
    not REAL.exists(), reason="../shared/realdata is not there"
)
@pytest.mark.parametrize(
    "path",
    (
        sorted(
            [
                *REAL.glob("crypto/*"),
                *REAL.glob("real/*"),
                *REAL.glob("weird/**/*.xml"),
            ]
        )
        if REAL.exists()
        else []
    ),
    ids=lambda path: path.name,
)
def test_real_and_weird_feeds_become_news_or_a_clear_error(
    path: Path,
) -> None:
    try:
        slices = read(
            FixedHttp(
                answer(
                    path.read_bytes(),
                    **{"content-type": "application/xml"},
                )
            )
        )
    except TaskError as error:
        assert error.code in ("not_a_feed", "unsafe_xml")  # noqa: PT017  either outcome is right, but nothing else
        assert "crypto" not in path.parts, "a crypto feed must be read"
        return
    for piece in slices:
        mapped = map_page(
            raw_page(
                piece.records, stream="rss/desk", context=piece.context
            )
        )
        assert len(mapped.points.rows()) + len(mapped.rejected) == len(
            piece.records
        )
        assert {r.reason for r in mapped.rejected} <= {"empty_entry"}
        assert encode(mapped.points.rows())
        assert all(
            (event.url or "http").startswith("http")
            for event in mapped.points.rows()
        )


JSON_FEED = b"""{"version": "https://jsonfeed.org/version/1.1", "title": "A feed", "items": [
 {"id": "2", "url": "https://news.example/2", "title": "Bitcoin rises",
  "content_html": "<p>Up <b>5%</b></p>", "date_published": "2026-01-02T10:00:00+01:00",
  "tags": ["btc"], "authors": [{"name": "A. Writer"}]},
 {"id": 1, "external_url": "https://other.example/1", "content_text": "No title",
  "date_published": "yesterday"}, "nonsense"]}"""


def test_a_json_feed_is_a_feed() -> None:
    odd, piece = read(
        FixedHttp(
            answer(JSON_FEED, **{"content-type": "application/feed+json"})
        )
    )
    assert odd.note == "1 items of the feed are no objects"
    untitled, titled = map_page(
        raw_page(piece.records, stream="rss/desk", context=piece.context)
    ).points.rows()
    assert (
        titled.title,
        titled.summary,
        titled.url,
        titled.timestamp,
    ) == (
        "Bitcoin rises",
        "Up 5%",
        "https://news.example/2",
        "2026-01-02T09:00:00Z",
    )
    assert (untitled.title, untitled.summary, untitled.url) == (
        None,
        "No title",
        "https://other.example/1",
    )


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"version": "1", "items": []}',
        b'{"version": "https://jsonfeed.org/version/1", "items": 3}',
        b"[1]",
        b'{"error": "x"}',
    ],
)
def test_json_that_is_no_feed_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(TaskError) as caught:
        read(FixedHttp(answer(body)))
    assert caught.value.code == "not_a_feed"


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        (
            "https://a.example/x?utm_source=rss&utm_medium=feed",
            "https://a.example/x",
        ),
        (
            "https://a.example/x?p=5&utm_campaign=y#top",
            "https://a.example/x?p=5#top",
        ),
        ("https://a.example/?p=55499", "https://a.example/?p=55499"),
        ("what? utm", "what? utm"),
        ("guid-1", "guid-1"),
    ],
)
def test_parameters_that_track_readers_are_no_part_of_an_address(
    address: str, plain: str
) -> None:
    assert untracked(address) == plain


def test_an_entry_stays_itself_when_its_tracking_parameters_change() -> (
    None
):
    def feed(source: str) -> Answer:
        return answer(
            rss(
                [
                    {
                        **entry(1),
                        "guid": f"https://a.example/1?utm_source={source}",
                        "link": f"https://a.example/1?utm_source={source}",
                    }
                ]
            )
        )

    (first,) = read(FixedHttp(feed("one")))
    (again,) = read(FixedHttp(feed("two")), first.cursor_after)
    assert not again.records
    assert "no new entries" in (again.note or "")
