"""The gateway's settings."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, SecretStr, field_validator

from shared.access.settings import SigningSettings
from shared.csvfile.places.settings import PlaceSettings
from shared.runtime import database_url
from shared.runtime.settings import Role, role_dsn

_ORIGIN = re.compile(r"https?://[^/\s?#@]+")


class GatewaySettings(SigningSettings, PlaceSettings):
    """Address, key and limits of the API."""

    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8000, ge=1, le=65535)
    # On this machine, which the system deals connections out among.
    gateways: int = Field(default=1, ge=1, le=8)
    # Empty: DATABASE_URL with the read-only role of the migration.
    gateway_database_url: SecretStr = SecretStr("")
    # A standby, for questions about data; empty: the primary answers them.
    database_read_url: SecretStr = SecretStr("")
    read_max_age_s: float = Field(default=10.0, gt=0, le=3600)
    pool_size: int = Field(default=10, ge=1, le=100)
    max_body_bytes: int = Field(default=512 * 1024, ge=1024)
    # Of all that lies in CSV_DIR when a file is uploaded; 0: nothing can be.
    upload_quota_mb: int = Field(default=4096, ge=0)
    # Addresses of proxies whose X-Forwarded-For is believed; `*`: everybody's.
    trusted_proxies: str = ""
    # Of a key, counted by each gateway; 0: no limit.
    requests_per_minute: int = Field(default=600_000, ge=0)
    # Origins whose pages may read the API, such as ["https://example.org"].
    cors_origins: list[str] = Field(default=[])
    access_log: bool = True  # a line of the log for each request
    # For a body to arrive, and for an answer to be taken.
    client_timeout_s: float = Field(default=30.0, gt=0)

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: list[str]) -> list[str]:
        for origin in value:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is no origin: write it as https://example.org, or *"
                )
        return value

    @field_validator("database_read_url")
    @classmethod
    def _is_place(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        if not url:
            return value
        try:
            url = database_url.normalized(url, {})
        except ValueError as error:
            message = str(error).removeprefix("DATABASE_URL: ")
            raise ValueError(message) from None
        if "," in urlsplit(url).netloc.rpartition("@")[2]:
            raise ValueError(
                "name one host: how far others are behind would not be known"
            )
        return SecretStr(url)

    def has_standby(self) -> bool:
        return bool(self.database_read_url.get_secret_value())

    def read_url(self) -> str:
        """That of the standby, with the login that the gateway has at the primary."""
        place = urlsplit(self.database_read_url.get_secret_value())
        login = urlsplit(self.reader()).netloc.rpartition("@")[0]
        host = place.netloc.rpartition("@")[2]
        return urlunsplit(
            (place.scheme, f"{login}@{host}", place.path, place.query, "")
        )

    def reader(self) -> str:
        """The URL of the database with the role that may only read."""
        given = self.gateway_database_url.get_secret_value()
        return given or role_dsn(self, Role.READER)
