"""Kafka and PostgreSQL for tests: TEST_DATABASE_URL and TEST_KAFKA_BOOTSTRAP_SERVERS, else
testcontainers where Docker
answers, else the embedded ones. DATABASE_URL is never touched."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from embedded.servers import jars, kafka, postgres
from embedded.settings import StackSettings
from shared.tables import metadata
from tests.support.ports import free_ports


@dataclass(frozen=True)
class Infrastructure:
    """Where the real parts are."""

    dsn: str
    bootstrap: str


@contextlib.contextmanager
def infrastructure(folder: Path) -> Iterator[Infrastructure]:
    dsn, bootstrap = (
        os.environ.get("TEST_DATABASE_URL"),
        os.environ.get("TEST_KAFKA_BOOTSTRAP_SERVERS"),
    )
    if dsn and bootstrap:
        yield Infrastructure(_checked(dsn), bootstrap)
    else:
        with contextlib.ExitStack() as stack:
            yield _started(stack, folder)


def _started(stack: contextlib.ExitStack, folder: Path) -> Infrastructure:
    if _docker_answers():
        try:
            return stack.enter_context(_containers())
        except Exception as error:  # an engine that cannot pull images is as good as none
            warnings.warn(
                f"containers cannot be used ({error}): testing on the embedded stack",
                UserWarning,
                stacklevel=2,
            )
    return stack.enter_context(_embedded(folder))


def _checked(dsn: str) -> str:
    """Tests empty tables: refuse a database that does not look like one for tests."""
    if not dsn.partition("?")[0].endswith("_test"):
        raise AssertionError(
            "TEST_DATABASE_URL must name a database that ends in _test"
        )
    return dsn


def _docker_answers() -> bool:
    if os.environ.get("TEST_WITHOUT_DOCKER") or not shutil.which(
        "docker"
    ):
        return False
    return (
        subprocess.run(
            ["docker", "info"],
            capture_output=True,
            timeout=20,
            check=False,
        ).returncode
        == 0
    )


@contextlib.contextmanager
def _containers() -> Iterator[Infrastructure]:
    from testcontainers.community.postgres import PostgresContainer
    from testcontainers.core.container import DockerContainer

    (port,) = free_ports(1)
    kafka_settings = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_LISTENERS": f"PLAINTEXT://:{port},CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_MESSAGE_MAX_BYTES": "8388608",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    }
    broker = DockerContainer("apache/kafka:4.1.1").with_bind_ports(
        port, port
    )
    for name, value in kafka_settings.items():
        broker = broker.with_env(name, value)
    with (
        PostgresContainer(
            "postgres:18", dbname="ingestion_test", driver=None
        ) as database,
        broker,
    ):
        yield Infrastructure(
            database.get_connection_url(), f"127.0.0.1:{port}"
        )


@contextlib.contextmanager
def _embedded(folder: Path) -> Iterator[Infrastructure]:
    api, database_port, kafka_port = free_ports(3)
    settings = StackSettings(
        _env_file=None,
        mode="native",
        database_url="",
        kafka_bootstrap_servers="",
        state_dir=folder,
        api_port=api,
        postgres_port=database_port,
        kafka_port=kafka_port,
        postgres_db="ingestion_test",
        kafka_heap="384m",
        postgres_shared_buffers="256MB",
    )
    folder.mkdir(parents=True, exist_ok=True)
    if jars.missing():
        jars.fetch(lambda _name: None)
    kafka.prepare(settings)
    postgres.prepare(settings)
    with (folder / "infra.log").open("w") as log:
        processes = [
            subprocess.Popen(command, stdout=log, stderr=log)
            for command in (
                kafka.command(settings),
                postgres.command(settings),
            )
        ]
        try:
            postgres.wait_until_ready(settings)
            postgres.ensure_database(settings)
            yield Infrastructure(
                settings.dsn(), settings.kafka_bootstrap_servers
            )
        finally:
            processes[0].kill()
            processes[1].send_signal(signal.SIGINT)
            for process in processes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(20)


def empty_tables(dsn: str) -> None:
    connection = psycopg2.connect(_checked(dsn))
    with connection, connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(metadata.tables)}")
        cursor.execute(
            "INSERT INTO change_position"
            " VALUES (true, 0, 1, gen_random_uuid())"
        )
    connection.close()
