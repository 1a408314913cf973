"""Who is told what: at least once, signed, of now alone; what never arrives can be sent again."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.kafka import clients
from shared.messages.topics import NOTIFICATIONS
from tests.simulator import Simulator
from tests.simulator.server import Fault, ticker
from tests.support.http_server import serving
from tests.support.oracle import write_candles
from tests.support.product import until
from tests.support.stack import Stack, running


@dataclass
class Receiver:
    """An address that is told things, and answers with `status`."""

    url: str = ""
    status: int = 204
    taken: list[tuple[dict[str, str], bytes]] = field(
        default_factory=list
    )

    async def take(self, request: Request) -> Response:
        self.taken.append((dict(request.headers), await request.body()))
        return Response(
            status_code=self.status,
            headers={"location": "http://127.0.0.1:1/"},
        )

    def of(self, kind: str) -> list[dict[str, Any]]:
        found = [json.loads(body) for _, body in self.taken]
        return [each for each in found if each["type"] == kind]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    app = Starlette(routes=[Route("/hook", found.take, methods=["POST"])])
    with serving(app) as address:
        found.url = f"{address}/hook"
        yield found


@pytest.fixture(scope="module")
def stack(
    own_upstream: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    root = tmp_path_factory.mktemp("webhooks")
    (root / "csv").mkdir()
    settings = {
        **own_upstream.settings("news"),
        "COIN_IDS": '["btc-bitcoin"]',
        "NOTIFIERS": "1",
        "WEBHOOK_ATTEMPTS": "3",
        "WEBHOOK_RETRY_S": "0.2",
        "WEBHOOK_TIMEOUT_S": "1.5",
    }
    with running(root / "state", root / "csv", **settings) as found:
        yield found


def hook(stack: Stack, receiver: Receiver, **what: Any) -> dict[str, Any]:
    answer = stack.api.put(
        "/webhooks/alarm", json={"url": receiver.url, **what}
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return dict(answer.json())


def deliveries(stack: Stack) -> list[dict[str, Any]]:
    return list(stack.api.get("/webhooks/alarm/deliveries").json())


def signature(secret: str, headers: dict[str, str], body: bytes) -> str:
    """As Standard Webhooks has it, made apart from ours."""
    key = base64.b64decode(secret.split("_", 1)[1])
    content = (
        f"{headers['webhook-id']}.{headers['webhook-timestamp']}."
    ).encode() + body
    made = hmac.new(key, content, hashlib.sha256).digest()
    return "v1," + base64.b64encode(made).decode()


def price(upstream: Simulator, value: float, minutes: int = 0) -> None:
    found = ticker("btc-bitcoin", value)
    at = datetime.now(UTC) + timedelta(minutes=minutes)
    found["last_updated"] = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    upstream.tickers["btc-bitcoin"] = found


def test_a_test_arrives_signed_and_is_kept(
    stack: Stack, receiver: Receiver
) -> None:
    made = hook(stack, receiver)
    again = hook(stack, receiver, note="changed")
    assert again["secret"] == made["secret"]
    listed = stack.api.get("/webhooks").json()
    assert "secret" not in listed[0]
    sent = stack.api.post("/webhooks/alarm/test")
    assert sent.status_code == 202
    until("it to arrive", lambda: receiver.of("test"))
    headers, body = receiver.taken[0]
    assert headers["webhook-id"] == sent.json()["id"]
    assert headers["webhook-signature"] == signature(
        made["secret"], headers, body
    )
    (kept,) = until("it to be kept", lambda: deliveries(stack))
    assert (kept["id"], kept["status"], kept["attempts"]) == (
        sent.json()["id"],
        204,
        1,
    )
    other = hook(stack, receiver, rotate=True)
    assert other["secret"] != made["secret"]


def test_a_failing_run_and_its_stream_are_told(
    stack: Stack, receiver: Receiver, own_upstream: Simulator
) -> None:
    hook(
        stack,
        receiver,
        events=["run.failed", "stream.failed"],
        sources=["rss"],
    )
    stack.ingest(sources=["coinpaprika"])
    own_upstream.fail("/feeds/news", Fault(404))
    run = stack.ingest(streams=["rss/news"])
    assert run["status"] == "failed"
    (failed,) = until("the run", lambda: receiver.of("run.failed"))
    assert failed["data"]["run_id"] == run["run_id"]
    (stream,) = until("the stream", lambda: receiver.of("stream.failed"))
    assert stream["data"]["stream"] == "rss/news"
    assert stream["data"]["code"] == "not_found"
    assert len(receiver.taken) == 2


def test_a_price_that_crosses_is_told_once_and_history_never(
    stack: Stack, receiver: Receiver, own_upstream: Simulator
) -> None:
    crosses = {
        "type": "PriceCrosses",
        "symbol": "BTC",
        "price": "50000.5",
        "direction": "above",
    }
    changes = {
        "type": "PriceChanges",
        "symbol": "btc",
        "percent": 20,
        "within_s": 3600,
    }
    hook(stack, receiver, conditions=[crosses, changes])
    # Of two years ago, above and below; and of long ago from the source.
    write_candles(stack.csv_dir / "old" / "btc-usd.csv", 50)
    stack.ingest(sources=["csv"])
    price(own_upstream, 90_000, minutes=-600)
    stack.ingest(sources=["coinpaprika"])
    price(own_upstream, 45_000, minutes=-3)
    stack.ingest(sources=["coinpaprika"])
    assert receiver.taken == []

    price(own_upstream, 51_000, minutes=-2)
    run = stack.ingest(sources=["coinpaprika"])
    (told,) = until("the price", lambda: receiver.of("price.crossed"))
    assert told["data"]["price_before"] == "45000"
    assert told["data"]["point"]["price"] == "51000"
    assert told["data"]["condition"]["price"] == "50000.5"

    # What it knew is known again after a restart; what is replayed is not told.
    dead = stack.pids("notifier")
    stack.kill("notifier")
    until("another", lambda: set(stack.pids("notifier")) - set(dead))
    replay = stack.api.post("/replay", json={"run_id": run["run_id"]})
    stack.wait_for(replay.json()["run_id"])
    price(own_upstream, 60_000, minutes=-1)
    stack.ingest(sources=["coinpaprika"])
    (moved,) = until("the change", lambda: receiver.of("price.changed"))
    assert moved["data"]["percent"] == pytest.approx(33.3333)
    assert len(receiver.of("price.crossed")) == 1


def test_news_of_a_mood_is_told(
    stack: Stack, receiver: Receiver, own_upstream: Simulator
) -> None:
    mood = {"type": "MoodIs", "symbol": "btc", "sentiment": -0.3}
    hook(stack, receiver, conditions=[mood])
    now = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    own_upstream.feeds[
        "news"
    ] = f"""<rss version="2.0"><channel><title>x</title>
    <item><title>Bitcoin crashes after a terrible hack, investors lose everything</title>
    <guid>bad</guid><pubDate>{now}</pubDate></item>
    <item><title>Bitcoin soars to a wonderful new record</title>
    <guid>good</guid><pubDate>{now}</pubDate></item></channel></rss>""".encode()
    stack.ingest(sources=["rss"])
    (told,) = until("the news", lambda: receiver.of("news.mood"))
    assert "crashes" in told["data"]["point"]["title"]


def test_what_never_arrives_is_a_dead_letter_and_can_be_sent_again(
    stack: Stack, receiver: Receiver
) -> None:
    hook(stack, receiver)
    receiver.status = 307  # a redirect is not followed
    sent = stack.api.post("/webhooks/alarm/test").json()["id"]

    def letters() -> list[dict[str, Any]]:
        return list(
            stack.api.get(
                "/dead-letters",
                params={"status": "open", "stage": "notify"},
            ).json()
        )

    (letter,) = until("it to be given up", letters)
    assert "it answered 307" in letter["message"]
    assert len(receiver.taken) == 3
    ids = {headers["webhook-id"] for headers, _ in receiver.taken}
    assert ids == {sent}
    newest = deliveries(stack)[0]
    assert (newest["id"], newest["attempts"]) == (sent, 3)
    assert newest["given_up_at"] is not None

    receiver.status = 200
    stack.api.post(f"/dead-letters/{letter['id']}/requeue")
    until(
        "it to arrive after all",
        lambda: deliveries(stack)[0]["delivered_at"],
    )
    assert receiver.taken[-1][0]["webhook-id"] == sent


def test_an_address_that_is_not_there_and_one_that_was_taken_out(
    stack: Stack, receiver: Receiver
) -> None:
    gone = Receiver(url="http://127.0.0.1:1/hook")
    hook(stack, gone)
    stack.api.post("/webhooks/alarm/test")
    until(
        "the reason",
        lambda: (deliveries(stack)[0]["error"] or "").strip(),
    )
    assert stack.api.delete("/webhooks/alarm").status_code == 204
    assert stack.api.post("/webhooks/alarm/test").status_code == 404
    assert stack.api.get("/webhooks").json() == []


def test_one_that_never_answers_holds_up_nobody(
    stack: Stack, receiver: Receiver
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        stack.api.put(
            "/webhooks/silent", json={"url": f"http://127.0.0.1:{port}/"}
        )
        for _ in range(30):
            stack.api.post("/webhooks/silent/test")
        hook(stack, receiver)
        stack.api.post("/webhooks/alarm/test")
        until("the other to be told", lambda: receiver.of("test"), 20)
        told = until(
            "the reason",
            lambda: stack.api.get("/webhooks/silent/deliveries").json(),
        )
    assert "did not answer within 1.5 s" in told[0]["error"]
    stack.api.delete("/webhooks/silent")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:0/",
        "http://[::1:80/",
        "http://:80/",
        "ftp://x.example/",
    ],
)
def test_an_address_that_cannot_be_asked_is_refused(
    stack: Stack, url: str
) -> None:
    answer = stack.api.put("/webhooks/odd", json={"url": url})
    assert answer.status_code == 422
    feed = stack.api.put("/sources/rss/feeds/odd", json={"url": url})
    assert feed.status_code == 422


def test_what_is_forged_stops_nobody(
    stack: Stack, receiver: Receiver
) -> None:
    """Who can write to Kafka may say anything; the service goes on."""
    hook(stack, receiver)
    deep: Any = "x"
    for _ in range(900):
        deep = [deep]
    known = {
        "type": "Notification",
        "id": "3b241101-e2bb-4255-8caf-4136c566a962",
        "webhook": "alarm",
        "event": "x",
        "at": 1,
    }
    forged = [
        json.dumps({**known, "data": {"deep": deep}}).encode(),
        json.dumps({**known, "data": {"large": "x" * 9_000_00}}).encode(),
        b"{}",
        b"",
        None,
    ]

    async def publish() -> None:
        producer = clients.producer(
            stack.settings.kafka_bootstrap_servers, "forger"
        )
        await producer.start()
        for value in forged:
            await producer.send_and_wait(
                NOTIFICATIONS.name, value, key=b"alarm"
            )
        await producer.stop()

    before = stack.pids("notifier")
    asyncio.run(publish())
    stack.api.post("/webhooks/alarm/test")
    until("the next to arrive", lambda: receiver.of("test"))
    assert stack.pids("notifier") == before
