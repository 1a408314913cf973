"""Starting and stopping the stack as a whole. Either all of it runs at the end, or nothing."""

from __future__ import annotations

import fcntl
import hashlib
import json
import secrets
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psutil
from pydantic import SecretStr

from embedded import leftovers, supervision
from embedded.console import Console
from embedded.errors import StackError
from embedded.servers import jars, kafka, passwords, postgres, training
from embedded.settings import LOCAL, ROOT, StackSettings
from embedded.unknown_names import unknown_names
from shared.errors import ConfigError
from shared.runtime import health
from shared.runtime.settings import CommonSettings, load

READY_TIMEOUT_S = 90.0
DEFAULT_KEY = "test-api-key"
SALT = "salt"
HOW = "`make down`, then `make up` to use the new ones"
PLAIN = (int, float, bool)
ENDED = frozenset({"EXITED", "FATAL"})


def all_settings(salt: str = "") -> dict[str, Any]:
    """Every setting of the stack and its services by variable, secrets as salted hashes.

    Raises ConfigError with a line for each that is wrong.
    """
    problems: dict[str, None] = {}
    values: dict[str, Any] = {}
    for settings in _classes():
        try:
            values |= load(settings).model_dump()
        except ConfigError as error:
            problems.update(dict.fromkeys(str(error).splitlines()))
    if problems:
        raise ConfigError("\n".join(problems))
    return {
        name.upper(): _plain(value, salt)
        for name, value in values.items()
    }


def notes() -> Iterator[str]:
    """What is to be said about the settings, though nothing of it is wrong."""
    yield from unknown_names(ROOT, _known_names())
    yield from _exposures()
    from services.extractor.settings import ExtractorSettings

    forecast = load(ExtractorSettings).forecast()
    if forecast is not None:
        yield forecast


def _exposures() -> Iterator[str]:
    """What others could use."""
    from services.gateway.settings import GatewaySettings

    gateway = load(GatewaySettings)
    key = gateway.api_key.get_secret_value()
    if key == DEFAULT_KEY and gateway.api_host not in LOCAL:
        yield (
            f"API_HOST={gateway.api_host} opens the API to other machines with the default key: "
            "set API_KEY"
        )
    env_file = ROOT / ".env"
    if env_file.exists() and env_file.stat().st_mode & stat.S_IROTH:
        yield ".env can be read by everybody on this machine: chmod 600 .env"


def is_local() -> bool:
    """Whether only this machine reaches the API."""
    from services.gateway.settings import GatewaySettings

    return load(GatewaySettings).api_host in LOCAL


def _known_names() -> set[str]:
    return {
        name.upper()
        for settings in _classes()
        for name in settings.model_fields
    }


def _classes() -> tuple[type[CommonSettings], ...]:
    from services.extractor.settings import ExtractorSettings
    from services.gateway.settings import GatewaySettings
    from services.loader.settings import LoaderSettings
    from services.normalizer.settings import NormalizerSettings
    from services.notifier.settings import NotifierSettings

    return (
        StackSettings,
        ExtractorSettings,
        NormalizerSettings,
        LoaderSettings,
        GatewaySettings,
        NotifierSettings,
    )


def _plain(value: Any, salt: str) -> Any:
    if isinstance(value, SecretStr):
        return _digest(value, salt)
    if isinstance(value, PLAIN):
        return value
    text = str(value)
    # An address may hold a password.
    return _digest(SecretStr(text), salt) if "://" in text else text


def _digest(secret: SecretStr, salt: str) -> str:
    """Slow to guess from: it lies in a file."""
    text = secret.get_secret_value().encode()
    return hashlib.scrypt(
        text, salt=salt.encode(), n=2**12, r=8, p=1
    ).hex()


def check_settings() -> StackSettings:
    """The stack's settings, after each service has had its own checked. Raises ConfigError."""
    all_settings()
    settings = load(StackSettings)
    _check_database_url(settings)
    return settings


def _started_with(settings: StackSettings) -> dict[str, Any]:
    """The settings that the running stack was started with."""
    try:
        return dict(
            json.loads((settings.state / "settings.json").read_text())
        )
    except (OSError, ValueError):
        return {}


def _check_database_url(settings: StackSettings) -> None:
    """Raises ConfigError when DATABASE_URL and POSTGRES_* differ about the server that it makes."""
    if not settings.embedded_postgres():
        return
    url = urlsplit(settings.dsn())
    password = settings.postgres_password.get_secret_value()
    pairs = {
        "POSTGRES_USER": (url.username, settings.postgres_user),
        "POSTGRES_PASSWORD": (url.password, password),
        "POSTGRES_DB": (url.path[1:], settings.postgres_db),
    }
    differing = [
        name
        for name, (in_url, value) in pairs.items()
        if unquote(in_url or "") != value
    ]
    if differing:
        raise ConfigError(
            f"DATABASE_URL: it differs from {' and '.join(differing)}: change both, or leave "
            "DATABASE_URL empty to have it made from them"
        )


@contextmanager
def exclusively(settings: StackSettings) -> Iterator[None]:
    """One `up` or `down` at a time on one state folder. Raises StackError."""
    try:
        settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        settings.state.chmod(0o700)  # also where an older release made it
        handle = (settings.state / "lock").open("w")
    except OSError as error:
        message = f"STATE_DIR={settings.state_dir} cannot be written: {error.strerror}"
        raise StackError(message) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StackError(
                f"another command is starting or stopping the stack in {settings.state_dir}; wait "
                "for it"
            ) from None
        yield


def up(
    settings: StackSettings,
    console: Console,
    start: Callable[[StackSettings, Console], None] | None = None,
) -> bool:
    """Start everything and wait until all is ready. False when it already runs.

    Leaves nothing behind on failure. `start`: in place of what starts everything.
    """
    start = start or start_all
    with exclusively(settings):
        if supervision.is_running(settings):
            _refuse_other_settings(settings)
            return False
        left = leftovers.found(settings)
        if left:
            raise StackError(leftovers.said(left))
        _check_ports(settings)
        settings.logs.mkdir(parents=True, exist_ok=True)
        try:
            start(settings, console)
        except BaseException:
            if supervision.is_running(settings):
                console.print("stopping what was started …")
                supervision.stop(settings)
            raise
    return True


def _refuse_other_settings(settings: StackSettings) -> None:
    """Settings are read at start: what was changed since would be ignored silently."""
    before = _started_with(settings)
    changed = _changed(before, all_settings(str(before.get(SALT, ""))))
    if changed:
        shown = ", ".join(changed)
        raise StackError(
            f"already running with other settings ({shown}): {HOW}"
        )


def _changed(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    common = before.keys() & now.keys()
    return sorted(name for name in common if before[name] != now[name])


def down(settings: StackSettings) -> bool:
    """Stop everything. False when nothing ran."""
    with exclusively(settings):
        if supervision.is_running(settings):
            supervision.stop(settings)
            return True
        return _end_leftovers(settings)


def _end_leftovers(settings: StackSettings) -> bool:
    left = leftovers.found(settings)
    leftovers.end(left)
    return bool(left)


def _check_ports(settings: StackSettings) -> None:
    ports = [("API_PORT", settings.api_port)]
    if settings.embedded_postgres():
        ports.append(("POSTGRES_PORT", settings.postgres_port))
    if settings.embedded_kafka():
        ports += [("KAFKA_PORT", port) for port in kafka.ports(settings)]
    if len({port for _, port in ports}) < len(ports):
        raise StackError(
            "API_PORT, POSTGRES_PORT and KAFKA_PORT must differ; of several brokers each takes two "
            "ports, from KAFKA_PORT on"
        )
    for name, port in ports:
        _check_port(name, port)


def _check_port(name: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise StackError(
                f"port {port} is taken{_holder(port)} ({error.strerror}): set {name} to a free "
                f"one, for example {name}={port + 1000} make up"
            ) from error


def _holder(port: int) -> str:
    """` by NAME (pid N)` of who listens on a port, empty where that is not known."""
    try:
        for connection in psutil.net_connections("tcp"):
            is_listening = connection.status == psutil.CONN_LISTEN
            _, own_port = connection.laddr or ("", None)
            if is_listening and own_port == port and connection.pid:
                name = psutil.Process(connection.pid).name()
                return f" by {name} (pid {connection.pid})"
    except psutil.Error:
        pass
    return ""


def start_all(settings: StackSettings, console: Console) -> None:
    settings = start_servers(settings, console)
    with console.step("migrating: tables and topics"):
        migrate(settings)
    with console.step("starting the services"):
        start_services(settings)
    if settings.embedded_kafka():
        training.begin(settings)


def start_servers(
    settings: StackSettings, console: Console
) -> StackSettings:
    """Kafka and PostgreSQL alone. Returns the settings with their passwords."""
    settings = passwords.make(settings)
    _remember_settings(settings.state / "settings.json")
    folder = settings.csv_folder()
    if folder is not None and not folder.is_dir():
        console.print(
            f"  note: CSV_DIR={settings.csv_dir} does not exist, so there are no CSV files to "
            "ingest"
        )
    if settings.embedded_kafka():
        _fetch_jars(console)
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
    return settings


def _remember_settings(path: Path) -> None:
    """For its owner only: it holds hashes of secrets."""
    salt = secrets.token_hex(16)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps({**all_settings(salt), SALT: salt}))


def _fetch_jars(console: Console) -> None:
    for name in jars.drop_altered():
        console.print(
            f"  note: {name} was not what the lock says, it is fetched again"
        )
    missing = jars.missing()
    if missing:
        with console.progress(
            "fetching Kafka's jars", len(missing)
        ) as advance:
            jars.fetch(advance)


def migrate(settings: StackSettings, *command: str) -> None:
    """Tables, roles and topics. Raises StackError with the last line of its log.

    `command`: in place of `migrate`.
    """
    log = settings.logs / "migrate.log"
    with log.open("w") as file:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "services.loader",
                *(command or ("migrate",)),
            ],
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        output = log.read_text().strip()
        reason = output.rpartition("\n")[2] or "no output"
        raise StackError(f"the migration failed: {reason} (see {log})")


def start_services(
    settings: StackSettings, deadline_s: float = READY_TIMEOUT_S
) -> None:
    """Start the services and wait for every instance to be ready. Raises StackError."""
    until = time.monotonic() + deadline_s
    instances = _instances(settings)
    for service, number in instances:
        file = supervision.health_file(settings, service, number)
        file.unlink(missing_ok=True)
    supervisor = supervision.rpc(settings)
    for service in settings.counts():
        supervisor.startProcessGroup(service, False)  # noqa: FBT003  positional in XML-RPC
    while waiting := _waiting(settings, instances):
        _fail_on_config_error(settings)
        if time.monotonic() > until:
            raise _not_in_time(settings, waiting)
        time.sleep(0.1)


def _instances(settings: StackSettings) -> list[tuple[str, int]]:
    """(service, number) of each."""
    found = []
    for service, count in settings.counts().items():
        found += [(service, number) for number in range(count)]
    return found


def _waiting(
    settings: StackSettings, instances: list[tuple[str, int]]
) -> dict[str, str]:
    """The reasons of all that are not ready at this moment, by instance."""
    waiting = {}
    for service, number in instances:
        reason = not_ready(settings, service, number)
        if reason is not None:
            waiting[f"{service}-{number}"] = reason
    return waiting


def _not_in_time(
    settings: StackSettings, waiting: dict[str, str]
) -> StackError:
    name, reason = next(iter(waiting.items()))
    log = settings.logs / f"{name}.log"
    return StackError(
        f"{name} does not become ready ({reason}): see {log}"
    )


def not_ready(
    settings: StackSettings, service: str, number: int
) -> str | None:
    """None when ready, else the reason."""
    is_ready, reason = health.read(
        supervision.health_file(settings, service, number)
    )
    return None if is_ready else reason


def _fail_on_config_error(settings: StackSettings) -> None:
    for process in supervision.processes(settings):
        if process["statename"] in ENDED:
            name = process["name"]
            log = settings.logs / f"{name}.log"
            reason = _last_event(log) or process["spawnerr"]
            raise StackError(
                f"{name} ended at once: {reason} (see {log})"
            )


def _last_event(log: Path) -> str:
    """The last line of a log; of an event its name with the last line of its exception."""
    if not log.exists():
        return ""
    line = log.read_text().strip().rpartition("\n")[2]
    try:
        event = json.loads(line)
    except ValueError:
        return line
    last = str(event.get("exception", "")).strip().rpartition("\n")[2]
    return f"{event.get('event')} {last}".strip()
