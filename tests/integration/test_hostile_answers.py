"""Answers that attack the fetch itself: what they take is bounded, and no key is given away."""

from __future__ import annotations

import asyncio
import gzip
import resource
import zlib

import pytest
import zstandard

from services.extractor.sources.answer import Answer
from services.extractor.sources.http_client import HttpClient
from shared.errors import TaskError
from tests.integration.test_http_sources import upstream
from tests.simulator import Simulator
from tests.simulator.server import Fault

__all__ = ["upstream"]

GIGABYTE = 1 << 30
MOST_BYTES = 2_000_000


def fetched(url: str, **headers: str) -> Answer:
    async def get() -> Answer:
        http = HttpClient(
            allow_private=True,
            attempts=1,
            timeout_s=30,
            max_bytes=MOST_BYTES,
        )
        try:
            return await http.get(url, headers=headers)
        finally:
            await http.close()

    return asyncio.run(get())


def refused(url: str) -> str:
    with pytest.raises(TaskError) as caught:
        fetched(url)
    return caught.value.code


def bomb(size: int) -> bytes:
    """gzip of zeros, made without holding them."""
    packer = zlib.compressobj(9, wbits=31)
    piece = b"\0" * (1 << 20)
    parts = [packer.compress(piece) for _ in range(size >> 20)]
    return b"".join([*parts, packer.flush()])


def encoded(body: bytes, *names: str) -> Fault:
    return Fault(200, body, {"content-encoding": ", ".join(names)})


BOMB = bomb(GIGABYTE)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (encoded(BOMB, "gzip"), "limit_exceeded"),
        (encoded(gzip.compress(BOMB), "gzip", "gzip"), "contract"),
        (
            encoded(zstandard.compress(b"\0" * (64 << 20)), "zstd"),
            "contract",
        ),
        (encoded(zlib.compress(b"x"), "deflate"), "contract"),
        (encoded(b"no gzip", "gzip"), "contract"),
        (
            Fault(
                302,
                BOMB,
                {"location": "/feeds/news", "content-encoding": "gzip"},
                None,
            ),
            "redirect_loop",
        ),
        (
            Fault(
                302, b"", {"location": "/feeds/news"}, None, endless=True
            ),
            "redirect_loop",
        ),
        (Fault(500, endless=True), "upstream_error"),
    ],
    ids=[
        "a bomb",
        "twice",
        "zstd",
        "deflate",
        "no gzip",
        "a bomb that leads on",
        "endless, and leads on",
        "an endless error",
    ],
)
def test_no_answer_takes_more_than_its_bound(
    fault: Fault, code: str, upstream: Simulator
) -> None:
    upstream.fail("/feeds/news", fault)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refused(f"{upstream.url}/feeds/news") == code
    taken_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert taken_kb < 60_000


def test_several_members_of_gzip_are_one_body(
    upstream: Simulator,
) -> None:
    body = gzip.compress(b"one ") + gzip.compress(b"two")
    upstream.fail("/feeds/news", encoded(body, "gzip"))
    assert fetched(f"{upstream.url}/feeds/news").body == b"one two"


def test_keys_are_not_sent_to_another_server(upstream: Simulator) -> None:
    with Simulator() as other:
        upstream.fail(
            "/feeds/news", Fault(redirect_to=f"{other.url}/feeds/news")
        )
        fetched(
            f"{upstream.url}/feeds/news",
            **{"x-cg-demo-api-key": "secret"},
        )
        assert "secret" in str(_headers(upstream))
        assert "secret" not in str(_headers(other))


def test_keys_stay_on_the_way_within_a_server(
    upstream: Simulator,
) -> None:
    upstream.fail("/feeds/late", Fault(redirect_to="/feeds/news"))
    fetched(
        f"{upstream.url}/feeds/late", **{"x-cg-demo-api-key": "secret"}
    )
    assert str(_headers(upstream)).count("secret") == 2


def _headers(simulator: Simulator) -> list[dict[str, str]]:
    return [headers for _, headers in simulator.requests]


def test_what_an_answer_says_of_its_address_holds_no_secret(
    upstream: Simulator,
) -> None:
    url = upstream.url.replace("http://", "http://u:feedsecret@")
    answer = fetched(f"{url}/feeds/news?token=s3cr3t")
    assert "feedsecret" not in str(answer.origin())
    assert "s3cr3t" not in str(answer.origin())


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b"<rss>" + b"x" * 9_000)[:-9],
        gzip.compress(b"<rss>") + gzip.compress(b"</rss>")[:12],
    ],
    ids=["one member", "the second member"],
)
def test_a_compressed_body_that_breaks_off_is_no_answer(
    body: bytes, upstream: Simulator
) -> None:
    upstream.fail("/feeds/news", encoded(body, "gzip"))
    assert refused(f"{upstream.url}/feeds/news") == "connection_failed"


def test_keys_that_a_server_repeats_are_not_told(
    upstream: Simulator,
) -> None:
    said = b"no: /f?apikey=QUERY%2fSECRET x=1 Basic dTpTM2NyZXQ= S3cret QUERY\\/SECRET header-key"
    upstream.fail("/feeds/news", Fault(403, said))
    address = upstream.url.replace("://", "://u:S3cret@")
    with pytest.raises(TaskError) as caught:
        fetched(
            f"{address}/feeds/news?apikey=QUERY%2FSECRET&x=1",
            authorization="HEADER-KEY",
        )
    shown = caught.value.message
    assert "no: /f?apikey=*** x=1 Basic *** *** *** ***" in shown


def test_half_a_key_at_the_end_of_what_is_shown_is_hidden() -> None:
    answer = Answer(
        "",
        403,
        {},
        b"x" * 195 + b"SECRET-KEY",
        None,
        frozenset({"SECRET-KEY"}),
    )
    assert answer.shown(200) == "x" * 195 + "***"
