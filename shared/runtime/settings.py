"""Settings: read once from the environment and `.env`, validated, each error naming its variable.

Each service has its own frozen subclass of `CommonSettings`. Secrets are masked whenever settings
are shown.
"""

from __future__ import annotations

import hashlib
import sys
from enum import StrEnum
from functools import lru_cache
from typing import Any, Literal, TypeVar
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    SettingsConfigDict,
    SettingsError,
)

from shared.errors import CONFIG_EXIT_CODE, ConfigError
from shared.runtime import database_url
from shared.values.urls import without_secrets

COMPOSE_DB_HOST = "db"
MAX_REPLICAS = 3
SECRET_WORDS = ("password", "key", "url")
_HINTS = {
    "coin_ids": 'a JSON list such as ["btc-bitcoin", "eth-ethereum"]',
    "rss_feeds": 'a JSON list such as [{"name": "coindesk", "url": "https://…"}]',
}


class CommonSettings(BaseSettings):
    """What every service knows. The environment beats `.env`, which beats the defaults."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
    )

    mode: Literal["native", "docker"] = "native"
    postgres_user: str = "postgres"
    postgres_password: SecretStr = SecretStr("postgres")
    postgres_db: str = "ingestion_db"
    # Of the roles that the migration makes; empty: derived from the owner's.
    loader_password: SecretStr = SecretStr("")
    reader_password: SecretStr = SecretStr("")
    postgres_port: int = Field(default=5432, ge=1, le=65535)
    database_url: SecretStr = SecretStr("")
    kafka_port: int = Field(default=9092, ge=1, le=65535)
    kafka_bootstrap_servers: str = ""
    # So many replicas has each topic, three at most. Natively so many brokers are started.
    kafka_brokers: int = Field(default=1, ge=1, le=9)
    kafka_security_protocol: Literal[
        "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"
    ] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal[
        "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"
    ] = "SCRAM-SHA-512"
    kafka_username: str = ""
    kafka_password: SecretStr = SecretStr("")
    # PEM files. Without KAFKA_CA_FILE what the system trusts is trusted.
    kafka_ca_file: str = ""
    kafka_cert_file: str = ""
    kafka_key_file: str = ""
    kafka_session_timeout_ms: int = Field(
        default=10_000, ge=3_000, le=300_000
    )
    stuck_after_s: float = Field(default=60.0, ge=5)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "text"] = "json"
    health_file: str = ""
    # Of /metrics, which needs no key; 0: none. Natively each instance counts up from its own.
    metrics_port: int = Field(default=0, ge=0, le=65535)
    metrics_host: str = "127.0.0.1"

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("kafka_brokers")
    @classmethod
    def _quorum(cls, value: int) -> int:
        if value == 2:
            raise ValueError(
                "must be 1, or 3 and more: of 2 neither may fail"
            )
        return value

    @model_validator(mode="after")
    def _has_login(self) -> CommonSettings:
        is_complete = self.kafka_username and self.kafka_password
        if "SASL" in self.kafka_security_protocol and not is_complete:
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol} needs KAFKA_USERNAME and "
                "KAFKA_PASSWORD"
            )
        return self

    @model_validator(mode="after")
    def _derive(self) -> CommonSettings:
        bootstrap = self.kafka_bootstrap_servers or ",".join(
            f"127.0.0.1:{self.kafka_port + number}"
            for number in range(self.kafka_brokers)
        )
        object.__setattr__(self, "kafka_bootstrap_servers", bootstrap)
        url = (
            self.database_url.get_secret_value()
            or self._default_database_url()
        )
        object.__setattr__(
            self,
            "database_url",
            SecretStr(self._checked_database_url(url)),
        )
        return self

    def _default_database_url(self) -> str:
        user = quote(self.postgres_user, safe="")
        password = quote(
            self.postgres_password.get_secret_value(), safe=""
        )
        name = quote(self.postgres_db, safe="")
        return f"postgresql://{user}:{password}@{COMPOSE_DB_HOST}:5432/{name}"

    def _checked_database_url(self, url: str) -> str:
        """Natively, compose's host `db` means the embedded server. Raises ValueError."""
        own = f"127.0.0.1:{self.postgres_port}"
        hosts = {COMPOSE_DB_HOST: own} if self.mode == "native" else {}
        return database_url.normalized(url, hosts)

    @property
    def kafka_replicas(self) -> int:
        """Of each topic."""
        return min(self.kafka_brokers, MAX_REPLICAS)

    def dsn(self) -> str:
        """`postgresql://…` as libpq, psycopg2 and asyncpg read it."""
        return self.database_url.get_secret_value()

    def sqlalchemy_url(self) -> str:
        """The owner's URL for SQLAlchemy."""
        return database_url.for_sqlalchemy(self.dsn())

    def masked(self) -> dict[str, Any]:
        """All settings for one line of the log, with secrets masked."""
        shown: dict[str, Any] = {}
        for name, value in self.model_dump().items():
            shown[name] = _masked(value)
        parts = urlsplit(self.dsn())
        hosts = parts.netloc.rpartition("@")[2]
        shown["database_url"] = urlunsplit(
            (
                parts.scheme,
                f"{parts.username}:***@{hosts}",
                parts.path,
                "",
                "",
            )
        )
        return shown


def _masked(value: Any) -> Any:
    """A setting as it may be logged."""
    if isinstance(value, SecretStr):
        return str(value)
    if isinstance(value, str):
        return without_secrets(value) if "://" in value else value
    if isinstance(value, dict):
        return {name: _masked(each) for name, each in value.items()}
    return list(map(_masked, value)) if isinstance(value, list) else value


class Role(StrEnum):
    """Who connects to PostgreSQL: the migration makes these, with the owner's name in front."""

    LOADER = "loader"
    READER = "reader"


def role_name(dsn: str, role: Role) -> str:
    """The owner's name with that of the role: `postgres_reader`."""
    return f"{unquote(urlsplit(dsn).username or 'postgres')}_{role}"


def role_password(settings: CommonSettings, role: Role) -> str:
    """The one that is given, else one that only the owner's password leads to."""
    given = {
        Role.LOADER: settings.loader_password,
        Role.READER: settings.reader_password,
    }[role].get_secret_value()
    owner = unquote(urlsplit(settings.dsn()).password or "")
    return given or _derived(owner, role)


@lru_cache(maxsize=8)
def _derived(password: str, role: Role) -> str:
    """Slow to guess from, and the same in every service."""
    salt = f"crypto-ingest {role}".encode()
    digest = hashlib.scrypt(
        password.encode(), salt=salt, n=2**13, r=8, p=1, dklen=24
    )
    return digest.hex()


def role_dsn(settings: CommonSettings, role: Role) -> str:
    """DATABASE_URL with a role in place of the owner."""
    dsn = settings.dsn()
    parts = urlsplit(dsn)
    rest = parts.netloc.rpartition("@")[2]
    login = ":".join(
        quote(part, safe="")
        for part in (
            role_name(dsn, role),
            role_password(settings, role),
        )
    )
    return urlunsplit(
        (parts.scheme, f"{login}@{rest}", parts.path, parts.query, "")
    )


S = TypeVar("S", bound=CommonSettings)


def load(settings: type[S], **overrides: Any) -> S:
    """Read settings; raises ConfigError whose message has one line per invalid variable."""
    try:
        return settings(**overrides)
    except SettingsError as error:
        name = str(error).partition('field "')[2].partition('"')[0]
        hint = _HINTS.get(name, "valid JSON")
        raise ConfigError(
            f"{name.upper()}: not valid JSON; write {hint}"
        ) from error
    except ValidationError as error:
        raise ConfigError(
            "\n".join(map(_line, error.errors()))
        ) from error


def _line(problem: Any) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        return str(message)
    name, *inside = (str(part) for part in problem["loc"])
    at = f" (at {'.'.join(inside)})" if inside else ""
    shown = f"; got {problem['input']!r}"
    if any(word in name for word in SECRET_WORDS):
        shown = ""
    hint = f"; write {_HINTS[name]}" if name in _HINTS else ""
    return f"{name.upper()}{at}: {message}{shown}{hint}"


def load_or_exit(settings: type[S]) -> S:
    """Read settings, or end with the reasons on standard error and exit code 78."""
    try:
        return load(settings)
    except ConfigError as error:
        _say(error)
        raise SystemExit(CONFIG_EXIT_CODE) from error


def _say(error: ConfigError) -> None:
    for line in str(error).splitlines():
        sys.stderr.write(f"configuration error: {line}\n")
