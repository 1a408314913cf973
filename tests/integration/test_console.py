"""The console at `/`: built files, and words where there are none."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from services.gateway import problems
from services.gateway.api_key import WRONG_KEYS_A_MINUTE, WrongKeys
from services.gateway.routes import console
from services.gateway.settings import GatewaySettings
from shared.identity import one_time_codes
from tests.support.http_server import serving

JSON = {"content-type": "application/json"}
KEY = "a key that nobody guesses"
SCRIPT = "console.log(1);\n" * 200


@pytest.fixture
def built(tmp_path: Path) -> Path:
    assets = tmp_path / "dist" / "assets"
    assets.mkdir(parents=True)
    (tmp_path / "dist" / "index.html").write_text("<!doctype html>")
    (assets / "index-1a2b.js").write_text(SCRIPT)
    (tmp_path / "secret.txt").write_text("for nobody")
    return tmp_path / "dist"


@pytest.fixture
def client(built: Path) -> Iterator[httpx.Client]:
    app = FastAPI()
    app.state.settings = GatewaySettings(api_key=SecretStr(KEY))
    app.state.wrong_keys = WrongKeys()
    problems.install(app)
    console.install(app, built)
    with (
        serving(app) as address,
        httpx.Client(base_url=address, trust_env=False) as client,
    ):
        yield client


def test_the_console_takes_nothing_from_elsewhere(
    client: httpx.Client,
) -> None:
    answer = client.get("/?room=coin&symbol=btc")
    assert answer.text == "<!doctype html>"
    assert answer.headers["cache-control"] == "no-cache"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "http" not in policy


def test_files_with_a_hash_are_kept_for_good(
    client: httpx.Client,
) -> None:
    answer = client.get("/assets/index-1a2b.js")
    assert answer.text == SCRIPT
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/javascript")
    plain = client.get(
        "/assets/index-1a2b.js", headers={"Accept-Encoding": "identity"}
    )
    assert "content-encoding" not in plain.headers


@pytest.mark.parametrize(
    "path",
    [
        "/assets/other.js",
        "/assets/..%2F..%2Fsecret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/assets/a%00b",
        "/assets/" + "a" * 5_000,
    ],
)
def test_nothing_else_is_given(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "for nobody" not in answer.text


def test_a_console_that_was_not_built_says_why(
    client: httpx.Client, built: Path
) -> None:
    (built / "index.html").unlink()
    assert "make console" in client.get("/").text
    (built / console.NOT_BUILT).write_text("npm could not be reached")
    answer = client.get("/")
    assert answer.status_code == 503
    assert "npm could not be reached" in answer.text
    assert "/docs" in answer.text
    # Built later, it is there.
    (built / "index.html").write_text("<!doctype html>")
    assert client.get("/").status_code == 200


def test_a_code_is_changed_for_the_key_once(client: httpx.Client) -> None:
    code = one_time_codes.made(KEY, time.time())
    answer = client.post("/console/key", json={"code": code})
    assert answer.json() == {"key": KEY}
    assert answer.headers["cache-control"] == "no-store"
    again = client.post("/console/key", json={"code": code})
    assert again.status_code == 403
    assert "`make open`" in again.json()["detail"]


@pytest.mark.parametrize(
    "code",
    [
        one_time_codes.made(KEY, time.time() - 61),
        one_time_codes.made(KEY, time.time() + 86_400),
        one_time_codes.made("another key", time.time()),
        "",
        "..",
        "9999999999.x.y",
        "1é.ü.ö",
        "x" * 200,
    ],
    ids=["old", "early", "foreign", "", "..", "unsigned", "odd", "long"],
)
def test_other_codes_are_refused(client: httpx.Client, code: str) -> None:
    answer = client.post(
        "/console/key",
        content=json.dumps({"code": code}).encode(),
        headers=JSON,
    )
    assert answer.status_code == 403, answer.text
    assert KEY not in answer.text


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b'{"code": 1}', b'{"code": "' + b"x" * 201],
)
def test_what_is_no_code_is_a_bad_request(
    client: httpx.Client, body: bytes
) -> None:
    answer = client.post("/console/key", content=body, headers=JSON)
    assert answer.status_code == 422


def test_codes_cannot_be_tried_for_long(client: httpx.Client) -> None:
    for _ in range(WRONG_KEYS_A_MINUTE):
        client.post("/console/key", json={"code": "1.2.3"})
    answer = client.post("/console/key", json={"code": "1.2.3"})
    assert answer.status_code == 429
    assert answer.headers["retry-after"]
