"""Where the files of the source `csv` lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr, field_validator

from shared.csvfile.folder import Root
from shared.csvfile.places.base import OF_OBJECTS
from shared.runtime.settings import CommonSettings


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
        scheme, is_url, rest = value.partition("://")
        bucket = rest.partition("/")[0]
        if is_url and (f"{scheme}://" != OF_OBJECTS or not bucket):
            raise ValueError(
                "must be a folder, or s3://bucket/prefix for an object storage"
            )
        return value

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
            self.aws_secret_access_key.get_secret_value(),
            self.aws_session_token.get_secret_value(),
            self.aws_region,
            self.aws_endpoint_url,
        )
        return Bucket(self.csv_dir, login)
