"""The settings of who makes or reads what is signed."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from shared.runtime.settings import CommonSettings

MIN_KEY = 8  # characters


class SigningSettings(CommonSettings):
    """API_KEY, and what signatures are made with."""

    api_key: SecretStr = Field(default=SecretStr("test-api-key"))
    # What is configured at run time is signed with it; empty: API_KEY.
    installation_secret: SecretStr = SecretStr("")

    @field_validator("api_key")
    @classmethod
    def _strong_enough(cls, value: SecretStr) -> SecretStr:
        key = value.get_secret_value()
        if not key.isprintable() or len(key) < MIN_KEY:
            raise ValueError(
                f"must have at least {MIN_KEY} printable characters"
            )
        return value

    def signing_secret(self) -> str:
        """Of what is configured at run time."""
        given = self.installation_secret.get_secret_value()
        return given or self.api_key.get_secret_value()
