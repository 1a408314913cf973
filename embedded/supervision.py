"""supervisord under the stack: it starts, restarts with back-off, logs and stops the processes.

supervisord is the library; this module writes its configuration and talks to it over its socket.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shlex
import socket
import subprocess
import sys
import time
import xmlrpc.client
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from embedded.errors import StackError
from embedded.servers import kafka, postgres
from embedded.settings import ROOT, StackSettings
from shared.errors import CONFIG_EXIT_CODE

_ENVIRONMENT = 'PYTHONUNBUFFERED="1",MALLOC_ARENA_MAX="2"'
START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 90.0
DRAIN_TIMEOUT_S = 60.0
RPC_TIMEOUT_S = 60.0  # a service may take so long to drain
ANSWER_TIMEOUT_S = 5.0
ALIVE = frozenset({"STOPPING", "RUNNING", "STARTING"})


def socket_path(settings: StackSettings) -> Path:
    """A short path outside the state folder: Unix sockets allow about 100 characters."""
    name = hashlib.sha256(str(settings.state).encode()).hexdigest()[:12]
    # In /tmp, but chmod 0700 by supervisord.
    return Path("/tmp") / f"crypto-ingest-{os.getuid()}-{name}.sock"  # noqa: S108


def health_file(
    settings: StackSettings, service: str, number: int
) -> Path:
    return settings.state / "health" / f"{service}-{number}.json"


def write_config(settings: StackSettings) -> Path:
    """The configuration: infrastructure starts at once, services when told to."""
    sections = [
        f"""[supervisord]
logfile={settings.logs}/supervisor.log
logfile_maxbytes=10MB
logfile_backups=1
pidfile={settings.state}/supervisord.pid
directory={ROOT}
nodaemon=false
umask=077
[unix_http_server]
file={socket_path(settings)}
chmod=0700
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface"""
    ]
    if settings.embedded_kafka():
        sections += [
            _server(settings, broker.name, _broker(settings, broker))
            for broker in kafka.brokers(settings)
        ]
    if settings.embedded_postgres():
        server = _server(
            settings, "postgres", postgres.command(settings), signal="INT"
        )
        sections.append(server)
    for service, count in settings.counts().items():
        sections.append(_service(settings, service, count))
    path = settings.state / "supervisord.conf"
    path.write_text("\n".join(sections) + "\n")
    return path


def _broker(settings: StackSettings, broker: kafka.Broker) -> list[str]:
    """Of several each is prepared anew when it starts: its disk may have been lost."""
    if settings.kafka_brokers == 1:
        return kafka.command(settings)
    module = "embedded.servers.broker"
    return [sys.executable, "-m", module, str(broker.number)]


def _server(
    settings: StackSettings,
    name: str,
    command: list[str],
    *,
    signal: str = "TERM",
) -> str:
    """Kafka or PostgreSQL."""
    return f"""[program:{name}]
process_name={name}
environment={_ENVIRONMENT}
priority=10
autostart=true
stopsignal={signal}
stopwaitsecs=40
stdout_logfile={settings.logs}/{name}.log
{_common(command)}"""


def _service(settings: StackSettings, name: str, count: int) -> str:
    """All instances of a service of ours."""
    instance = f"{name}-%(process_num)d"
    health = f"{settings.state}/health/{instance}.json"
    metrics = _metrics_port(settings, name)
    command = [sys.executable, "-m", f"services.{name}"]
    return f"""[program:{name}]
numprocs={count}
process_name={instance}
environment=HEALTH_FILE="{health}",{metrics}{_ENVIRONMENT}
priority=50
autostart=false
stopsignal=TERM
stopwaitsecs=12
stdout_logfile={settings.logs}/{instance}.log
{_common(command)}"""


def _metrics_port(settings: StackSettings, service: str) -> str:
    """Of each instance its own: ten for each service, in their order."""
    if not settings.metrics_port:
        return ""
    tens = settings.metrics_port // 10 + list(settings.counts()).index(
        service
    )
    return f'METRICS_PORT="{tens}%(process_num)d",'


def _common(command: list[str]) -> str:
    launched = [sys.executable, "-m", "embedded.servers.launch", *command]
    quoted = shlex.join(launched).replace("%", "%%")
    return f"""command={quoted}
directory={ROOT}
autorestart=unexpected
exitcodes={CONFIG_EXIT_CODE}
startsecs=2
startretries=1000
stopasgroup=false
killasgroup=true
redirect_stderr=true
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2"""


class _Transport(SupervisorTransport):  # type: ignore[misc]
    """supervisord's, with a limit: one that was stopped never answers."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__(None, None, f"unix://{path}")
        self._path = path
        self._timeout_s = timeout_s
        self._get_connection = self._connected

    def _connected(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(self._timeout_s)
        connection.sock.connect(str(self._path))
        return connection


def rpc(settings: StackSettings, timeout_s: float = RPC_TIMEOUT_S) -> Any:
    """supervisord's own XML-RPC interface (`supervisor.*`). Raises OSError, StackError."""
    path = socket_path(settings)
    if path.exists() and path.stat().st_uid != os.getuid():
        raise StackError(f"{path} belongs to another user: remove it")
    transport = _Transport(path, timeout_s)
    return xmlrpc.client.ServerProxy(
        "http://supervisor", transport=transport
    ).supervisor


def is_running(settings: StackSettings) -> bool:
    try:
        return bool(rpc(settings, ANSWER_TIMEOUT_S).getState())
    except TimeoutError:
        raise _no_answer(settings) from None
    except (OSError, xmlrpc.client.Error, xmlrpc.client.ProtocolError):
        return False


def _no_answer(settings: StackSettings) -> StackError:
    pid = _pid(settings)
    return StackError(
        f"the supervisor (pid {pid}) does not answer within {ANSWER_TIMEOUT_S:.0f} s: let it go on "
        f"with `kill -CONT {pid}`, or end it with `kill -KILL {pid}`, then `make down`"
    )


def unexpected_ends(settings: StackSettings, name: str) -> int:
    """How often a process ended by itself since the supervisor started, from its log."""
    path = settings.logs / "supervisor.log"
    if not path.exists():
        return 0
    log = path.read_text(errors="replace").rpartition(
        "supervisord started with pid"
    )[2]
    ends = [
        line for line in log.splitlines() if f"exited: {name} " in line
    ]
    return sum("not expected" in line for line in ends)


def start(settings: StackSettings) -> None:
    """Start the supervisor, and with it Kafka and PostgreSQL. Raises StackError."""
    config = write_config(settings)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "supervisor.supervisord",
            "-c",
            str(config),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        output = (done.stderr or done.stdout).strip()
        raise StackError(f"the supervisor did not start: {output[-400:]}")
    until = time.monotonic() + START_TIMEOUT_S
    while not is_running(settings):
        if time.monotonic() > until:
            log = settings.logs / "supervisor.log"
            raise StackError(f"the supervisor does not answer: see {log}")
        time.sleep(0.05)


def processes(settings: StackSettings) -> list[dict[str, Any]]:
    """Name, group, statename, description … of each, as supervisord reports them."""
    return list(rpc(settings).getAllProcessInfo())


def stop(
    settings: StackSettings, deadline_s: float = STOP_TIMEOUT_S
) -> None:
    """Stop all: the services first, then Kafka and PostgreSQL; then supervisord itself."""
    pid = _pid(settings)
    groups = {process["group"] for process in processes(settings)}
    services = set(settings.counts())
    _stop_groups(settings, groups & services)
    _stop_groups(settings, groups - services)
    rpc(settings).shutdown()
    until = time.monotonic() + deadline_s
    while is_running(settings) or (pid is not None and _is_alive(pid)):
        if time.monotonic() > until:
            log = settings.logs / "supervisor.log"
            raise StackError(
                f"the supervisor (pid {pid}) does not end: see {log}"
            )
        time.sleep(0.1)


def stop_services(settings: StackSettings) -> None:
    """All but Kafka and PostgreSQL."""
    _stop_groups(settings, set(settings.counts()))


def _stop_groups(settings: StackSettings, names: set[str]) -> None:
    """Signal all of them first, then wait: they drain side by side."""
    for name in sorted(names):
        rpc(settings).stopProcessGroup(name, False)  # noqa: FBT003  positional in XML-RPC
    until = time.monotonic() + DRAIN_TIMEOUT_S
    while time.monotonic() < until:
        alive = [
            each
            for each in processes(settings)
            if each["statename"] in ALIVE
        ]
        if not any(process["group"] in names for process in alive):
            return
        time.sleep(0.1)


def _pid(settings: StackSettings) -> int | None:
    try:
        return int((settings.state / "supervisord.pid").read_text())
    except (OSError, ValueError):
        return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
