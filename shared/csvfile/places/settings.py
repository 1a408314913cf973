"""Where the files of the source `csv` lie."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr, field_validator, model_validator

from shared.csvfile.folder import Root
from shared.csvfile.places.base import OF_OBJECTS
from shared.runtime.settings import CommonSettings

_BUCKET = re.compile(
    OF_OBJECTS
    + r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^/#?%\x00-\x20\x7f]+)*/?"
)
_ENDPOINT = re.compile(r"https?://[^/\s?#@]+/?")


class PlaceSettings(CommonSettings):
    """CSV_DIR, and what else an object storage asks for, by the names that other programs use."""

    csv_dir: str = "data/csv"
    aws_access_key_id: str = ""
    aws_secret_access_key: SecretStr = SecretStr("")
    aws_session_token: SecretStr = SecretStr("")
    aws_region: str = ""
    aws_endpoint_url: str = ""

    @field_validator("csv_dir", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, Path) else value

    @field_validator("csv_dir")
    @classmethod
    def _known(cls, value: str) -> str:
        if "://" in value and not _BUCKET.fullmatch(value):
            raise ValueError(
                "must be a folder, or s3://bucket/prefix for an object storage, the bucket in small"
                " letters, the prefix without `#`, `?`, `%` and empty parts"
            )
        return value

    @field_validator(
        "aws_access_key_id", "aws_region", "aws_endpoint_url"
    )
    @classmethod
    def _stripped(cls, value: str) -> str:
        return value.strip()

    @field_validator("aws_endpoint_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if value and not _ENDPOINT.fullmatch(value):
            raise ValueError(
                "must be an address such as https://storage.example:9000"
            )
        return value

    @model_validator(mode="after")
    def _has_both(self) -> Self:
        has_secret = bool(self.aws_secret_access_key.get_secret_value())
        if bool(self.aws_access_key_id) != has_secret:
            raise ValueError(
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together: set both, or none"
            )
        return self

    def csv_folder(self) -> Path | None:
        """The folder of this machine; None where it is an object storage."""
        if self.csv_dir.startswith(OF_OBJECTS):
            return None
        return Path(self.csv_dir)

    def csv_root(self) -> Root:
        folder = self.csv_folder()
        if folder is not None:
            return folder
        # 10 MB of memory that nobody else needs.
        from shared.csvfile.places.bucket import Bucket, Login

        login = Login(
            self.aws_access_key_id,
            self.aws_secret_access_key.get_secret_value().strip(),
            self.aws_session_token.get_secret_value().strip(),
            self.aws_region,
            self.aws_endpoint_url,
        )
        return Bucket(self.csv_dir, login)
