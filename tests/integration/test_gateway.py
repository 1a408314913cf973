"""The REST API on a real PostgreSQL and Kafka, over real HTTP."""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from sqlalchemy import Engine

from services.gateway.app import create_app
from services.gateway.middleware.slow_clients import SlowClients
from services.gateway.settings import GatewaySettings
from services.loader.pages.staged_page import StagedPage
from services.loader.pages.transaction import write_pages
from services.loader.runs import event_handlers, ledger
from services.loader.runs.event_handlers import ReceivedMessage
from shared.messages.commands import StartIngestion
from shared.messages.run_events import (
    PlannedTask,
    RunError,
    RunPlanned,
    TaskFinished,
    TaskStarted,
)
from shared.messages.serialization import command_decoder, encode
from shared.messages.topics import COMMANDS
from shared.runtime.health import Health
from tests.support.http_server import serving
from tests.support.infra import Infrastructure
from tests.support.pages import candle, raw_page, unified_page
from tests.support.product import until

KEY = "test-api-key"
NOWHERE = "3b241101-e2bb-4255-8caf-4136c566a962"  # no run has this id


@pytest.fixture(scope="module")
def address(
    infra: Infrastructure, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    csv_dir = tmp_path_factory.mktemp(
        "csv"
    )  # what is uploaded lies there
    settings = GatewaySettings(
        _env_file=None,
        database_url=infra.dsn,
        kafka_bootstrap_servers=infra.bootstrap,
        api_key=KEY,
        mode="native",
        gateway_database_url="",
        csv_dir=csv_dir,
    )
    with serving(create_app(settings, Health(None))) as address:
        until(
            "the gateway to reach Kafka",
            lambda: (
                httpx.get(
                    f"{address}/api/v1/health/ready", trust_env=False
                ).status_code
                == 200
            ),
            30,
        )
        yield address


@pytest.fixture
def api(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"{address}/api/v1",
        headers={"x-api-key": KEY},
        trust_env=False,
    ) as client:
        yield client


def load(
    engine: Engine,
    records: list[Any],
    *,
    offset: int = 0,
    broker_ms: int = 1_700_000_000_000,
    **page: Any,
) -> None:
    write_pages(
        engine,
        [
            StagedPage.from_message(
                encode(
                    unified_page(
                        raw_page(records, **page),
                        offset=offset,
                        broker_ms=broker_ms,
                    )
                )
            )
        ],
    )


def finished_run(
    engine: Engine,
    rows: int = 1,
    *,
    at_ms: int = 1_700_000_000_000,
    error: RunError | None = None,
) -> str:
    """A run as the loader stores it."""
    run_id = str(uuid.uuid4())
    page = raw_page(
        [candle(day + 1) for day in range(rows)], run_id=run_id
    )
    task = {
        "run_id": run_id,
        "task_id": page.task_id,
        "source": "csv",
        "stream": page.stream,
    }
    planned = RunPlanned(
        run_id=run_id,
        tasks=[
            PlannedTask(
                task_id=page.task_id, source="csv", stream=page.stream
            )
        ],
        errors=[error] if error else [],
    )
    messages = [
        StartIngestion(run_id=run_id),
        planned,
        TaskStarted(**task),
        TaskFinished(**task, pages=1, records=rows),
    ]
    write_pages(
        engine, [StagedPage.from_message(encode(unified_page(page)))]
    )
    with engine.begin() as transaction:
        for message in messages:
            event_handlers.apply(
                transaction, ReceivedMessage(message, at_ms)
            )
        ledger.evaluate(transaction, run_id, 600)
    return run_id


def is_problem(answer: httpx.Response, status: int) -> bool:
    return (
        answer.status_code == status == answer.json()["status"]
        and answer.headers["content-type"] == "application/problem+json"
    )


@pytest.mark.parametrize(
    "path",
    [
        "/data",
        "/stats",
        "/compare-runs?run_id_1=latest&run_id_2=previous",
        f"/runs/{NOWHERE}",
    ],
)
def test_the_key_is_required_and_checked(
    api: httpx.Client, path: str
) -> None:
    assert is_problem(
        httpx.get(
            f"{str(api.base_url).rstrip('/')}{path}", trust_env=False
        ),
        401,
    )
    assert is_problem(api.get(path, headers={"x-api-key": ""}), 401)
    for wrong in ("test-api-kez", "test-api-key ", "x" * 5000):
        assert is_problem(
            api.get(path, headers={"x-api-key": wrong.strip() + "!"}), 403
        )
    assert is_problem(
        api.get(path, headers={"x-api-key": "clé".encode()}), 403
    )


def test_a_query_that_was_asked_before_is_checked_like_the_first(
    api: httpx.Client, engine: Engine
) -> None:
    """What it means is remembered; who asks, and what is right, is not."""
    finished_run(engine, 3)
    asked = {"limit": "2", "symbol": "btc"}
    first, again = (api.get("/data", params=asked) for _ in range(2))
    assert first.json() == again.json()
    assert first.headers["link"] == again.headers["link"]
    path = f"{str(api.base_url).rstrip('/')}/data?limit=2&symbol=btc"
    assert is_problem(httpx.get(path, trust_env=False), 401)
    wrong = api.get(
        "/data", params=asked, headers={"x-api-key": "no key!"}
    )
    assert is_problem(wrong, 403)
    for _ in range(2):
        assert is_problem(api.get("/data", params={"limit": "x"}), 422)
    finished_run(engine, 5)
    more = api.get(
        "/data", params={"symbol": "btc", "limit": "1000"}
    ).json()
    assert len(more) == 5
    assert api.get("/data", params=asked).json() == more[:2]


def test_many_wrong_keys_are_slowed_down_and_the_right_one_is_not(
    api: httpx.Client,
) -> None:
    found = Counter(
        api.get(
            "/stats", headers={"x-api-key": f"wrong-key-{n}"}
        ).status_code
        for n in range(1_000)
    )
    assert set(found) <= {403, 429}
    assert found[429] >= 1_000 - 110
    assert api.get("/stats").status_code == 200


def test_a_thousand_requests_at_once_are_all_answered(
    api: httpx.Client, engine: Engine
) -> None:
    load(engine, [candle(day + 1) for day in range(20)])

    async def ask() -> list[int]:
        limits = httpx.Limits(max_connections=1000)
        async with httpx.AsyncClient(
            base_url=api.base_url,
            headers=api.headers,
            trust_env=False,
            timeout=60,
            limits=limits,
        ) as client:
            return [
                answer.status_code
                for answer in await asyncio.gather(
                    *[client.get("/data") for _ in range(1000)]
                )
            ]

    found = Counter(asyncio.run(ask()))
    assert set(found) <= {200, 429}
    assert found[200] > 0


def test_a_body_that_drips_is_given_up(infra: Infrastructure) -> None:
    settings = GatewaySettings(
        _env_file=None,
        database_url=infra.dsn,
        kafka_bootstrap_servers=infra.bootstrap,
        api_key=KEY,
        client_timeout_s=1,
    )
    with serving(create_app(settings, Health(None))) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection(
            (host, int(port)), timeout=10
        ) as connection:
            connection.sendall(
                f"POST /api/v1/ingest HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY}\r\ncontent-type:"
                " application/json\r\ncontent-length: 50\r\n\r\n{".encode()
            )
            answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"the body did not arrive within 1 s" in answer


async def test_an_answer_that_nobody_takes_is_given_up() -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(_message: Any) -> None:
        await asyncio.sleep(60)

    async def reading(scope: Any, receive_: Any, send_: Any) -> None:
        await receive_()
        await app(scope, receive_, send_)

    # It returns without an answer: the server closes such a connection.
    async with asyncio.timeout(5):
        await SlowClients(reading, timeout_s=0.05)(
            {"type": "http", "path": "/data"}, receive, send
        )


def test_health_is_open(address: str) -> None:
    answer = httpx.get(f"{address}/api/v1/health", trust_env=False)
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert answer.json()["database"]["latency_ms"] > 0
    assert answer.json()["lag"] == {"normalizer": 0, "loader": 0}


def test_data_is_a_list_newest_first_with_exact_numbers(
    api: httpx.Client, engine: Engine
) -> None:
    load(engine, [candle(2, "1.123456789"), candle(9), candle(5)])
    answer = api.get("/data")
    assert [point["timestamp"][:10] for point in answer.json()] == [
        "2024-01-09",
        "2024-01-05",
        "2024-01-02",
    ]
    assert '"close":1.123456789' in answer.text
    assert "link" not in answer.headers


def test_paging_by_cursor_and_by_skip_visits_every_point_once(
    api: httpx.Client, engine: Engine
) -> None:
    load(engine, [candle(day) for day in range(1, 29)])
    load(
        engine,
        [candle(day) for day in range(1, 29)],
        stream="csv/other/eth-usd.csv",
    )
    everything = [
        point["id"]
        for point in api.get("/data", params={"limit": 1000}).json()
    ]
    seen, url = [], "/data?limit=10&source=csv"
    while url:
        answer = api.get(url)
        seen += [point["id"] for point in answer.json()]
        url = (
            answer.links["next"]["url"].removeprefix("/api/v1")
            if "next" in answer.links
            else ""
        )
    skipped = [
        point["id"]
        for skip in range(0, 56, 7)
        for point in api.get(
            "/data", params={"limit": 7, "skip": skip}
        ).json()
    ]
    assert len(everything) == 56
    assert seen == skipped == everything


def test_filters(api: httpx.Client, engine: Engine) -> None:
    load(engine, [candle(1), candle(2)])
    load(
        engine,
        [
            {
                "key": "k",
                "title": "Ethereum and Bitcoin",
                "published": "2024-01-01T12:00:00Z",
            }
        ],
        stream="rss/desk",
        context={},
    )

    def kinds(**parameters: Any) -> list[str]:
        return [
            point["kind"]
            for point in api.get("/data", params=parameters).json()
        ]

    assert kinds(symbol="BTC") == ["candle", "news", "candle"]
    assert kinds(symbol="eth") == ["news"]
    assert kinds(symbol="eth", source="csv") == []
    assert (
        kinds(source="rss")
        == kinds(kind="news")
        == kinds(dataset="desk")
        == ["news"]
    )
    assert kinds(
        **{"from": "2024-01-01T12:00:00Z", "to": "2024-01-02"}
    ) == ["news"]
    assert kinds(symbol="%") == kinds(symbol="' OR 1=1 --") == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=1e9",
        "skip=-1",
        "skip=99999999999999999999",
        "source=nasdaq",
        "kind=x",
        "from=yesterday",
        "to=9999-12-31T23:59:59-14:00",
        "cursor=abc",
        "cursor=%00",
        "cursor=" + "A" * 32,
        "symbol=%00",
        "symbol=",
        "dataset=%00",
        "symbol=" + "x" * 51,
    ],
)
def test_bad_parameters_are_422_that_name_the_parameter(
    api: httpx.Client, query: str
) -> None:
    answer = api.get(f"/data?{query}")
    if query == "cursor=" + "A" * 32:
        assert answer.status_code == 200  # a cursor may name any time
        return
    assert is_problem(answer, 422)
    assert query.partition("=")[0] in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null1",
        b'"x"',
        b'{"sources": ["nasdaq"]}',
        b'{"streams": ["nasdaq/x"]}',
        b'{"streams": ["csv/\\u0000"]}',
        b'{"surces": []}',
        b'{"full_refresh": "yes"}',
        b"\xff\xfe",
        b'{"sources": "csv"}',
        b'{"to": "2024-01-01"}',
        b'{"from": "2024-02-01", "to": "2024-01-01"}',
        b'{"from": "2024-02-01", "to": "2999-01-01"}',
        b'{"from": "1999-02-01"}',
        b'{"from": "yesterday"}',
    ],
)
def test_bad_bodies_are_422(api: httpx.Client, body: bytes) -> None:
    assert is_problem(
        api.post(
            "/ingest",
            content=body,
            headers={"content-type": "application/json"},
        ),
        422,
    )


def test_days_of_history_can_be_asked_for(api: httpx.Client) -> None:
    answer = api.post(
        "/ingest", json={"from": "2024-01-01", "to": "2024-02-01"}
    )
    assert answer.status_code == 202
    run = api.get(
        answer.json()["links"]["self"].removeprefix("/api/v1")
    ).json()
    assert (run["request"]["from"], run["request"]["to"]) == (
        "2024-01-01",
        "2024-02-01",
    )


def test_a_body_that_is_too_large_is_413(api: httpx.Client) -> None:
    assert is_problem(
        api.post(
            "/ingest",
            content=b" " * 3_000_000,
            headers={"content-type": "application/json"},
        ),
        413,
    )
    assert is_problem(
        api.post(
            "/ingest",
            content=(b" " * 100_000 for _ in range(30)),
            headers={"content-type": "application/json"},
        ),
        413,
    )


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("DELETE", "/data", 405),
        ("GET", "/runs/not-an-id", 422),
        ("GET", f"/runs/{NOWHERE}", 404),
    ],
)
def test_other_errors_are_problems_too(
    api: httpx.Client, method: str, path: str, status: int
) -> None:
    assert is_problem(api.request(method, path), status)


def test_ingest_without_a_body_asks_for_everything_and_is_known_at_once(
    api: httpx.Client, infra: Infrastructure, engine: Engine
) -> None:
    answer = api.post("/ingest")
    run_id = answer.json()["run_id"]
    assert (answer.status_code, answer.headers["location"]) == (
        202,
        f"/api/v1/runs/{run_id}",
    )
    assert api.get(f"/runs/{run_id}").json()["status"] == "queued"
    command = asyncio.run(find_command(infra.bootstrap, run_id))
    assert (command.sources, command.streams, command.full_refresh) == (
        None,
        None,
        False,
    )


async def find_command(bootstrap: str, run_id: str) -> StartIngestion:
    consumer = AIOKafkaConsumer(
        COMMANDS.name,
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        async with asyncio.timeout(20):
            async for record in consumer:
                command = command_decoder.decode(record.value)
                if command.run_id == run_id:
                    assert record.key == run_id.encode()
                    assert (
                        dict(record.headers)["ce_type"]
                        == b"StartIngestion"
                    )
                    return command  # type: ignore[return-value]
    finally:
        await consumer.stop()
    raise AssertionError("unreachable")


def test_one_idempotency_key_fifty_times_at_once_is_one_run(
    api: httpx.Client, address: str
) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4()), "x-api-key": KEY}

    def post(_: int) -> tuple[int, str]:
        answer = httpx.post(
            f"{address}/api/v1/ingest",
            json={"sources": ["csv"]},
            headers=key,
            timeout=30,
            trust_env=False,
        )
        return answer.status_code, answer.text

    with concurrent.futures.ThreadPoolExecutor(25) as pool:
        answers = set(pool.map(post, range(50)))
    assert len(answers) == 1
    assert answers.pop()[0] == 202
    assert is_problem(
        api.post("/ingest", json={"sources": ["rss"]}, headers=key), 409
    )


@pytest.mark.parametrize(
    "headers", [{}, {"idempotency-key": "while-away"}]
)
def test_a_gateway_that_has_not_reached_kafka_yet_says_so(
    infra: Infrastructure, headers: dict[str, str]
) -> None:
    settings = GatewaySettings(
        _env_file=None,
        database_url=infra.dsn,
        kafka_bootstrap_servers="127.0.0.1:1",
        api_key=KEY,
    )
    with serving(create_app(settings, Health(None))) as address:
        answer = httpx.post(
            f"{address}/api/v1/ingest",
            headers={"x-api-key": KEY, **headers},
            trust_env=False,
        )
    assert is_problem(answer, 503)
    assert answer.headers["retry-after"]


def test_a_csv_file_is_inspected_without_reading_it_in(
    infra: Infrastructure, tmp_path: Path
) -> None:
    rows = "".join(
        f"{day:02}/01/2024,{day},{day + 2},{day - 1},{day + 1}\n"
        for day in range(1, 32)
    )
    (tmp_path / "btc_usd.csv").write_text(
        "Date,Open,High,Low,Close\n" + rows
    )
    (tmp_path / "unclear.csv").write_text(
        "Date,Price\n01/02/2024,5\n02/02/2024,6\n"
    )
    (tmp_path / "empty.csv").write_text("")
    settings = GatewaySettings(
        _env_file=None,
        database_url=infra.dsn,
        kafka_bootstrap_servers="127.0.0.1:1",
        api_key=KEY,
        csv_dir=tmp_path,
    )
    with (
        serving(create_app(settings, Health(None))) as address,
        httpx.Client(
            headers={"x-api-key": KEY}, trust_env=False
        ) as client,
    ):

        def inspect(path: str) -> httpx.Response:
            return client.get(
                f"{address}/api/v1/sources/csv/inspect",
                params={"path": path},
            )

        clear = inspect("btc_usd.csv").json()
        assert clear["refused"] is None
        assert (
            clear["profile"]["kind"],
            clear["profile"]["interval"],
            clear["profile"]["rows"],
        ) == ("candle", "1d", 31)
        assert any(
            "day_first" in str(reason["is"])
            for reason in clear["profile"]["reasons"]
        )
        assert (
            inspect("unclear.csv").json()["refused"]["code"]
            == "ambiguous_date"
        )
        assert inspect("empty.csv").json()["refused"]["code"] == "empty"
        for path in (
            "../../etc/passwd",
            "/etc/passwd",
            "missing.csv",
            "a\x00.csv",
        ):
            assert is_problem(inspect(path), 404), path
        (tmp_path / "mapping.yaml").write_text("files: 3")
        assert (
            inspect("btc_usd.csv").json()["refused"]["code"]
            == "bad_mapping"
        )


def test_stats_are_a_list_of_runs_newest_first(
    api: httpx.Client, engine: Engine
) -> None:
    first, second = (
        finished_run(engine, 3),
        finished_run(
            engine,
            5,
            at_ms=1_700_000_100_000,
            error=RunError(
                code="unknown_stream",
                message="?",
                stream="csv/x",
                source="csv",
            ),
        ),
    )
    stats = api.get("/stats").json()
    assert [run["run_id"] for run in stats] == [second, first]
    assert [
        (
            run["status"],
            run["items_processed"],
            run["inserted"],
            run["unchanged"],
        )
        for run in stats
    ] == [
        ("partial", 5, 2, 3),
        ("succeeded", 3, 3, 0),
    ]
    assert stats[1]["sources"]["csv"]["inserted"] == 3
    assert [
        run["run_id"]
        for run in api.get("/stats", params={"status": "partial"}).json()
    ] == [second]
    assert len(api.get("/stats", params={"limit": 1}).json()) == 1
    assert datetime.fromisoformat(
        stats[0]["requested_at"]
    ) == datetime.fromtimestamp(1_700_000_100, UTC)
    assert [
        task["stream"]
        for task in api.get(f"/runs/{first}").json()["tasks"]
    ] == ["csv/sample/btc-usd.csv"]


def test_compare_runs(api: httpx.Client, engine: Engine) -> None:
    first = finished_run(engine, 3)
    second = finished_run(
        engine,
        5,
        at_ms=1_700_000_100_000,
        error=RunError(
            code="unknown_stream",
            message="?",
            stream="csv/x",
            source="csv",
        ),
    )
    by_id = api.get(
        "/compare-runs", params={"run_id_1": first, "run_id_2": second}
    ).json()
    by_name = api.get(
        "/compare-runs",
        params={"run_id_1": "previous", "run_id_2": "latest"},
    ).json()
    assert by_id == by_name
    assert by_id["diff"]["inserted"] == {
        "run_1": 3,
        "run_2": 2,
        "difference": -1,
    }
    assert [
        error["code"]
        for error in by_id["diff"]["errors"]["only_in_run_2"]
    ] == ["unknown_stream"]
    unknown = str(uuid.uuid4())
    missing = api.get(
        "/compare-runs", params={"run_id_1": first, "run_id_2": unknown}
    )
    assert is_problem(missing, 404)
    assert unknown in missing.json()["detail"]
    assert first not in missing.json()["detail"]
    assert is_problem(
        api.get("/compare-runs", params={"run_id_1": first}), 422
    )


def test_the_documentation_works_offline(address: str) -> None:
    page = httpx.get(f"{address}/docs", trust_env=False).text
    links = [
        part.split('"')[0]
        for part in page.replace("'", '"').split('"')
        if part.startswith(("http", "//", "/static"))
    ]
    assert not [link for link in links if link.startswith(("http", "//"))]
    assert httpx.get(f"{address}/openapi.json", trust_env=False).json()[
        "paths"
    ]["/api/v1/ingest"]["post"]["responses"].keys() >= {
        "202",
        "401",
        "403",
        "409",
        "422",
        "503",
    }
    for link in [link for link in links if link.startswith("/static")]:
        assert (
            httpx.get(address + link, trust_env=False).status_code == 200
        )


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/data?symbols=btc", "did you mean `symbol`?"),
        ("/data?frm=2024-01-01", "did you mean `from`?"),
        ("/data?symbol=btc&symbol=eth", "given twice"),
        ("/data?from=2025-01-02&to=2025-01-01", "lies after `to`"),
        ("/stats?limits=3", "did you mean `limit`?"),
        ("/runs/latest?x=1", "there is no such parameter"),
        ("/raw?from=2025-01-02&to=2025-01-01", "lies after `to`"),
        ("/dead-letters?resaon=x", "did you mean `reason`?"),
    ],
)
def test_a_parameter_that_nobody_knows_is_refused(
    api: httpx.Client, path: str, said: str
) -> None:
    answer = api.get(path)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        ('{"sources":["csv"]}', "text/plain", "Content-Type"),
        ("{", "application/json", "is not JSON at character 2"),
        (
            '{"source":["csv"]}',
            "application/json",
            "did you mean `sources`?",
        ),
        ('{"sources":"csv"}', "application/json", "must be a list"),
        ('{"full_refresh":"maybe"}', "application/json", "true or false"),
    ],
)
def test_what_is_wrong_with_a_body_is_said_in_our_words(
    api: httpx.Client, content: str, kind: str, said: str
) -> None:
    answer = api.post(
        "/ingest", content=content, headers={"content-type": kind}
    )
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert "Input should" not in answer.text


def test_times_come_back_as_they_went(
    engine: Engine, api: httpx.Client
) -> None:
    load(engine, [candle(1), candle(2)])
    (newest, oldest) = api.get("/data").json()
    assert newest["timestamp"].endswith("Z")
    assert newest["created_at"].endswith("Z")
    for text in (
        newest["timestamp"],
        newest["timestamp"].replace(
            "Z", "+00:00"
        ),  # the + arrives as a space
        "2024-01-02T01:00:00+01:00",
    ):
        answer = httpx.get(
            f"{api.base_url}data?from={text}", headers=api.headers
        )
        assert [point["id"] for point in answer.json()] == [newest["id"]]
    assert oldest["id"] != newest["id"]


def test_what_is_allowed_is_told_as_it_is_sent(api: httpx.Client) -> None:
    answer = api.get("/sources/csv/coins")
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["message"]) == (
        422,
        "must be 'coinpaprika' or 'coingecko'",
    )
