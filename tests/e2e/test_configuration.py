"""What is configured at run time: seen by all instances, kept, audited, by three planners.

Their clocks lie an hour apart.
"""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import httpx
import pytest

from tests.chaos.stack import ChaosStack, chaos_stack
from tests.simulator import Simulator
from tests.simulator.server import entry, rss
from tests.support.product import until
from tests.support.stack import prepare

CLOCKS = {"extractor-0": 0, "extractor-1": 3600, "extractor-2": -3600}
EVERY_S = 10


@pytest.fixture(scope="module")
def stack(
    own_upstream: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ChaosStack]:
    root = tmp_path_factory.mktemp("configuration")
    prepare(root)
    settings = {
        **own_upstream.settings("news"),
        "COIN_IDS": '["btc-bitcoin"]',
        "EXTRACTORS": "3",
        "CLOCK_OFFSETS_S": json.dumps(CLOCKS),
    }
    with chaos_stack(root / "state", root / "csv", **settings) as stack:
        until("the second gateway", lambda: is_ready(stack.api_2))
        yield stack


def is_ready(api: httpx.Client) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return api.get("/health/ready").status_code == 200
    return False


def kill_all(stack: ChaosStack, service: str) -> None:
    """And wait until others are in their place."""
    killed = set(stack.pids(service))
    for pid in killed:
        stack.kill_pid(pid)
    until(
        "others",
        lambda: len(set(stack.pids(service)) - killed) == len(killed),
    )
    stack.wait_whole()


def put(stack: ChaosStack, path: str, body: object) -> dict[str, object]:
    answer = stack.api.put(path, json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_feed_is_added_read_paused_and_taken_out(
    stack: ChaosStack, own_upstream: Simulator
) -> None:
    first = until(
        "the extractor to tell what .env says",
        lambda: stack.api.get("/sources/rss/feeds").json(),
    )
    assert [(each["name"], each["origin"]) for each in first] == [
        ("news", "env")
    ]
    own_upstream.feeds["late"] = rss([entry(1, "Bitcoin rises")])
    url = first[0]["url"].replace("/news", "/late")
    put(stack, "/sources/rss/feeds/late", {"url": url})
    seen = stack.api_2.get("/sources/rss/feeds").json()
    assert [each["name"] for each in seen] == ["late", "news"]

    run = stack.ingest(streams=["rss/late"])
    assert (run["status"], run["items_processed"]) == ("succeeded", 1)

    put(stack, "/pauses/rss/late", {"note": "too loud"})
    run = stack.ingest(sources=["rss"])
    assert run["status"] == "succeeded"
    assert "rss/late is paused (too loud): 1 left out" in run["notes"]
    run = stack.ingest(streams=["rss/late"])
    assert run["status"] == "failed"
    assert run["errors"][0]["code"] == "paused"
    assert stack.api.delete("/pauses/rss/late").status_code == 204

    assert stack.api.delete("/sources/rss/feeds/late").status_code == 204
    assert stack.api.delete("/sources/rss/feeds/news").status_code == 204
    run = stack.ingest(sources=["rss"])
    assert run["tasks"] == []
    reset = stack.api.delete("/configuration/feed/news")
    assert reset.status_code == 204
    assert stack.ingest(sources=["rss"])["status"] == "succeeded"

    shown = until(
        "the audit",
        lambda: (
            len(
                found := stack.api.get(
                    "/audit", params={"subject": "feed/late"}
                ).json()
            )
            == 2
            and found
        ),
    )
    gone, new = shown
    assert (new["before"], new["after"]) == (
        None,
        {"type": "Feed", "url": url},
    )
    assert (gone["before"], gone["after"]) == (new["after"], None)
    assert {each["asked_by"] for each in shown} == {"API_KEY"}
    asked = stack.api.get("/audit", params={"subject": run["run_id"]})
    (command,) = asked.json()
    assert (command["action"], command["asked_by"]) == (
        "StartIngestion",
        "API_KEY",
    )


def test_the_feeds_of_a_site_are_looked_at_before_one_is_read(
    stack: ChaosStack, own_upstream: Simulator
) -> None:
    own_upstream.feeds["site"] = (
        b"<!doctype html><title>A paper</title><link rel='stylesheet' href='/x.css'>"
        b"<link rel='alternate' type='application/rss+xml' href='/feeds/gone'>"
        b"<link rel='Alternate' type='application/atom+xml' href='news'>"
    )
    base = f"{own_upstream.url}/feeds"
    run = stack.api.post(
        "/sources/rss/find", json={"url": f"{base}/site"}
    )
    found = stack.wait_for(run.json()["run_id"])
    assert (found["kind"], found["status"]) == ("find", "succeeded")
    (task,) = found["tasks"]
    (feed,) = task["profile"]["feeds"]
    assert feed["url"] == f"{base}/news"
    assert feed["entries"] == 5
    assert len(feed["sample"]) == 5
    assert found["message"] == "1 feed(s) found"

    direct = stack.api.post(
        "/sources/rss/find", json={"url": f"{base}/news"}
    )
    (task,) = stack.wait_for(direct.json()["run_id"])["tasks"]
    assert task["profile"]["feeds"] == [feed]

    own_upstream.feeds["bare"] = b"<html><p>nothing here</p></html>"
    none = stack.api.post(
        "/sources/rss/find", json={"url": f"{base}/bare"}
    )
    ended = stack.wait_for(none.json()["run_id"])
    assert ended["status"] == "failed"
    assert "names none that can be read" in ended["message"]
    assert stack.query(
        "SELECT count(*) FROM raw_data WHERE run_id = %s",
        run.json()["run_id"],
    ) == [(0,)]


def test_what_was_configured_outlives_every_process(
    stack: ChaosStack, own_upstream: Simulator
) -> None:
    put(stack, "/sources/coinpaprika/coins", {"ids": ["eth-ethereum"]})
    for service in ("extractor", "gateway"):
        kill_all(stack, service)
    stack.wait_ready()
    run = stack.ingest(sources=["coinpaprika"])
    assert [task["stream"] for task in run["tasks"]] == [
        "coinpaprika/eth-ethereum"
    ]
    logs = "".join(
        path.read_text()
        for path in stack.settings.logs.glob("extractor*")
    )
    assert "COIN_IDS: 1 coins were set at run time" in logs
    stack.api.delete("/sources/coinpaprika/coins")
    run = stack.ingest(sources=["coinpaprika"])
    assert [task["stream"] for task in run["tasks"]] == [
        "coinpaprika/btc-bitcoin"
    ]


def test_the_last_use_of_a_key_is_known_at_every_gateway(
    stack: ChaosStack,
) -> None:
    body = {"scope": "read", "note": "a dashboard"}
    made = stack.api.post("/keys", json=body).json()
    answer = httpx.get(
        f"{stack.api.base_url}me",
        headers={"x-api-key": made["key"]},
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text

    def used() -> str | None:
        (found,) = (
            each
            for each in stack.api_2.get("/keys").json()
            if each["key_id"] == made["key_id"]
        )
        return found["last_used_at"]

    until("the other gateway to know", lambda: used() is not None, 30)
    kept = used()
    kill_all(stack, "gateway")
    until("the gateways", lambda: is_ready(stack.api_2), 60)
    assert used() == kept


@pytest.mark.long
def test_each_time_of_a_schedule_has_one_run(stack: ChaosStack) -> None:
    """While planners whose clocks differ take turns, and the broker is away over a time."""
    made = put(
        stack,
        "/schedules/often",
        {"every_s": EVERY_S, "sources": ["rss"]},
    )
    assert len(list(made["next"])) == 3  # type: ignore[call-overload]
    began = time.time()
    until("two runs", lambda: len(times(stack)) >= 2, 60)
    stack.kafka.stop(signal.SIGKILL)
    time.sleep(EVERY_S + 2)
    stack.heal()
    stack.wait_whole()
    kill_all(stack, "extractor")
    before = len(times(stack))
    until("more", lambda: len(times(stack)) >= before + 2, 90)
    assert stack.api.delete("/schedules/often").status_code == 204
    passed = time.time() - began
    found = times(stack)
    assert set(Counter(found).values()) == {1}
    assert all(at.second % EVERY_S == 0 for at in found)
    # None of those that one clock or another has met twice.
    assert len(found) <= 3 * (passed / EVERY_S + 2)
    rows = stack.query("SELECT DISTINCT asked_by FROM audit")
    assert ("schedule/often",) in rows


def times(stack: ChaosStack) -> list[datetime]:
    """Of the commands of the schedule; each time it is asked for again is the same run."""
    rows = stack.query(
        "SELECT DISTINCT subject, after->>'requested_at' FROM audit"
        " WHERE asked_by = 'schedule/often'"
    )
    return [datetime.fromisoformat(at) for _, at in rows]
