"""Lists of feeds of other readers."""

from __future__ import annotations

import pytest

from services.gateway.problems import ProblemError
from services.gateway.routes.configuration import opml

FEEDS = {"a": "https://a.example/feed?x=1&y=2", "b": "http://b.example/"}


def test_what_is_written_is_read() -> None:
    found = opml.read(opml.written(FEEDS))
    assert found == list(FEEDS.items())
    plan = opml.planned(found, {}, 10)
    assert plan.added == FEEDS


def test_folders_and_other_spellings_are_read() -> None:
    body = b"""<?xml version="1.0"?><OPML version="1.0"><body>
    <outline text="News"><outline title="Coin Desk!" xmlURL=" http://x/1 "/></outline>
    <outline text="no feed"/><outline xmlUrl="http://y/2"/></body></OPML>"""
    plan = opml.planned(opml.read(body), {"coin-desk": "http://z"}, 10)
    assert plan.added == {
        "coin-desk-2": "http://x/1",
        "http-y-2": "http://y/2",
    }


def test_each_address_counts_once_and_wrong_ones_are_said() -> None:
    found = [
        ("One", "http://x/1"),
        ("Again", "http://x/1"),
        ("Known", FEEDS["a"]),
        ("File", "file:///etc/passwd"),
        ("Long", "http://x/" + "y" * 2_000),
        ("Blank", "http://a b"),
        ("Two", "http://x/2"),
    ]
    plan = opml.planned(found, FEEDS, 3)
    assert plan.added == {"one": "http://x/1"}
    assert plan.known == ["one", "a"]
    said = " ".join(plan.refused)
    for name in ("File", "Long", "Blank", "Two: there are 3"):
        assert name in said


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no xml",
        b"<html/>",
        b"<opml><body/></opml>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><opml><outline xmlUrl="&a;"/></opml>',
        b"<opml>" + b'<outline xmlUrl="http://x/"/>' * 501 + b"</opml>",
        b"\xff\xfe",
        b'<?xml version="1.0" encoding="rot13"?><x/>',
        b'<?xml version="1.0" encoding="hex"?><x/>',
    ],
)
def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(ProblemError) as error:
        opml.read(body)
    assert error.value.status == 422
