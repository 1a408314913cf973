"""The gateway's settings."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from shared.runtime.settings import CommonSettings, reader_dsn


class GatewaySettings(CommonSettings):
    """Address, key and limits of the API."""

    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8000, ge=1, le=65535)
    api_key: SecretStr = SecretStr("test-api-key")
    gateway_database_url: SecretStr = SecretStr("")  # empty: DATABASE_URL with the read-only role of the migration
    pool_size: int = Field(default=10, ge=1, le=100)
    max_body_bytes: int = Field(default=2 * 1024 * 1024, ge=1024)
    csv_dir: Path = Path("data/csv")  # only looked into by GET /sources/csv/inspect
    client_timeout_s: float = Field(default=30.0, gt=0)  # for a body to arrive, and for an answer to be taken

    @field_validator("api_key")
    @classmethod
    def _not_empty(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().isprintable() or len(value.get_secret_value()) < 8:
            raise ValueError("must have at least 8 printable characters")
        return value

    def reader(self) -> str:
        return self.gateway_database_url.get_secret_value() or reader_dsn(self.dsn())
