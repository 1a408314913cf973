"""Build, start, ingest, scale under load, kill, scale down, compare with the oracle.

Stop and start with the data kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.compose import ComposeStack, compose_command
from tests.support.oracle import CandleFile, write_candles
from tests.support.product import ENDED, until

STREAMS = 6
ROWS = 30_000
PARTS = {"extractor", "normalizer", "loader", "gateway", "notifier"}
SCALED = {"extractor": 2, "normalizer": 3, "loader": 2, "gateway": 2}
COMMAND = compose_command()

pytestmark = [
    pytest.mark.skipif(
        COMMAND is None,
        reason="no Docker engine with compose answers here",
    ),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ComposeStack]:
    csv_dir: Path = tmp_path_factory.mktemp("csv")
    for folder in (csv_dir, *csv_dir.parents[:2]):
        folder.chmod(0o755)  # the container's user reads it
    csv_dir.chmod(0o777)  # and the gateway's writes what is uploaded
    stack = ComposeStack(COMMAND or [], csv_dir)
    stack.down(volumes=True)
    stack.compose("build")
    stack.up()
    yield stack
    stack.down(volumes=True)


def test_1_a_clean_start_ingests_all_three_sources(
    stack: ComposeStack,
) -> None:
    small = write_candles(
        stack.csv_dir / "small" / "eth-usd.csv", 500, seed=7
    )

    run = stack.ingest()

    assert (run["status"], run["records"]) == (
        "succeeded",
        500 + 2 + 5,
    ), run
    assert stack.candles("csv/small/eth-usd.csv") == small.candles
    assert {
        point["source"]
        for point in stack.api.get(
            "/data", params={"source": "rss"}
        ).json()
    } == {"rss"}
    assert (
        stack.api.get(
            "/data", params={"source": "coinpaprika", "symbol": "btc"}
        ).json()[0]["kind"]
        == "ticker"
    )
    assert stack.api.get("/health").json()["status"] == "ok"


def test_1_the_console_is_served_and_takes_a_file(
    stack: ComposeStack,
) -> None:
    root = stack.api.get(f"{stack.api.base_url.copy_with(path='/')}")
    assert root.status_code == 200, root.text
    assert "<!doctype html>" in root.text.lower()
    start = datetime(2024, 1, 1, tzinfo=UTC)
    rows = [
        f"{start + timedelta(minutes=n):%Y-%m-%dT%H:%M:%SZ},1,2,1,2,5"
        for n in range(40_000)
    ]
    content = "\n".join(["date,open,high,low,close,volume", *rows, ""])
    assert len(content) > 1_000_000  # as the page's parts are
    put = stack.api.put(
        "/files/csv/uploads/sol-usd.csv",
        content=content,
        headers={"content-type": "text/csv"},
    )
    assert put.status_code in (200, 201), put.text
    run = stack.ingest(streams=["csv/uploads/sol-usd.csv"])
    assert (run["status"], run["inserted"]) == ("succeeded", 40_000)


def test_1_each_service_tells_of_itself_and_serves_metrics(
    stack: ComposeStack,
) -> None:
    def told() -> set[str]:
        rows = stack.api.get("/services").json()
        return {each["service"] for each in rows if each["ready"]}

    until("all to be ready", lambda: told() == PARTS, 30)
    scrape = (
        "import urllib.request as r;"
        "print(r.urlopen('http://127.0.0.1:9464/metrics').read().decode())"
    )
    for service in PARTS:
        (container,) = stack.containers(service)
        text = stack.docker("exec", container, "python", "-c", scrape)
        assert "crypto_ingest_ready 1.0" in text
    loaded = stack.docker(
        "exec", stack.containers("loader")[0], "python", "-c", scrape
    )
    assert 'crypto_ingest_records_total{source="csv"}' in loaded


def test_1_webhooks_are_told_and_private_addresses_refused(
    stack: ComposeStack,
) -> None:
    hook = {"url": "http://gateway:8000/hook", "events": ["run.failed"]}
    assert stack.api.put("/webhooks/a", json=hook).status_code == 200
    assert stack.api.post("/webhooks/a/test").status_code == 202
    (found,) = until(
        "the delivery to be kept",
        lambda: stack.api.get("/webhooks/a/deliveries").json(),
        30,
    )
    assert (found["type"], found["status"]) == ("test", None)
    assert "a private address" in found["error"]
    assert stack.api.delete("/webhooks/a").status_code == 204


# Of the gateway with the children that write files.
MEMORY_MB = {"gateway": 640}


def test_2_no_image_holds_build_tools_or_runs_as_root(
    stack: ComposeStack,
) -> None:
    for service in PARTS:
        (container,) = stack.containers(service)
        assert stack.docker("exec", container, "id", "-u").strip() != "0"
        assert (
            stack.docker(
                "exec",
                container,
                "sh",
                "-c",
                "command -v gcc uv make || true",
            ).strip()
            == ""
        )
        others = PARTS - {service}
        assert not others & set(
            stack.docker("exec", container, "ls", "services").split()
        )
        assert (
            int(
                stack.docker(
                    "inspect", "-f", "{{.HostConfig.Memory}}", container
                )
            )
            == MEMORY_MB.get(service, 256) * 1024 * 1024
        )


def test_3_scaled_and_killed_under_load_it_holds_what_the_oracle_says(
    stack: ComposeStack,
) -> None:
    files: dict[str, CandleFile] = {
        f"csv/load{n}/btc-usd.csv": write_candles(
            stack.csv_dir / f"load{n}" / "btc-usd.csv", ROWS, seed=n
        )
        for n in range(STREAMS)
    }
    runs = [stack.start_run(sources=["csv"], streams=list(files))]
    stack.wait_for_records(runs[0], 1_000)
    stack.up(**SCALED)

    for service in ("normalizer", "loader", "gateway", "extractor"):
        runs.append(
            stack.start_run(
                sources=["csv"], streams=list(files), full_refresh=True
            )
        )
        stack.wait_for_records(runs[-1], 1_000)
        killed = stack.containers(service)[0]
        stack.docker("kill", "--signal", "KILL", killed)
        assert stack.run_state(runs[-1])["status"] not in ENDED, (
            "the load was over before the kill"
        )
        # An instance is left: the address answers all the while.
        until(
            f"an answer after the kill of a {service}",
            lambda: stack.api.get("/health/live").status_code == 200,
            5,
        )
        stack.docker("start", killed)
    stack.up(extractor=1, normalizer=1, loader=1, gateway=1)

    for run in (stack.wait_for(run_id, 300) for run_id in runs):
        assert (run["status"], run["records"], run["rejected"]) == (
            "succeeded",
            STREAMS * ROWS,
            0,
        ), run
    for stream, file in files.items():
        assert stack.candles(stream) == file.candles
        for run_id in runs:
            stack.assert_ledger(run_id, stream, ROWS)
    assert stack.query("SELECT count(*) FROM unified_revisions") == [(0,)]


def test_4_the_proxy_spreads_requests_over_the_gateways(
    stack: ComposeStack,
) -> None:
    stack.up(gateway=2)
    gateways = stack.containers("gateway")
    assert len(gateways) == 2
    for stopped in gateways:
        stack.docker("stop", stopped)
        until(
            "the other gateway to answer",
            lambda: (
                stack.api.get("/data", params={"limit": 1}).status_code
                == 200
            ),
            10,
        )
        stack.docker("start", stopped)
        stack.wait_healthy()


def test_5_without_a_gateway_the_answer_is_a_problem(
    stack: ComposeStack,
) -> None:
    for gateway in stack.containers("gateway"):
        stack.docker("stop", gateway)
    answer = until(
        "503",
        lambda: (
            (got := stack.api.get("/health/live")).status_code == 503
            and got
        ),
        15,
    )
    assert (
        answer.headers["content-type"],
        answer.headers["retry-after"],
    ) == (
        "application/problem+json",
        "2",
    )
    assert "no gateway" in answer.json()["detail"]
    stack.up()


def test_6_stopped_and_started_again_it_has_its_data(
    stack: ComposeStack,
) -> None:
    before = stack.query("SELECT count(*) FROM unified_data")

    stack.down()
    stack.up()

    assert stack.query("SELECT count(*) FROM unified_data") == before
    run = stack.ingest(sources=["csv"])
    assert (run["status"], run["records"]) == ("succeeded", 0)
    assert "nothing new" in run["message"]
