"""Feeds that attack.

Refused or defused within limits that the operating system enforces, and nothing is read or
fetched for them.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
from collections.abc import Iterator

import pytest

from services.extractor.sources.answer import Answer
from services.extractor.sources.feeds.read import LIMITS, read_feed
from services.extractor.sources.http_client import HttpClient
from shared.errors import TaskError
from shared.http.guarded import GuardedBackend
from shared.runtime.confined import Confined
from tests.integration.test_http_sources import upstream
from tests.simulator import Simulator
from tests.simulator.server import Fault

__all__ = ["upstream"]

HEAD = b'<?xml version="1.0"?>'
LAUGHS = b"".join(
    b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10)
    for n in range(12)
)
ITEM = (
    b'<rss version="2.0"><channel><title>t</title><item><guid>1</guid><title>Bitcoin'
    b" %s</title></item></channel></rss>"
)
HOSTILE = {
    "billion laughs": (
        HEAD
        + b'<!DOCTYPE lolz [<!ENTITY a "lol">'
        + LAUGHS
        + b"]>"
        + ITEM % b"&m;"
    ),
    "quadratic entities": (
        HEAD
        + b'<!DOCTYPE q [<!ENTITY a "'
        + b"x" * 100_000
        + b'">]>'
        + ITEM % (b"&a;" * 20_000)
    ),
    "a file": HEAD
    + b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>'
    + ITEM % b"&f;",
    "an address": HEAD
    + b'<!DOCTYPE x [<!ENTITY u SYSTEM "URL/secret">]>'
    + ITEM % b"&u;",
    "a document type elsewhere": HEAD
    + b'<!DOCTYPE x SYSTEM "URL/x.dtd">'
    + ITEM % b"rises",
    "deep nesting": (
        HEAD
        + b'<rss version="2.0"><channel><item><guid>1</guid><title>'
        + b"<a>" * 200_000
        + b"</title></item></channel></rss>"
    ),
    "deep JSON": b'{"version": "https://jsonfeed.org/version/1.1", "items": '
    + b"[" * 200_000,
    "a million entries": (
        HEAD
        + b'<rss version="2.0"><channel>'
        + b"<item><title/></item>" * 1_000_000
        + b"</channel></rss>"
    ),
}


def _item(description: bytes) -> bytes:
    return (
        HEAD
        + b'<rss version="2.0"><channel><item><guid>1</guid><title>Bitcoin</title><description>'
        + description
        + b"</description></item></channel></rss>"
    )


HOSTILE |= {
    "a tag without end": b"<" + b"a" * 400_000,
    "entities that are never closed": b"<!ENTITY a SYSTEM " * 8_000,
    "attributes": HEAD
    + b"<rss><channel><item "
    + b"".join(b'a%d="" ' % n for n in range(90_000))
    + b"/></channel></rss>",
    "styles": _item(b"<![CDATA[<p style='" + b"url(" * 75_000 + b"'>]]>"),
    "a long name of an author": HEAD
    + b"<rss><channel><item><author>"
    + b"a." * 100_000
    + b"@b</author></item></channel></rss>",
    "comments that are never closed": _item(
        b"<![CDATA[" + b"<!--" * 75_000 + b"]]>"
    ),
    "flat entities": HEAD
    + b'<!DOCTYPE q [<!ENTITY a "'
    + b"x" * 1_000_000
    + b'">]>'
    + ITEM % (b"&a;" * 100),
    "entities in UTF-16": (
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE q [<!ENTITY a "'
        + "x" * 100
        + '"><!ENTITY b "'
        + "&a;" * 100
        + '">]><rss><channel><item><title>&b;</title></item></channel></rss>'
    ).encode("utf-16"),
    "entities behind a comment": b"<!-- <a> --><!DOCTYPE q [<!ENTITY a 'x'>]>"
    + ITEM % b"&a;",
    "entities in a comment": b"<!--\n<!ENTITY a 'x'>\n-->"
    + ITEM % b"&a;",
    "entries in EBCDIC": (
        '<?xml version="1.0" encoding="cp037"?><rss><channel>'
        + "<item><title/></item>" * 600_000
    ).encode("cp037"),
    "entities in UTF-7": b'<?xml version="1.0" encoding="utf-7"?>'
    b"+ADwAIQ-DOCTYPE q [+ADwAIQ-ENTITY a 'x'>]>" + ITEM % b"&a;",
    "tiny objects": b'{"version": "https://jsonfeed.org/version/1.1", "items": ['
    + b"{}," * 6_900_000
    + b"{}]}",
    "nothing but marks": b"<" * 2_000_000,
    "many tags in an entry": HEAD
    + b"<rss><channel><item>"
    + b"<category>c</category>" * 100_000
    + b"</item></channel></rss>",
    "a long tag": b"<rss " + b"xmlns:n='' " * 30_000 + b"/>",
    "an encoding of names": b'<?xml version="1.0" encoding="idna"?>'
    + ITEM % b"x",
    "an encoding that is slow": b'<?xml version="1.0" encoding="punycode"?>'
    + ITEM % (b"x" * 100_000),
}
REFUSED = ("limit_exceeded", "not_a_feed", "unsafe_xml")


@pytest.fixture(scope="module")
def confined() -> Iterator[Confined]:
    child = Confined([read_feed.__module__])
    yield child
    child.close()


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_defused_or_refused(
    name: str, upstream: Simulator, confined: Confined
) -> None:
    body = HOSTILE[name].replace(b"URL", upstream.url.encode())
    headers = {"content-type": "application/xml"}
    answer = Answer("https://news.example/feed", 200, headers, body)
    try:
        _, *pages = confined.run(
            answer.url, LIMITS, read_feed, answer, {}, []
        )
    except TaskError as error:
        assert error.code in REFUSED, error  # noqa: PT017  either outcome is right
    else:
        for page in pages:
            for record in page.records:
                assert "root:" not in str(record)
                assert len(str(record)) < 2_000_000
    assert upstream.requests == []
    # The next feed is read as if nothing had been.
    good = dataclasses.replace(answer, body=ITEM % b"rises")
    assert len(
        list(confined.run(good.url, LIMITS, read_feed, good, {}, []))
    )


def fetched(
    path: str, upstream: Simulator, **settings: object
) -> TaskError:
    async def get() -> None:
        http = HttpClient(
            **{
                "allow_private": True,
                "attempts": 1,
                "timeout_s": 30.0,
                "max_bytes": 20_000_000,
                **settings,
            }
        )  # type: ignore[arg-type]
        try:
            await http.get(upstream.url + path)
        finally:
            await http.close()

    with pytest.raises(TaskError) as caught:
        asyncio.run(get())
    return caught.value


@pytest.mark.parametrize(
    "fault",
    [
        Fault(200, endless=True),
        Fault(
            200,
            gzip.compress(b"\0" * 200_000_000),
            {"content-encoding": "gzip"},
        ),
    ],
    ids=["endless", "bomb"],
)
def test_a_body_without_end_is_cut_while_it_streams(
    fault: Fault, upstream: Simulator
) -> None:
    upstream.fail("/feeds/news", fault)
    assert fetched("/feeds/news", upstream).code == "limit_exceeded"


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://10.1.2.3/",
        "http://[::1]:1/",
        "http://looks.public.example/",
    ],
)
def test_a_public_address_that_leads_to_a_private_one_is_not_followed(
    target: str, upstream: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The simulator plays a public address: it alone is let through."""
    refuse = GuardedBackend._refuse_private
    monkeypatch.setattr(
        GuardedBackend,
        "_refuse_private",
        staticmethod(
            lambda host, address: (
                None if address == "127.0.0.1" else refuse(host, address)
            )
        ),
    )
    monkeypatch.setattr("socket.getaddrinfo", _resolved)
    upstream.fail("/feeds/news", Fault(redirect_to=target, times=None))
    assert (
        fetched("/feeds/news", upstream, allow_private=False).code
        == "blocked_address"
    )


def _resolved(
    host: str, port: object, *_more: object, **_named: object
) -> list[tuple[object, ...]]:
    """Names of the test resolve to a private address other than the simulator's."""
    address = host if host[0].isdigit() or ":" in host else "10.9.9.9"
    family = 10 if ":" in address else 2
    return [
        (
            family,
            1,
            6,
            "",
            (address, int(str(port)))
            if family == 2
            else (address, int(str(port)), 0, 0),
        )
    ]
