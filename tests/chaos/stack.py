"""A stack for breaking.

Broker and database are its own processes behind proxies, services have fault points, two
gateways.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg2
import psycopg2.errors

from embedded import supervision
from embedded.servers import jars, kafka, postgres
from embedded.settings import ROOT, StackSettings
from embedded.stack import not_ready
from shared.kafka import clients
from shared.kafka.lag import GroupPositions, LagReader, total
from shared.messages.topics import (
    COMMANDS,
    EXTRACTOR_GROUP,
    LOADER_GROUP,
    NORMALIZER_GROUP,
    PLANNER_GROUP,
    RAW,
    RUN_EVENTS,
    TASKS,
    UNIFIED,
    Topic,
)
from shared.tables import metadata
from tests.chaos.broker_clock import BrokerClock
from tests.chaos.fault_points import BREAKS, POINTS
from tests.chaos.proxy import Proxy
from tests.support.ports import free_ports, free_row
from tests.support.product import KEY, until
from tests.support.stack import Stack

SERVICES = ("extractor", "normalizer", "loader", "gateway")
_STARTER = ThreadPoolExecutor(1)


class Part:
    """One process of the infrastructure, which can be killed and started again."""

    def __init__(
        self,
        command: list[str],
        log: Path,
        stop_signal: signal.Signals,
        **environment: str,
    ) -> None:
        self._command, self._log, self._stop_signal = (
            command,
            log,
            stop_signal,
        )
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_up(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        if not self.is_up:
            # By a thread that stays: servers end with the thread that started them.
            self._process = _STARTER.submit(self._started).result()

    def _started(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )

    def signal(self, number: int) -> None:
        """To it and all its children: PostgreSQL's sessions are processes of their own."""
        with contextlib.suppress(psutil.NoSuchProcess):
            if self._process is not None and self.is_up:
                top = psutil.Process(self._process.pid)
                for each in (top, *top.children(recursive=True)):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        each.send_signal(number)

    def stop(self, number: int | None = None) -> None:
        """End it and wait until it is gone."""
        if self._process is None:
            return
        self.signal(signal.SIGCONT)
        if number == signal.SIGKILL:
            self.signal(number)
        elif self.is_up:
            self._process.send_signal(number or self._stop_signal)
        self._process.wait(60)


class ChaosStack(Stack):
    """Everything of `Stack`, and what breaks it."""

    def __init__(
        self,
        state: Path,
        csv_dir: Path,
        brokers: int = 1,
        **settings: str,
    ) -> None:
        kafka_port = free_row(2 * brokers)  # with those of controllers
        postgres_port, postgres_proxy, second, *kafka_proxies = (
            free_ports(3 + brokers)
        )
        self.faults = state / "faults"
        self.faults.mkdir(parents=True)
        own = StackSettings(
            _env_file=None,
            mode="native",
            database_url="",
            kafka_bootstrap_servers="",
            state_dir=state / "infra",
            postgres_port=postgres_port,
            kafka_port=kafka_port,
            kafka_brokers=brokers,
            postgres_db="ingestion_test",
            kafka_heap="384m",
            postgres_shared_buffers="256MB",
        )
        (state / "infra").mkdir()
        self._own = own
        super().__init__(
            state / "stack",
            csv_dir,
            KAFKA_BOOTSTRAP_SERVERS=",".join(
                f"127.0.0.1:{port}" for port in kafka_proxies
            ),
            KAFKA_BROKERS=str(brokers),
            POSTGRES_PASSWORD="postgres",
            DATABASE_URL=(
                f"postgresql://postgres:postgres@127.0.0.1:{postgres_proxy}/ingestion_test"
            ),
            FAULT_DIR=str(self.faults),
            PYTHONPATH=f"{ROOT / 'tests' / 'chaos' / 'inject'}{os.pathsep}{ROOT}",
            **settings,
        )
        self.dsn = own.dsn()  # the oracle looks past the proxies
        self.broker_address = own.kafka_bootstrap_servers
        self.kafka_links = [
            Proxy(port, kafka_port + number)
            for number, port in enumerate(kafka_proxies)
        ]
        self.postgres_link = Proxy(postgres_proxy, postgres_port)
        jars.fetch(lambda _name: None)  # what is missing
        self._brokers = kafka.brokers(own)
        for number in range(brokers):
            self.prepare_broker(number)
        postgres.prepare(own)
        self.clock = BrokerClock(own.state)
        self.brokers = [
            Part(
                kafka.command(own, broker),
                own.state / f"{broker.name}.log",
                signal.SIGTERM,
                **self.clock.environment(),
            )
            for broker in self._brokers
        ]
        self.kafka = self.brokers[0]
        self.kafka_link = self.kafka_links[0]
        self.kafka_logs = self._brokers[0].data
        self.postgres = Part(
            postgres.command(own),
            own.state / "postgres.log",
            signal.SIGINT,
        )
        log = (own.state / "gateway-2.log").open("ab")
        environment = {
            **self.environment,
            "API_PORT": str(second),
            "HEALTH_FILE": str(own.state / "gateway-2.json"),
        }
        self._gateway_2 = lambda: subprocess.Popen(
            [sys.executable, "-m", "services.gateway"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
        )
        self._second: subprocess.Popen[bytes] | None = None
        self.api_2 = httpx.Client(
            base_url=f"http://127.0.0.1:{second}/api/v1",
            headers={"x-api-key": KEY},
            timeout=20,
            trust_env=False,
        )

    def up(self) -> None:
        for part in (*self.brokers, self.postgres):
            part.start()
        postgres.wait_until_ready(self._own)
        postgres.ensure_database(self._own)
        for link in (*self.kafka_links, self.postgres_link):
            link.start()
        super().up()
        self.second_gateway()

    def down(self) -> None:
        self.heal()
        if self._second is not None:
            self._second.kill()
            self._second.wait()
        try:
            super().down()
        finally:
            for broker in self.brokers:
                # Those that are left alone would wait for the others.
                broker.stop(
                    signal.SIGKILL if len(self.brokers) > 1 else None
                )
            self.postgres.stop()
            for link in (*self.kafka_links, self.postgres_link):
                link.stop()

    # -- breaking and healing --------------------------------------------------------------------

    def prepare_broker(self, number: int) -> None:
        """Its configuration, and a disk where it has none. It is reached through its proxy."""
        broker = self._brokers[number]
        kafka.prepare_one(self._own, broker)
        proxy = self.kafka_links[number].port
        broker.properties.write_text(
            broker.properties.read_text()
            + f"advertised.listeners=PLAINTEXT://127.0.0.1:{proxy}\n"
        )

    def lose_disk(self, number: int) -> None:
        """Of a broker, which dies with it."""
        self.brokers[number].stop(signal.SIGKILL)
        shutil.rmtree(self._brokers[number].data)

    def wait_in_sync(self, timeout_s: float = 120) -> None:
        """Until every replica of every topic has what its leader has."""

        def behind() -> list[str]:
            found = on_cluster(self.broker_address)
            return [
                topic["topic"]
                for topic in found
                for each in topic["partitions"]
                if len(each["isr"]) < len(each["replicas"])
            ]

        until("all replicas", lambda: not behind(), timeout_s, 0.5)

    def second_gateway(self) -> None:
        """Start it, if it does not run."""
        if self._second is None or self._second.poll() is not None:
            self._second = self._gateway_2()

    def signal_all(self, number: int) -> None:
        """To every process of every service."""
        pids = [
            pid for service in SERVICES for pid in self.pids(service)
        ] + ([self._second.pid] if self._second else [])
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def arm(self, point: str, what: str = "kill") -> None:
        assert point in POINTS, point
        (self.faults / f".{point}").write_text(what)
        (self.faults / f".{point}").rename(self.faults / point)

    def disarm(self) -> None:
        for path in self.faults.iterdir():
            path.unlink(missing_ok=True)

    def was_reached(self, point: str) -> bool:
        return any(self.faults.glob(f"{point}.reached.*"))

    def break_guarantee(self, name: str) -> None:
        assert name in BREAKS, name
        (self.faults / f"break.{name}").touch()

    def scale(self, service: str, count: int) -> None:
        """Run so many instances of those that were configured."""
        for number in range(self.settings.counts()[service]):
            name, server = (
                f"{service}:{service}-{number}",
                supervision.rpc(self.settings),
            )
            is_up = server.getProcessInfo(name)["statename"] in {
                "RUNNING",
                "STARTING",
                "BACKOFF",
            }
            with contextlib.suppress(
                xmlrpc.client.Fault
            ):  # the supervisor has done it meanwhile
                if number < count and not is_up:
                    server.startProcess(name, False)
                elif number >= count and is_up:
                    server.stopProcess(name, False)

    def heal(self) -> None:
        """Undo whatever is broken, as an operator would.

        What the services do by themselves is left to them.
        """
        for link in (*self.kafka_links, self.postgres_link):
            link.slow(0)
            link.open()
        self.clock.set(0)
        for part in (*self.brokers, self.postgres):
            part.signal(signal.SIGCONT)
            part.start()
        with contextlib.suppress(OSError):
            self.signal_all(signal.SIGCONT)
            for service in SERVICES:
                self.scale(service, self.settings.counts()[service])
        if self._second is not None:
            self.second_gateway()

    def wait_whole(self, timeout_s: float = 120) -> None:
        """Until every process runs and says that it is ready."""
        names = [
            (service, number)
            for service, count in self.settings.counts().items()
            for number in range(count)
        ]

        def why_not() -> dict[str, str]:
            return {
                f"{service}-{number}": why
                for service, number in names
                if (why := not_ready(self.settings, service, number))
                is not None
            }

        try:
            until(
                "every service to be ready",
                lambda: not why_not(),
                timeout_s,
                0.5,
            )
        except AssertionError as error:
            raise AssertionError(f"{error}: {why_not()}") from error

    def positions(self, group: str, *topics: Topic) -> GroupPositions:
        """Where the group stands in the topics, asked past the proxies."""

        async def ask() -> GroupPositions:
            lag = LagReader(self.broker_address, "test")
            await lag.start(asyncio.Event())
            try:
                return await lag.positions(group, *topics)
            finally:
                await lag.close()

        return asyncio.run(ask())

    def waiting(self, group: str, *topics: Topic) -> int:
        """Messages that the group has not committed yet."""
        return total(self.positions(group, *topics))

    def wait_quiet(self) -> None:
        """Until nothing is under way any more.

        Pages that come twice have come, and a consumer that stalled was started anew. Nor will
        what was said of runs be read again, which would bring them back into emptied tables.
        """
        groups = {  # in the order of the path, so that none hands on to one that was asked
            PLANNER_GROUP: (COMMANDS,),
            EXTRACTOR_GROUP: (TASKS,),
            NORMALIZER_GROUP: (RAW,),
            LOADER_GROUP: (UNIFIED, COMMANDS, RUN_EVENTS),
        }
        found: dict[str, int] = {}

        def is_quiet() -> bool:
            found.update(
                {
                    group: self.waiting(group, *topics)
                    for group, topics in groups.items()
                }
            )
            return not any(found.values())

        try:
            until("nothing to be under way", is_quiet, 150, 0.3)
        except AssertionError as error:
            raise AssertionError(f"{error}: {found}") from error

    def memory_mb(self) -> dict[str, float]:
        """Resident memory of the largest process of each service."""
        found: dict[str, float] = {}
        for service in SERVICES:
            for pid in self.pids(service):
                with contextlib.suppress(psutil.Error):
                    found[service] = max(
                        found.get(service, 0),
                        psutil.Process(pid).memory_info().rss / 1e6,
                    )
        return found

    def folders(self) -> dict[str, Path]:
        """What takes disk."""
        return {
            "kafka": self.kafka_logs,
            "postgres": postgres.data_dir(self._own),
            "logs": self.settings.logs,
        }

    # -- asking, whatever is broken --------------------------------------------------------------

    def insist(
        self, path: str, body: Any, key: str, timeout_s: float = 180
    ) -> dict[str, Any]:
        """POST until it is accepted, at one gateway or the other.

        With an Idempotency-Key as a careful client does.
        """
        end, turn = time.monotonic() + timeout_s, 0
        while time.monotonic() < end:
            client = (self.api, self.api_2)[turn % 2]
            turn += 1
            with contextlib.suppress(httpx.HTTPError):
                answer = client.post(
                    path,
                    json=body,
                    headers={"idempotency-key": key},
                    timeout=8,
                )
                if answer.status_code == 202:
                    return dict(answer.json())
                assert answer.status_code == 503, answer.text
            time.sleep(0.3)
        raise AssertionError(
            f"nobody accepted {path} for {timeout_s:.0f} s"
        )


def on_cluster(bootstrap: str) -> list[dict[str, Any]]:
    """All topics as a broker describes them; nothing while none answers."""

    async def ask() -> list[dict[str, Any]]:
        admin = clients.admin(bootstrap)
        await admin.start()
        try:
            return list(await admin.describe_topics())
        finally:
            await admin.close()

    return asyncio.run(ask())


@contextlib.contextmanager
def chaos_stack(
    state: Path, csv_dir: Path, brokers: int = 1, **settings: str
) -> Iterator[ChaosStack]:
    """Up, and down again whatever happens."""
    stack = ChaosStack(state, csv_dir, brokers, **settings)
    try:
        stack.up()
        yield stack
    finally:
        stack.api.close()
        stack.api_2.close()
        stack.down()


def empty(stack: ChaosStack) -> None:
    """Tables as at the start, so that a test is compared for itself.

    The topics keep what they hold.
    """
    stack.wait_quiet()
    tables = ", ".join(
        name
        for name in metadata.tables
        if name
        not in (
            "loader_positions",
            "raw_clocks",
            "change_position",
            "partition_counts",
        )
    )  # those belong to the topics, or count on
    for attempt in range(5):
        try:
            with (
                psycopg2.connect(stack.dsn) as connection,
                connection.cursor() as cursor,
            ):
                cursor.execute(f"TRUNCATE {tables}")
                cursor.execute(
                    "UPDATE change_position SET oldest = last + 1"
                )
        except (
            psycopg2.errors.DeadlockDetected
        ):  # a loader was looking after its runs
            if attempt == 4:
                raise
        else:
            return
