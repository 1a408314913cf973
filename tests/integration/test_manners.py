"""What every answer of the API has: HEAD, tags, compression, rates, links, times in UTC."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from services.gateway.api_key import plain
from services.gateway.app import create_app
from services.gateway.settings import GatewaySettings
from shared.runtime.health import Health
from tests.integration.test_gateway import (  # noqa: F401  fixtures
    KEY,
    address,
    api,
    finished_run,
    load,
)
from tests.support.http_server import serving
from tests.support.infra import Infrastructure
from tests.support.pages import candle

LISTS = (
    "/data",
    "/series",
    "/instruments",
    "/changes",
    "/coverage",
    "/latest",
    "/stats",
    "/sources",
    "/checkpoints",
    "/dead-letters",
    "/raw",
    "/health",
    "/ohlcv?symbol=btc&interval=1d",
    "/price?symbol=btc",
    "/agreement?symbol=btc",
    "/series/1/asked",
)
ORIGIN = "https://example.org"


@pytest.fixture
def filled(engine: Engine) -> None:
    finished_run(engine, 3)
    finished_run(engine, 2)
    load(engine, [candle(day + 1) for day in range(20)], offset=7)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("path", LISTS)
def test_head_is_get_without_the_body(
    api: httpx.Client,  # noqa: F811
    path: str,
) -> None:
    got = api.get(path)
    head = api.head(path)
    assert head.status_code == got.status_code
    assert head.content == b""
    assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    "path",
    [
        path
        for path in LISTS
        if path not in ("/health", "/checkpoints", "/latest")
        and not path.startswith("/price")
    ],
)
def test_what_has_not_changed_is_not_sent_again(
    api: httpx.Client,  # noqa: F811
    path: str,
) -> None:
    got = api.get(path)
    if got.status_code == 404:
        pytest.skip("there is none")
    tag = got.headers["etag"]
    again = api.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    other = api.get(path, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.json()) == (200, got.json())


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("path", ["/data", "/instruments", "/stats"])
def test_large_answers_are_compressed_for_those_that_take_it(
    address: str,  # noqa: F811
    path: str,
) -> None:
    with httpx.Client(trust_env=False) as client:
        url = f"{address}/api/v1{path}"
        key = {"x-api-key": KEY}
        with client.stream(
            "GET", url, headers={**key, "Accept-Encoding": "gzip"}
        ) as answer:
            raw = b"".join(answer.iter_raw())
            assert answer.headers["content-encoding"] == "gzip"
        plain = client.get(
            url, headers={**key, "Accept-Encoding": "identity"}
        )
        assert "content-encoding" not in plain.headers
        assert json.loads(gzip.decompress(raw)) == plain.json()


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("path", LISTS)
def test_all_times_end_in_z(
    api: httpx.Client,  # noqa: F811
    path: str,
) -> None:
    found = re.findall(r"\d\d:\d\d:\d\d[^\"]{0,14}", api.get(path).text)
    wrong = [each for each in found if not each.endswith("Z")]
    assert wrong == []


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    "path", ["/data", "/series", "/stats", "/instruments"]
)
def test_each_list_leads_to_its_next_page_and_ends(
    api: httpx.Client,  # noqa: F811
    path: str,
) -> None:
    whole = api.get(path, params={"limit": 1000}).json()
    seen: list[Any] = []
    answer = api.get(path, params={"limit": 7 if len(whole) > 9 else 1})
    while True:
        seen += answer.json()
        following = answer.links.get("next")
        if following is None:
            break
        answer = api.get(following["url"].removeprefix("/api/v1"))
    assert seen == whole


def test_what_a_key_may_still_ask_is_said(
    api: httpx.Client,  # noqa: F811
) -> None:
    first, second = (api.get("/series").headers for _ in range(2))
    assert first["ratelimit-limit"] == "600000"
    assert int(second["ratelimit-remaining"]) < int(
        first["ratelimit-remaining"]
    ) or int(second["ratelimit-reset"]) > int(first["ratelimit-reset"])
    assert 0 <= int(first["ratelimit-reset"]) <= 60
    assert "ratelimit-limit" not in api.get("/health/live").headers


@pytest.fixture(scope="module")
def strict(infra: Infrastructure) -> Iterator[httpx.Client]:
    """A gateway with a rate of its own, which a page of another origin may read."""
    settings = GatewaySettings(
        _env_file=None,
        database_url=infra.dsn,
        kafka_bootstrap_servers=infra.bootstrap,
        api_key=KEY,
        mode="native",
        requests_per_minute=5,
        cors_origins=[ORIGIN],
    )
    with (
        serving(create_app(settings, Health(None))) as found,
        httpx.Client(
            base_url=f"{found}/api/v1", trust_env=False
        ) as client,
    ):
        yield client


def test_a_page_of_an_origin_that_is_named_may_read(
    strict: httpx.Client,
) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "x-api-key",
    }
    allowed = strict.options("/data", headers=asked)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    refused = strict.options(
        "/data", headers={**asked, "Origin": "https://other.org"}
    )
    assert refused.status_code == 400
    answer = strict.get("/data", headers={"Origin": ORIGIN})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_a_key_beyond_its_rate_has_to_wait_and_others_do_not(
    strict: httpx.Client,
) -> None:
    key = {"x-api-key": KEY}
    statuses = [
        strict.get("/series", headers=key).status_code for _ in range(11)
    ]
    # A minute may begin between them.
    assert statuses.count(429) >= 1
    limited = strict.get("/series", headers=key)
    if limited.status_code == 429:
        assert 1 <= int(limited.headers["retry-after"]) <= 60
        assert limited.headers["ratelimit-remaining"] == "0"
        assert "REQUESTS_PER_MINUTE" in limited.json()["detail"]
    assert strict.get("/health/live").status_code == 200


def test_blanks_around_a_key_are_no_part_of_it() -> None:
    assert plain(f" {KEY}\t ") == KEY


def test_without_a_setting_no_origin_may_read(
    api: httpx.Client,  # noqa: F811
) -> None:
    answer = api.get("/series", headers={"Origin": ORIGIN})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("origin", ["example.org", "https://x.org/path"])
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        GatewaySettings(
            _env_file=None,
            database_url="postgresql://x:y@localhost/z",
            cors_origins=[origin],
        )
