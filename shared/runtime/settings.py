"""Settings: read once from the environment and `.env`, validated, each error naming its variable.

Each service has its own frozen subclass of `CommonSettings`. Secrets are masked whenever settings
are shown.
"""

from __future__ import annotations

import sys
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

COMPOSE_DB_HOST = "db"
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
    postgres_port: int = Field(default=5432, ge=1, le=65535)
    database_url: SecretStr = SecretStr("")
    kafka_port: int = Field(default=9092, ge=1, le=65535)
    kafka_bootstrap_servers: str = ""
    kafka_session_timeout_ms: int = Field(
        default=10_000, ge=3_000, le=300_000
    )
    stuck_after_s: float = Field(default=60.0, ge=5)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "text"] = "json"
    health_file: str = ""

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _derive(self) -> CommonSettings:
        bootstrap = (
            self.kafka_bootstrap_servers or f"127.0.0.1:{self.kafka_port}"
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

    def dsn(self) -> str:
        """`postgresql://…` as libpq, psycopg2 and asyncpg read it."""
        return self.database_url.get_secret_value()

    def sqlalchemy_url(self) -> str:
        """The URL with its driver named: SQLAlchemy 2.1 takes a bare one for psycopg 3."""
        return self.dsn().replace(
            "postgresql://", "postgresql+psycopg2://", 1
        )

    def masked(self) -> dict[str, Any]:
        """All settings for one line of the log, with secrets masked."""
        shown: dict[str, Any] = {}
        for name, value in self.model_dump().items():
            shown[name] = (
                str(value) if isinstance(value, SecretStr) else value
            )
        parts = urlsplit(self.dsn())
        netloc = (
            f"{parts.username}:***@{parts.hostname}:{parts.port or 5432}"
        )
        shown["database_url"] = urlunsplit(
            (parts.scheme, netloc, parts.path, "", "")
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
    login = f"{quote(reader_name(dsn), safe='')}{password}"
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
