"""Entries of feeds become news."""

from __future__ import annotations

from typing import Any

from services.normalizer.mapping.page import map_page
from services.normalizer.mapping.text import plain_text
from tests.support.pages import raw_page


def news(**entry: Any) -> Any:
    return map_page(
        raw_page(
            [
                {
                    "key": "k",
                    "title": "Bitcoin surges",
                    "published": "2026-01-01T00:00:00Z",
                    **entry,
                }
            ],
            stream="rss/x",
            context={},
        )
    )


def test_news_have_plain_text_safe_links_and_the_coins_they_name() -> (
    None
):
    (point,) = news(
        title="Bitcoin &amp; <b>Ethereum</b>",
        summary="<p>Text</p><script>x()</script>",
        link="javascript:alert(1)",
        links=[{"href": "https://a.example/1"}],
    ).points.rows()
    assert (point.title, point.summary, point.url, point.symbols) == (
        "Bitcoin & Ethereum",
        "Text",
        "https://a.example/1",
        ["btc", "eth"],
    )


def test_news_without_a_date_take_the_time_of_the_fetch_and_say_so() -> (
    None
):
    (point,) = news(published=None).points.rows()
    assert (point.timestamp, point.attributes["dated_by"]) == (
        "2026-01-15T12:00:00Z",
        "fetched",
    )


def test_an_empty_entry_is_rejected() -> None:
    assert [r.reason for r in news(title=" ").rejected] == ["empty_entry"]


def test_double_escaped_entities_become_text() -> None:
    assert (
        plain_text("Trump&amp;#039;s <em>plan</em>", 100)
        == "Trump's plan"
    )


def test_markup_that_ends_nowhere_is_text() -> None:
    (point,) = news(title="What <![X[ means").points.rows()
    assert "means" in (point.title or "")
