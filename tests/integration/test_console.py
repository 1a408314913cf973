"""The console at `/`: built files, and words where there are none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from services.gateway.routes import console
from tests.support.http_server import serving

SCRIPT = "console.log(1);\n" * 200


@pytest.fixture
def built(tmp_path: Path) -> Path:
    assets = tmp_path / "dist" / "assets"
    assets.mkdir(parents=True)
    (tmp_path / "dist" / "index.html").write_text("<!doctype html>")
    (assets / "index-1a2b.js").write_text(SCRIPT)
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path / "dist"


@pytest.fixture
def client(built: Path) -> Iterator[httpx.Client]:
    app = FastAPI()
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
    assert "secret" not in answer.text


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
