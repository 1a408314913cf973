"""What a person meets who starts and stops the stack."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from embedded import supervision
from embedded.settings import ROOT
from tests.support.product import until
from tests.support.stack import Stack, prepare


def test_up_again_says_that_it_runs_and_status_shows_every_service(
    stack: Stack,
) -> None:
    assert "already running" in stack.command("up").stdout
    other = stack.command(
        "up", COIN_IDS='["xrp-xrp"]', API_KEY="another-key"
    )
    assert other.returncode == 1
    assert (
        "already running with other settings (API_KEY, COIN_IDS): `make down`"
        in other.stderr
    )
    status = stack.command("status")
    assert status.returncode == 0
    assert all(
        f"{service}-0" in status.stdout
        for service in ("extractor", "normalizer", "loader", "gateway")
    )


def test_demo_follows_a_run_and_shows_rows(stack: Stack) -> None:
    shown = stack.command("demo")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "The newest data point of each source:" in shown.stdout
    assert "items processed" in shown.stdout


def test_logs_name_run_stream_partition_and_offset(stack: Stack) -> None:
    shown = stack.command("logs", "loader").stdout
    assert all(
        f'"{name}"' in shown
        for name in ("run_id", "stream", "partition", "offset")
    )
    assert "p@ss" not in "".join(
        path.read_text() for path in stack.settings.logs.glob("*.log")
    )


@pytest.mark.parametrize(
    "variable", ["API_PORT", "POSTGRES_PORT", "KAFKA_PORT"]
)
def test_a_taken_port_is_said_with_its_variable_and_leaves_nothing_behind(
    tmp_path: Path, variable: str
) -> None:
    stack = Stack(tmp_path / "state", tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(stack.variables[variable])))
        taken.listen()
        done = stack.command("up")
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"error: port {stack.variables[variable]} is taken"
    )
    assert f"set {variable}" in done.stderr
    assert not supervision.is_running(stack.settings)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"COIN_IDS": "btc"}, "COIN_IDS: not valid JSON"),
        (
            {"RSS_FEEDS": '[{"name": "x", "url": "ftp://x"}]'},
            "RSS_FEEDS (at 0.url)",
        ),
        ({"API_PORT": "99999"}, "API_PORT:"),
        (
            {"DATABASE_URL": "mysql://x"},
            "DATABASE_URL: write postgresql://",
        ),
        (
            {
                "DATABASE_URL": "postgresql://postgres:other@db/ingestion_test"
            },
            "DATABASE_URL: it differs from POSTGRES_PASSWORD",
        ),
        ({"MODE": "cloud"}, "MODE:"),
        ({"API_KEY": "short"}, "API_KEY: must have at least 8"),
    ],
)
def test_a_wrong_setting_is_named_before_anything_starts(
    tmp_path: Path, setting: dict[str, str], said: str
) -> None:
    done = Stack(tmp_path / "state", tmp_path).command("up", **setting)
    assert done.returncode == 78
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_java_that_is_too_old_is_said(tmp_path: Path) -> None:
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.1\"' >&2\n")
    old.chmod(0o755)
    done = Stack(tmp_path / "state", tmp_path).command(
        "up", JAVA=str(old)
    )
    assert (
        done.returncode,
        "is Java 11, Kafka needs 17 or newer: set JAVA" in done.stderr,
    ) == (1, True)


def test_interrupting_up_stops_what_it_started_and_down_then_finds_nothing(
    tmp_path: Path,
) -> None:
    stack = Stack(tmp_path / "state", tmp_path)
    starting = subprocess.Popen(
        [sys.executable, "-m", "embedded", "up"],
        cwd=ROOT,
        env=stack.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Tests that run in the background of a shell have it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    until(
        "the supervisor to start",
        lambda: supervision.is_running(stack.settings),
        60,
    )
    started = stack.processes()
    starting.send_signal(signal.SIGINT)
    assert starting.wait(60) == 130
    _, alive = psutil.wait_procs(started, 10)
    assert not alive
    assert "nothing is running" in stack.command("down").stdout


def test_nothing_outlives_its_supervisor_and_what_does_is_found(
    tmp_path: Path,
) -> None:
    prepare(tmp_path)
    stack = Stack(tmp_path / "state", tmp_path / "csv")
    stack.up()
    started = stack.processes()
    supervisor = started[0]
    supervisor.kill()
    _, alive = psutil.wait_procs(started, 40)
    assert not alive
    # One that has not heard of it.
    deaf = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import time; time.sleep(300)",
            "-m services.loader",
        ],
        env={
            **stack.environment,
            "HEALTH_FILE": str(
                stack.settings.state / "health" / "x.json"
            ),
        },
    )
    try:
        said = stack.command("status")
        assert (said.returncode, str(deaf.pid) in said.stdout) == (
            1,
            True,
        )
        again = stack.command("up")
        assert "`make down` ends them" in again.stderr
        assert stack.command("down").returncode == 0
        assert deaf.wait(10) != 0
    finally:
        deaf.kill()
    assert "nothing is running" in stack.command("status").stdout


def test_a_supervisor_that_was_stopped_is_not_waited_for(
    stack: Stack,
) -> None:
    supervisor = stack.processes()[0]
    supervisor.suspend()
    try:
        said = stack.command("status", timeout_s=30)
    finally:
        supervisor.resume()
    assert (said.returncode, "kill -CONT" in said.stderr) == (1, True)
    assert stack.command("status").returncode == 0


def test_state_and_logs_are_their_owners(stack: Stack) -> None:
    state = stack.settings.state
    assert state.stat().st_mode & 0o777 == 0o700
    for path in (*stack.settings.logs.glob("*.log"), *state.glob("*")):
        assert not path.stat().st_mode & 0o077, path


def test_down_stops_every_process_and_the_data_survives(
    stack: Stack,
) -> None:
    before = stack.query("SELECT count(*) FROM unified_data")
    processes = stack.processes()
    started = time.monotonic()
    stack.down()
    assert time.monotonic() - started < 60
    _, alive = psutil.wait_procs(processes, 5)
    assert not alive
    stopped = (
        (stack.settings.logs / "supervisor.log")
        .read_text()
        .rpartition("supervisord started with pid")[2]
    )
    assert "with SIGKILL" not in stopped, (
        "a service did not end by itself within its 12 s"
    )
    assert not [
        path
        for path in Path("/tmp").glob("crypto-ingest-*.sock")
        if path == supervision.socket_path(stack.settings)
    ]
    stack.up()
    assert stack.query("SELECT count(*) FROM unified_data") == before
