"""Keys beside API_KEY, over two gateways on real Kafka."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from services.gateway.app import create_app
from services.gateway.settings import GatewaySettings
from shared.runtime.health import Health
from tests.support.http_server import serving
from tests.support.infra import Infrastructure
from tests.support.product import until

FIRST = "the first admin key"
Gateways = tuple[str, str]


@pytest.fixture(scope="module")
def gateways(infra: Infrastructure) -> Iterator[Gateways]:
    settings = GatewaySettings(
        _env_file=None,
        database_url=infra.dsn,
        kafka_bootstrap_servers=infra.bootstrap,
        api_key=FIRST,
        mode="native",
        gateway_database_url="",
    )
    with ExitStack() as stack:
        found = tuple(
            stack.enter_context(
                serving(create_app(settings, Health(None)))
            )
            for _ in range(2)
        )
        for address in found:
            until(
                "the gateway to reach Kafka",
                lambda address=address: (
                    httpx.get(
                        f"{address}/api/v1/health/ready", trust_env=False
                    ).status_code
                    == 200
                ),
                30,
            )
        yield found[0], found[1]


def ask(
    address: str, method: str, path: str, key: str = FIRST, **more: Any
) -> httpx.Response:
    return httpx.request(
        method,
        f"{address}/api/v1{path}",
        headers={"x-api-key": key, **more.pop("headers", {})},
        trust_env=False,
        **more,
    )


def made(address: str, scope: str, **more: Any) -> dict[str, Any]:
    body = {"scope": scope, "note": f"to {scope}", **more}
    answer = ask(address, "POST", "/keys", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return dict(answer.json())


def test_each_scope_may_what_it_says_at_every_gateway(
    gateways: Gateways,
) -> None:
    keys = {
        scope: made(gateways[0], scope)["key"]
        for scope in ("read", "operate", "admin")
    }
    asked = (
        ("GET", "/stats", {"read", "operate", "admin"}),
        ("POST", "/ingest", {"operate", "admin"}),
        ("GET", "/keys", {"admin"}),
    )
    for address in gateways:
        for method, path, allowed in asked:
            for scope, key in keys.items():
                until(
                    f"{scope} to be known",
                    lambda address=address, key=key: (
                        ask(address, "GET", "/me", key).status_code == 200
                    ),
                    5,
                )
                body = {"json": {"sources": ["csv"]}}
                answer = ask(
                    address,
                    method,
                    path,
                    key,
                    **(body if method == "POST" else {}),
                )
                is_allowed = answer.status_code < 300
                assert is_allowed == (scope in allowed), answer.text
                if not is_allowed:
                    assert answer.status_code == 403
                    assert f"this key may {scope}" in answer.text


def test_who_asks_is_told(gateways: Gateways) -> None:
    first = ask(gateways[0], "GET", "/me").json()
    assert first == {
        "key_id": None,
        "scope": "admin",
        "note": None,
        "expires_at": None,
        "requests_per_minute": None,
    }
    key = made(gateways[0], "read", days=30)
    told = ask(gateways[0], "GET", "/me", key["key"]).json()
    assert (told["key_id"], told["scope"]) == (key["key_id"], "read")
    assert told["expires_at"] is not None
    assert told["requests_per_minute"] is None


def test_a_key_is_shown_once_and_kept_as_a_hash(
    gateways: Gateways,
) -> None:
    key = made(gateways[0], "read")
    ask(gateways[1], "GET", "/stats", key["key"])
    listed = ask(gateways[1], "GET", "/keys")
    assert key["key"] not in listed.text
    (found,) = (
        each for each in listed.json() if each["key_id"] == key["key_id"]
    )
    assert "key" not in found
    assert found["last_used_at"] is not None


def test_a_key_may_have_a_limit_of_its_own(gateways: Gateways) -> None:
    key = made(gateways[0], "read", requests_per_minute=3)
    assert key["requests_per_minute"] == 3
    answers = [
        ask(gateways[0], "GET", "/me", key["key"]) for _ in range(8)
    ]
    # The minute may have turned meanwhile.
    refused = [each for each in answers if each.status_code == 429]
    assert 2 <= len(refused) <= 5
    assert answers[0].json()["requests_per_minute"] == 3
    assert answers[0].headers["ratelimit-limit"] == "3"
    assert "more than 3 requests of this key" in refused[0].text
    assert int(refused[0].headers["retry-after"]) <= 60
    other = ask(gateways[0], "GET", "/me")
    assert other.status_code == 200
    assert other.headers["ratelimit-limit"] == "600000"


def test_what_is_revoked_opens_nothing_within_a_second(
    gateways: Gateways,
) -> None:
    key = made(gateways[0], "admin")
    path = f"/keys/{key['key_id']}"
    until(
        "it to be known",
        lambda: (
            ask(gateways[1], "GET", "/me", key["key"]).status_code == 200
        ),
        5,
    )
    assert ask(gateways[0], "DELETE", path).json()["revoked_at"]
    started = time.monotonic()
    until(
        "the other gateway to know",
        lambda: (
            ask(gateways[1], "GET", "/me", key["key"]).status_code == 403
        ),
        10,
        0.02,
    )
    assert time.monotonic() - started < 5
    refused = ask(gateways[0], "GET", "/me", key["key"])
    assert "was revoked" in refused.text
    again = ask(gateways[0], "DELETE", path)
    assert again.status_code == 200


def test_keys_that_replace_each_other_ask_for_the_same_run(
    gateways: Gateways,
) -> None:
    old = made(gateways[0], "operate")
    new = made(gateways[0], "operate", replaces=old["key_id"])
    other = made(gateways[0], "operate")
    runs = [
        ask(
            gateways[0],
            "POST",
            "/ingest",
            key["key"],
            json={"sources": ["csv"]},
            headers={"idempotency-key": "the same"},
        ).json()["run_id"]
        for key in (old, new, other)
    ]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"scope": "root", "note": "x"},
        {"scope": "read", "note": ""},
        {"scope": "read", "note": "x", "days": 0},
        {"scope": "read", "note": "x", "days": "9"},
        {"scope": "read", "note": "x", "days": 1e9},
        {"scope": "read", "note": "x", "requests_per_minute": 0},
        {"scope": "read", "note": "x", "requests_per_minute": True},
        {"scope": "read", "note": "x", "requests_per_minute": 1.5},
        {"scope": "read", "note": "x" * 201},
        {"scope": "read", "note": "a\nb"},
        {"scope": "read", "note": "x", "replaces": "no id"},
        {"scope": "read", "note": "x", "more": 1},
    ],
)
def test_what_is_no_key_is_refused(
    gateways: Gateways, body: dict[str, Any]
) -> None:
    answer = ask(gateways[0], "POST", "/keys", json=body)
    assert answer.status_code == 422, answer.text


def test_what_is_not_there_is_said(gateways: Gateways) -> None:
    unknown = str(uuid.uuid4())
    assert (
        ask(gateways[0], "DELETE", f"/keys/{unknown}").status_code == 404
    )
    body = {"scope": "read", "note": "x", "replaces": unknown}
    assert ask(gateways[0], "POST", "/keys", json=body).status_code == 404
    assert ask(gateways[0], "DELETE", "/keys/x").status_code == 422


def test_keys_are_known_after_a_restart(
    gateways: Gateways, infra: Infrastructure
) -> None:
    key = made(gateways[0], "read")
    settings = GatewaySettings(
        _env_file=None,
        database_url=infra.dsn,
        kafka_bootstrap_servers=infra.bootstrap,
        api_key=FIRST,
        mode="native",
        gateway_database_url="",
    )
    with serving(create_app(settings, Health(None))) as address:
        seen = set()

        def is_known() -> bool:
            answer = ask(address, "GET", "/me", key["key"])
            seen.add(answer.status_code)
            return answer.status_code == 200

        until("the key to be known", is_known, 20)
        # Before that it is not said to be wrong.
        assert seen <= {200, 503}


@pytest.mark.parametrize(
    "path", ["/keys%0A", "/keys%0D%0A", "/keys%20", "//keys", "/audit%0A"]
)
@pytest.mark.parametrize("scope", ["read", "operate"])
def test_no_spelling_of_a_path_gives_more_than_the_key_may(
    gateways: Gateways, path: str, scope: str
) -> None:
    key = made(gateways[0], scope)["key"]
    body = {"scope": "admin", "note": "mine"}
    for method, more in (("GET", {}), ("POST", {"json": body})):
        answer = ask(gateways[0], method, path, key, **more)
        assert answer.status_code in (400, 403, 404, 405), answer.text
    plain = ask(gateways[0], "GET", "/audit", key)
    assert plain.status_code == 403


def test_events_end_with_the_key(gateways: Gateways) -> None:
    key = made(gateways[0], "read")
    with httpx.stream(
        "GET",
        f"{gateways[1]}/api/v1/events",
        headers={"x-api-key": key["key"]},
        timeout=30,
        trust_env=False,
    ) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()
        next(lines)
        ask(gateways[0], "DELETE", f"/keys/{key['key_id']}")
        list(lines)  # it ends


@pytest.mark.parametrize(
    "note", ["", " ", "a\u202eb", "\u200b", "\x9b31m"]
)
def test_a_note_is_something_to_read(
    gateways: Gateways, note: str
) -> None:
    body = {"scope": "read", "note": note}
    answer = ask(gateways[0], "POST", "/keys", json=body)
    assert answer.status_code == 422
