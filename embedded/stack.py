"""Starting and stopping the stack as a whole. Either all of it runs at the end, or nothing."""

from __future__ import annotations

import fcntl
import hashlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psutil
from pydantic import SecretStr

from embedded import kafka, postgres, supervision
from embedded.console import Console
from embedded.errors import StackError
from embedded.settings import ROOT, StackSettings
from shared.errors import ConfigError
from shared.runtime import health
from shared.runtime.settings import load


def all_settings() -> dict[str, Any]:
    """Every setting of the stack and its services by variable, secrets as hashes. Raises ConfigError naming what is wrong."""
    from services.extractor.settings import ExtractorSettings
    from services.gateway.settings import GatewaySettings
    from services.loader.settings import LoaderSettings
    from services.normalizer.settings import NormalizerSettings

    problems: dict[str, None] = {}
    values: dict[str, Any] = {}
    for each in (StackSettings, ExtractorSettings, NormalizerSettings, LoaderSettings, GatewaySettings):
        try:
            values |= load(each).model_dump()
        except ConfigError as error:
            problems.update(dict.fromkeys(str(error).splitlines()))
    if problems:
        raise ConfigError("\n".join(problems))
    hidden = {
        name: hashlib.sha256(value.get_secret_value().encode()).hexdigest()
        for name, value in values.items()
        if isinstance(value, SecretStr)
    }
    return {name.upper(): value if isinstance(value, int | float | bool) else str(value) for name, value in {**values, **hidden}.items()}


def check_settings() -> StackSettings:
    """The stack's settings, after each service has had its own checked. Raises ConfigError."""
    all_settings()
    settings = load(StackSettings)
    _check_database_url(settings)
    return settings


def _started_with(settings: StackSettings) -> dict[str, Any]:
    """The settings that the running stack was started with."""
    try:
        return dict(json.loads((settings.state / "settings.json").read_text()))
    except (OSError, ValueError):
        return {}


def _check_database_url(settings: StackSettings) -> None:
    """The server that this stack makes has the user, password and database of POSTGRES_*; the URL must name the same."""
    if not settings.embedded_postgres():
        return
    parts = urlsplit(settings.dsn())
    wanted = {
        "POSTGRES_USER": (parts.username, settings.postgres_user),
        "POSTGRES_PASSWORD": (parts.password, settings.postgres_password.get_secret_value()),
        "POSTGRES_DB": (parts.path[1:], settings.postgres_db),
    }
    differing = [name for name, (in_url, value) in wanted.items() if unquote(in_url or "") != value]
    if differing:
        raise ConfigError(
            f"DATABASE_URL: it differs from {' and '.join(differing)}: change both, or leave DATABASE_URL empty to have it made from them"
        )


@contextmanager
def exclusively(settings: StackSettings) -> Iterator[None]:
    """One `up` or `down` at a time on one state folder."""
    try:
        settings.state.mkdir(parents=True, exist_ok=True)
        handle = (settings.state / "lock").open("w")
    except OSError as error:
        raise StackError(f"STATE_DIR={settings.state_dir} cannot be written: {error.strerror}") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StackError(f"another command is starting or stopping the stack in {settings.state_dir}; wait for it") from None
        yield


def up(settings: StackSettings, console: Console) -> bool:
    """Start everything and wait until all is ready. False when it already runs. Leaves nothing behind on failure."""
    with exclusively(settings):
        if supervision.is_running(settings):
            _refuse_other_settings(settings)
            return False
        _check_ports(settings)
        settings.logs.mkdir(parents=True, exist_ok=True)
        try:
            _start(settings, console)
        except BaseException:
            if supervision.is_running(settings):
                console.say("stopping what was started …")
                supervision.stop(settings)
            raise
    return True


def _refuse_other_settings(settings: StackSettings) -> None:
    """Settings are read at start: what was changed since would be ignored without a word."""
    before, now = _started_with(settings), all_settings()
    changed = sorted(name for name in now if before and name in before and before[name] != now[name])
    if changed:
        raise StackError(f"already running with other settings ({', '.join(changed)}): `make down`, then `make up` to use the new ones")


def down(settings: StackSettings) -> bool:
    """Stop everything. False when nothing ran."""
    with exclusively(settings):
        if not supervision.is_running(settings):
            return False
        supervision.stop(settings)
        return True


def _check_ports(settings: StackSettings) -> None:
    wanted = {"API_PORT": settings.api_port}
    if settings.embedded_postgres():
        wanted["POSTGRES_PORT"] = settings.postgres_port
    if settings.embedded_kafka():
        wanted["KAFKA_PORT"] = settings.kafka_port
    if len(set(wanted.values())) < len(wanted):
        raise StackError("API_PORT, POSTGRES_PORT and KAFKA_PORT must differ")
    for name, port in wanted.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise StackError(
                    f"port {port} is taken{_who_has(port)} ({error.strerror}): set {name} to a free one, for example {name}={port + 1000} make up"
                ) from error


def _who_has(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return ""


def _start(settings: StackSettings, console: Console) -> None:
    (settings.state / "settings.json").write_text(json.dumps(all_settings()))
    if not settings.csv_dir.is_dir():
        console.say(f"  note: CSV_DIR={settings.csv_dir} does not exist, so there are no CSV files to ingest")
    if settings.embedded_kafka():
        missing = kafka.missing_jars()
        if missing:
            with console.progress("fetching Kafka's jars", len(missing)) as advance:
                kafka.fetch_jars(advance)
        kafka.java(settings)
    with console.step("preparing Kafka and PostgreSQL"):
        if settings.embedded_kafka():
            kafka.prepare(settings)
        if settings.embedded_postgres():
            postgres.prepare(settings)
    with console.step("starting Kafka and PostgreSQL"):
        supervision.start(settings)
        if settings.embedded_postgres():
            postgres.wait_until_ready(settings)
            postgres.ensure_database(settings)
    with console.step("migrating: tables and topics"):
        _migrate(settings)
    with console.step("starting extractor, normalizer, loader, gateway"):
        start_services(settings)


def _migrate(settings: StackSettings) -> None:
    done = subprocess.run([sys.executable, "-m", "services.loader", "migrate"], cwd=ROOT, capture_output=True, text=True, check=False)
    (settings.logs / "migrate.log").write_text(done.stdout + done.stderr)
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise StackError(f"the migration failed: {reason[0] if reason else 'no output'} (see {settings.logs}/migrate.log)")


def start_services(settings: StackSettings, deadline_s: float = 90) -> None:
    """Start the four services and wait for every instance to be ready."""
    names = [(service, number) for service, count in settings.counts().items() for number in range(count)]
    for service, number in names:
        supervision.health_file(settings, service, number).unlink(missing_ok=True)
    for service in settings.counts():
        supervision.rpc(settings).startProcessGroup(service, False)  # noqa: FBT003  positional in XML-RPC
    until = time.monotonic() + deadline_s
    while waiting := {f"{s}-{n}": why for s, n in names if (why := not_ready(settings, s, n)) is not None}:
        _fail_on_config_error(settings)
        if time.monotonic() > until:
            name, why = next(iter(waiting.items()))
            raise StackError(f"{name} is not ready after {deadline_s:.0f} s ({why}): see {settings.logs}/{name}.log")
        time.sleep(0.1)


def not_ready(settings: StackSettings, service: str, number: int) -> str | None:
    """None when ready, else why not."""
    ready, reason = health.read(supervision.health_file(settings, service, number))
    return None if ready else reason


def _fail_on_config_error(settings: StackSettings) -> None:
    for process in supervision.processes(settings):
        if process["statename"] in {"EXITED", "FATAL"}:
            log = settings.logs / f"{process['name']}.log"
            raise StackError(f"{process['name']} ended at once: {_last_words(log) or process['spawnerr']} (see {log})")


def _last_words(log: Path) -> str:
    """The end of a log for one line: an event with the last line of its exception."""
    line = (log.read_text().strip().splitlines() or [""])[-1] if log.exists() else ""
    try:
        event = json.loads(line)
    except ValueError:
        return line
    return f"{event.get('event')} {str(event.get('exception', '')).strip().splitlines()[-1:]}"
