"""Settings: read once from the environment and `.env`, validated with messages that name the variable.

Each service has its own frozen subclass of `CommonSettings`. Secrets are masked whenever settings are shown.
"""

from __future__ import annotations

import sys
from typing import Any, Literal, TypeVar
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from shared.errors import CONFIG_EXIT_CODE, ConfigError

COMPOSE_DB_HOST = "db"


class CommonSettings(BaseSettings):
    """What every service knows. The environment beats `.env`, which beats the defaults."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True, env_ignore_empty=True)

    mode: Literal["native", "docker"] = "native"
    postgres_user: str = "postgres"
    postgres_password: SecretStr = SecretStr("postgres")
    postgres_db: str = "ingestion_db"
    postgres_port: int = Field(default=5432, ge=1, le=65535)
    database_url: SecretStr = SecretStr("")
    kafka_port: int = Field(default=9092, ge=1, le=65535)
    kafka_bootstrap_servers: str = ""
    kafka_session_timeout_ms: int = Field(default=10_000, ge=3_000, le=300_000)  # how long a dead consumer keeps its partitions
    stuck_after_s: float = Field(
        default=60.0, ge=5
    )  # lag without progress: not ready; after twice as long the service ends and is restarted
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "text"] = "json"
    health_file: str = ""

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _derive(self) -> CommonSettings:
        bootstrap = self.kafka_bootstrap_servers or f"127.0.0.1:{self.kafka_port}"
        object.__setattr__(self, "kafka_bootstrap_servers", bootstrap)
        url = self.database_url.get_secret_value() or self._default_database_url()
        object.__setattr__(self, "database_url", SecretStr(self._checked_database_url(url)))
        return self

    def _default_database_url(self) -> str:
        user, password = quote(self.postgres_user, safe=""), quote(self.postgres_password.get_secret_value(), safe="")
        return f"postgresql://{user}:{password}@{COMPOSE_DB_HOST}:5432/{quote(self.postgres_db, safe='')}"

    def _checked_database_url(self, url: str) -> str:
        """The URL with a bare scheme; natively, compose's host `db` means the embedded server."""
        try:
            parts = urlsplit(url)
            scheme, host, _ = parts.scheme, parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"DATABASE_URL: {error}; write postgresql://user:password@host:5432/name") from error
        if scheme.partition("+")[0] not in {"postgresql", "postgres"} or not host or len(parts.path) < 2:
            raise ValueError("DATABASE_URL: write postgresql://user:password@host:5432/name")
        netloc = parts.netloc
        if self.mode == "native" and host == COMPOSE_DB_HOST:
            netloc = f"{netloc.rpartition('@')[0]}@127.0.0.1:{self.postgres_port}".lstrip("@")
        return urlunsplit(("postgresql", netloc, parts.path, parts.query, ""))

    def dsn(self) -> str:
        """`postgresql://…` as libpq, psycopg2 and asyncpg read it."""
        return self.database_url.get_secret_value()

    def sqlalchemy_url(self) -> str:
        """The URL with its driver named: SQLAlchemy 2.1 takes a bare `postgresql://` for psycopg 3."""
        return self.dsn().replace("postgresql://", "postgresql+psycopg2://", 1)

    def masked(self) -> dict[str, Any]:
        """All settings for one line of the log, with secrets masked and the password taken out of the URL."""
        shown: dict[str, Any] = {}
        for name, value in self.model_dump().items():
            shown[name] = str(value) if isinstance(value, SecretStr) else value
        parts = urlsplit(self.dsn())
        shown["database_url"] = urlunsplit(
            (parts.scheme, f"{parts.username}:***@{parts.hostname}:{parts.port or 5432}", parts.path, "", "")
        )
        return shown


def reader_name(dsn: str) -> str:
    """The gateway's role: the owner's name with `_reader`."""
    return f"{unquote(urlsplit(dsn).username or 'postgres')}_reader"


def reader_dsn(dsn: str) -> str:
    """The owner's URL with the read-only role in place of the owner; the password is the same."""
    parts = urlsplit(dsn)
    _, _, rest = parts.netloc.rpartition("@")
    password = f":{parts.password}" if parts.password else ""
    return urlunsplit((parts.scheme, f"{quote(reader_name(dsn), safe='')}{password}@{rest}", parts.path, parts.query, ""))


S = TypeVar("S", bound=CommonSettings)

_HINTS = {
    "coin_ids": 'a JSON list such as ["btc-bitcoin", "eth-ethereum"]',
    "rss_feeds": 'a JSON list such as [{"name": "coindesk", "url": "https://…"}]',
}


def load(settings: type[S], **overrides: Any) -> S:
    """Read settings; raises ConfigError whose message has one line per wrong variable."""
    try:
        return settings(**overrides)
    except SettingsError as error:
        name = str(error).partition('field "')[2].partition('"')[0]
        raise ConfigError(f"{name.upper()}: not valid JSON; write {_HINTS.get(name, 'valid JSON')}") from error
    except ValidationError as error:
        raise ConfigError("\n".join(_line(problem) for problem in error.errors())) from error


def _line(problem: Any) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        return str(message)
    name, *inside = (str(part) for part in problem["loc"])
    hint = f"; write {_HINTS[name]}" if name in _HINTS else ""
    where = f" (at {'.'.join(inside)})" if inside else ""
    shown = "" if "password" in name or "key" in name or "url" in name else f"; got {problem['input']!r}"
    return f"{name.upper()}{where}: {message}{shown}{hint}"


def load_or_exit(settings: type[S]) -> S:
    """Read settings, or end the process with the reasons on standard error and exit code 78."""
    try:
        return load(settings)
    except ConfigError as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"configuration error: {line}\n")
        raise SystemExit(CONFIG_EXIT_CODE) from error
