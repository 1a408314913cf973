"""Ten thousand points while gateways are killed: each once, in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.events import events
from tests.support.oracle import write_candles
from tests.support.product import KEY, until
from tests.support.stack import Stack, running

ROWS = 10_000
UNTIL_S = 120


@pytest.fixture(scope="module")
def two_gateways(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    root: Path = tmp_path_factory.mktemp("events")
    (root / "csv").mkdir()
    with running(root / "state", root / "csv", GATEWAYS="2") as stack:
        yield stack


class Listener:
    """Goes on after the last event, at whichever gateway answers."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1/events"
        self.seen: list[str] = []
        self.places: list[int] = []
        self.connections = 0

    def run(self) -> None:
        last: str | None = None
        until = time.monotonic() + UNTIL_S
        while len(self.seen) < ROWS and time.monotonic() < until:
            headers = {"x-api-key": KEY}
            if last:
                headers["Last-Event-ID"] = last
            try:
                with (
                    httpx.Client(trust_env=False, timeout=15) as client,
                    client.stream(
                        "GET",
                        self._url,
                        params={"types": "change", "since": "oldest"},
                        headers=headers,
                    ) as answer,
                ):
                    if answer.status_code != 200:
                        time.sleep(0.1)
                        continue
                    self.connections += 1
                    for name, id_, data in events(answer):
                        if name != "change":
                            continue
                        last = id_
                        self.seen.append(data["id"])
                        self.places.append(data["seq"])
                        if len(self.seen) == ROWS:
                            return
            except httpx.HTTPError:
                time.sleep(0.1)


def test_each_point_comes_once_in_order_while_gateways_are_killed(
    two_gateways: Stack,
) -> None:
    stack = two_gateways
    listener = Listener(stack.settings.api_port)
    thread = threading.Thread(target=listener.run)
    write_candles(stack.csv_dir / "mine" / "btc-usd.csv", ROWS)
    run_id = stack.start_run()
    thread.start()
    killed = 0
    while thread.is_alive():
        # One after the other, each after a part of the way.
        goal = len(listener.seen) + ROWS // 12
        until(
            "events to come",
            lambda goal=goal: (
                len(listener.seen) >= goal or not thread.is_alive()
            ),
            60,
        )
        pids = stack.pids("gateway")
        if pids and thread.is_alive():
            stack.kill_pid(pids[killed % len(pids)])
            killed += 1
    assert killed > 3
    stack.wait_ready()
    assert stack.wait_for(run_id)["status"] == "succeeded"
    assert len(listener.seen) == ROWS
    assert len(set(listener.seen)) == ROWS
    assert listener.places == sorted(listener.places)
    assert listener.connections > 1
    stored = stack.query("SELECT id::text FROM points")
    assert {id_ for (id_,) in stored} == set(listener.seen)
