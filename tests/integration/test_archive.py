"""What the archive gives back is what was published.

Page → JSONB → page is the same page, and normalizes to the same bytes.
"""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from services.extractor.archive import Archive
from services.loader.pages.staged_page import StagedPage
from services.loader.pages.transaction import write_pages
from services.normalizer.unify import unify
from shared.messages.pages import RawPage, Rejection, UnifiedPage
from shared.messages.serialization import (
    encode,
    exact_decoder,
    raw_json,
    to_python,
)
from tests.simulator.server import ticker
from tests.support.pages import candle, raw_page

TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"),
    max_size=20,
)
NUMBERS = st.one_of(
    st.integers(-(10**30), 10**30),
    st.from_regex(
        r"-?(0|[1-9][0-9]{0,12})\.[0-9]{1,12}(e[-+]?[0-9]{1,2})?",
        fullmatch=True,
    ).map(msgspec.Raw),
    st.from_regex(
        r"-?[1-9][0-9]{0,6}[eE][-+]?[0-9]{1,2}", fullmatch=True
    ).map(msgspec.Raw),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), TEXTS, NUMBERS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(TEXTS, inner, max_size=4),
    ),
    max_leaves=12,
)


def as_fetched(value: Any) -> Any:
    """As an extractor decodes what a source sent."""
    return exact_decoder.decode(msgspec.json.encode(value))


def changed(base: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A record of a source with some of its fields replaced by anything."""
    return st.dictionaries(
        st.sampled_from([*base, "unheard_of"]), VALUES, max_size=4
    ).map(lambda some: {**base, **some})


ARTICLE = {
    "guid": "g",
    "title": "Bitcoin plunges after hack",
    "summary": "Not good",
    "link": "https://news.example/1",
    "published": "2026-01-15T10:00:00Z",
}
TICKER_STREAM, FEED_STREAM, FILE_STREAM, UNKNOWN = (
    "coinpaprika/btc-bitcoin",
    "rss/news",
    "csv/sample/btc-usd.csv",
    "gopher/hole",
)
PAGES = st.one_of(
    st.tuples(
        st.just(TICKER_STREAM),
        st.lists(
            st.one_of(changed(ticker("btc-bitcoin", 1.5)), VALUES),
            min_size=1,
            max_size=3,
        ),
    ),
    st.tuples(
        st.just(FEED_STREAM),
        st.lists(
            st.one_of(changed(ARTICLE), VALUES), min_size=1, max_size=3
        ),
    ),
    st.tuples(
        st.sampled_from([UNKNOWN, "csv/without/columns.csv"]),
        st.lists(VALUES, min_size=1, max_size=3),
    ),
    st.tuples(
        st.just(FILE_STREAM),
        st.lists(
            st.one_of(st.just(candle()), st.lists(TEXTS, max_size=7)),
            min_size=1,
            max_size=3,
        ),
    ),
)


def normalized(page: RawPage) -> bytes:
    """The bytes of everything that a page yields."""
    unified: UnifiedPage = unify(
        encode(page), partition=1, offset=7, broker_ms=1_700_000_000_000
    )[1]
    return encode(msgspec.structs.replace(unified, raw=msgspec.Raw()))


async def from_archive(engine: Engine, page: RawPage) -> RawPage | None:
    unified = unify(
        encode(page), partition=1, offset=7, broker_ms=1_700_000_000_000
    )[1]
    write_pages(engine, [StagedPage.from_message(encode(unified))])
    return await Archive(
        engine.url.set(drivername="postgresql").render_as_string(
            hide_password=False
        )
    ).page(page.page_id)


@settings(
    max_examples=150,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
    ],
)
@given(
    found=PAGES,
    context=st.dictionaries(TEXTS, VALUES, max_size=3),
    rejected=TEXTS,
)
async def test_a_page_comes_back_from_the_archive_as_it_was(
    engine: Engine,
    found: tuple[str, list[Any]],
    context: dict[str, Any],
    rejected: str,
) -> None:
    stream, records = found
    usual = to_python(raw_page().context) if stream == FILE_STREAM else {}
    given = {
        **usual,
        **{
            f"more {name}": value
            for name, value in as_fetched(context).items()
        },
    }
    page = raw_page(
        as_fetched(records),
        run_id=str(uuid.uuid4()),
        stream=stream,
        context=given,
        cursor_after=raw_json(given),
        rejections=[
            Rejection(reason="too_long", message=rejected, index=9)
        ],
    )
    back = await from_archive(engine, page)
    assert back is not None
    for name in RawPage.__struct_fields__:
        mine, theirs = getattr(page, name), getattr(back, name)
        assert (
            to_python(mine) == to_python(theirs)
            if isinstance(mine, msgspec.Raw)
            else mine == theirs
        ), name
    assert normalized(back).decode() == normalized(page).decode()


async def test_a_page_that_jsonb_cannot_hold_is_not_given_back_as_another(
    engine: Engine,
) -> None:
    page = raw_page([["a\x00b"]], run_id=str(uuid.uuid4()))
    assert await from_archive(engine, page) is None
