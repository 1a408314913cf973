"""Feeds that attack.

Refused or defused within limits that the operating system enforces, and nothing is read or
fetched for them.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys

import pytest

from embedded.settings import ROOT
from services.extractor.sources.http_client import (
    GuardedBackend,
    HttpClient,
)
from shared.errors import TaskError
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
# Two seconds of processor time and 100 MB beyond what the interpreter took, or the kernel ends it.
PARSE = """
import json, resource, sys
import httpx
from services.extractor.sources.http_client import Answer
from services.extractor.sources.feeds.source import parse_feed
from shared.errors import TaskError
body = sys.stdin.buffer.read()
spent = resource.getrusage(resource.RUSAGE_SELF)
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 100_000_000,) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (int(spent.ru_utime + spent.ru_stime) + 3,) * 2)
try:
    headers = httpx.Headers({"content-type": "application/xml"})
    print(json.dumps(parse_feed(Answer("https://news.example/feed", 200, headers, body))))
except TaskError as error:
    print(json.dumps(error.code))
"""


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_defused_or_refused(name: str, upstream: Simulator) -> None:
    body = HOSTILE[name].replace(b"URL", upstream.url.encode())
    done = subprocess.run(
        [sys.executable, "-c", PARSE],
        input=body,
        capture_output=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-500:]
    found = json.loads(done.stdout)
    if isinstance(found, dict):
        (entry,) = found["entries"]
        assert entry["title"].startswith("Bitcoin")
        assert "root:" not in done.stdout.decode()
        assert len(entry["title"]) < 200_000
    else:
        assert found in ("limit_exceeded", "not_a_feed")
    assert upstream.requests == []


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
