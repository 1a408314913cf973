"""schemathesis: generated requests against the API, checked against its OpenAPI document."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.integration.test_gateway import KEY, address, finished_run
from tests.support.stack import untraced

__all__ = ["address"]


@pytest.mark.parametrize(
    "phases",
    [
        "examples,fuzzing,stateful",
        # Each parameter's limits, one by one: five thousand requests.
        pytest.param("coverage", marks=pytest.mark.long),
    ],
)
def test_the_api_keeps_its_contract(
    address: str, engine: Engine, tmp_path: Path, phases: str
) -> None:
    finished_run(engine, 5)
    program = str(Path(sys.executable).with_name("schemathesis"))
    arguments = [
        "run",
        f"{address}/openapi.json",
        "--header",
        f"x-api-key: {KEY}",
        "--phases",
        phases,
        "--max-examples",
        "4",
        "--seed",
        "1",
        "--workers",
        "1",
        "--no-color",
        "--request-timeout",
        "10",
        # Its answers do not end.
        "--exclude-path",
        "/api/v1/events",
    ]
    # No schema can say that `from` lies before `to`, or that one parameter excludes another.
    (tmp_path / "schemathesis.toml").write_text(
        "".join(
            "[[operations]]\ninclude-name ="
            f" '{name}'\nchecks.positive_data_acceptance.expected-statuses = ['2xx', '401',"
            " '403', '404', '409', '410', '411', '413', '415', '422', '423', '429', '5xx']\n"
            for name in (
                "POST /api/v1/ingest",
                "POST /api/v1/sources/rss/find",
                "PUT /api/v1/sources/rss/feeds/{name}",
                "POST /api/v1/sources/rss/opml",
                "PUT /api/v1/schedules/{name}",
                "PUT /api/v1/sources/{source}/coins",
                "DELETE /api/v1/sources/{source}/coins",
                "GET /api/v1/sources/{source}/coins",
                "POST /api/v1/replay",
                "GET /api/v1/data",
                "GET /api/v1/agreement",
                "GET /api/v1/changes",
                "GET /api/v1/coverage",
                "GET /api/v1/news",
                "GET /api/v1/news/impact",
                "GET /api/v1/sentiment",
                "GET /api/v1/ohlcv",
                "POST /api/v1/coverage/fill",
                "GET /api/v1/raw",
                "GET /api/v1/files/csv/{path}",
                "PUT /api/v1/files/csv/{path}",
                "DELETE /api/v1/files/csv/{path}",
                "PUT /api/v1/webhooks/{name}",
                "POST /api/v1/files/mapping",
            )
        )
    )
    done = subprocess.run(
        [program, *arguments],
        cwd=tmp_path,
        env=untraced(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
