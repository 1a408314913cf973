"""Feeds as they are: dates in words of any language, shared guids, no encoding, broken XML."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from embedded.settings import ROOT
from services.normalizer.mapping.page import map_page
from shared.errors import BadValueError
from shared.messages.points import UnifiedData
from shared.values.times import timestamp
from tests.support.pages import raw_page
from tests.unit.extractor.sources.test_feeds import (
    FixedHttp,
    answer,
    read,
)

FETCHED = "2026-01-15T12:00:00Z"
CASES = ROOT.parent / "shared/realdata/feeds/feedparser_date_cases.json"
# Of a time without its day, century or zone, what feedparser takes for granted.
GUESSED = frozenset(
    [
        "-0312",
        "031231",
        "03-12-31",
        "-03-12",
        "03335",
        "2003-012-31T10:14:55+00:00",
        "2004-05-25 오후 11:23:17",
        "2004년 05월 28일  01:31:15",
        "Thu, 01 Jan 0100 00:00:01 +0100",
        "2003-12",
        "2003",
    ]
)


def feed(*items: str) -> bytes:
    inner = "".join(f"<item>{item}</item>" for item in items)
    return f'<rss version="2.0"><channel><title>Desk</title>{inner}</channel></rss>'.encode()


def news(
    body: bytes, cursor: Any = None, kind: str = "application/rss+xml"
) -> tuple[list[UnifiedData], list[str], Any]:
    """(data points, notes, the cursor afterwards)."""
    points: list[UnifiedData] = []
    notes = []
    slices = read(
        FixedHttp(answer(body, **{"content-type": kind})), cursor
    )
    for piece in slices:
        notes += [piece.note] if piece.note else []
        page = raw_page(
            piece.records, stream="rss/desk", context=piece.context
        )
        points += map_page(page).points.rows() if piece.records else []
    return points, notes, slices[-1].cursor_after


def only(body: bytes, kind: str = "application/rss+xml") -> UnifiedData:
    (point,), _, _ = news(body, kind=kind)
    return point


# -- dates ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023/3/7 18:05:00", "2023-03-07T18:05:00Z"),
        ("2023/03/07 18:05", "2023-03-07T18:05:00Z"),
        ("2023年3月7日 18:05", "2023-03-07T18:05:00Z"),
        ("2023年12月06日 下午6:05", "2023-12-06T18:05:00Z"),
        ("2023.03.07 18:05:00", "2023-03-07T18:05:00Z"),
        ("07.03.2023 18:05", "2023-03-07T18:05:00Z"),
        ("Tue, 07 Mar 2023 06:05:00 PM", "2023-03-07T18:05:00Z"),
        ("March 7, 2023 6:05 PM", "2023-03-07T18:05:00Z"),
        ("Mon Mar  6 18:05:00 2023", "2023-03-06T18:05:00Z"),
        ("1678212300", "2023-03-07T18:05:00Z"),
        ("mar., 07 mars 2023 18:05:00 +0100", "2023-03-07T17:05:00Z"),
        ("Di, 07 Mrz 2023 18:05:00 +0100", "2023-03-07T17:05:00Z"),
        ("mar, 16 nov 2022 00:38:15 +0100", "2022-11-15T23:38:15Z"),
        ("mié, 06 dic 2023 10:00:00 GMT", "2023-12-06T10:00:00Z"),
        ("qua, 06 dez 2023 10:00:00 -0300", "2023-12-06T13:00:00Z"),
        ("wo, 06 dec 2023 10:00", "2023-12-06T10:00:00Z"),
        ("śr, 06 gru 2023 10:00", "2023-12-06T10:00:00Z"),
        ("ons, 06 dec 2023 10:00", "2023-12-06T10:00:00Z"),
        ("Çar, 06 Ara 2023 10:00", "2023-12-06T10:00:00Z"),
        ("ср, 06 дек 2023 10:00:00 +0300", "2023-12-06T07:00:00Z"),
        ("6 декабря 2023, 10:00", "2023-12-06T10:00:00Z"),
        ("2023년 12월 6일 10:00", "2023-12-06T10:00:00Z"),
        ("Wed, 06 Dec 2023 10:00:00 CET", "2023-12-06T09:00:00Z"),
        ("Wed, 06 Jul 2022 10:00:00 CEST", "2022-07-06T08:00:00Z"),
        ("Wed, 06 Jul 2022 10:00:00 BST", "2022-07-06T09:00:00Z"),
        ("Wed, 06 Dec 2023 10:00:00 JST", "2023-12-06T01:00:00Z"),
        ("Wed, 06 Dec 2023 10:00:00 MSK", "2023-12-06T07:00:00Z"),
        ("Wed, 06 Dec 2023 10:00:00 CST", "2023-12-06T16:00:00Z"),
        ("Wed, 06 Dec 2023 10:00:00 ET", "2023-12-06T15:00:00Z"),
        ("Wed, 06 Dec 2023 10:00:00 UTC+8", "2023-12-06T02:00:00Z"),
        ("2023-03-07T18:05:00 PST", "2023-03-08T02:05:00Z"),
    ],
)
def test_a_date_is_read_from_its_text(text: str, expected: str) -> None:
    point = only(feed(f"<title>t</title><pubDate>{text}</pubDate>"))
    assert point.attributes is not None
    assert point.timestamp == expected
    assert point.attributes["dated_by"] == "published"


@pytest.mark.parametrize(
    "text", ["07-03-2023 18:05:00", "12/06/2023 10:00 AM", "last Tuesday"]
)
def test_a_date_that_is_not_understood_is_marked_and_kept(
    text: str,
) -> None:
    point = only(feed(f"<title>t</title><pubDate>{text}</pubDate>"))
    assert point.attributes is not None
    assert point.timestamp == FETCHED
    assert point.attributes["dated_by"] == "unreadable_date"
    assert point.attributes["date_text"] == text


@pytest.mark.skipif(not CASES.exists(), reason="real data are not here")
def test_dates_are_what_feedparser_says_they_are_or_refused() -> None:
    for case in json.loads(CASES.read_text()):
        expected = case["expected_utc_struct"]
        try:
            found = timestamp("date", case["input"])
        except BadValueError:
            assert expected is None or case["input"] in GUESSED, case
            continue
        if case["input"] not in GUESSED:
            assert expected is not None, case
            moment = datetime(*expected[:6])
            assert found.replace(microsecond=0) == moment, case


def test_another_fetch_of_undated_news_changes_nothing() -> None:
    body = feed("<title>t</title><link>https://a.example/1</link>")
    slices = read(FixedHttp(answer(body)))
    hashes = set()
    for fetched_at in (
        "2026-01-15T12:00:00+00:00",
        "2026-02-01T00:00:00Z",
    ):
        page = raw_page(
            slices[0].records, stream="rss/desk", fetched_at=fetched_at
        )
        (point,) = map_page(page).points.rows()
        hashes.add(point.value_hash)
    assert len(hashes) == 1


# -- identity -------------------------------------------------------------------------------------


def item(n: int, *, guid: str = "g", title: str = "") -> str:
    return (
        f"<title>{title or f'Story {n}'}</title><link>https://a.example/{n}</link>"
        f'<guid isPermaLink="false">{guid}</guid>'
    )


def test_entries_that_share_a_guid_stay_apart_also_later() -> None:
    first, _, cursor = news(feed(item(2), item(1), item(0)))
    assert len(first) == 3
    second, _, cursor = news(feed(item(3), item(2), item(1)), cursor)
    assert [point.title for point in second] == ["Story 3"]
    third, _, _ = news(feed(item(3)), cursor)
    assert third == []


def test_the_first_of_entries_that_come_to_share_a_guid_stays_itself() -> (
    None
):
    (one,), _, cursor = news(feed(item(0)))
    (other,), _, cursor = news(feed(item(1), item(0)), cursor)
    assert one.id != other.id
    assert news(feed(item(1), item(0)), cursor)[0] == []


@pytest.mark.parametrize(
    "items",
    [
        [
            f"<link>https://a.example/</link><title>{n}</title>"
            for n in "abc"
        ],
        [f"<description>Story number {n}</description>" for n in "abc"],
        [
            f"<title>Daily note</title><description>{n}</description>"
            for n in "abc"
        ],
        [
            f"<guid>g</guid><title>Daily note</title><description>{n}</description>"
            for n in "abc"
        ],
    ],
)
def test_what_else_tells_entries_apart(items: list[str]) -> None:
    first, notes, cursor = news(feed(*items))
    assert (len({point.id for point in first}), notes) == (3, [])
    assert news(feed(*items), cursor)[0] == []


def test_entries_that_are_one_are_counted_and_named() -> None:
    points, notes, _ = news(feed(item(1), item(1), item(2)))
    assert len(points) == 2
    assert "left out: 1 ('Story 1')" in notes[0]


def test_an_atom_id_and_a_json_id_may_be_shared_too() -> None:
    atom = "".join(
        f"<entry><id>urn:k</id><title>{n}</title>"
        f"<link href='https://a.example/{n}'/></entry>"
        for n in range(4)
    )
    body = f"<feed xmlns='http://www.w3.org/2005/Atom'>{atom}</feed>"
    assert len(news(body.encode())[0]) == 4
    items = [
        {"id": "1", "url": f"https://a.example/{n}", "title": str(n)}
        for n in range(4)
    ]
    document = {
        "version": "https://jsonfeed.org/version/1.1",
        "items": items,
    }
    assert len(news(json.dumps(document).encode())[0]) == 4


@pytest.mark.parametrize(
    ("guid", "url"),
    [
        ('<guid isPermaLink="false">https://a.example/1</guid>', None),
        ("<guid>g1</guid>", None),
        ("<guid>https://a.example/1</guid>", "https://a.example/1"),
        (
            "<guid><![CDATA[https://a.example/?a=1&b=2]]></guid>",
            "https://a.example/?a=1&b=2",
        ),
        (
            "<guid>https://a.example/?a=1&amp;b=2</guid>",
            "https://a.example/?a=1&b=2",
        ),
    ],
)
def test_a_guid_is_a_link_only_where_it_says_so(
    guid: str, url: str | None
) -> None:
    assert only(feed(f"<title>t</title>{guid}")).url == url


# -- encodings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "title"),
    [
        ("koi8-r", "Биткоин обновил исторический максимум"),
        ("cp1251", "Эфириум подешевел на фоне распродажи"),
        ("gb18030", "比特币突破历史新高，市场情绪高涨"),
        ("shift_jis", "ビットコインが最高値を更新した"),
        ("euc_jp", "イーサリアムの価格が急落している"),
        ("euc_kr", "비트코인 하루 만에 급등"),
        ("cp1252", "Börse: Bitcoin über 60.000 €"),
        ("utf-8", "Börse: Bitcoin über 60.000 €"),
    ],
)
def test_a_feed_without_an_encoding_is_read_by_its_letters(
    encoding: str, title: str
) -> None:
    body = feed(f"<title>{title}</title>").decode().encode(encoding)
    assert only(body).title == title


def test_a_language_tells_the_latin_encodings_apart() -> None:
    body = feed("<title>Bitcoin bije rekordy, źródło</title>").decode()
    body = body.replace(
        "<title>Desk", "<language>pl</language><title>Desk"
    )
    assert (
        only(body.encode("cp1250")).title
        == "Bitcoin bije rekordy, źródło"
    )


@pytest.mark.parametrize(
    "encoding",
    [
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "utf-32",
        "utf-32-le",
        "utf-32-be",
    ],
)
def test_a_mark_or_the_first_signs_beat_the_type(encoding: str) -> None:
    text = feed("<title>Bitcoin above 70,000</title>").decode()
    assert only(text.encode(encoding), "text/xml").title is not None


# -- what is said ---------------------------------------------------------------------------------


def test_broken_xml_is_said_with_what_could_be_read() -> None:
    body = feed("<title>Salt & pepper</title>", "<title>Second</title>")
    points, notes, _ = news(body)
    assert len(points) == 2
    assert "is broken" in notes[0]
    assert "2 entries could be read" in notes[0]


def test_a_feed_without_entries_says_so() -> None:
    assert news(feed())[1] == ["the feed has no entries"]


def test_markup_that_was_escaped_twice_is_markup() -> None:
    point = only(
        feed(
            "<title>&amp;lt;b&amp;gt;Bitcoin&amp;lt;/b&amp;gt; rises</title>"
            "<description>&amp;lt;p&amp;gt;Up &amp;lt;b&amp;gt;5%&amp;lt;/b&amp;gt;"
            "&amp;lt;/p&amp;gt;</description>"
        )
    )
    assert (point.title, point.summary) == ("Bitcoin rises", "Up 5%")
    words = only(
        feed("<title>Why &amp;lt;blink&amp;gt; was removed</title>")
    )
    assert words.title == "Why <blink> was removed"


def test_a_date_in_the_future_is_not_sent_back() -> None:
    late = "Thu, 07 Jan 2044 10:00:00 GMT"
    body = feed("<title>t</title>")
    first = read(FixedHttp(answer(body, **{"last-modified": late})))
    assert "last-modified" not in first[-1].cursor_after


# -- encodings and markup that are not what they say -----------------------------------------------

RUSSIAN = "Биткоин обновил исторический максимум на торгах"


def declared(encoding: str, *titles: str, language: str = "") -> str:
    items = "".join(
        f"<item><title>{title}</title><link>https://e/{number}</link></item>"
        for number, title in enumerate(titles)
    )
    head = f'<?xml version="1.0" encoding="{encoding}"?><rss version="2.0"><channel>'
    return f"{head}{language}{items}</channel></rss>"


def titles_of(body: bytes) -> tuple[list[str | None], list[str]]:
    points, notes, _ = news(body, kind="application/xml")
    return sorted(point.title or "" for point in points), notes


def test_a_broken_byte_costs_its_letter_and_not_the_feed() -> None:
    text = declared("UTF-8", RUSSIAN, "caf#")
    titles, notes = titles_of(text.encode().replace(b"caf#", b"caf\xe9"))
    assert titles == ["caf\ufffd", RUSSIAN]
    assert "1 broken bytes" in notes[0]


def test_a_feed_that_is_not_in_what_it_names_is_read_as_what_it_is() -> (
    None
):
    text = declared("utf-8", RUSSIAN, language="<language>ru</language>")
    titles, notes = titles_of(text.encode("cp1251"))
    assert titles == [RUSSIAN]
    assert notes == [
        "the feed says utf-8 and is not in it: read as cp1251"
    ]


@pytest.mark.parametrize("title", ["Börse", "Börsen"])
def test_single_bytes_are_not_utf_16(title: str) -> None:
    titles, _ = titles_of(declared("utf-16", title).encode())
    assert titles == [title]


def test_a_declaration_behind_white_space_counts() -> None:
    text = "\n" + declared("windows-1251", RUSSIAN)
    titles, _ = titles_of(text.encode("cp1251"))
    assert titles == [RUSSIAN]


@pytest.mark.parametrize(
    "title", ["Bitcoin über 60.000", "It’s time to buy", "El Niño"]
)
def test_single_letters_of_latin_scripts_are_not_chinese(
    title: str,
) -> None:
    text = feed(f"<title>{title}</title>").decode()
    titles, _ = titles_of(text.encode("cp1252"))
    assert titles == [title]


@pytest.mark.parametrize(
    ("markup", "title"),
    [
        ("S&P 500", "S&P 500"),
        ("Q&A R&D", "Q&A R&D"),
        ("AT&amp;T", "AT&T"),
        ("Vec&lt;u8&gt; and &lt;K, V&gt;", "Vec<u8> and <K, V>"),
        ("Mail &lt;a@b.com&gt;", "Mail <a@b.com>"),
        ("&lt;b&gt;bold&lt;/b&gt; text", "bold text"),
    ],
)
def test_signs_of_markup_that_are_text(markup: str, title: str) -> None:
    assert only(feed(f"<title>{markup}</title>")).title == title


@pytest.mark.parametrize(
    ("link", "url"),
    [
        (
            "https://e/?id=7&copy=3&lang=en",
            "https://e/?id=7&copy=3&lang=en",
        ),
        ("https://e/a b", "https://e/a%20b"),
        (f"https://e/{'a' * 3000}", None),
    ],
)
def test_a_link_is_kept_as_it_is_or_not_at_all(
    link: str, url: str | None
) -> None:
    item = f"<title>Title</title><link>{link}</link>"
    assert only(feed(item)).url == url


def test_entries_without_any_name_stay_apart_between_fetches() -> None:
    first, _, cursor = news(feed("<description>story 1</description>"))
    second, _, _ = news(
        feed("<description>story 2</description>"), cursor
    )
    assert first[0].id != second[0].id


def test_half_a_letter_does_not_cost_a_json_feed() -> None:
    body = (
        b'{"version": "https://jsonfeed.org/version/1", "title": "Desk", "items": ['
        b'{"id": "1", "title": "Up \\ud83d", "date_published": 1701856800.0}]}'
    )
    points, _, _ = news(body, kind="application/feed+json")
    assert points[0].title == "Up \ufffd"
    assert points[0].timestamp == "2023-12-06T10:00:00Z"
