"""The notifier's settings."""

from __future__ import annotations

from pydantic import Field

from shared.access.settings import SigningSettings


class NotifierSettings(SigningSettings):
    """How a webhook is told, and told again."""

    allow_private_urls: bool = False
    webhook_timeout_s: float = Field(default=15.0, gt=0, le=120)
    webhook_attempts: int = Field(default=6, ge=1, le=12)
    # Before the second attempt; each later one waits four times as long.
    webhook_retry_s: float = Field(default=5.0, gt=0, le=600)
