"""Requests that attack a gateway: it stays within the memory of its container and goes on."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from embedded.settings import ROOT
from tests.support.infra import Infrastructure
from tests.support.ports import free_ports

KEY = "a-key-for-tests"
MOST_MB = 256  # of a service in compose
BODY = 500_000


@dataclass
class Gateway:
    pid: int
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1"

    def peak_mb(self) -> float:
        """Of the gateway and its children."""
        pids = [self.pid, *_children(self.pid)]
        return sum(map(_peak_kb, pids)) / 1024

    def connect(self) -> socket.socket:
        return socket.create_connection(
            ("127.0.0.1", self.port), timeout=30
        )


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                found += [int(child), *_children(int(child))]
    return found


def _peak_kb(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1])
    return 0


@pytest.fixture(scope="module")
def gateway(
    infra: Infrastructure, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    port = free_ports(1)[0]
    log = tmp_path_factory.mktemp("gateway") / "log"
    environment = {
        **os.environ,
        "API_KEY": KEY,
        "API_PORT": str(port),
        "MODE": "docker",
        "DATABASE_URL": infra.dsn,
        "GATEWAY_DATABASE_URL": infra.dsn,
        "KAFKA_BOOTSTRAP_SERVERS": infra.bootstrap,
        "MALLOC_ARENA_MAX": "2",
    }
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.gateway"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
        )
    found = Gateway(process.pid, port)
    try:
        _wait(found, log)
        yield found
        assert process.poll() is None, log.read_text()[-2000:]
    finally:
        process.terminate()
        process.wait(20)


def _wait(gateway: Gateway, log: Path) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with contextlib.suppress(httpx.HTTPError):
            answer = httpx.get(f"{gateway.url}/health/ready")
            if answer.status_code == 200:
                return
        time.sleep(0.2)
    raise AssertionError(log.read_text()[-2000:])


@pytest.fixture(autouse=True)
def within_bounds(gateway: Gateway) -> Iterator[None]:
    yield
    assert httpx.get(f"{gateway.url}/health/live").status_code == 200
    assert gateway.peak_mb() < MOST_MB


def head(path: str, *lines: str, method: str = "POST") -> bytes:
    return "\r\n".join(
        [f"{method} /api/v1{path} HTTP/1.1", "host: x", *lines, "", ""]
    ).encode()


def status(connection: socket.socket) -> int:
    """Of the answer; 0 where the connection was closed without one."""
    with contextlib.suppress(OSError):
        answer = connection.recv(64)
        return int(answer.split()[1]) if answer else 0
    return 0


def send(connection: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(data)


def test_without_a_key_no_body_is_read(gateway: Gateway) -> None:
    with gateway.connect() as connection:
        connection.sendall(head("/ingest", f"content-length: {BODY}"))
        assert status(connection) == 401


@pytest.mark.parametrize("key", ["", f"x-api-key: {KEY}"])
def test_many_large_bodies_at_once(gateway: Gateway, key: str) -> None:
    request = head("/ingest", f"content-length: {BODY}", key or "x: y")
    with contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(gateway.connect()) for _ in range(200)
        ]
        for connection in connections:
            send(connection, request)
        for connection in connections:
            connection.settimeout(0.5)
            send(connection, b" " * (BODY - 1))
        first = {status(connection) for connection in connections}
        assert first <= ({401, 0} if not key else {503, 408, 0})


def test_what_is_open_takes_no_body(gateway: Gateway) -> None:
    with gateway.connect() as connection:
        connection.sendall(head("/health", f"content-length: {BODY}"))
        assert status(connection) == 413


@pytest.mark.parametrize(
    "piece",
    [
        b"x-more: " + b"a" * 1000 + b"\r\n",
        b"a" * 1000,
        b"x-more: a\r\n" * 100,
    ],
    ids=["headers", "a header", "small headers"],
)
def test_headers_without_end(gateway: Gateway, piece: bytes) -> None:
    with gateway.connect() as connection:
        send(connection, b"GET /api/v1/health HTTP/1.1\r\nx: ")
        for _ in range(2_000):
            send(connection, piece * 25)
        assert status(connection) in (431, 400, 0)


def test_a_request_line_without_end(gateway: Gateway) -> None:
    with gateway.connect() as connection:
        send(connection, b"GET /")
        for _ in range(2_000):
            send(connection, b"a" * 25_000)
        assert status(connection) in (431, 400, 0)


def test_trailers_without_end(gateway: Gateway) -> None:
    with gateway.connect() as connection:
        lines = ("transfer-encoding: chunked", f"x-api-key: {KEY}")
        send(connection, head("/ingest", *lines) + b"0\r\nx: ")
        for _ in range(2_000):
            send(connection, b"a" * 25_000)
        assert status(connection) in (431, 400, 0)


def test_requests_that_nobody_takes_the_answers_of(
    gateway: Gateway,
) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            connection = stack.enter_context(gateway.connect())
            connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF, 4096
            )
            connection.settimeout(2)
            send(
                connection,
                b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 60,
            )
            send(
                connection, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 60_000
            )


def test_what_comes_behind_a_body_is_no_header(gateway: Gateway) -> None:
    with gateway.connect() as connection:
        request = head("/ingest", "transfer-encoding: chunked")
        trailer = f"2\r\n{{}}\r\n0\r\nx-api-key: {KEY}\r\n\r\n"
        connection.sendall(request + trailer.encode())
        assert status(connection) == 401


def test_two_keys_are_none(gateway: Gateway) -> None:
    with gateway.connect() as connection:
        lines = (f"x-api-key: {KEY}", "x-api-key: other")
        connection.sendall(head("/data", *lines, method="GET"))
        assert status(connection) == 401


def test_many_faults_of_a_request_are_not_all_told(
    gateway: Gateway,
) -> None:
    body = {str(number): 0 for number in range(40)}
    answer = httpx.post(
        f"{gateway.url}/ingest",
        json=body,
        headers={"x-api-key": KEY},
        timeout=30,
    )
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 20


def test_silent_connections_keep_nobody_out(gateway: Gateway) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(1_200):
            stack.enter_context(gateway.connect())
        for _ in range(5):
            assert (
                httpx.get(f"{gateway.url}/health/live").status_code == 200
            )


def test_half_a_request_is_not_waited_for_without_end(
    gateway: Gateway,
) -> None:
    with gateway.connect() as silent, gateway.connect() as half:
        half.sendall(b"GET /api/v1/health HTTP/1.1\r\nx: y")
        assert silent.recv(10) == b""
        with contextlib.suppress(ConnectionError):
            assert half.recv(10) == b""


def test_a_slow_second_request_is_not_waited_for_either(
    gateway: Gateway,
) -> None:
    _wait_for_few_connections(gateway)
    with gateway.connect() as connection:
        connection.sendall(head("/health/live", method="GET"))
        answer = connection.recv(1000)
        while not answer.endswith(b"}"):  # head and body come apart
            answer += connection.recv(1000)
        assert b"200 OK" in answer
        connection.sendall(b"GET /api/v1/health HTTP/1.1\r\nx: y")
        with contextlib.suppress(ConnectionError):
            assert connection.recv(10) == b""


def _wait_for_few_connections(gateway: Gateway) -> None:
    """Those of an attack before are closed one by one."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        files = Path(f"/proc/{gateway.pid}/fd")
        if sum(1 for _ in files.iterdir()) < 200:
            return
        time.sleep(0.2)


@pytest.fixture
def api(gateway: Gateway) -> Iterator[httpx.Client]:
    headers = {"x-api-key": KEY}
    with httpx.Client(base_url=gateway.url, headers=headers) as client:
        yield client


def test_half_a_character_is_refused(api: httpx.Client) -> None:
    body = rb'{"streams": ["csv/\ud800"]}'
    assert api.post("/ingest", content=body).status_code == 422
    body = rb'{"note": "\ud800", "all": true}'
    answer = api.post("/dead-letters/discard", content=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("zero", ["０", "٠", "²"])
def test_figures_of_other_scripts_name_no_run(
    api: httpx.Client, zero: str
) -> None:
    run = f"{zero}0000000-0000-4000-8000-000000000000"
    answer = api.get(f"/runs/{run}/diff/{run}")
    assert answer.status_code == 422


def test_large_commands_are_refused_and_none_is_kept(
    api: httpx.Client,
) -> None:
    streams = [f"csv/{'x' * 900}{n}.csv" for n in range(60)]
    for _ in range(60):
        answer = api.post("/ingest", json={"streams": streams})
        assert answer.status_code == 202
    more = [f"csv/{'x' * 900}{n}.csv" for n in range(100)]
    answer = api.post("/ingest", json={"streams": more})
    assert answer.status_code == 413
    listed = api.get("/stats", params={"limit": 1000})
    assert len(listed.content) < 4_000_000


def test_of_many_unknown_fields_one_fault_is_made(
    api: httpx.Client,
) -> None:
    answer = api.post("/ingest", json={str(n): [] for n in range(15_000)})
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert "has 15000 fields" in fault["message"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"sources":["csv"],"sources":["rss"]}', "`sources` twice"),
        ('{"streams":' + "[" * 90_000 + "]" * 90_000 + "}", "too deep"),
        ('{"streams":' + "9" * 5_000 + "}", "too many digits"),
        ('{"sources":', "is not JSON at character"),
    ],
    ids=["twice", "deep", "digits", "cut off"],
)
def test_a_body_that_is_refused_as_json_says_why(
    body: str, said: str, api: httpx.Client
) -> None:
    answer = api.post(
        "/ingest",
        content=body,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


@pytest.mark.parametrize("limit", ["1_0", " 5", "+5", "1.0", "\u0665"])
def test_a_whole_number_is_written_in_digits(
    limit: str, api: httpx.Client
) -> None:
    answer = api.get("/data", params={"limit": limit})
    assert answer.status_code == 422
    assert "whole number" in answer.json()["detail"]


def test_a_name_without_end_is_not_repeated(api: httpx.Client) -> None:
    answer = api.post("/ingest", json={"streams": ["x" * 80_000]})
    assert (answer.status_code, len(answer.content) < 2_000) == (
        422,
        True,
    )


def test_an_address_is_not_what_a_header_says(api: httpx.Client) -> None:
    wrong = {"x-api-key": "wrong"}
    statuses = {
        api.get(
            "/data", headers={**wrong, "x-forwarded-for": f"192.0.2.{n}"}
        ).status_code
        for n in range(150)
    }
    assert statuses == {403, 429}
    # Whoever has the right key is not hindered.
    assert api.get("/data").status_code == 200


def test_blanks_around_the_key_are_no_part_of_it(
    gateway: Gateway,
) -> None:
    with gateway.connect() as connection:
        request = head(
            "/data?limit=1", f"x-api-key: {KEY} \t", method="GET"
        )
        connection.sendall(request)
        assert status(connection) == 200


def test_no_answer_leads_elsewhere(api: httpx.Client) -> None:
    answer = api.get("/data/", headers={"host": "evil.example"})
    assert answer.status_code == 404
    assert "location" not in answer.headers


def test_every_method_of_a_path_is_named(api: httpx.Client) -> None:
    answer = api.delete("/data")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


def test_what_is_no_http_is_a_problem(gateway: Gateway) -> None:
    with gateway.connect() as connection:
        connection.sendall(b"no http at all\r\n\r\n")
        answer = connection.recv(1000)
    assert b" 400 " in answer
    assert b"application/problem+json" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == 400


def test_browsers_are_told_what_not_to_do(api: httpx.Client) -> None:
    answer = api.get("/stats")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, no-cache"
    missing = api.get("/runs/none")
    assert missing.headers["cache-control"] == "no-store"
    assert "frame-ancestors" in answer.headers["content-security-policy"]
