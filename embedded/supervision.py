"""supervisord under the stack: it starts, restarts with back-off, logs and stops the processes.

supervisord is the library; this module writes its configuration and talks to it over its socket.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from embedded import kafka, postgres
from embedded.errors import StackError
from embedded.settings import ROOT, StackSettings
from shared.errors import CONFIG_EXIT_CODE


def socket_path(settings: StackSettings) -> Path:
    """A short path outside the state folder: Unix sockets allow about 100 characters."""
    name = hashlib.sha256(str(settings.state).encode()).hexdigest()[:12]
    return Path("/tmp") / f"crypto-ingest-{os.getuid()}-{name}.sock"  # noqa: S108  chmod 0700 by supervisord


def health_file(settings: StackSettings, service: str, number: int) -> Path:
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
[unix_http_server]
file={socket_path(settings)}
chmod=0700
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface"""
    ]
    if settings.embedded_kafka():
        sections.append(_program(settings, "kafka", kafka.command(settings), priority=10, stop_wait=40))
    if settings.embedded_postgres():
        sections.append(_program(settings, "postgres", postgres.command(settings), priority=10, stop_wait=40, signal="INT"))
    for service, count in settings.counts().items():
        command = [sys.executable, "-m", f"services.{service}"]
        sections.append(_program(settings, service, command, priority=50, stop_wait=12, count=count, autostart=False))
    path = settings.state / "supervisord.conf"
    path.write_text("\n".join(sections) + "\n")
    return path


def _program(
    settings: StackSettings,
    name: str,
    command: list[str],
    *,
    priority: int,
    stop_wait: int,
    signal: str = "TERM",
    count: int = 1,
    autostart: bool = True,
) -> str:
    numbered = f"numprocs={count}\nprocess_name={name}-%(process_num)d" if not autostart else f"process_name={name}"
    log = f"{name}-%(process_num)d.log" if not autostart else f"{name}.log"
    health = f'HEALTH_FILE="{settings.state}/health/{name}-%(process_num)d.json",' if not autostart else ""
    quoted = shlex.join(command).replace("%", "%%")
    return f"""[program:{name}]
command={quoted}
{numbered}
directory={ROOT}
environment={health}PYTHONUNBUFFERED="1",MALLOC_ARENA_MAX="2"
priority={priority}
autostart={str(autostart).lower()}
autorestart=unexpected
exitcodes={CONFIG_EXIT_CODE}
startsecs=2
startretries=1000
stopsignal={signal}
stopwaitsecs={stop_wait}
stopasgroup=false
killasgroup=true
redirect_stderr=true
stdout_logfile={settings.logs}/{log}
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2"""


def rpc(settings: StackSettings) -> Any:
    """supervisord's own XML-RPC interface (`supervisor.*`)."""
    transport = SupervisorTransport(None, None, f"unix://{socket_path(settings)}")
    return xmlrpc.client.ServerProxy("http://supervisor", transport=transport).supervisor


def is_running(settings: StackSettings) -> bool:
    try:
        return bool(rpc(settings).getState())
    except (OSError, xmlrpc.client.Error, xmlrpc.client.ProtocolError):
        return False


def unexpected_ends(settings: StackSettings, name: str) -> int:
    """How often a process ended by itself since the supervisor started, from the supervisor's log."""
    path = settings.logs / "supervisor.log"
    log = path.read_text(errors="replace").rpartition("supervisord started with pid")[2] if path.exists() else ""
    return sum(f"exited: {name} " in line and "not expected" in line for line in log.splitlines())


def start(settings: StackSettings) -> None:
    config = write_config(settings)
    done = subprocess.run(
        [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StackError(f"the supervisor did not start: {(done.stderr or done.stdout).strip()[-400:]}")
    until = time.monotonic() + 10
    while not is_running(settings):
        if time.monotonic() > until:
            raise StackError(f"the supervisor does not answer: see {settings.logs}/supervisor.log")
        time.sleep(0.05)


def processes(settings: StackSettings) -> list[dict[str, Any]]:
    return list(rpc(settings).getAllProcessInfo())


def stop(settings: StackSettings, deadline_s: float = 90) -> None:
    """Stop all: the services first, then Kafka and PostgreSQL; then supervisord itself."""
    pid = _pid(settings)
    for services in (True, False):
        names = [p["group"] for p in processes(settings) if (p["group"] not in {"kafka", "postgres"}) is services]
        _stop_groups(settings, sorted(set(names)))
    rpc(settings).shutdown()
    until = time.monotonic() + deadline_s
    while is_running(settings) or (pid and _alive(pid)):
        if time.monotonic() > until:
            raise StackError(f"the supervisor (pid {pid}) does not end: see {settings.logs}/supervisor.log")
        time.sleep(0.1)


def _stop_groups(settings: StackSettings, names: list[str]) -> None:
    """Signal all of them first, then wait: they drain side by side."""
    for name in names:
        rpc(settings).stopProcessGroup(name, False)  # noqa: FBT003  positional in XML-RPC
    until = time.monotonic() + 60
    while any(p["group"] in names and p["statename"] in {"STOPPING", "RUNNING", "STARTING"} for p in processes(settings)):
        if time.monotonic() > until:
            return
        time.sleep(0.1)


def _pid(settings: StackSettings) -> int | None:
    try:
        return int((settings.state / "supervisord.pid").read_text())
    except (OSError, ValueError):
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
