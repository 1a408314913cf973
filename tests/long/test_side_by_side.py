"""Services of the release before beside those of today, as while an upgrade goes on.

The other way round it is not promised: loaders of 0.2.0 do not read what normalizers of today send,
so that new loaders come first (docs/run-it.md).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from embedded import supervision
from embedded.settings import ROOT
from embedded.stack import not_ready
from tests.chaos.feed import CsvFile
from tests.simulator import Simulator
from tests.support.product import until
from tests.support.stack import Stack, prepare, running

RELEASE, COMMIT = "0.2.0", "c6627a9"
ROWS = 5_000


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the release before consists of."""
    folder = tmp_path_factory.mktemp("release")
    archive = subprocess.run(
        ["git", "archive", COMMIT],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        pytest.skip(f"there is no {RELEASE} in this checkout")
    subprocess.run(
        ["tar", "-x", "-C", folder], input=archive.stdout, check=True
    )
    return folder


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    root = tmp_path_factory.mktemp("beside")
    prepare(root)
    with Simulator() as upstream:
        settings = {
            **upstream.settings("news"),
            "COIN_IDS": '["btc-bitcoin"]',
            "PARTITIONS": "6",  # which it knows alone
        }
        with running(root / "state", root / "csv", **settings) as stack:
            yield stack


@contextmanager
def of_release(
    stack: Stack, release: Path, service: str
) -> Iterator[None]:
    """The service of the release before, in place of today's."""
    stack.stop_part(service)
    health = supervision.health_file(stack.settings, service, 0)
    health.unlink()
    with (stack.settings.logs / f"{service}-before.log").open(
        "ab"
    ) as log:
        process = subprocess.Popen(
            [sys.executable, "-m", f"services.{service}"],
            cwd=release,
            env={
                **stack.environment,
                "HEALTH_FILE": str(health),
                "PYTHONPATH": str(release),
            },
            stdout=log,
            stderr=log,
        )
    try:
        until(
            f"{service} of {RELEASE}",
            lambda: not_ready(stack.settings, service, 0) is None,
            60,
        )
        yield
    finally:
        process.terminate()
        process.wait(20)
        stack.start_part(service)
        until(
            service,
            lambda: not_ready(stack.settings, service, 0) is None,
            60,
        )


@pytest.mark.parametrize(
    "services",
    [
        ("extractor",),
        ("normalizer",),
        ("gateway",),
        ("extractor", "normalizer", "gateway"),
    ],
    ids="+".join,
)
def test_older_services_work_beside_new_loaders(
    stack: Stack, release: Path, services: tuple[str, ...]
) -> None:
    file = CsvFile(stack.csv_dir, "-".join(services), 5, odd=False)
    with ExitStack() as older:
        for service in services:
            older.enter_context(of_release(stack, release, service))
        file.grow(ROWS)
        run = stack.ingest()
        assert (run["status"], run["ledger"]["balanced"]) == (
            "succeeded",
            True,
        ), run
        assert run["rejected"] == 0
        answer = stack.api.post(
            "/replay", json={"run_id": run["run_id"], "origin": "topic"}
        )
        again = stack.wait_for(answer.json()["run_id"])
        assert (again["status"], again["inserted"], again["updated"]) == (
            "succeeded",
            0,
            0,
        )
    ((count,),) = stack.query(
        "SELECT count(*) FROM unified_data WHERE dataset = %s", file.name
    )
    assert count == ROWS
    ((letters,),) = stack.query("SELECT count(*) FROM dead_letters")
    assert letters == 0
